/*
 * What suspends addresses beside replies: DNS lists, and networks that are cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd_inside.h"

#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "policyd/breakers.h"
#include "policyd/feedback.h"
#include "policyd/lists.h"
#include "policyd/reach.h"

/* It is so, or still so. */
static void
keep(struct policyd *policyd, const struct address *address, enum breaker_cause cause,
     int64_t for_ms, const char *why)
{
    const struct breakers_whose whose = {.scope = BREAKERS_ADDRESS, .address = address};

    breakers_keep_suspended(policyd->breakers, &whose, cause,
                            breakers_now_ms(policyd->breakers) + for_ms, why);
}

static void
on_listed(void *arg, const struct address *address, int64_t for_ms, const char *why)
{
    keep(arg, address, BREAKER_LISTED, for_ms, why);
}

static void
on_cut(void *arg, const struct address *address, int64_t for_ms, const char *why)
{
    keep(arg, address, BREAKER_NETWORK, for_ms, why);
}

static void
on_unlisted(void *arg, const struct address *address)
{
    const struct breakers_whose whose = {.scope = BREAKERS_ADDRESS, .address = address};
    struct policyd *policyd = arg;

    breakers_end(policyd->breakers, &whose, BREAKER_LISTED, false);
}

static void
on_mended(void *arg, const struct address *address)
{
    const struct breakers_whose whose = {.scope = BREAKERS_ADDRESS, .address = address};
    struct policyd *policyd = arg;

    breakers_end(policyd->breakers, &whose, BREAKER_NETWORK, true);
}

static bool
on_is_present(void *arg, const struct address *address)
{
    const struct policyd *policyd = arg;

    return policyd->roster->present[address->index];
}

static int64_t
on_now(void *arg)
{
    (void)arg;
    return clock_ms(CLOCK_MONOTONIC_COARSE);
}

void
policyd_watch_reach(struct policyd *policyd)
{
    policyd->reach = reach_new(&(struct reach_start){
        .base = policyd->base,
        .snapshot = policyd->conf->snapshot,
        .off = !policyd->conf->suspension_network,
        .is_present = on_is_present,
        .way = way_out,
        .now_ms = on_now,
        .cut = on_cut,
        .mended = on_mended,
        .arg = policyd,
    });
    feedback_listen(policyd->feedback, &(struct feedback_listener){.on_outcome = reach_on_outcome,
                                                                   .arg = policyd->reach});
}

void
policyd_ask_lists(struct policyd *policyd)
{
    static const struct lists_events events = {on_listed, on_unlisted};
    struct dns_start dns = policyd_dns_start(policyd->conf);

    policyd->lists = lists_new(policyd->base, policyd->conf, &dns, &events, policyd);
}

void
policyd_causes_set_conf(struct policyd *policyd, const struct conf *conf)
{
    struct dns_start dns = policyd_dns_start(conf);

    reach_set_snapshot(policyd->reach, conf->snapshot, !conf->suspension_network);
    lists_set_conf(policyd->lists, conf, &dns);
}
