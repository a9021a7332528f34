/*
 * What came of a world, counted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

const int64_t world_wait_ms[WORLD_WAITS] = {
    MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 2 * DAY_MS, 5 * DAY_MS, INT64_MAX,
};

bool
world_count_begin(struct world *world)
{
    const struct snapshot *snapshot = world->snapshot;
    size_t pairs = snapshot->pool_count * (snapshot->provider_count + 1);

    world->streams = calloc(snapshot->stream_count + 1, sizeof(*world->streams));
    world->of = calloc(snapshot->address_count * snapshot->stream_count + 1, sizeof(*world->of));
    world->to = calloc(pairs + 1, sizeof(*world->to));
    world->mosts = calloc(pairs + 1, sizeof(*world->mosts));
    return world->streams != NULL && world->of != NULL && world->to != NULL && world->mosts != NULL;
}

void
world_count_clear(struct world *world)
{
    for (size_t i = 0; i < world->day_count; i++) {
        free(world->days[i].addresses);
        free(world->days[i].streams);
        free(world->days[i].providers);
    }
    free(world->days);
    free(world->streams);
    free(world->of);
    free(world->to);
    free(world->mosts);
}

struct world_days *
world_today(const struct world *world)
{
    return &world->days[world->day_count - 1];
}

/* What waits goes over to the next day. */
static void
carry(struct world *world, struct world_days *next)
{
    for (size_t i = 0; i < world->snapshot->stream_count; i++)
        next->streams[i].waiting = next->streams[i].waiting_most = world->streams[i].waiting;
    for (size_t i = 0; i < world->snapshot->address_count; i++)
        next->addresses[i].allowance = WARMUP_UNLIMITED;
}

void
world_count_day(struct world *world, int32_t day)
{
    const struct snapshot *snapshot = world->snapshot;
    struct world_days *next;

    if (world->day_count == world->day_room) {
        size_t room = world->day_room > 0 ? 2 * world->day_room : 64;

        next = world_must(world, realloc(world->days, room * sizeof(*next)));
        if (next == NULL)
            return;
        world->days = next;
        world->day_room = room;
    }
    if (world->day_count > 0)
        memcpy(world_today(world)->grades, world->grades, sizeof(world->grades));
    next = &world->days[world->day_count++];
    *next = (struct world_days){
        .day = day,
        .addresses = calloc(snapshot->address_count + 1, sizeof(*next->addresses)),
        .streams = calloc(snapshot->stream_count + 1, sizeof(*next->streams)),
        .providers = calloc(snapshot->provider_count + 1, sizeof(*next->providers)),
    };
    if (next->addresses == NULL || next->streams == NULL || next->providers == NULL)
        world_must(world, NULL);
    else
        carry(world, next);
}

static void
count_most(struct world_most *most, int64_t now_ms, int32_t day, uint64_t count)
{
    int64_t minute = now_ms / MINUTE_MS, hour = now_ms / HOUR_MS;

    if (most->minute != minute) {
        most->minute = minute;
        most->in_minute = 0;
    }
    if (most->hour != hour) {
        most->hour = hour;
        most->in_hour = 0;
    }
    if (most->day != day) {
        most->day = day;
        most->in_day = 0;
    }
    most->in_minute += count;
    most->in_hour += count;
    most->in_day += count;
    if (most->in_minute > most->minute_count) {
        most->minute_count = most->in_minute;
        most->minute_most = minute;
    }
    if (most->in_hour > most->hour_count) {
        most->hour_count = most->in_hour;
        most->hour_most = hour;
    }
    if (most->in_day > most->day_count) {
        most->day_count = most->in_day;
        most->day_most = day;
    }
}

void
world_count_offered(struct world *world, const struct stream *stream, uint32_t count)
{
    world->streams[stream->index].offered += count;
    world_today(world)->streams[stream->index].offered += count;
}

void
world_count_peak(struct world *world, const struct stream *stream, size_t provider,
                 enum grade grade, uint64_t count)
{
    const struct pool *graded = stream->by_grade[grade];
    const struct pool *pool = graded != NULL ? graded : stream->pool;
    size_t providers = world->snapshot->provider_count;
    struct world_most *mosts = &world->mosts[pool->index * (providers + 1)];
    int32_t day = world_today(world)->day;

    count_most(&mosts[provider], world->now_ms, day, count);
    count_most(&mosts[providers], world->now_ms, day, count);
}

static void
add_waiting(struct world_stream *stream, uint32_t count)
{
    stream->waiting += count;
    stream->delayed += count;
    if (stream->waiting > stream->waiting_most)
        stream->waiting_most = stream->waiting;
}

void
world_count_waits(struct world *world, const struct stream *stream, uint32_t count)
{
    add_waiting(&world->streams[stream->index], count);
    add_waiting(&world_today(world)->streams[stream->index], count);
}

static void
add_sent(struct world_stream *stream, const struct world_sent *sent, bool at_once)
{
    int64_t waited_ms = sent->at_ms - sent->since_ms;
    size_t place = 0;

    while (place + 1 < WORLD_WAITS && waited_ms >= world_wait_ms[place])
        place++;
    stream->sent += sent->count;
    stream->waits[place] += sent->count;
    stream->waited_ms += waited_ms * sent->count;
    if (waited_ms > stream->waited_most_ms)
        stream->waited_most_ms = waited_ms;
    if (at_once)
        stream->at_once += sent->count;
    else
        stream->waiting -= sent->count;
}

void
world_count_sent(struct world *world, const struct world_sent *sent, bool at_once)
{
    struct world_days *today = world_today(world);
    size_t stream = sent->stream->index, address = sent->address->index;
    const struct snapshot *snapshot = world->snapshot;

    add_sent(&world->streams[stream], sent, at_once);
    add_sent(&today->streams[stream], sent, at_once);
    today->addresses[address].sent += sent->count;
    today->providers[sent->provider] += sent->count;
    world->of[address * snapshot->stream_count + stream] += sent->count;
    world->to[sent->pool->index * snapshot->provider_count + sent->provider] += sent->count;
}

void
world_count_back(struct world *world, const struct world_sent *sent, uint32_t count)
{
    struct world_days *today = world_today(world);
    struct world_address *its = &today->addresses[sent->address->index];

    its->sent -= its->sent > count ? count : its->sent;
}

static void
add_ended(struct world_stream *stream, const struct world_ended *ended)
{
    stream->waiting -= ended->count;
    if (ended->deadline)
        stream->late += ended->count;
    else
        stream->ended += ended->count;
}

void
world_count_ended(struct world *world, const struct world_ended *ended)
{
    add_ended(&world->streams[ended->stream->index], ended);
    add_ended(&world_today(world)->streams[ended->stream->index], ended);
}

/* ------------------------------------------------------------------ reading */

size_t
world_days(const struct world *world)
{
    return world->day_count;
}

struct world_day
world_day(const struct world *world, size_t place)
{
    const struct world_days *day = &world->days[place];

    struct world_day one = {day->day, day->addresses, day->streams, day->providers, {0}};
    bool last = place + 1 == world->day_count;

    memcpy(one.grades, last ? world->grades : day->grades, sizeof(one.grades));
    return one;
}

struct world_stream
world_stream(const struct world *world, const struct stream *stream)
{
    return world->streams[stream->index];
}

uint64_t
world_sent_of(const struct world *world, const struct address *address, const struct stream *stream)
{
    return world->of[address->index * world->snapshot->stream_count + stream->index];
}

uint64_t
world_sent_to(const struct world *world, const struct pool *pool, const struct provider *provider)
{
    return world->to[pool->index * world->snapshot->provider_count + provider->index];
}

uint64_t
world_sent_from(const struct world *world, const struct pool *pool)
{
    uint64_t sent = 0;

    for (size_t i = 0; i < world->snapshot->provider_count; i++)
        sent += world->to[pool->index * world->snapshot->provider_count + i];
    return sent;
}

struct world_peak
world_peak(const struct world *world, const struct pool *pool, const struct provider *provider)
{
    size_t providers = world->snapshot->provider_count;
    const struct world_most *most = &world->mosts[pool->index * (providers + 1) +
                                                  (provider != NULL ? provider->index : providers)];

    return (struct world_peak){
        .minute = most->minute_count,
        .hour = most->hour_count,
        .day = most->day_count,
        .minute_ms = most->minute_most * MINUTE_MS,
        .hour_ms = most->hour_most * HOUR_MS,
        .day_at = most->day_most,
    };
}
