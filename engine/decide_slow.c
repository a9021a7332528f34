/*
 * What is slowed down, and has no caps of its own that could be scaled.
 *
 * An address with caps leaves room for so many in a time: what it may not send all of to one
 * provider or domain goes at that share of the pace that those caps are, one message after the
 * other.  Without any caps only a share of the messages may pass, by their keys and the minute.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/decide_inside.h"

#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"

#include <string.h>

enum { MINUTE_MS = 60 * 1000 };

unsigned
decide_part_of(const struct curb *curb)
{
    return curb->share > 0 ? curb->share : CURB_WHOLE;
}

bool
decide_thin(const struct decide_question *question, unsigned share, uint64_t seed,
            enum curb_scope scope, struct candidate *candidate)
{
    int64_t minute = question->now_ms / MINUTE_MS;

    if (share >= CURB_WHOLE ||
        hash_mix(question->key ^ hash_mix(seed ^ (uint64_t)minute)) % CURB_WHOLE < share)
        return false;
    decide_hold(candidate, VERDICT_SLOWED, scope, (minute + 1) * MINUTE_MS);
    return true;
}

/* One of so many nodes: how far apart messages leave by the caps of the address; 0: it has none. */
static int64_t
gap_us(const struct decide_question *question, const struct address *address)
{
    const struct meters *meters = question->meters;
    uint32_t number = meters != NULL ? meters_address(meters, address->index) : METERS_NONE;
    const struct caps *caps;
    int64_t most_us = 0;

    if (number == METERS_NONE)
        return 0;
    caps = meters_at(question->meters, number)->caps;
    for (size_t i = 0; caps != NULL && i < caps->count; i++) {
        int64_t us = caps->items[i].window_ms * 1000 * meters_nodes(meters) /
                         book_limit(&caps->items[i], 0) +
                     1;

        most_us = us > most_us ? us : most_us;
    }
    return most_us;
}

static bool
has_caps_there(const struct decide_question *question, const struct address *address)
{
    return question->meters != NULL &&
           meters_has_provider(question->meters, address->index, question->provider);
}

/* Is it not yet time for the next one? */
static bool
is_early(const struct decide_question *question, const struct curb *curb, int64_t whole_us,
         struct candidate *candidate)
{
    int64_t now_us = question->now_ms * 1000;

    if (curb->share == 0 || curb->share >= CURB_WHOLE || curb->paced_us <= now_us ||
        curb->paced_us > now_us + curb_gap_us(curb, whole_us)) /* the clock went back */
        return false;
    decide_hold(candidate, VERDICT_PACED, CURB_PROVIDER, (curb->paced_us + 999) / 1000);
    return true;
}

bool
decide_slow(const struct decide_question *question, const struct curb *at_all,
            const struct curb *at_provider, const struct curb *at_domain,
            struct candidate *candidate)
{
    bool capped_there = has_caps_there(question, candidate->address);
    int64_t whole_us = gap_us(question, candidate->address);
    unsigned share = decide_part_of(at_domain);

    if (whole_us > 0)
        return is_early(question, at_domain, whole_us, candidate) ||
               (!capped_there && is_early(question, at_provider, whole_us, candidate));
    if (decide_part_of(at_all) < share)
        share = decide_part_of(at_all);
    if (!capped_there && decide_part_of(at_provider) < share)
        share = decide_part_of(at_provider);
    return decide_thin(question, share, candidate->address->seed, CURB_ADDRESS, candidate);
}

void
decide_spend_slow(const struct decide_question *question, const struct address *address)
{
    int64_t whole_us = gap_us(question, address);

    if (whole_us > 0)
        curbs_pace(question->curbs, address,
                   has_caps_there(question, address)
                       ? NULL
                       : &question->roster->snapshot->providers[question->provider],
                   question->domain, whole_us, question->now_ms * 1000);
}
