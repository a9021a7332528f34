/*
 * What a warm-up goes by: results of deliveries, and what is suspended or slowed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/warmups_inside.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "policyd/breakers.h"
#include "policyd/outcome.h"

enum { REFUSED_FOR_GOOD = 500 };

struct warmup_figures *
warmups_figures(struct warmups *warmups, struct warmups_item *item, int32_t day)
{
    int32_t today = warmups_today(warmups);

    if (item->days[0].day != today) {
        item->days[1] =
            item->days[0].day == today - 1 ? item->days[0] : (struct warmups_day){.day = today - 1};
        item->days[0] = (struct warmups_day){.day = today};
    }
    for (size_t i = 0; i < 2; i++)
        if (item->days[i].day == day)
            return &item->days[i].figures;
    return NULL;
}

static void
add_event(struct warmups *warmups, struct warmups_item *item, uint32_t event)
{
    struct warmup_figures *figures = warmups_figures(warmups, item, warmups_today(warmups));

    item->dirty |= (event & ~figures->events) != 0;
    figures->events |= event;
}

/* ----------------------------------------------------------------- results */

/* Does the refusal say nothing of who sent it? */
static bool
is_excused(const struct outcome *outcome)
{
    enum accused accused = outcome->rule != NULL ? outcome->rule->accused : ACCUSED_NONE;

    return accused == ACCUSED_RECIPIENT || accused == ACCUSED_GREYLIST ||
           accused == ACCUSED_PROVIDER;
}

/* Refused for good, because of the address? */
static bool
is_block(const struct outcome *outcome)
{
    return outcome->rule != NULL && (outcome->rescued || outcome->reply.code >= REFUSED_FOR_GOOD) &&
           (outcome->rule->accused == ACCUSED_ADDRESS ||
            outcome->rule->accused == ACCUSED_ADDRESS_PROVIDER);
}

void
warmups_on_outcome(void *arg, const struct outcome *outcome)
{
    struct warmups *warmups = arg;
    struct warmups_item *item =
        outcome->address != NULL ? warmups_find(warmups, outcome->address) : NULL;
    struct warmup_figures *figures;

    if (item == NULL)
        return;
    figures = warmups_figures(warmups, item, warmups_day(warmups, outcome->at_ms / 1000));
    if (figures == NULL)
        return;
    item->dirty = true;
    figures->used += outcome->reached;
    figures->accepted += outcome->status == MAILLOG_SENT;
    figures->refused += outcome->status != MAILLOG_SENT && outcome->reached && !is_excused(outcome);
    if (is_block(outcome) && warmups->start.breakers != NULL &&
        breakers_is_suspended(warmups->start.breakers, outcome->address, outcome->provider))
        figures->events |= WARMUP_BLOCKED;
}

/* -------------------------------------------------------------- suspensions */

/* What whose has against it now. */
static uint32_t
events_of(const struct warmups *warmups, const struct breakers_whose *whose)
{
    const struct breaker *breaker = breakers_find(warmups->start.breakers, whose);
    int64_t now_ms = breakers_now_ms(warmups->start.breakers);

    if (breaker == NULL)
        return 0;
    if (breaker_is_held(breaker))
        return breaker->causes[BREAKER_LISTED].until_ms != 0 ? WARMUP_SUSPENDED | WARMUP_BLOCKED
                                                             : WARMUP_SUSPENDED;
    return now_ms < breaker->slow_until_ms ? WARMUP_WARNED : 0;
}

void
warmups_on_change(void *arg, const struct breakers_whose *whose, bool suspended)
{
    struct warmups *warmups = arg;
    struct warmups_item *item;

    if (!suspended || (whose->scope != BREAKERS_ADDRESS && whose->scope != BREAKERS_PROVIDER))
        return;
    item = warmups_find(warmups, whose->address);
    if (item != NULL)
        add_event(warmups, item, events_of(warmups, whose));
}

void
warmups_look(struct warmups *warmups, struct warmups_item *item)
{
    struct breakers_whose whose = {.scope = BREAKERS_ADDRESS, .address = item->address};
    const struct snapshot *snapshot = warmups->conf->snapshot;
    uint32_t events;

    if (warmups->start.breakers == NULL)
        return;
    events = events_of(warmups, &whose);
    whose.scope = BREAKERS_PROVIDER;
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        whose.provider = &snapshot->providers[i];
        events |= events_of(warmups, &whose);
    }
    add_event(warmups, item, events);
}
