/*
 * Warm-ups, as the worker has them: what they hear, and where it goes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd_inside.h"

#include "policyd/breakers.h"
#include "policyd/feedback.h"
#include "policyd/volume.h"
#include "policyd/warmups.h"

static int64_t
on_time(void *arg)
{
    (void)arg;
    return (int64_t)time(NULL);
}

static void
on_warm(void *arg, const struct address *address, const struct warmup *warmup,
        const struct warmup_plan *plan, int32_t day)
{
    struct policyd *policyd = arg;

    volume_warm(policyd->volume, address, warmup, plan, day);
}

static void
on_recap(void *arg)
{
    struct policyd *policyd = arg;

    volume_recap(policyd->volume);
}

void
policyd_init_warmups(struct policyd *policyd)
{
    policyd->warmups = warmups_new(&(struct warmups_start){
        .base = policyd->base,
        .conf = policyd->conf,
        .breakers = policyd->breakers,
        .time_s = on_time,
        .warm = on_warm,
        .recap = on_recap,
        .put = policyd_keep,
        .arg = policyd,
    });
    volume_listen(policyd->volume,
                  &(struct volume_listener){warmups_on_put, warmups_on_record, policyd->warmups});
    breakers_listen(policyd->breakers, warmups_on_change, policyd->warmups);
    feedback_listen(policyd->feedback, &(struct feedback_listener){.on_outcome = warmups_on_outcome,
                                                                   .arg = policyd->warmups});
}
