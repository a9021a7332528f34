/*
 * Addresses that warm up: their allowances are the caps that meters work with.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/allowances.h"
#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/volume_inside.h"

#include <stdlib.h>

static bool
any_warms_up(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->address_count; i++)
        if (snapshot->addresses[i].schedule != NULL)
            return true;
    return false;
}

/* NULL only without memory. */
static void *
set_snapshot(struct volume *volume, const struct snapshot *snapshot)
{
    bool done = meters_set_snapshot(volume->meters, snapshot, volume_now_ms(volume));

    return done ? volume : NULL;
}

void
volume_warm_set_snapshot(struct volume *volume, const struct snapshot *snapshot)
{
    struct allowances *next = NULL;

    if (any_warms_up(snapshot))
        next = mem_must(allowances_new(snapshot, volume->allowances));
    meters_set_allowances(volume->meters, next);
    mem_must(set_snapshot(volume, snapshot));
    volume_warm_clear(volume);
    volume->allowances = next;
    volume->warmed = mem_array(snapshot->address_count, sizeof(*volume->warmed));
}

void
volume_warm_clear(struct volume *volume)
{
    allowances_free(volume->allowances);
    volume->allowances = NULL;
    free(volume->warmed);
    volume->warmed = NULL;
    volume->any_warmed = false;
}

void
volume_warm(struct volume *volume, const struct address *address, const struct warmup *warmup,
            const struct warmup_plan *plan, int32_t day)
{
    if (volume->allowances == NULL ||
        !allowances_set(volume->allowances, address, warmup, plan, day))
        return;
    volume->warmed[address->index] = true;
    volume->any_warmed = true;
}

void
volume_recap(struct volume *volume)
{
    const struct snapshot *snapshot = volume->conf->snapshot;
    int64_t now_ms = volume_now_ms(volume);

    if (!volume->any_warmed)
        return;
    mem_must(set_snapshot(volume, snapshot));
    for (size_t i = 0; i < snapshot->address_count; i++) {
        if (volume->warmed[i])
            meters_recap(volume->meters, i, now_ms);
        volume->warmed[i] = false;
    }
    volume->any_warmed = false;
    volume_flush(volume);
}
