/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/decide_inside.h"

#include "engine/hash.h"
#include "engine/memo.h"
#include "engine/meters.h"
#include "engine/rendezvous.h"
#include "engine/roster.h"
#include "engine/snapshot.h"

#include <string.h>

uint64_t
decide_key(const char *message, const char *domain)
{
    /* No secret: who could choose a message's id to gain by it would need our tag's. */
    static const uint8_t key[HASH_KEY_SIZE] = "postpool decide";

    return hash_mix(hash_sip(key, message, strlen(message)) ^
                    hash_mix(hash_sip(key, domain, strlen(domain))));
}

const struct pool *
decide_pool_at(const struct decide_question *question, size_t step)
{
    const struct pool *first = question->pool != NULL ? question->pool : question->stream->pool;

    if (step == 0)
        return first;
    return step <= first->overflow_count ? first->overflow[step - 1] : NULL;
}

static void
decision_start(struct decision *decision, const struct stream *stream)
{
    decision->stream = stream;
    decision->pool = NULL;
    decision->address = NULL;
    decision->exceeds = false;
    decision->cold = false;
    decision->full = false;
    decision->suspended = false;
    decision->refused = false;
    decision->unengaged = false;
    decision->held = false;
    decision->slowed = false;
    decision->thinned = false;
    decision->room_ms = INT64_MAX;
    decision->refused_by = METERS_NONE;
    for (size_t i = 0; i < DECISION_METERS; i++)
        decision->meters[i] = METERS_NONE;
    decision->candidate_count = 0;
    decision->omitted = 0;
}

/* What is better first, before anything was looked at. */
#define NOTHING_YET .meter = METERS_NONE, .sure_ms = INT64_MAX, .full_ms = INT64_MAX

static void
walk_start(struct walk *walk, const struct decide_question *question, bool explain,
           struct decision *decision)
{
    walk->question = question;
    walk->decision = decision;
    walk->curbs = NULL;
    walk->explain = explain;
    walk->here = walk->full = walk->held = walk->unengaged = false;
    walk->colds = 0;
    walk->preferred = NULL;
    walk->awaited = false;
    walk->least = (struct candidate){NOTHING_YET};
    if (question->curbs != NULL &&
        (!curbs_is_empty(question->curbs) ||
         (question->meters != NULL && meters_are_scaled(question->meters))))
        walk->curbs = question->curbs;
    walk->avoids = question->avoid[0] != NULL;
    walk->asks_engaged =
        question->quiet_days > 0 && question->meters != NULL && meters_warm_up(question->meters);
    walk->picky = walk->curbs != NULL || walk->avoids || walk->asks_engaged;
    decision_start(decision, question->stream);
    decide_check_common(walk);
}

/* Of those that a decision passed over only the first few are named. */
static void
record(struct walk *walk, struct candidate *candidate)
{
    struct decision *decision = walk->decision;
    struct meters *meters = walk->question->meters;
    size_t most = walk->explain ? (size_t)DECISION_CANDIDATES_MAX : (size_t)DECISION_PASSED_MAX;

    if (decision->candidate_count == most) {
        decision->omitted++;
        return;
    }
    if (candidate->verdict == VERDICT_FULL && meters != NULL && meters_warm_up(meters))
        meters_warming(meters, candidate->meter, &candidate->warming);
    decision->candidates[decision->candidate_count++] = *candidate;
}

void
decide_choose(struct walk *walk, const struct candidate *candidate)
{
    walk->decision->pool = candidate->pool;
    walk->decision->address = candidate->address;
    if (walk->question->meters != NULL)
        memcpy(walk->decision->meters, walk->needs, sizeof(walk->needs));
}

/* It is full, or (without a meter) held back: pool, address and verdict do not matter. */
static void
refuse(struct walk *walk, const struct candidate *closed)
{
    struct decision *decision = walk->decision;
    struct candidate *least = &walk->least;

    if (closed->meter == METERS_NONE) {
        walk->held = true;
    } else {
        walk->full = true;
        if (decision->refused_by == METERS_NONE || closed->room_ms < decision->room_ms)
            decision->refused_by = closed->meter;
        if (least->meter == METERS_NONE || closed->sure_ms < least->sure_ms)
            least->meter = closed->meter;
    }
    if (closed->room_ms < decision->room_ms)
        decision->room_ms = closed->room_ms;
    if (closed->sure_ms < least->sure_ms)
        least->sure_ms = closed->sure_ms;
    if (closed->full_ms < least->full_ms)
        least->full_ms = closed->full_ms;
}

static void
refuse_cold(struct walk *walk, const struct candidate *candidate)
{
    const struct decide_question *question = walk->question;

    walk->full = true;
    walk->pool_open = true;
    walk->awaited = candidate->address == question->prefer && !meters_are_alone(question->meters) &&
                    decide_pool_at(question, 0)->exhausted == EXHAUSTED_DEFER &&
                    !meter_asked_for(&meters_at(question->meters, candidate->meter)->meter,
                                     DECISION_AWAITED_MS, question->now_ms);
    if (walk->colds++ < DECIDE_COLDS_MAX &&
        !meter_asked_for(&meters_at(question->meters, candidate->meter)->meter, DECISION_COLD_MS,
                         question->now_ms))
        walk->decision->cold = true;
}

/* What comes of one candidate's verdict, while none is taken yet. */
static void
take_or_refuse(struct walk *walk, const struct candidate *candidate)
{
    switch (candidate->verdict) {
    case VERDICT_TAKEN:
        decide_choose(walk, candidate);
        break;
    case VERDICT_COLD:
        if (walk->explain) { /* a lookup asks for its lease, and mostly gets it */
            decide_choose(walk, candidate);
            walk->decision->cold = true;
        } else {
            refuse_cold(walk, candidate);
        }
        break;
    case VERDICT_FULL:
    case VERDICT_SUSPENDED:
    case VERDICT_DRAINED:
        refuse(walk, candidate);
        break;
    case VERDICT_SLOWED:
    case VERDICT_PACED:
        walk->decision->slowed = true;
        walk->decision->thinned |= candidate->verdict == VERDICT_SLOWED;
        refuse(walk, candidate);
        break;
    case VERDICT_UNENGAGED:
        walk->unengaged = true;
        break;
    default:
        break;
    }
}

/* Look at one candidate.  Returns false when the choice is made and nothing is to be told. */
static bool
consider(struct walk *walk, const struct pool *pool, const struct address *address)
{
    struct decision *decision = walk->decision;
    struct candidate candidate = {
        .pool = pool, .address = address, .verdict = VERDICT_NOT_ASKED, .meter = METERS_NONE};

    if (decision->address == NULL) {
        decide_check(walk, &candidate);
        take_or_refuse(walk, &candidate);
    }
    if (walk->explain || decision->address == NULL)
        record(walk, &candidate);
    return walk->explain || decision->address == NULL;
}

bool
decide_note_holds(const struct walk *walk, const struct memo_note *note)
{
    return memo_holds(note, decide_gains(walk), walk->question->now_ms);
}

/* Everything in a pool or block is closed. */
static void
refuse_note(struct walk *walk, const struct memo_note *note)
{
    refuse(walk, &(struct candidate){.meter = note->meter,
                                     .room_ms = note->room_ms,
                                     .sure_ms = note->room_ms,
                                     .full_ms = note->until_ms});
}

/* The next member, past blocks that are full; *block is the one that was looked at last. */
static const struct member *
next_member(struct walk *walk, struct rendezvous_walk *order, struct memo_note *notes,
            size_t *block)
{
    while (notes != NULL) {
        size_t next = rendezvous_block(order);
        struct memo_note *note = &notes[1 + next];

        if (next == RENDEZVOUS_BLOCKLESS || next == *block)
            break;
        *block = next;
        if (!decide_note_holds(walk, note) &&
            !decide_look_at_block(walk, order->rendezvous, next, note))
            break;
        refuse_note(walk, note);
        walk->decision->omitted++;
        rendezvous_skip_block(order);
    }
    return rendezvous_next(order);
}

/* Whatever comes behind does not matter any more. */
static bool
is_enough(const struct walk *walk)
{
    return walk->colds >= DECIDE_COLDS_MAX && (walk->common.verdict == VERDICT_COLD ||
                                               (walk->decision->cold && walk->question->may_wait));
}

struct memo_note *
decide_notes(const struct walk *walk, const struct pool *pool)
{
    const struct decide_question *question = walk->question;
    const struct roster *roster = question->roster;

    if (question->meters == NULL && walk->curbs == NULL)
        return NULL;
    return memo_notes(roster->memo, pool->index, question->provider,
                      rendezvous_blocks(roster->by_pool[pool->index]));
}

/* It was looked at before all others. */
static bool
was_preferred(const struct walk *walk, const struct pool *pool, const struct address *address)
{
    return pool == walk->preferred && address == walk->question->prefer;
}

/* True: go on with the next pool. */
static bool
walk_pool(struct walk *walk, const struct pool *pool)
{
    const struct rendezvous *members = walk->question->roster->by_pool[pool->index];
    struct memo_note *notes = decide_notes(walk, pool);
    size_t block = RENDEZVOUS_BLOCKLESS;
    struct rendezvous_walk order;
    const struct member *member;

    if (rendezvous_count(members) == 0)
        return true;
    walk->here = true;
    if (walk->common.verdict != VERDICT_TAKEN && walk->common.verdict != VERDICT_COLD)
        return true;
    walk->least = (struct candidate){NOTHING_YET};
    if (notes != NULL && decide_note_holds(walk, notes)) {
        refuse_note(walk, notes);
        record(walk, &(struct candidate){.pool = pool,
                                         .verdict = notes->meter == METERS_NONE ? VERDICT_SUSPENDED
                                                                                : VERDICT_FULL,
                                         .meter = notes->meter});
        return true;
    }
    walk->pool_open = pool == walk->preferred; /* what one says that is preferred is not noted */
    rendezvous_start(&order, members, walk->question->key);
    while ((member = next_member(walk, &order, notes, &block)) != NULL)
        if (!was_preferred(walk, pool, member->address) &&
            (!consider(walk, pool, member->address) || is_enough(walk)))
            return false;
    if (notes != NULL && !walk->pool_open)
        *notes = (struct memo_note){walk->least.full_ms, walk->least.sure_ms, decide_gains(walk),
                                    walk->least.meter};
    return true;
}

/* Every candidate of the pool, and those that this host does not have. */
static void
explain_pool(struct walk *walk, const struct pool *pool)
{
    const struct roster *roster = walk->question->roster;
    struct rendezvous_walk order;
    const struct member *member;

    rendezvous_start(&order, roster->by_pool[pool->index], walk->question->key);
    while ((member = rendezvous_next(&order)) != NULL) {
        walk->here = true;
        if (!was_preferred(walk, pool, member->address))
            consider(walk, pool, member->address);
    }
    for (size_t i = 0; i < pool->member_count; i++)
        if (!roster->present[pool->members[i].address->index]) {
            const struct address *address = pool->members[i].address;
            struct candidate candidate = {
                .pool = pool,
                .address = address,
                .verdict = address->elsewhere ? VERDICT_ELSEWHERE : VERDICT_NOT_HERE,
                .meter = METERS_NONE,
            };

            record(walk, &candidate);
        }
}

/* The first pool of the question that has the address; NULL: it is out of reach. */
static const struct pool *
pool_of(const struct walk *walk, const struct address *address)
{
    const struct pool *pool;

    if (!walk->question->roster->present[address->index])
        return NULL;
    for (size_t step = 0; (pool = decide_pool_at(walk->question, step)) != NULL; step++)
        for (size_t i = 0; i < pool->member_count; i++)
            if (pool->members[i].address == address)
                return pool;
    return NULL;
}

/* The one that is preferred goes first, if it can be had.  Returns false as consider() does. */
static bool
try_preferred(struct walk *walk)
{
    const struct address *address = walk->question->prefer;
    const struct pool *pool = address != NULL ? pool_of(walk, address) : NULL;

    if (pool == NULL)
        return true;
    walk->here = true;
    walk->preferred = pool;
    if (walk->common.verdict != VERDICT_TAKEN && walk->common.verdict != VERDICT_COLD &&
        !walk->explain)
        return true;
    return consider(walk, pool, address) && !is_enough(walk) && !walk->awaited;
}

static void
walk_all(struct walk *walk)
{
    const struct pool *pool;

    if (!try_preferred(walk))
        return;
    for (size_t step = 0; (pool = decide_pool_at(walk->question, step)) != NULL; step++)
        if (walk->explain)
            explain_pool(walk, pool);
        else if (!walk_pool(walk, pool))
            break;
}

void
decide(const struct decide_question *question, struct decision *ret_decision)
{
    struct walk walk;

    walk_start(&walk, question, false, ret_decision);
    walk_all(&walk);
    if (ret_decision->address == NULL)
        decide_exhaust(&walk);
}

void
decide_explained(const struct decide_question *question, struct decision *ret_decision)
{
    struct walk walk;

    walk_start(&walk, question, true, ret_decision);
    walk_all(&walk);
    if (ret_decision->address == NULL)
        decide_exhaust(&walk);
}

static void
spend_grants(const struct decide_question *question, const struct decision *decision)
{
    for (size_t i = 0; question->meters != NULL && i < DECISION_METERS; i++) {
        uint32_t number = decision->meters[i];

        if (number == METERS_NONE)
            continue;
        if (meter_state(&meters_at(question->meters, number)->meter, question->now_ms) ==
            METER_FREE)
            meters_take(question->meters, number, question->now_ms);
        else
            meters_exceed(question->meters, number, question->now_ms);
    }
}

void
decide_spend(const struct decide_question *question, const struct decision *decision)
{
    const struct snapshot *snapshot = question->roster->snapshot;

    spend_grants(question, decision);
    if (question->curbs == NULL || curbs_is_empty(question->curbs))
        return;
    curbs_probe(question->curbs, decision->address, &snapshot->providers[question->provider],
                question->domain, question->account_name);
    decide_spend_slow(question, decision->address);
}
