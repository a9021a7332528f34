/*
 * What holds, put where others look: into curbs, to listeners, into the log.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/breakers_inside.h"

#include "engine/curbs.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/units.h"

/* So many probes may go: all, when they begin or none was answered for long; else what is left. */
static uint32_t
probes_left(const struct breakers *breakers, struct breakers_entry *entry, uint32_t left,
            enum breaker_change change, int64_t now_ms)
{
    int wanted = breakers->conf->suspension.probes - (int)entry->now.accepted;

    if (breaker_is_suspended(&entry->now) || entry->now.state != BREAKER_PROBING || wanted <= 0)
        return 0;
    if (change == BREAKER_PROBES || entry->probed_ms == 0 ||
        now_ms - entry->probed_ms >= breakers->conf->suspension_probe_ms) {
        entry->probed_ms = now_ms;
        return (uint32_t)wanted;
    }
    return left < (uint32_t)wanted ? left : (uint32_t)wanted;
}

/* When it may be better, as far as is known. */
static int64_t
until_ms(const struct breakers *breakers, const struct breaker *breaker)
{
    const struct breaker_policy *policy = &breakers->conf->suspension;

    if (breaker_is_suspended(breaker))
        return breaker_until(breaker);
    switch (breaker->state) {
    case BREAKER_RECOVERING:
        return breaker->since_ms + ((int64_t)breaker->step + 1) * policy->step_ms;
    case BREAKER_OPEN:
    case BREAKER_PROBING:
        break;
    case BREAKER_CLOSED:
        if (!breaker->drained && breaker->slow_until_ms > 0)
            return breaker->slow_until_ms;
    }
    return CURB_NOT_KNOWN;
}

static void
set_curb(struct breakers *breakers, struct breakers_entry *entry, enum breaker_change change)
{
    const struct breakers_whose *whose = &entry->whose;
    int64_t now_ms = breakers_now_ms(breakers);
    struct curb curb = {
        .share = (uint8_t)breaker_share(&entry->now, &breakers->conf->suspension, now_ms),
        .drained = entry->now.drained,
        .probing = entry->now.state == BREAKER_PROBING && !breaker_is_suspended(&entry->now),
        .until_ms = until_ms(breakers, &entry->now),
    };

    if (!curb.probing)
        entry->probed_ms = 0;
    switch (whose->scope) {
    case BREAKERS_ADDRESS:
        curb.probes =
            probes_left(breakers, entry, curbs_address(breakers->curbs, whose->address)->probes,
                        change, now_ms);
        curbs_set_address(breakers->curbs, whose->address, &curb);
        break;
    case BREAKERS_PROVIDER:
        curb.probes =
            probes_left(breakers, entry,
                        curbs_provider(breakers->curbs, whose->address, whose->provider)->probes,
                        change, now_ms);
        curbs_set_provider(breakers->curbs, whose->address, whose->provider, &curb);
        break;
    case BREAKERS_DOMAIN:
        curb.probes = probes_left(
            breakers, entry, curbs_domain(breakers->curbs, whose->address, whose->name)->probes,
            change, now_ms);
        curbs_set_domain(breakers->curbs, whose->address, whose->name, &curb);
        break;
    case BREAKERS_ACCOUNT:
        curb.probes = probes_left(
            breakers, entry, curbs_account(breakers->curbs, whose->name)->probes, change, now_ms);
        curbs_set_account(breakers->curbs, whose->name, &curb);
        break;
    case BREAKERS_SCOPES:
        break;
    }
}

static void
tell_log(const struct breakers *breakers, const struct breakers_entry *entry,
         enum breaker_change change)
{
    char title[BREAKERS_TITLE_SIZE], span[UNITS_SPAN_SIZE];
    const struct breaker *now = &entry->now;
    int64_t now_ms = breakers_now_ms(breakers);

    if (breaker_is_suspended(now) && change != BREAKER_SUSPENDED)
        return; /* by hand, whatever changes below that */
    breakers_title(entry->key, title);
    switch (change) {
    case BREAKER_SAME:
    case BREAKER_COUNTED:
        break;
    case BREAKER_SUSPENDED:
        if (breaker_until(now) == BREAKER_FOR_EVER)
            log_warn("%s: suspended until it is resumed: %s", title, breaker_why(now));
        else
            log_warn("%s: suspended for %s: %s", title,
                     units_print_span(breaker_until(now) - now_ms, span), breaker_why(now));
        break;
    case BREAKER_SLOWED:
        log_warn("%s: slowed to %d %% for %s: %s", title, now->slow_percent,
                 units_print_span(now->slow_until_ms - now_ms, span), now->replies.why);
        break;
    case BREAKER_PROBES:
        log_info("%s: its suspension is over, %d probes may go", title,
                 breakers->conf->suspension.probes);
        break;
    case BREAKER_GROWS:
        log_info("%s: may use %d %% of its caps", title,
                 breaker_share(now, &breakers->conf->suspension, now_ms));
        break;
    case BREAKER_CLOSES:
        log_info("%s: is well again", title);
        break;
    case BREAKER_FREED:
        log_info("%s: its suspension by hand is over", title);
        break;
    }
}

void
breakers_hold(struct breakers *breakers, struct breakers_entry *entry, enum breaker_change change)
{
    bool suspended = breaker_is_suspended(&entry->now);

    if (!breakers_is_bound(&entry->whose))
        return;
    set_curb(breakers, entry, change);
    tell_log(breakers, entry, change);
    if (suspended == entry->suspended)
        return;
    entry->suspended = suspended;
    for (size_t i = 0; i < breakers->listener_count; i++)
        breakers->listeners[i].on_change(breakers->listeners[i].arg, &entry->whose, suspended);
}
