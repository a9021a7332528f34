/*
 * The calendar of a world, and the warm-ups that go by it.  As in policyd/warmups.c: figures are
 * of the day that it is; a day is turned some minutes after it ended, and until then the lesser
 * allowance of both holds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/allowances.h"
#include "engine/date.h"
#include "engine/meters.h"
#include "engine/snapshot.h"
#include "engine/zone.h"

#include <stdlib.h>

enum { SECOND_MS = 1000, DAY_S = 24 * 3600 };

static const char node[] = "world";

/* Days begin by the clock of the zone, and so much later. */
static int64_t
local_s(const struct world *world, int64_t at_ms)
{
    int64_t until_s, at_s = at_ms / SECOND_MS;

    return at_s + zone_offset_s(world->setup.zone, at_s, &until_s) + world->setup.offset_s;
}

static int32_t
day_at(const struct world *world, int64_t at_ms)
{
    int64_t s = local_s(world, at_ms);

    return s < 0 ? 0 : s / DAY_S < DATE_MAX ? (int32_t)(s / DAY_S) : DATE_MAX;
}

/* When the day after that of at_ms begins.  Where the clock is put to another time on the way,
 * what was guessed is near it. */
static int64_t
next_midnight_ms(const struct world *world, int64_t at_ms)
{
    int32_t day = day_at(world, at_ms);
    int64_t at_s = at_ms / SECOND_MS;

    at_s += DAY_S - local_s(world, at_ms) % DAY_S;
    while (day_at(world, at_s * SECOND_MS) <= day)
        at_s += 900;
    while (day_at(world, (at_s - 900) * SECOND_MS) > day)
        at_s -= 900;
    return at_s * SECOND_MS;
}

static struct warmup_plan
plan_of(const struct world *world, const struct world_warm *warm)
{
    return (struct warmup_plan){warm->address->schedule, world->setup.warmup};
}

struct world_warm *
world_warm(const struct world *world, const struct address *address)
{
    size_t low = 0, high = world->warm_count;

    if (address->schedule == NULL)
        return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct world_warm *warm = &world->warms[middle];

        if (warm->address == address)
            return warm;
        if (warm->address->index < address->index)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct warmup *
world_warmup(const struct world *world, const struct address *address)
{
    const struct world_warm *warm = world_warm(world, address);

    return warm != NULL ? &warm->warmup : NULL;
}

/* What holds for each address today, told to the meters. */
static void
allow(struct world *world, bool at_start)
{
    struct world_days *day = world_today(world);
    bool *changed, any = false;

    if (world->allowances == NULL)
        return;
    changed = world_must(world, calloc(world->warm_count + 1, sizeof(*changed)));
    for (size_t i = 0; changed != NULL && i < world->warm_count; i++) {
        const struct world_warm *warm = &world->warms[i];
        const struct warmup_plan plan = plan_of(world, warm);
        struct world_address *its = &day->addresses[warm->address->index];

        changed[i] =
            allowances_set(world->allowances, warm->address, &warm->warmup, &plan, day->day);
        any |= changed[i];
        its->allowance = warmup_allowance(&warm->warmup, &plan, NULL, day->day).day;
        its->stage = (uint16_t)warmup_stage(&warm->warmup, plan.schedule);
    }
    if (any || at_start)
        world_must(world, meters_set_snapshot(world->meters, world->snapshot, world->now_ms)
                              ? world
                              : NULL);
    for (size_t i = 0; any && i < world->warm_count; i++)
        if (changed[i])
            meters_recap(world->meters, world->warms[i].address->index, world->now_ms);
    free(changed);
    world_ask_store(world);
    if (any)
        world_stir(world);
}

static bool
begin_warmups(struct world *world)
{
    const struct snapshot *snapshot = world->snapshot;
    int32_t today = day_at(world, world->now_ms);
    size_t count = 0;

    for (size_t i = 0; i < snapshot->address_count; i++)
        count += snapshot->addresses[i].schedule != NULL;
    if (count == 0)
        return true;
    world->warms = calloc(count, sizeof(*world->warms));
    world->allowances = allowances_new(snapshot, NULL);
    if (world->warms == NULL || world->allowances == NULL)
        return false;
    for (size_t i = 0; i < snapshot->address_count; i++) {
        struct world_warm *warm = &world->warms[world->warm_count];
        struct warmup_plan plan;

        if (snapshot->addresses[i].schedule == NULL)
            continue;
        world->warm_count++;
        warm->address = &snapshot->addresses[i];
        plan = plan_of(world, warm);
        if (world->setup.warmups != NULL)
            warm->warmup = world->setup.warmups[i];
        warmup_begin(&warm->warmup, &plan, warm->address->started, today);
        warmup_turn_to(&warm->warmup, &plan, today);
    }
    meters_set_allowances(world->meters, world->allowances);
    return true;
}

bool
world_days_begin(struct world *world)
{
    if (!begin_warmups(world))
        return false;
    world->midnight_ms = next_midnight_ms(world, world->now_ms);
    world->turn_ms = world->midnight_ms + WORLD_TURN_MS;
    world_count_day(world, day_at(world, world->now_ms));
    if (!world->failed)
        allow(world, true);
    return !world->failed;
}

void
world_midnight(struct world *world)
{
    world->turn_ms = world->midnight_ms + WORLD_TURN_MS;
    world->midnight_ms = next_midnight_ms(world, world->now_ms);
    for (size_t i = 0; i < world->warm_count; i++) {
        struct world_warm *warm = &world->warms[i];

        warm->before = warm->today;
        warm->today = (struct warmup_figures){0};
    }
    world_count_day(world, day_at(world, world->now_ms));
    if (!world->failed)
        allow(world, false);
}

void
world_turn(struct world *world)
{
    int32_t today = day_at(world, world->now_ms);
    struct world_days *before = world->day_count > 1 ? &world->days[world->day_count - 2] : NULL;

    world->turn_ms = INT64_MAX;
    for (size_t i = 0; i < world->warm_count; i++) {
        struct world_warm *warm = &world->warms[i];
        const struct warmup_plan plan = plan_of(world, warm);

        warmup_note(&warm->warmup, today - 1, node, &warm->before);
        warmup_turn_to(&warm->warmup, &plan, today);
        if (before != NULL && warm->warmup.past_count > 0) {
            struct world_address *its = &before->addresses[warm->address->index];

            its->result = (uint8_t)warm->warmup.past[warm->warmup.past_count - 1].result;
            its->events = (uint8_t)warm->before.events;
        }
    }
    allow(world, false);
}

void
world_days_clear(struct world *world)
{
    allowances_free(world->allowances);
    free(world->warms);
}
