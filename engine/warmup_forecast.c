/*
 * A warm-up in days to come, if all goes well.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/warmup_inside.h"

#include "engine/schedule.h"

/* The day under way comes to its end with at least used, and with what happened to it already. */
static void
assume(struct warmup *ahead, uint32_t used)
{
    struct warmup_figures today = warmup_today(ahead);

    if (today.used > used)
        used = today.used;
    ahead->node_count = 1;
    ahead->nodes[0] = (struct warmup_node){
        .used = used,
        .accepted = used > today.refused ? used - today.refused : 0,
        .refused = today.refused,
    };
}

int32_t
warmup_forecast(const struct warmup *warmup, const struct warmup_plan *plan, uint32_t volume,
                warmup_forecast_fn *each, void *arg)
{
    struct warmup ahead = *warmup;
    bool today = true;

    while (ahead.phase == WARMUP_RUNNING) {
        uint32_t allowance = warmup_allowance(&ahead, plan, NULL, ahead.day).day;

        if (each != NULL)
            each(arg, ahead.day, allowance);
        assume(&ahead, volume < allowance ? volume : allowance);
        /* Only today can be held by what has happened: later it would be held for ever. */
        if (warmup_turn(&ahead, plan) != WARMUP_ADVANCES && !today)
            return -1;
        today = false;
    }
    return ahead.phase == WARMUP_FULL ? ahead.day : -1;
}
