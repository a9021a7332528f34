/*
 * What is wrong with a candidate: what every message hears first (closed, full),
 * then what is of this one alone.  The former can be noted for a whole pool.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/decide_inside.h"

#include "engine/memo.h"
#include "engine/meters.h"
#include "engine/rendezvous.h"
#include "engine/roster.h"
#include "engine/snapshot.h"

enum { OWN_NEEDS = 2 };

void
decide_needed(const struct decide_question *question, const struct address *address,
              uint32_t needs[static DECISION_METERS])
{
    needs[0] = meters_address(question->meters, address->index);
    needs[1] = meters_provider(question->meters, address->index, question->provider);
    needs[2] = meters_stream(question->meters, question->stream->index);
    needs[3] = question->account;
}

/* ------------------------------------------------------------------- curbs */

/* What holds of an address, and of it at the provider, whatever the domain. */
struct holds {
    const struct curb *address, *provider;
};

static const struct provider *
provider_of(const struct decide_question *question)
{
    return &question->roster->snapshot->providers[question->provider];
}

static struct holds
holds_of(const struct walk *walk, const struct address *address)
{
    return (struct holds){curbs_address(walk->curbs, address),
                          curbs_provider(walk->curbs, address, provider_of(walk->question))};
}

static const struct curb *
domain_hold(const struct walk *walk, const struct address *address)
{
    return curbs_domain(walk->curbs, address, walk->question->domain);
}

/* Takes nothing now. */
static bool
is_suspended(const struct curb *curb, bool no_probe)
{
    return curb->share == 0 && (curb->probes == 0 || no_probe);
}

void
decide_hold(struct candidate *candidate, enum verdict verdict, enum curb_scope scope,
            int64_t until_ms)
{
    candidate->verdict = verdict;
    candidate->meter = METERS_NONE;
    candidate->scope = scope;
    candidate->room_ms = candidate->sure_ms = until_ms;
    candidate->full_ms = INT64_MAX;
}

static bool
is_closed_by(const struct curb *curb, bool drains, enum curb_scope scope,
             struct candidate *candidate)
{
    if (is_suspended(curb, false))
        decide_hold(candidate, VERDICT_SUSPENDED, scope, curb->until_ms);
    else if (drains && curb->drained)
        decide_hold(candidate, VERDICT_DRAINED, scope, curb->until_ms);
    else
        return false;
    return true;
}

/* Is it closed to every message?  drains: also when it only takes no new ones. */
static bool
is_closed(const struct holds *holds, bool drains, struct candidate *candidate)
{
    return is_closed_by(holds->address, drains, CURB_ADDRESS, candidate) ||
           is_closed_by(holds->provider, drains, CURB_PROVIDER, candidate);
}

static void
rescale(const struct walk *walk, uint32_t number, const struct curb *curb)
{
    if (number != METERS_NONE && !walk->explain)
        meters_scale(walk->question->meters, number, decide_part_of(curb), walk->question->now_ms);
}

/* ------------------------------------------------------------------ meters */

/*
 * What one meter says.  The candidate's verdict is what the worst of them says:
 * a cap that is full stays full whatever the store says of another.
 */
static void
hear(const struct walk *walk, uint32_t number, struct candidate *candidate)
{
    const struct decide_question *question = walk->question;
    const struct meter *meter;
    enum meter_state state;

    if (number == METERS_NONE)
        return;
    meter = &meters_at(question->meters, number)->meter;
    state = meter_state(meter, question->now_ms);
    if (state == METER_FULL) {
        int64_t room_ms = meter_room_ms(meter, question->now_ms);

        if (candidate->verdict != VERDICT_FULL || room_ms > candidate->room_ms) {
            candidate->room_ms = room_ms;
            candidate->meter = number;
        }
        if (candidate->verdict != VERDICT_FULL || meter_full_ms(meter) > candidate->full_ms) {
            candidate->full_ms = meter_full_ms(meter);
            candidate->sure_ms = room_ms; /* the other one may say an earlier time before that */
        }
        candidate->verdict = VERDICT_FULL;
    } else if (state == METER_COLD && candidate->verdict == VERDICT_TAKEN) {
        candidate->verdict = VERDICT_COLD;
        candidate->meter = number;
    }
}

static void
want_cold(const struct walk *walk, const uint32_t needs[static DECISION_METERS])
{
    const struct decide_question *question = walk->question;

    for (size_t i = 0; i < DECISION_METERS; i++)
        if (needs[i] != METERS_NONE && meter_state(&meters_at(question->meters, needs[i])->meter,
                                                   question->now_ms) == METER_COLD)
            meters_miss(question->meters, needs[i], question->now_ms);
}

/* ------------------------------------------------------------- all together */

/* False: the account takes nothing of this message now. */
static bool
check_account(struct walk *walk)
{
    const struct decide_question *question = walk->question;
    const struct curb *curb = curbs_account(walk->curbs, question->account_name);

    if (is_suspended(curb, question->no_probe)) {
        decide_hold(&walk->common, VERDICT_SUSPENDED, CURB_ACCOUNT, curb->until_ms);
        return false;
    }
    if (question->meters != NULL && question->account != METERS_NONE) {
        rescale(walk, question->account, curb);
        return true;
    }
    return !decide_thin(question, decide_part_of(curb), 0, CURB_ACCOUNT, &walk->common);
}

void
decide_check_common(struct walk *walk)
{
    const struct decide_question *question = walk->question;

    walk->common = (struct candidate){.verdict = VERDICT_TAKEN, .meter = METERS_NONE};
    if (walk->curbs != NULL && !check_account(walk))
        return;
    if (question->meters == NULL)
        return;
    hear(walk, meters_stream(question->meters, question->stream->index), &walk->common);
    hear(walk, question->account, &walk->common);
}

bool
decide_is_avoided(const struct walk *walk, const struct address *address)
{
    for (size_t i = 0; i < DECIDE_AVOID_MAX && walk->avoids; i++)
        if (walk->question->avoid[i] == address)
            return true;
    return false;
}

bool
decide_is_unengaged(const struct walk *walk, const struct address *address)
{
    uint32_t days;

    if (!walk->asks_engaged)
        return false;
    days = meters_engaged(walk->question->meters, address->index);
    return days > 0 && (uint32_t)walk->question->quiet_days > days;
}

/* Is it closed to this message, but not to every one?  no_probe: nor may it be a probe. */
static bool
is_closed_to_it(const struct walk *walk, const struct holds *holds, bool no_probe,
                struct candidate *candidate)
{
    const struct decide_question *question = walk->question;
    const struct curb *curb;

    if (decide_is_avoided(walk, candidate->address)) {
        candidate->verdict = VERDICT_REFUSED_IT;
        return true;
    }
    if (decide_is_unengaged(walk, candidate->address)) {
        candidate->verdict = VERDICT_UNENGAGED;
        candidate->meter = METERS_NONE;
        candidate->engaged_days = meters_engaged(question->meters, candidate->address->index);
        return true;
    }
    if (walk->curbs == NULL)
        return false;
    curb = domain_hold(walk, candidate->address);
    if (is_suspended(curb, no_probe))
        decide_hold(candidate, VERDICT_SUSPENDED, CURB_PROVIDER, curb->until_ms);
    else if (is_suspended(holds->address, no_probe))
        decide_hold(candidate, VERDICT_SUSPENDED, CURB_ADDRESS, holds->address->until_ms);
    else if (is_suspended(holds->provider, no_probe))
        decide_hold(candidate, VERDICT_SUSPENDED, CURB_PROVIDER, holds->provider->until_ms);
    else
        return decide_slow(question, holds->address, holds->provider, curb, candidate);
    return true;
}

/* What the caps of its own say of an address. */
static void
hear_own(const struct walk *walk, const uint32_t *needs, struct candidate *candidate)
{
    for (size_t i = 0; i < OWN_NEEDS; i++)
        hear(walk, needs[i], candidate);
}

static void
rescale_own(const struct walk *walk, const struct holds *holds, const uint32_t *needs)
{
    rescale(walk, needs[0], holds->address);
    rescale(walk, needs[1], holds->provider);
}

/* It is full; but what only takes probes is suspended, with room or without, and probes or none. */
static void
only_probed(const struct holds *holds, struct candidate *candidate)
{
    if (holds == NULL || (holds->address->share > 0 && holds->provider->share > 0))
        return;
    candidate->verdict = VERDICT_SUSPENDED;
    candidate->meter = METERS_NONE;
    candidate->scope = holds->address->share == 0 ? CURB_ADDRESS : CURB_PROVIDER;
}

/* Is nothing known of it, and are enough asked about already? */
static bool
is_one_too_many(const struct walk *walk, const struct address *address)
{
    const struct decide_question *question = walk->question;

    return walk->colds >= DECIDE_COLDS_MAX &&
           meters_is_unmet(question->meters, address->index, question->provider);
}

/* What caps say, and then what is of this message alone. */
static void
check_caps(struct walk *walk, const struct holds *holds, struct candidate *candidate)
{
    const struct decide_question *question = walk->question;
    bool unmet = is_one_too_many(walk, candidate->address);

    if (!unmet) {
        decide_needed(question, candidate->address, walk->needs);
        if (walk->curbs != NULL)
            rescale_own(walk, holds, walk->needs);
        hear_own(walk, walk->needs, candidate);
        if (candidate->verdict == VERDICT_FULL) {
            only_probed(holds, candidate);
            return;
        }
    }
    if (walk->picky && is_closed_to_it(walk, holds, walk->question->no_probe, candidate))
        walk->pool_open = true;
    else if (unmet)
        candidate->verdict = VERDICT_COLD;
    else if (candidate->verdict == VERDICT_COLD && !walk->explain && walk->colds < DECIDE_COLDS_MAX)
        want_cold(walk, walk->needs);
}

/* The same where something is held back, or has refused the message. */
static void
check_picky(struct walk *walk, struct candidate *candidate)
{
    struct holds holds = {0};

    if (candidate->verdict == VERDICT_SUSPENDED || candidate->verdict == VERDICT_SLOWED)
        return; /* all mail of the account */
    if (candidate->address == walk->question->prefer)
        walk->pool_open = true; /* it may be drained, and other messages not be let in */
    if (walk->curbs != NULL) {
        holds = holds_of(walk, candidate->address);
        if (is_closed(&holds, candidate->address != walk->question->prefer, candidate))
            return;
    }
    if (walk->question->meters != NULL)
        check_caps(walk, walk->curbs != NULL ? &holds : NULL, candidate);
    else if (is_closed_to_it(walk, &holds, walk->question->no_probe, candidate))
        walk->pool_open = true;
}

void
decide_check(struct walk *walk, struct candidate *candidate)
{
    const struct candidate *common = &walk->common;

    candidate->verdict = common->verdict;
    candidate->meter = common->meter;
    candidate->scope = common->scope;
    candidate->room_ms = common->room_ms;
    candidate->full_ms = common->full_ms;
    candidate->sure_ms = common->sure_ms;
    if (walk->picky)
        check_picky(walk, candidate);
    else if (walk->question->meters != NULL)
        check_caps(walk, NULL, candidate);
}

bool
decide_is_barred(const struct walk *walk, const struct address *address)
{
    struct candidate candidate = {.address = address};
    struct holds holds = {0};

    if (!walk->picky)
        return false;
    if (walk->curbs != NULL) {
        holds = holds_of(walk, address);
        if (is_closed(&holds, address != walk->question->prefer, &candidate))
            return true;
    }
    return is_closed_to_it(walk, &holds, true, &candidate);
}

bool
decide_is_drained(const struct walk *walk, const struct address *address)
{
    struct holds holds;

    if (walk->curbs == NULL || address == walk->question->prefer)
        return false;
    holds = holds_of(walk, address);
    return holds.address->drained || holds.provider->drained;
}

uint64_t
decide_gains(const struct walk *walk)
{
    const struct decide_question *question = walk->question;

    /* Both only grow, so that their sum says whether one of them did. */
    return (question->meters != NULL ? meters_gains(question->meters) : 0) +
           (question->curbs != NULL ? curbs_changes(question->curbs) : 0);
}

/* Is the address closed to every message? */
static bool
is_shut(const struct walk *walk, const struct address *address, struct candidate *candidate)
{
    const struct decide_question *question = walk->question;
    struct holds holds = {0};
    uint32_t needs[OWN_NEEDS];

    if (walk->curbs != NULL) {
        holds = holds_of(walk, address);
        if (is_closed(&holds, true, candidate))
            return true;
    }
    if (question->meters == NULL ||
        meters_is_unmet(question->meters, address->index, question->provider))
        return false;
    needs[0] = meters_address(question->meters, address->index);
    needs[1] = meters_provider(question->meters, address->index, question->provider);
    if (walk->curbs != NULL)
        rescale_own(walk, &holds, needs);
    hear_own(walk, needs, candidate);
    if (candidate->verdict != VERDICT_FULL)
        return false;
    only_probed(walk->curbs != NULL ? &holds : NULL, candidate);
    return true;
}

bool
decide_look_at_block(struct walk *walk, const struct rendezvous *order, size_t block,
                     struct memo_note *ret_note)
{
    struct memo_note note = {INT64_MAX, INT64_MAX, decide_gains(walk), METERS_NONE};
    const struct member *const *members;
    size_t count = rendezvous_block_members(order, block, &members);

    for (size_t i = 0; i < count; i++) {
        struct candidate candidate = {.verdict = VERDICT_TAKEN, .meter = METERS_NONE};

        if (!is_shut(walk, members[i]->address, &candidate))
            return false;
        if (candidate.full_ms < note.until_ms)
            note.until_ms = candidate.full_ms;
        if (candidate.meter != METERS_NONE &&
            (note.meter == METERS_NONE || candidate.sure_ms < note.room_ms))
            note.meter = candidate.meter;
        if (candidate.sure_ms < note.room_ms)
            note.room_ms = candidate.sure_ms;
    }
    *ret_note = note;
    return true;
}
