/*
 * The caps that meters work with: those of the snapshot, and of what warms up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"

#include "engine/allowances.h"
#include "engine/decide.h"
#include "engine/meters_inside.h"
#include "engine/snapshot.h"

enum { HOUR_MS = 3600 * 1000 };

const struct caps *
meters_address_caps(const struct meters *meters, size_t address)
{
    const struct caps *caps = allowances_address(meters->allowances, address);

    return caps != NULL ? caps : &meters->snapshot->addresses[address].caps;
}

const struct caps *
meters_provider_caps(const struct meters *meters, size_t address, size_t provider)
{
    const struct caps *caps = allowances_provider(meters->allowances, address, provider);

    return caps != NULL ? caps : &meters->snapshot->providers[provider].caps;
}

void
meters_set_allowances(struct meters *meters, const struct allowances *allowances)
{
    meters->allowances = allowances;
}

uint32_t
meters_engaged(const struct meters *meters, size_t address)
{
    return allowances_engaged(meters->allowances, address);
}

bool
meters_warm_up(const struct meters *meters)
{
    return meters->allowances != NULL;
}

bool
meters_warming(struct meters *meters, uint32_t number, struct warming *ret_warming)
{
    const struct metered *metered = meters_at(meters, number);
    const struct cap *cap = &metered->caps->items[metered->meter.window];
    struct allowances_stage stage;
    size_t place;

    if (meters->allowances == NULL || metered->meter.window >= metered->caps->count ||
        (metered->kind != METERS_ADDRESS && metered->kind != METERS_PROVIDER))
        return false;
    place = meters->addresses.place[metered->of];
    if (!allowances_has(meters->allowances, place, cap))
        return false;
    stage = allowances_stage(meters->allowances, place);
    *ret_warming = (struct warming){
        .address = &meters->snapshot->addresses[place],
        .stage = (uint8_t)stage.stage,
        .stages = (uint8_t)stage.stages,
        .recipients = book_limit(cap, meters_percent(metered)),
        .of = cap->limit,
        .hour = cap->window_ms == HOUR_MS,
        .at_provider = metered->kind == METERS_PROVIDER,
    };
    return true;
}

bool
meters_has_provider(const struct meters *meters, size_t address, size_t provider)
{
    return meters_provider_caps(meters, address, provider)->count > 0;
}

static void
recap(struct meters *meters, uint32_t number, int64_t now_ms)
{
    struct meter *meter;

    if (number == METERS_NONE || !meters_is_used(meters, number))
        return;
    meter = &meters_at(meters, number)->meter;
    meter_grow(meter, now_ms);
    if (!meter->own)
        meter_return(meter);
    meters_touch(meters, number);
}

void
meters_recap(struct meters *meters, size_t address, int64_t now_ms)
{
    size_t providers = meters->snapshot->provider_count;

    recap(meters, meters->by_address[address], now_ms);
    for (size_t i = 0; meters->by_provider != NULL && i < providers; i++)
        recap(meters, meters->by_provider[address * providers + i], now_ms);
}
