/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/allowances.h"

#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "engine/warmup.h"

#include <stdlib.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

/* What it may send in all, or to one provider; caps.count 0: as the configuration has it. */
struct allowed {
    struct warmup_allowance allowance;
    struct caps caps;
};

struct allowances {
    const struct snapshot *snapshot; /* not ours */
    /* By place of the address; NULL: no warm-up.  In all, then by place of the provider; owned. */
    struct allowed **items;
    uint32_t *engaged;               /* by place of the address: see allowances_engaged(); owned */
    struct allowances_stage *stages; /* likewise: see allowances_stage() */
};

static bool
is_ours(const struct cap *cap)
{
    return cap->window_ms == HOUR_MS || cap->window_ms == DAY_MS;
}

bool
allowances_fit(const struct caps *caps)
{
    size_t others = 0;

    for (size_t i = 0; i < caps->count; i++)
        others += !is_ours(&caps->items[i]);
    return others <= ALLOWANCES_OTHERS;
}

/* Add one where its window belongs, or where it is the lesser; there is room for both of ours. */
static void
lower(struct caps *caps, const struct cap *cap)
{
    size_t at = 0;

    while (at < caps->count && caps->items[at].window_ms < cap->window_ms)
        at++;
    if (at < caps->count && caps->items[at].window_ms == cap->window_ms) {
        if (cap->limit < caps->items[at].limit)
            caps->items[at] = *cap;
        return;
    }
    memmove(&caps->items[at + 1], &caps->items[at], (caps->count - at) * sizeof(*cap));
    caps->items[at] = *cap;
    caps->count++;
}

static bool
set(struct allowed *allowed, struct warmup_allowance allowance, const struct caps *configured)
{
    struct cap hour = {HOUR_MS, allowance.hour, true, "hour"};
    struct cap day = {DAY_MS, allowance.day, false, "day"};

    if (allowed->allowance.day == allowance.day && allowed->allowance.hour == allowance.hour)
        return false;
    allowed->allowance = allowance;
    allowed->caps.count = 0;
    if (allowance.day == WARMUP_UNLIMITED)
        return true;
    if (day.limit == 0) /* there is no such cap */
        day.limit = 1;
    allowed->caps = *configured;
    if (hour.limit > 0 && hour.limit < day.limit)
        lower(&allowed->caps, &hour);
    lower(&allowed->caps, &day);
    return true;
}

/* Of the week that the stage is in. */
static uint32_t
engaged_at(const struct snapshot *snapshot, size_t stage)
{
    size_t week = stage / ENGAGED_WEEK;

    return week < snapshot->engaged_weeks ? snapshot->engaged_days[week] : 0;
}

static void
set_stage(struct allowances *allowances, size_t address, bool limited, size_t stage,
          const struct schedule *schedule)
{
    struct allowances_stage *its = &allowances->stages[address];

    allowances->engaged[address] = limited ? engaged_at(allowances->snapshot, stage) : 0;
    its->stages = limited ? (uint32_t)schedule->stage_count : 0;
    its->stage = stage < its->stages ? (uint32_t)stage + 1 : its->stages;
}

bool
allowances_set(struct allowances *allowances, const struct address *address,
               const struct warmup *warmup, const struct warmup_plan *plan, int32_t day)
{
    const struct snapshot *snapshot = allowances->snapshot;
    struct allowed *its = allowances->items[address->index];
    struct warmup_allowance all;
    size_t stage;
    bool changed;

    if (its == NULL)
        return false;
    all = warmup_allowance(warmup, plan, NULL, day);
    changed = set(&its[0], all, &address->caps);
    stage = warmup_stage(warmup, plan->schedule);
    set_stage(allowances, address->index, all.day != WARMUP_UNLIMITED, stage, plan->schedule);
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct provider *provider = &snapshot->providers[i];

        if (schedule_has_share(plan->schedule, provider->name))
            changed |= set(&its[i + 1], warmup_allowance(warmup, plan, provider->name, day),
                           &provider->caps);
    }
    return changed;
}

/* What there was for an address of that name. */
static const struct allowed *
find(const struct allowances *before, const char *name)
{
    const struct address *address =
        before != NULL ? snapshot_find_address(before->snapshot, name) : NULL;

    return address != NULL ? before->items[address->index] : NULL;
}

/* It stands where it stood before. */
static void
keep_stage(struct allowances *allowances, const struct address *address,
           const struct allowances *before)
{
    size_t then = snapshot_find_address(before->snapshot, address->name)->index;

    allowances->engaged[address->index] = before->engaged[then];
    allowances->stages[address->index] = before->stages[then];
}

static struct warmup_allowance
first_stage(const struct schedule *schedule, const char *provider)
{
    return (struct warmup_allowance){schedule_day(schedule, 0, provider),
                                     schedule_hour(schedule, 0, provider)};
}

static bool
make(struct allowances *allowances, const struct address *address, const struct allowances *before)
{
    const struct snapshot *snapshot = allowances->snapshot;
    const struct allowed *then = find(before, address->name);
    struct allowed *its = calloc(snapshot->provider_count + 1, sizeof(*its));

    allowances->items[address->index] = its;
    if (its == NULL)
        return false;
    set(&its[0], then != NULL ? then[0].allowance : first_stage(address->schedule, NULL),
        &address->caps);
    if (then != NULL)
        keep_stage(allowances, address, before);
    else
        set_stage(allowances, address->index, true, 0, address->schedule);
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct provider *provider = &snapshot->providers[i];
        const struct provider *had =
            then != NULL ? snapshot_find_provider(before->snapshot, provider->name) : NULL;

        if (!schedule_has_share(address->schedule, provider->name))
            continue;
        if (had != NULL && then[had->index + 1].allowance.day > 0)
            set(&its[i + 1], then[had->index + 1].allowance, &provider->caps);
        else
            set(&its[i + 1], first_stage(address->schedule, provider->name), &provider->caps);
    }
    return true;
}

struct allowances *
allowances_new(const struct snapshot *snapshot, const struct allowances *before)
{
    struct allowances *allowances = calloc(1, sizeof(*allowances));
    bool made;

    if (allowances == NULL)
        return NULL;
    allowances->snapshot = snapshot;
    allowances->items = calloc(snapshot->address_count + 1, sizeof(struct allowed *));
    allowances->engaged = calloc(snapshot->address_count + 1, sizeof(*allowances->engaged));
    allowances->stages = calloc(snapshot->address_count + 1, sizeof(*allowances->stages));
    made = allowances->items != NULL && allowances->engaged != NULL && allowances->stages != NULL;
    for (size_t i = 0; made && i < snapshot->address_count; i++)
        if (snapshot->addresses[i].schedule != NULL)
            made = make(allowances, &snapshot->addresses[i], before);
    if (!made) {
        allowances_free(allowances);
        return NULL;
    }
    return allowances;
}

void
allowances_free(struct allowances *allowances)
{
    if (allowances == NULL)
        return;
    for (size_t i = 0; allowances->items != NULL && i < allowances->snapshot->address_count; i++)
        free(allowances->items[i]);
    free(allowances->items);
    free(allowances->engaged);
    free(allowances->stages);
    free(allowances);
}

static const struct caps *
look(const struct allowances *allowances, size_t address, size_t place)
{
    const struct allowed *its = allowances != NULL ? allowances->items[address] : NULL;

    return its != NULL && its[place].caps.count > 0 ? &its[place].caps : NULL;
}

const struct caps *
allowances_address(const struct allowances *allowances, size_t address)
{
    return look(allowances, address, 0);
}

const struct caps *
allowances_provider(const struct allowances *allowances, size_t address, size_t provider)
{
    return look(allowances, address, provider + 1);
}

struct allowances_stage
allowances_stage(const struct allowances *allowances, size_t address)
{
    return allowances != NULL ? allowances->stages[address] : (struct allowances_stage){0, 0};
}

/* Is the cap one of its, with what the allowance says for that window? */
static bool
is_of(const struct allowed *its, const struct cap *cap)
{
    uint32_t limit = cap->window_ms == DAY_MS ? its->allowance.day : its->allowance.hour;

    if (cap < its->caps.items || cap >= its->caps.items + its->caps.count || !is_ours(cap))
        return false;
    return cap->limit == (limit > 0 ? limit : 1);
}

bool
allowances_has(const struct allowances *allowances, size_t address, const struct cap *cap)
{
    const struct allowed *its = allowances != NULL ? allowances->items[address] : NULL;

    for (size_t i = 0; its != NULL && i <= allowances->snapshot->provider_count; i++)
        if (is_of(&its[i], cap))
            return true;
    return false;
}

uint32_t
allowances_engaged(const struct allowances *allowances, size_t address)
{
    return allowances != NULL ? allowances->engaged[address] : 0;
}
