/*
 * Waking, as the worker has it: what lookups are answered from, and what
 * breakers tell.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd_inside.h"

#include "policyd/breakers.h"
#include "policyd/feedback.h"
#include "policyd/outcome.h"
#include "policyd/pace.h"
#include "policyd/wake.h"

/* Nothing but probes leaves from there now. */
static bool
on_is_suspended(void *arg, const struct outcome *outcome, const struct address *address)
{
    struct policyd *policyd = arg;
    struct breakers_whose whose = {
        .scope = BREAKERS_DOMAIN, .address = address, .name = outcome->domain};
    const struct breaker *breaker;

    if (breakers_is_suspended(policyd->breakers, address, outcome->provider))
        return true;
    breaker = breakers_find(policyd->breakers, &whose);
    return breaker != NULL && breaker_is_held(breaker);
}

static void
on_change(void *arg, const struct breakers_whose *whose, bool suspended)
{
    struct policyd *policyd = arg;

    if (suspended && whose->scope != BREAKERS_ACCOUNT && !policyd->ending)
        pace_on_suspended(policyd->pace, whose->address,
                          whose->scope == BREAKERS_PROVIDER ? whose->provider : NULL,
                          whose->scope == BREAKERS_DOMAIN ? whose->name : NULL);
}

void
policyd_init_wake(struct policyd *policyd)
{
    policyd->wake = wake_new(policyd->base, policyd->conf);
    policyd->pace = pace_new(&(struct pace_start){
        .base = policyd->base,
        .conf = policyd->conf,
        .wake = policyd->wake,
        .volume = policyd->volume,
        .view = policyd_view,
        .is_suspended = on_is_suspended,
        .arg = policyd,
    });
    feedback_listen(policyd->feedback, &(struct feedback_listener){
                                           .on_outcome = pace_on_outcome,
                                           .on_gone = pace_on_gone,
                                           .on_swept = pace_on_swept,
                                           .on_idle = pace_on_idle,
                                           .on_wait = pace_on_wait,
                                           .arg = policyd->pace,
                                       });
    breakers_listen(policyd->breakers, on_change, policyd);
}
