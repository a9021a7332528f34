/*
 * Standings of accounts, as the worker has them: what they hear, and where it goes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd_inside.h"

#include "policyd/feedback.h"
#include "policyd/standings.h"
#include "policyd/volume.h"

static int64_t
on_time(void *arg)
{
    (void)arg;
    return (int64_t)time(NULL);
}

void
policyd_init_standings(struct policyd *policyd)
{
    policyd->standings = standings_new(&(struct standings_start){
        .base = policyd->base,
        .conf = policyd->conf,
        .time_s = on_time,
        .put = policyd_keep,
        .arg = policyd,
    });
    volume_listen(policyd->volume, &(struct volume_listener){standings_on_put, standings_on_record,
                                                             policyd->standings});
    feedback_listen(policyd->feedback,
                    &(struct feedback_listener){.on_outcome = standings_on_outcome,
                                                .on_expired = standings_on_expired,
                                                .on_reported = standings_on_reported,
                                                .arg = policyd->standings});
}
