/*
 * A warm-up by hand: started, paused, a stage on, a stage back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/warmup_inside.h"

#include "engine/line.h"
#include "engine/schedule.h"

#include <errno.h>
#include <string.h>

static int
start(struct warmup *warmup, const struct warmup_plan *plan, int32_t today)
{
    if (warmup->phase == WARMUP_RUNNING)
        return -EALREADY;
    if (warmup->phase == WARMUP_PAUSED)
        warmup->phase = WARMUP_RUNNING;
    else
        warmup_restart(warmup, plan->schedule, today, today);
    return 0;
}

static int
set_pause(struct warmup *warmup)
{
    if (warmup->phase == WARMUP_PAUSED)
        return -EALREADY;
    if (warmup->phase != WARMUP_RUNNING)
        return -ERANGE;
    warmup->phase = WARMUP_PAUSED;
    return 0;
}

static int
advance(struct warmup *warmup, const struct schedule *schedule)
{
    if (warmup->phase == WARMUP_FULL)
        return -EALREADY;
    if (warmup->phase == WARMUP_NONE)
        return -ERANGE;
    warmup_move(warmup, schedule, (int64_t)warmup_stage(warmup, schedule) + 1);
    return 0;
}

static int
go_back(struct warmup *warmup, const struct schedule *schedule)
{
    int64_t stage = (int64_t)warmup_stage(warmup, schedule);

    if (warmup->phase == WARMUP_NONE || stage == 0)
        return -ERANGE;
    warmup_move(warmup, schedule, stage - 1);
    return 0;
}

static int
obey(struct warmup *warmup, const struct warmup_plan *plan, enum warmup_order order, int32_t today)
{
    switch (order) {
    case WARMUP_START:
        return start(warmup, plan, today);
    case WARMUP_PAUSE:
        return set_pause(warmup);
    case WARMUP_ADVANCE:
        return advance(warmup, plan->schedule);
    case WARMUP_GO_BACK:
        return go_back(warmup, plan->schedule);
    }
    return -ERANGE;
}

int
warmup_order(struct warmup *warmup, const struct warmup_plan *plan, enum warmup_order order,
             int32_t today, const char *who, const char *why)
{
    struct warmup_ordered ordered = {.day = today, .order = order};
    int r = obey(warmup, plan, order, today);

    if (r < 0)
        return r;
    line_copy(ordered.who, sizeof(ordered.who), who);
    line_copy(ordered.why, sizeof(ordered.why), why);
    if (warmup->ordered_count == WARMUP_ORDERS_MAX)
        memmove(warmup->ordered, warmup->ordered + 1, --warmup->ordered_count * sizeof(ordered));
    warmup->ordered[warmup->ordered_count++] = ordered;
    return 0;
}

const char *
warmup_order_text(enum warmup_order order)
{
    static const char *const texts[] = {
        [WARMUP_START] = "start",
        [WARMUP_PAUSE] = "pause",
        [WARMUP_ADVANCE] = "advance",
        [WARMUP_GO_BACK] = "back",
    };

    return texts[order];
}
