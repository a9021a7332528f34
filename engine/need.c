/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/need.h"

#include "engine/book.h"
#include "engine/snapshot.h"
#include "engine/world.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* At that rate in a window, rounded up; not more than there was in the time beyond it. */
static uint64_t
at_rate(uint64_t count, int64_t of_ms, int64_t window_ms, uint64_t most)
{
    uint64_t part =
        (count * (uint64_t)(window_ms / 1000) * 1000 + (uint64_t)of_ms - 1) / (uint64_t)of_ms;

    return part < most ? part : most;
}

/* Most in any window of that length. */
static uint64_t
peak_in(const struct world_peak *peak, int64_t window_ms)
{
    if (window_ms >= DAY_MS)
        return at_rate(peak->day, DAY_MS, window_ms, UINT64_MAX);
    if (window_ms >= HOUR_MS)
        return at_rate(peak->hour, HOUR_MS, window_ms, peak->day);
    return at_rate(peak->minute, MINUTE_MS, window_ms, peak->hour);
}

/* What that many addresses can use of such a cap; see engine/book.h. */
static uint64_t
used_of(uint64_t limit)
{
    uint64_t used = limit * BOOK_BUCKETS / (BOOK_BUCKETS + 2);

    return used > 0 ? used : 1;
}

static void
ask_for(struct need *need, uint64_t addresses, uint64_t peak, const struct cap *cap,
        const struct provider *provider)
{
    if (need->cap != NULL && addresses <= need->addresses)
        return;
    *need = (struct need){(size_t)addresses, peak, cap, provider};
}

static const struct cap *
cap_of(const struct caps *caps, int64_t window_ms)
{
    for (size_t i = 0; i < caps->count; i++)
        if (caps->items[i].window_ms == window_ms)
            return &caps->items[i];
    return NULL;
}

/* Caps of the addresses over one window; if one has none there, it takes what others cannot. */
static void
ask_own(struct need *need, const struct pool *pool, const struct cap *cap,
        const struct world_peak *all)
{
    uint64_t limits = 0, peak = peak_in(all, cap->window_ms);

    for (size_t i = 0; i < pool->member_count; i++) {
        const struct cap *its = cap_of(&pool->members[i].address->caps, cap->window_ms);

        if (its == NULL)
            return;
        limits += its->limit;
    }
    limits = used_of(limits);
    ask_for(need, (peak * pool->member_count + limits - 1) / limits, peak, cap, NULL);
}

struct need
need_of(const struct world *world, const struct pool *pool)
{
    const struct snapshot *snapshot = world_snapshot(world);
    struct world_peak all = world_peak(world, pool, NULL);
    struct need need = {.addresses = 1, .peak = all.day};

    if (all.day == 0 || pool->member_count == 0)
        return (struct need){0};
    for (size_t i = 0; i < pool->members[0].address->caps.count; i++)
        ask_own(&need, pool, &pool->members[0].address->caps.items[i], &all);
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct provider *provider = &snapshot->providers[i];
        struct world_peak there = world_peak(world, pool, provider);

        for (size_t j = 0; j < provider->caps.count && there.day > 0; j++) {
            const struct cap *cap = &provider->caps.items[j];
            uint64_t peak = peak_in(&there, cap->window_ms), each = used_of(cap->limit);

            ask_for(&need, (peak + each - 1) / each, peak, cap, provider);
        }
    }
    return need;
}
