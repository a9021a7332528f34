/*
 * Meters have numbers that last; what they are of has an id that lasts, too: of
 * the name, not of its place in one snapshot.  So a new configuration makes
 * new rolls and tables, which takes time for each address, and touches no
 * meter but those that go.  Each finds its caps anew when it is next met.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"

#include "engine/meters_inside.h"
#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* NULL: they are no more. */
static const struct caps *
caps_of(const struct meters *meters, const struct metered *metered)
{
    const struct snapshot *snapshot = meters->snapshot;
    const struct caps *caps = NULL;
    uint32_t place, address;

    switch ((enum meters_kind)metered->kind) {
    case METERS_ADDRESS:
        place = meters->addresses.place[metered->of];
        caps = place != METERS_NONE ? meters_address_caps(meters, place) : NULL;
        break;
    case METERS_PROVIDER:
        place = meters->providers.place[metered->other];
        address = meters->addresses.place[metered->of];
        caps = place != METERS_NONE && address != METERS_NONE
                   ? meters_provider_caps(meters, address, place)
                   : NULL;
        break;
    case METERS_STREAM:
        place = meters->streams.place[metered->of];
        caps = place != METERS_NONE ? &snapshot->streams[place].caps : NULL;
        break;
    case METERS_ACCOUNT:
        place = meters->groups.place[metered->of];
        caps = place != METERS_NONE ? &snapshot->streams[place].account_caps : NULL;
        break;
    }
    return caps != NULL && caps->count > 0 ? caps : NULL;
}

struct metered *
meters_at(struct meters *meters, uint32_t number)
{
    struct metered *metered = meters_peek(meters, number);

    if (metered->binding != meters->binding) {
        metered->caps = metered->state == METERED_USED ? caps_of(meters, metered) : NULL;
        metered->binding = meters->binding;
        if (metered->caps != NULL) {
            struct caps left;

            meter_set_share(&metered->meter, meters_caps(metered, &left));
        }
    }
    return metered;
}

size_t
meters_count(const struct meters *meters)
{
    return meters->count;
}

static bool
make_chunk(struct meters *meters)
{
    struct metered **chunks =
        realloc(meters->chunks, (meters->chunk_count + 1) * sizeof(struct metered *));

    if (chunks == NULL)
        return false;
    meters->chunks = chunks;
    chunks[meters->chunk_count] = calloc(METERS_CHUNK, sizeof(struct metered));
    if (chunks[meters->chunk_count] == NULL)
        return false;
    meters->chunk_count++;
    return true;
}

/* A number that is nobody's. */
static uint32_t
new_number(struct meters *meters)
{
    uint32_t number = meters->spare;

    if (number != METERS_NONE) {
        meters->spare = meters_peek(meters, number)->other;
        return number;
    }
    if (meters->count == meters->chunk_count * METERS_CHUNK && !make_chunk(meters))
        return METERS_NONE;
    return (uint32_t)meters->count++;
}

uint32_t
meters_add(struct meters *meters, enum meters_kind kind, const struct caps *caps, uint32_t of,
           uint32_t other)
{
    uint32_t number = new_number(meters);
    struct metered *metered;

    if (number == METERS_NONE)
        return METERS_NONE;
    metered = meters_peek(meters, number);
    *metered = (struct metered){
        .meter = {.seq = meters->seq},
        .caps = caps,
        .of = of,
        .other = other,
        .binding = meters->binding,
        .kind = (uint8_t)kind,
        .queued = metered->queued,
    };
    if (meters->alone)
        meter_go_alone(&metered->meter, caps, meters->nodes, meters->share_at_once,
                       meters->alone_ms);
    return number;
}

void
meters_retire(struct meters *meters, uint32_t number, int64_t now_ms)
{
    struct metered *metered = meters_peek(meters, number);

    if (metered->meter.seq > meters->seq)
        meters->seq = metered->meter.seq;
    metered->state = METERED_GONE;
    metered->caps = NULL;
    meters_unscale(meters, metered);
    metered->gone_ms = now_ms;
}

void
meters_make_spare(struct meters *meters, uint32_t number)
{
    struct metered *metered = meters_peek(meters, number);

    if (metered->kind == METERS_ACCOUNT)
        meters->account_count--;
    free(metered->account);
    metered->account = NULL;
    metered->state = METERED_SPARE;
    metered->other = meters->spare;
    meters->spare = number;
}

uint32_t *
meters_numbers(size_t count)
{
    uint32_t *list = malloc((count + 1) * sizeof(*list));

    for (size_t i = 0; list != NULL && i < count; i++)
        list[i] = METERS_NONE;
    return list;
}

static void
roll_clear(struct roll *roll)
{
    free(roll->id);
    free(roll->place);
    *roll = (struct roll){0};
}

/*
 * The roll after before: moves says where its places are now.  The ids of what
 * is gone are for others, if again; then no meter may have them any more.
 */
static bool
roll_make(const struct roll *before, const uint32_t *moves, size_t places, bool again,
          struct roll *ret_roll)
{
    struct roll roll = {meters_numbers(places), meters_numbers(before->ids + places), before->ids,
                        places};
    size_t free_id = again ? 0 : before->ids;

    *ret_roll = roll;
    if (roll.id == NULL || roll.place == NULL)
        return false;
    for (size_t i = 0; i < before->places; i++)
        if (moves[i] != METERS_NONE) {
            roll.id[moves[i]] = before->id[i];
            roll.place[before->id[i]] = moves[i];
        }
    for (size_t i = 0; i < places; i++) {
        if (roll.id[i] != METERS_NONE)
            continue;
        while (free_id < before->ids && roll.place[free_id] != METERS_NONE)
            free_id++;
        roll.id[i] = (uint32_t)free_id++;
        roll.place[roll.id[i]] = (uint32_t)i;
    }
    if (free_id > roll.ids)
        roll.ids = free_id;
    *ret_roll = roll;
    return true;
}

/* Where everything of one snapshot is in the next. */
struct moves {
    uint32_t *addresses, *providers, *streams, *groups;
};

static void
moves_clear(struct moves *moves)
{
    free(moves->addresses);
    free(moves->providers);
    free(moves->streams);
    free(moves->groups);
}

/* before is NULL at the first time. */
static bool
moves_make(const struct snapshot *before, const struct snapshot *now, struct moves *ret_moves)
{
    struct moves moves = {0};

    if (before == NULL) {
        *ret_moves = moves;
        return true;
    }
    moves.addresses = snapshot_moves(before, now);
    moves.providers = meters_numbers(before->provider_count);
    moves.streams = meters_numbers(before->stream_count);
    moves.groups = meters_numbers(before->stream_count);
    *ret_moves = moves;
    if (moves.addresses == NULL || moves.providers == NULL || moves.streams == NULL ||
        moves.groups == NULL)
        return false;
    for (size_t i = 0; i < before->provider_count; i++) {
        const struct provider *provider = snapshot_find_provider(now, before->providers[i].name);

        if (provider != NULL)
            moves.providers[i] = (uint32_t)provider->index;
    }
    for (size_t i = 0; i < before->stream_count; i++) {
        const char *name = before->streams[i].name;
        const struct stream *stream = snapshot_find_stream(now, name, strlen(name));

        if (stream == NULL)
            continue;
        moves.streams[i] = (uint32_t)stream->index;
        if (stream->account_caps.count > 0) /* else its accounts are gone, also for later */
            moves.groups[i] = (uint32_t)stream->index;
    }
    return true;
}

/* The rolls and tables of one snapshot. */
static bool
tables_make(const struct meters *before, const struct snapshot *now, const struct moves *moves,
            struct meters *ret)
{
    size_t pairs = now->address_count * now->provider_count;
    bool done =
        roll_make(&before->addresses, moves->addresses, now->address_count, true, &ret->addresses);

    done &=
        roll_make(&before->providers, moves->providers, now->provider_count, true, &ret->providers);
    done &= roll_make(&before->streams, moves->streams, now->stream_count, true, &ret->streams);
    done &= roll_make(&before->groups, moves->groups, now->stream_count, false, &ret->groups);
    ret->by_address = meters_numbers(now->address_count);
    ret->by_stream = meters_numbers(now->stream_count);
    ret->by_provider = now->provider_caps ? meters_numbers(pairs) : NULL;
    return done && ret->by_address != NULL && ret->by_stream != NULL &&
           (ret->by_provider != NULL || !now->provider_caps);
}

static void
tables_clear(struct meters *meters)
{
    roll_clear(&meters->addresses);
    roll_clear(&meters->providers);
    roll_clear(&meters->streams);
    roll_clear(&meters->groups);
    free(meters->by_address);
    free(meters->by_stream);
    free(meters->by_provider);
}

/* One meter of before: to its place in the new table, unless that or its caps are gone. */
static void
carry(struct meters *meters, uint32_t number, uint32_t *place, const struct caps *caps,
      int64_t now_ms)
{
    if (number == METERS_NONE)
        return;
    if (place != NULL && caps->count > 0)
        *place = number;
    else
        meters_retire(meters, number, now_ms);
}

static void
carry_pairs(struct meters *meters, const struct meters *before, const struct moves *moves,
            int64_t now_ms)
{
    const struct snapshot *then = before->snapshot, *now = meters->snapshot;

    for (size_t i = 0; before->by_provider != NULL && i < then->address_count; i++)
        for (size_t j = 0; j < then->provider_count; j++) {
            uint32_t number = before->by_provider[i * then->provider_count + j];
            uint32_t address = moves->addresses[i], provider = moves->providers[j];
            bool there =
                address != METERS_NONE && provider != METERS_NONE && meters->by_provider != NULL;

            carry(meters, number,
                  there ? &meters->by_provider[address * now->provider_count + provider] : NULL,
                  there ? meters_provider_caps(meters, address, provider) : NULL, now_ms);
        }
}

static void
carry_all(struct meters *meters, const struct meters *before, const struct moves *moves,
          int64_t now_ms)
{
    const struct snapshot *then = before->snapshot, *now = meters->snapshot;

    for (size_t i = 0; then != NULL && i < then->address_count; i++) {
        uint32_t to = moves->addresses[i];

        carry(meters, before->by_address[i], to != METERS_NONE ? &meters->by_address[to] : NULL,
              to != METERS_NONE ? meters_address_caps(meters, to) : NULL, now_ms);
    }
    for (size_t i = 0; then != NULL && i < then->stream_count; i++) {
        uint32_t to = moves->streams[i];

        carry(meters, before->by_stream[i], to != METERS_NONE ? &meters->by_stream[to] : NULL,
              to != METERS_NONE ? &now->streams[to].caps : NULL, now_ms);
    }
    if (then != NULL)
        carry_pairs(meters, before, moves, now_ms);
}

/* Meters of addresses and streams that have none yet. */
static void
make_fixed(struct meters *meters)
{
    const struct snapshot *snapshot = meters->snapshot;

    for (size_t i = 0; i < snapshot->address_count; i++)
        if (meters_address_caps(meters, i)->count > 0 && meters->by_address[i] == METERS_NONE)
            meters->by_address[i] = meters_add(
                meters, METERS_ADDRESS, meters_address_caps(meters, i), meters->addresses.id[i], 0);
    for (size_t i = 0; i < snapshot->stream_count; i++)
        if (snapshot->streams[i].caps.count > 0 && meters->by_stream[i] == METERS_NONE)
            meters->by_stream[i] = meters_add(meters, METERS_STREAM, &snapshot->streams[i].caps,
                                              meters->streams.id[i], 0);
}

bool
meters_set_snapshot(struct meters *meters, const struct snapshot *snapshot, int64_t now_ms)
{
    struct meters before = *meters, after = *meters;
    struct moves moves;
    bool done = moves_make(meters->snapshot, snapshot, &moves);

    if (done && !tables_make(&before, snapshot, &moves, &after)) {
        tables_clear(&after);
        done = false;
    }
    if (done) {
        *meters = after;
        meters->snapshot = snapshot;
        meters->binding++;
        meters->gains++;
        carry_all(meters, &before, &moves, now_ms);
        make_fixed(meters);
        tables_clear(&before);
    }
    moves_clear(&moves);
    return done;
}

struct meters *
meters_new(const struct snapshot *snapshot)
{
    struct meters *meters = calloc(1, sizeof(*meters));

    if (meters == NULL)
        return NULL;
    meters->nodes = 1;
    meters->spare = METERS_NONE;
    if (!meters_set_snapshot(meters, snapshot, 0)) {
        meters_free(meters);
        return NULL;
    }
    return meters;
}

void
meters_free(struct meters *meters)
{
    if (meters == NULL)
        return;
    for (size_t i = 0; i < meters->count; i++)
        free(meters_peek(meters, (uint32_t)i)->account);
    for (size_t i = 0; i < meters->chunk_count; i++)
        free(meters->chunks[i]);
    free(meters->chunks);
    tables_clear(meters);
    free(meters->accounts);
    free(meters->queue);
    free(meters);
}

uint32_t
meters_address(const struct meters *meters, size_t address)
{
    return meters->by_address[address];
}

uint32_t
meters_stream(const struct meters *meters, size_t stream)
{
    return meters->by_stream[stream];
}

uint32_t
meters_provider(struct meters *meters, size_t address, size_t provider)
{
    const struct caps *caps = meters_provider_caps(meters, address, provider);
    uint32_t *place;

    if (caps->count == 0)
        return METERS_NONE;
    place = &meters->by_provider[address * meters->snapshot->provider_count + provider];
    if (*place == METERS_NONE)
        *place = meters_add(meters, METERS_PROVIDER, caps, meters->addresses.id[address],
                            meters->providers.id[provider]);
    return *place;
}

bool
meters_is_unmet(const struct meters *meters, size_t address, size_t provider)
{
    return meters_has_provider(meters, address, provider) &&
           meters->by_provider[address * meters->snapshot->provider_count + provider] ==
               METERS_NONE;
}

bool
meters_is_used(struct meters *meters, uint32_t number)
{
    return meters_at(meters, number)->caps != NULL;
}
