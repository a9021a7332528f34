/*
 * What waits in a world, and when it is looked at.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/hash.h"
#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum {
    MINUTE_MS = 60 * 1000,
    SOON_MS = 100,              /* a lane is not looked at sooner again */
    UNKNOWN_MS = MINUTE_MS,     /* nobody can say when it will be better */
    LONG_MS = 15 * MINUTE_MS,   /* nor later */
    ITSELF_MS = 15 * MINUTE_MS, /* Postfix tries what nobody wakes about as often */
    BATCH = 16,                 /* that leave before the next lane may */
    BURST = 100,                /* that are woken at once */
    STIR_MS = 1000,
    STIR_LANE_MS = 10, /* where lanes are many they are stirred less often */
};

static uint64_t
hash_of(const struct world_lane *lane)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool lane";
    uint64_t hash = hash_mix(lane->stream->index) ^ hash_mix(lane->provider + 1000);

    hash = hash_mix(hash ^ ((uint64_t)lane->grade << 32) ^ (uint64_t)(uint32_t)lane->quiet_days);
    hash ^= hash_sip(key, lane->account, strlen(lane->account));
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
world_lane_find(struct world *world, const struct world_lane *like)
{
    struct world_lane *lane;

    if (world->heap.count == 0)
        return NULL;
    lane = world->slots[hash_of(like) % WORLD_SLOTS];
    while (lane != NULL && !is_like(lane, like))
        lane = lane->next;
    return lane;
}

/* When the first of it came in. */
static int64_t
oldest(const struct world_lane *lane)
{
    return lane->count > 0 ? lane->entries[lane->first].since_ms : INT64_MAX;
}

/* Of those that are up at the same time: by priority, then whose first came in first. */
static bool
is_before(const void *a, const void *b)
{
    const struct world_lane *x = a, *y = b;

    if (x->up_ms != y->up_ms)
        return x->up_ms < y->up_ms;
    if (x->stream->priority != y->stream->priority)
        return x->stream->priority > y->stream->priority;
    return oldest(x) < oldest(y);
}

void
world_lanes_begin(struct world *world)
{
    world->heap = (struct heap){.before = is_before, .place = offsetof(struct world_lane, place)};
}

static void
lane_free(struct world_lane *lane)
{
    if (lane == NULL)
        return;
    free(lane->account);
    free(lane->domain);
    free(lane->entries);
    free(lane);
}

static struct world_lane *
lane_new(struct world *world, const struct world_lane *like, int64_t up_ms)
{
    struct world_lane *lane = world_must(world, calloc(1, sizeof(*lane)));

    if (lane == NULL)
        return NULL;
    *lane = *like;
    lane->entries = NULL;
    lane->first = lane->count = lane->room = 0;
    lane->account = world_must(world, strdup(like->account));
    lane->domain = world_must(world, strdup(like->domain));
    if (lane->account == NULL || lane->domain == NULL) {
        lane_free(lane);
        return NULL;
    }
    lane->hash = hash_of(lane);
    lane->up_ms = up_ms;
    return lane;
}

static void
lane_end(struct world *world, struct world_lane *lane)
{
    struct world_lane **link = &world->slots[lane->hash % WORLD_SLOTS];

    heap_remove(&world->heap, lane);
    while (*link != lane)
        link = &(*link)->next;
    *link = lane->next;
    lane_free(lane);
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

/* The caller sees that it is in the heap, and that its place there is right. */
static bool
lane_put(struct world *world, struct world_lane *lane, const struct world_entry *entry)
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

/* When the oldest of it is given up; INT64_MAX: never. */
static int64_t
ends_ms(const struct world *world, const struct world_lane *lane, bool *deadline)
{
    int64_t since_ms = oldest(lane), at_ms = INT64_MAX;

    *deadline = false;
    if (world->setup.lifetime_ms > 0)
        at_ms = since_ms + world->setup.lifetime_ms;
    if (lane->stream->deadline_ms > 0 && since_ms + lane->stream->deadline_ms < at_ms) {
        at_ms = since_ms + lane->stream->deadline_ms;
        *deadline = true;
    }
    return at_ms;
}

static void
set_up(struct world *world, struct world_lane *lane, int64_t up_ms, bool closed)
{
    bool deadline;
    int64_t end_ms = ends_ms(world, lane, &deadline);

    lane->up_ms = up_ms < end_ms ? up_ms : end_ms;
    lane->closed = closed;
    heap_moved(&world->heap, lane);
}

void
world_lane_add(struct world *world, const struct world_lane *like, const struct world_entry *entry,
               int64_t up_ms, bool closed)
{
    struct world_lane shared = *like, *lane = world_lane_find(world, like);
    struct world_lane **slot;

    world_count_waits(world, like->stream, entry->count);
    if (lane == NULL && world->heap.count >= WORLD_LANES_MAX) {
        shared.account = (char *)"";
        shared.domain = (char *)"";
        lane = world_lane_find(world, &shared);
    }
    if (lane != NULL) {
        if (lane_put(world, lane, entry) && closed && up_ms > lane->up_ms)
            set_up(world, lane, up_ms, true);
        return;
    }
    lane = lane_new(world, &shared, up_ms);
    if (lane == NULL)
        return;
    if (!lane_put(world, lane, entry) ||
        !world_must(world, heap_add(&world->heap, lane) ? lane : NULL)) {
        lane_free(lane);
        return;
    }
    slot = &world->slots[lane->hash % WORLD_SLOTS];
    lane->next = *slot;
    *slot = lane;
    set_up(world, lane, up_ms, closed);
}

/* One recipient of the first entry is gone; false: it was the last of all. */
static bool
take_one(struct world_lane *lane, uint32_t count)
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

/* What is too old is given up.  False: nothing is left. */
static bool
give_up(struct world *world, struct world_lane *lane)
{
    bool deadline;

    while (ends_ms(world, lane, &deadline) <= world->now_ms) {
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
        if (!take_one(lane, ended.count))
            return false;
    }
    return true;
}

int64_t
world_room_ms(const struct world *world, const struct decision *decision, bool *closed)
{
    int64_t now_ms = world->now_ms, room_ms = decision->room_ms;

    *closed = decision->full && !decision->slowed && room_ms > now_ms;
    if (room_ms == INT64_MAX)
        room_ms = now_ms + UNKNOWN_MS;
    if (room_ms < now_ms + SOON_MS)
        room_ms = now_ms + SOON_MS;
    if (room_ms > now_ms + LONG_MS)
        room_ms = now_ms + LONG_MS;
    return room_ms;
}

/* May one be taken up now?  Else *ret_up_ms is when. */
static bool
may_wake(struct world *world, int64_t *ret_up_ms)
{
    int rate = world->setup.wake_per_s;

    if (rate == 0)
        return true;
    *ret_up_ms = bucket_when_ms(&world->wakes, rate, BURST, world->now_ms);
    return *ret_up_ms <= world->now_ms;
}

void
world_lane_step(struct world *world, struct world_lane *lane)
{
    int64_t up_ms = world_opens_ms(world, lane->stream);
    bool closed = false;

    if (!give_up(world, lane)) {
        lane_end(world, lane);
        return;
    }
    if (up_ms > world->now_ms) {
        set_up(world, lane, up_ms, true);
        return;
    }
    for (int i = 0; i < BATCH && may_wake(world, &up_ms); i++) {
        struct world_entry one = lane->entries[lane->first];
        struct decide_question question;
        struct decision decision;

        world_decide(world, lane, one.key, &decision, &question);
        if (decision.address == NULL) {
            up_ms = world_room_ms(world, &decision, &closed);
            if (world->setup.wake_per_s == 0 && up_ms < world->now_ms + ITSELF_MS) {
                up_ms = world->now_ms + ITSELF_MS;
                closed = false; /* what comes in meanwhile may find room */
            }
            break;
        }
        if (world->setup.wake_per_s > 0)
            bucket_take(&world->wakes, world->setup.wake_per_s, BURST, world->now_ms);
        one.count = 1;
        world_leave(world, lane, &one, &question, &decision);
        if (!take_one(lane, 1)) {
            lane_end(world, lane);
            return;
        }
    }
    set_up(world, lane, up_ms, closed);
}

void
world_stir(struct world *world)
{
    int64_t at_ms = world->now_ms + STIR_MS + (int64_t)world->heap.count * STIR_LANE_MS;

    if (world->stir_ms > at_ms)
        world->stir_ms = at_ms;
}

void
world_lanes_stir(struct world *world)
{
    world->stir_ms = INT64_MAX;
    for (size_t i = 0; i < WORLD_SLOTS && world->heap.count > 0; i++)
        for (struct world_lane *lane = world->slots[i]; lane != NULL; lane = lane->next) {
            lane->closed = false;
            if (lane->up_ms <= world->now_ms)
                continue;
            lane->up_ms = world->now_ms;
            heap_moved(&world->heap, lane);
        }
}

void
world_lanes_clear(struct world *world)
{
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        while (world->slots[i] != NULL) {
            struct world_lane *lane = world->slots[i];

            world->slots[i] = lane->next;
            lane_free(lane);
        }
    heap_clear(&world->heap);
}
