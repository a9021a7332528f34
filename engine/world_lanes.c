/*
 * What waits in a world: entries, in lanes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/hash.h"
#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum { MINUTE_MS = 60 * 1000 };

uint64_t
world_kind_hash(const struct world_lane *like)
{
    uint64_t hash = hash_mix(like->stream->index) ^ hash_mix(like->provider + 1000);

    return hash_mix(hash ^ ((uint64_t)like->grade << 32) ^ (uint64_t)(uint32_t)like->quiet_days);
}

static uint64_t
hash_of(const struct world_lane *lane)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool lane";
    uint64_t hash = world_kind_hash(lane) ^ hash_sip(key, lane->account, strlen(lane->account));

    return hash_mix(hash ^ hash_mix(hash_sip(key, lane->domain, strlen(lane->domain))));
}

static bool
is_like(const struct world_lane *a, const struct world_lane *b)
{
    return a->stream == b->stream && a->provider == b->provider && a->grade == b->grade &&
           a->quiet_days == b->quiet_days && strcmp(a->account, b->account) == 0 &&
           strcmp(a->domain, b->domain) == 0;
}

struct world_lane *
world_lane_find(const struct world *world, const struct world_lane *like)
{
    struct world_lane *lane;

    if (world->lane_count == 0)
        return NULL;
    lane = world->lanes[hash_of(like) % WORLD_SLOTS];
    while (lane != NULL && !is_like(lane, like))
        lane = lane->next;
    return lane;
}

void
world_lane_free(struct world_lane *lane)
{
    if (lane == NULL)
        return;
    free(lane->account);
    free(lane->domain);
    free(lane->entries);
    free(lane);
}

struct world_lane *
world_lane_new(struct world *world, const struct world_lane *like)
{
    struct world_lane *lane = world_must(world, calloc(1, sizeof(*lane)));

    if (lane == NULL)
        return NULL;
    lane->stream = like->stream;
    lane->provider = like->provider;
    lane->grade = like->grade;
    lane->quiet_days = like->quiet_days;
    lane->account = world_must(world, strdup(like->account));
    lane->domain = world_must(world, strdup(like->domain));
    if (world->failed) {
        world_lane_free(lane);
        return NULL;
    }
    lane->hash = hash_of(lane);
    lane->next = world->lanes[lane->hash % WORLD_SLOTS];
    world->lanes[lane->hash % WORLD_SLOTS] = lane;
    world->lane_count++;
    return lane;
}

void
world_lane_end(struct world *world, struct world_lane *lane)
{
    struct world_lane **link = &world->lanes[lane->hash % WORLD_SLOTS];

    while (*link != lane)
        link = &(*link)->next;
    *link = lane->next;
    world->lane_count--;
    world_lane_free(lane);
}

int64_t
world_lane_oldest(const struct world_lane *lane)
{
    return lane->count > 0 ? lane->entries[lane->first].since_ms : INT64_MAX;
}

/* Room for one more entry behind the last; what is in front of the first is used again. */
static bool
lane_grow(struct world *world, struct world_lane *lane)
{
    struct world_entry *entries;
    size_t room = lane->room > 0 ? lane->room * 2 : 4;

    if (lane->first + lane->count < lane->room)
        return true;
    if (lane->first > lane->room / 2) {
        memmove(lane->entries, lane->entries + lane->first, lane->count * sizeof(*entries));
        lane->first = 0;
        return true;
    }
    entries = world_must(world, realloc(lane->entries, room * sizeof(*entries)));
    if (entries == NULL)
        return false;
    lane->entries = entries;
    lane->room = room;
    return true;
}

bool
world_lane_put(struct world *world, struct world_lane *lane, const struct world_entry *entry)
{
    struct world_entry *last =
        lane->count > 0 ? &lane->entries[lane->first + lane->count - 1] : NULL;

    if (last != NULL && last->token == entry->token && last->count < UINT32_MAX / 2 &&
        last->since_ms / MINUTE_MS == entry->since_ms / MINUTE_MS) {
        last->count += entry->count;
        last->apart = true;
        return true;
    }
    if (!lane_grow(world, lane))
        return false;
    lane->entries[lane->first + lane->count++] = *entry;
    return true;
}

int64_t
world_lane_ends_ms(const struct world *world, const struct world_lane *lane, bool *deadline)
{
    int64_t since_ms = world_lane_oldest(lane), at_ms = INT64_MAX;

    *deadline = false;
    if (world->setup.lifetime_ms > 0)
        at_ms = since_ms + world->setup.lifetime_ms;
    if (lane->stream->deadline_ms > 0 && since_ms + lane->stream->deadline_ms < at_ms) {
        at_ms = since_ms + lane->stream->deadline_ms;
        *deadline = true;
    }
    return at_ms;
}

void
world_lane_regrade(struct world *world, struct world_lane *lane, enum grade grade)
{
    struct world_lane **link = &world->lanes[lane->hash % WORLD_SLOTS];

    while (*link != lane)
        link = &(*link)->next;
    *link = lane->next;
    lane->grade = grade;
    lane->hash = hash_of(lane);
    lane->next = world->lanes[lane->hash % WORLD_SLOTS];
    world->lanes[lane->hash % WORLD_SLOTS] = lane;
}

bool
world_lane_take(struct world_lane *lane, uint32_t count)
{
    struct world_entry *entry = &lane->entries[lane->first];

    entry->count -= count;
    if (entry->apart)
        entry->key = hash_mix(entry->key + 1);
    if (entry->count > 0)
        return true;
    lane->first++;
    return --lane->count > 0;
}

bool
world_lane_give_up(struct world *world, struct world_lane *lane)
{
    bool deadline;

    while (world_lane_ends_ms(world, lane, &deadline) <= world->now_ms) {
        const struct world_entry *entry = &lane->entries[lane->first];
        struct world_ended ended = {
            .at_ms = world->now_ms,
            .since_ms = entry->since_ms,
            .stream = lane->stream,
            .provider = lane->provider,
            .count = entry->count,
            .deadline = deadline,
            .token = entry->token,
        };

        world_count_ended(world, &ended);
        if (world->setup.ended != NULL)
            world->setup.ended(world->setup.arg, &ended);
        if (!world_lane_take(lane, ended.count))
            return false;
    }
    return true;
}
