/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/schedule.h"

#include <string.h>

/* The names are those of docs/providers.conf. */
#define SHARES                        \
    .shares = {{"outlook", 20},       \
               {"microsoft-365", 20}, \
               {"microsoft", 20},     \
               {"yahoo", 10},         \
               {"apple", 5}},         \
    .share_count = 5

const struct schedule schedule_presets[SCHEDULE_PRESETS] = {
    {
        .name = "conservative",
        .stages = {300,  390,  510,  660,   860,   1100,  1400,  1900,  2400,  3200, 4100,
                   5400, 7000, 9100, 12000, 15000, 20000, 26000, 34000, 44000, 57000},
        .stage_count = 21,
        .hour_percent = 20,
        SHARES,
    },
    {
        .name = "standard",
        .stages = {1000, 1500, 2000, 3000, 5000, 7000, 10000, 13000, 17000, 22000, 29000, 37000,
                   48000, 63000, 82000, 110000, 140000, 180000, 230000},
        .stage_count = 19,
        .hour_percent = 10,
        SHARES,
    },
    {
        .name = "aggressive",
        .stages = {200,    500,    1000,   2000,   5000,   10000,  20000,  40000,  50000,  75000,
                   100000, 150000, 200000, 250000, 325000, 400000, 500000, 600000, 750000, 1000000},
        .stage_count = 20,
        .hour_percent = 10,
        SHARES,
    },
};

const struct schedule *
schedule_preset(const char *name)
{
    for (size_t i = 0; i < SCHEDULE_PRESETS; i++)
        if (strcmp(schedule_presets[i].name, name) == 0)
            return &schedule_presets[i];
    return NULL;
}

size_t
schedule_stage(const struct schedule *schedule, uint32_t recipients)
{
    size_t stage = schedule->stage_count - 1;

    while (stage > 0 && schedule->stages[stage] > recipients)
        stage--;
    return stage;
}

static uint32_t
part(uint32_t recipients, uint32_t percent)
{
    uint32_t some = (uint32_t)((uint64_t)recipients * percent / 100);

    return some > 0 ? some : 1;
}

static const struct schedule_share *
find_share(const struct schedule *schedule, const char *provider)
{
    for (size_t i = 0; i < schedule->share_count; i++)
        if (strcmp(schedule->shares[i].provider, provider) == 0)
            return &schedule->shares[i];
    return NULL;
}

bool
schedule_has_share(const struct schedule *schedule, const char *provider)
{
    return find_share(schedule, provider) != NULL;
}

static uint32_t
share(const struct schedule *schedule, size_t stage, const char *provider)
{
    uint32_t last = (uint32_t)schedule->stage_count - 1;

    const struct schedule_share *its = find_share(schedule, provider);

    if (its == NULL)
        return 100;
    return last > 0 ? its->percent + (100 - its->percent) * (uint32_t)stage / last : its->percent;
}

uint32_t
schedule_day(const struct schedule *schedule, size_t stage, const char *provider)
{
    uint32_t recipients = schedule->stages[stage];

    return provider != NULL ? part(recipients, share(schedule, stage, provider)) : recipients;
}

uint32_t
schedule_hour(const struct schedule *schedule, size_t stage, const char *provider)
{
    return part(schedule_day(schedule, stage, provider), (uint32_t)schedule->hour_percent);
}
