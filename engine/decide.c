/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/decide.h"

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

/* A lookup asks for leases of so many candidates; of those behind only what is held counts. */
enum { COLDS_MAX = 3 };

/* Pool number step of the stream: its own, then the ladder; NULL behind the end. */
static const struct pool *
pool_at(const struct stream *stream, size_t step)
{
    if (step == 0)
        return stream->pool;
    return step <= stream->pool->overflow_count ? stream->pool->overflow[step - 1] : NULL;
}

static void
decision_start(struct decision *decision, const struct stream *stream)
{
    decision->stream = stream;
    decision->pool = NULL;
    decision->address = NULL;
    decision->exceeds = false;
    decision->full = false;
    decision->cold = false;
    decision->room_ms = 0;
    decision->refused_by = METERS_NONE;
    for (size_t i = 0; i < DECISION_METERS; i++)
        decision->meters[i] = METERS_NONE;
    decision->candidate_count = 0;
    decision->omitted = 0;
}

/* One decision on its way. */
struct walk {
    const struct decide_question *question;
    struct decision *decision;
    bool explain;
    unsigned colds;          /* candidates passed over whose caps are being asked about */
    struct candidate first;  /* the first that this host has, for "exceed" */
    struct candidate common; /* what the caps of stream and account say, whatever the address */
    struct candidate least;  /* of the pool under way: the full one that has room first */
    bool pool_colds;         /* some of it are not known to be full */
};

/* What needs a grant when mail of the question leaves from address: two of its own, two in common.
 */
static void
needed(const struct decide_question *question, const struct address *address,
       uint32_t needs[static DECISION_METERS])
{
    needs[0] = meters_address(question->meters, address->index);
    needs[1] = meters_provider(question->meters, address->index, question->provider);
    needs[2] = meters_stream(question->meters, question->stream->index);
    needs[3] = question->account;
}

enum { OWN_NEEDS = 2 };

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
        if (candidate->verdict != VERDICT_FULL || meter_full_ms(meter) > candidate->full_ms)
            candidate->full_ms = meter_full_ms(meter);
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
            meters_want(question->meters, needs[i]);
}

static void
check_common(struct walk *walk)
{
    const struct decide_question *question = walk->question;

    walk->common = (struct candidate){.verdict = VERDICT_TAKEN, .meter = METERS_NONE};
    if (question->meters == NULL)
        return;
    hear(walk, meters_stream(question->meters, question->stream->index), &walk->common);
    hear(walk, question->account, &walk->common);
}

static void
check(const struct walk *walk, struct candidate *candidate)
{
    const struct decide_question *question = walk->question;
    uint32_t needs[DECISION_METERS];

    candidate->verdict = walk->common.verdict;
    candidate->meter = walk->common.meter;
    candidate->room_ms = walk->common.room_ms;
    candidate->full_ms = walk->common.full_ms;
    if (question->meters == NULL)
        return;
    if (walk->colds >= COLDS_MAX &&
        meters_is_unmet(question->meters, candidate->address->index, question->provider)) {
        candidate->verdict = VERDICT_COLD;
        return;
    }
    needed(question, candidate->address, needs);
    for (size_t i = 0; i < OWN_NEEDS; i++)
        hear(walk, needs[i], candidate);
    if (candidate->verdict == VERDICT_COLD && !walk->explain && walk->colds < COLDS_MAX)
        want_cold(walk, needs);
}

static void
record(struct decision *decision, const struct candidate *candidate)
{
    if (decision->candidate_count == DECISION_CANDIDATES_MAX)
        decision->omitted++;
    else
        decision->candidates[decision->candidate_count++] = *candidate;
}

static void
choose(struct walk *walk, const struct candidate *candidate)
{
    walk->decision->pool = candidate->pool;
    walk->decision->address = candidate->address;
    if (walk->question->meters != NULL)
        needed(walk->question, candidate->address, walk->decision->meters);
}

static void
refuse_full(struct walk *walk, int64_t room_ms, int64_t full_ms, uint32_t meter)
{
    struct decision *decision = walk->decision;

    if (decision->refused_by == METERS_NONE || room_ms < decision->room_ms) {
        decision->room_ms = room_ms;
        decision->refused_by = meter;
    }
    if (walk->least.meter == METERS_NONE || full_ms < walk->least.full_ms)
        walk->least.full_ms = full_ms;
    if (walk->least.meter == METERS_NONE || room_ms < walk->least.room_ms) {
        walk->least.room_ms = room_ms;
        walk->least.meter = meter;
    }
}

static void
refuse_cold(struct walk *walk, const struct candidate *candidate)
{
    const struct decide_question *question = walk->question;

    walk->pool_colds = true;
    if (walk->colds++ < COLDS_MAX &&
        !meter_asked_for(&meters_at(question->meters, candidate->meter)->meter, DECISION_COLD_MS,
                         question->now_ms))
        walk->decision->cold = true;
}

/* Look at one candidate.  Returns false when the choice is made and nothing is to be told. */
static bool
consider(struct walk *walk, const struct pool *pool, const struct address *address)
{
    struct decision *decision = walk->decision;
    struct candidate candidate = {pool, address, VERDICT_NOT_ASKED, METERS_NONE, 0, 0};

    if (decision->address == NULL) {
        check(walk, &candidate);
        if (walk->first.address == NULL)
            walk->first = candidate;
        if (candidate.verdict == VERDICT_TAKEN ||
            (candidate.verdict == VERDICT_COLD && walk->explain))
            choose(walk, &candidate); /* a lookup asks for its lease, and mostly gets it */
        else if (candidate.verdict == VERDICT_FULL)
            refuse_full(walk, candidate.room_ms, candidate.full_ms, candidate.meter);
        else
            refuse_cold(walk, &candidate);
        if (candidate.verdict == VERDICT_COLD && walk->explain)
            decision->cold = true;
    }
    if (walk->explain)
        record(decision, &candidate);
    return walk->explain || decision->address == NULL;
}

/* Have all addresses of the block no room of their own?  Then *ret_note says until when. */
static bool
look_at_block(const struct walk *walk, const struct rendezvous *order, size_t block,
              struct memo_note *ret_note)
{
    const struct decide_question *question = walk->question;
    struct memo_note note = {INT64_MAX, INT64_MAX, meters_gains(question->meters), METERS_NONE};
    const struct member *const *members;
    size_t count = rendezvous_block_members(order, block, &members);

    for (size_t i = 0; i < count; i++) {
        struct candidate candidate = {.verdict = VERDICT_TAKEN, .meter = METERS_NONE};
        size_t address = members[i]->address->index;

        if (meters_is_unmet(question->meters, address, question->provider))
            return false;
        hear(walk, meters_address(question->meters, address), &candidate);
        hear(walk, meters_provider(question->meters, address, question->provider), &candidate);
        if (candidate.verdict != VERDICT_FULL)
            return false;
        if (candidate.full_ms < note.until_ms)
            note.until_ms = candidate.full_ms;
        if (candidate.room_ms < note.room_ms) {
            note.room_ms = candidate.room_ms;
            note.meter = candidate.meter;
        }
    }
    *ret_note = note;
    return true;
}

static bool
note_holds(const struct walk *walk, const struct memo_note *note)
{
    return memo_holds(note, meters_gains(walk->question->meters), walk->question->now_ms);
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
        if (!note_holds(walk, note) && !look_at_block(walk, order->rendezvous, next, note))
            break;
        refuse_full(walk, note->room_ms, note->until_ms, note->meter);
        rendezvous_skip_block(order);
    }
    return rendezvous_next(order);
}

/* Whatever comes behind does not matter any more. */
static bool
is_enough(const struct walk *walk)
{
    return walk->colds >= COLDS_MAX && (walk->common.verdict == VERDICT_COLD ||
                                        (walk->decision->cold && walk->question->may_wait));
}

/* True: go on with the next pool. */
static bool
walk_pool(struct walk *walk, const struct pool *pool)
{
    const struct decide_question *question = walk->question;
    const struct rendezvous *members = question->roster->by_pool[pool->index];
    struct memo_note *notes = question->meters != NULL
                                  ? memo_notes(question->roster->memo, pool->index,
                                               question->provider, rendezvous_blocks(members))
                                  : NULL;
    bool full = walk->common.verdict == VERDICT_FULL || (notes != NULL && note_holds(walk, notes));
    size_t block = RENDEZVOUS_BLOCKLESS;
    struct rendezvous_walk order;
    const struct member *member;

    walk->least.meter = METERS_NONE;
    walk->pool_colds = false;
    rendezvous_start(&order, members, question->key);
    if (full && rendezvous_count(members) > 0) {
        if (walk->first.address == NULL)
            walk->first =
                (struct candidate){.pool = pool, .address = rendezvous_next(&order)->address};
        if (walk->common.verdict != VERDICT_FULL)
            refuse_full(walk, notes->room_ms, notes->until_ms, notes->meter);
        return true;
    }
    while ((member = next_member(walk, &order, notes, &block)) != NULL)
        if (!consider(walk, pool, member->address) || is_enough(walk))
            return false;
    if (notes != NULL && walk->least.meter != METERS_NONE && !walk->pool_colds)
        *notes = (struct memo_note){walk->least.full_ms, walk->least.room_ms,
                                    meters_gains(question->meters), walk->least.meter};
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
    while ((member = rendezvous_next(&order)) != NULL)
        consider(walk, pool, member->address);
    for (size_t i = 0; i < pool->member_count; i++)
        if (!roster->present[pool->members[i].address->index]) {
            const struct address *address = pool->members[i].address;
            struct candidate candidate = {
                pool,        address, address->elsewhere ? VERDICT_ELSEWHERE : VERDICT_NOT_HERE,
                METERS_NONE, 0,       0};

            record(walk->decision, &candidate);
        }
}

/* None has room: the rule of the stream's pool. */
static void
exhaust(struct walk *walk)
{
    struct decision *decision = walk->decision;

    if (walk->first.address == NULL)
        return;
    if (decision->stream->pool->exhausted == EXHAUSTED_DEFER) {
        decision->full = true;
        return;
    }
    decision->exceeds = true;
    choose(walk, &walk->first);
    for (size_t i = 0; i < decision->candidate_count; i++)
        if (decision->candidates[i].address == walk->first.address &&
            decision->candidates[i].pool == walk->first.pool)
            decision->candidates[i].verdict = VERDICT_EXCEEDS;
}

static void
walk_all(struct walk *walk)
{
    const struct pool *pool;

    decision_start(walk->decision, walk->question->stream);
    check_common(walk);
    for (size_t step = 0; (pool = pool_at(walk->question->stream, step)) != NULL; step++)
        if (walk->explain)
            explain_pool(walk, pool);
        else if (!walk_pool(walk, pool))
            break;
    if (walk->common.verdict == VERDICT_FULL) { /* before that, addresses do not matter */
        walk->decision->room_ms = walk->common.room_ms;
        walk->decision->refused_by = walk->common.meter;
    }
    if (walk->decision->address == NULL)
        exhaust(walk);
}

void
decide(const struct decide_question *question, struct decision *ret_decision)
{
    struct walk walk = {.question = question, .decision = ret_decision};

    walk_all(&walk);
}

void
decide_explained(const struct decide_question *question, struct decision *ret_decision)
{
    struct walk walk = {.question = question, .decision = ret_decision, .explain = true};

    walk_all(&walk);
}

void
decide_spend(const struct decide_question *question, const struct decision *decision)
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

const char *
verdict_text(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_TAKEN:
        return "taken";
    case VERDICT_NOT_HERE:
        return "this host does not have the address";
    case VERDICT_ELSEWHERE:
        return "pinned to another node";
    case VERDICT_NOT_ASKED:
        return "not asked: an earlier one was taken";
    case VERDICT_FULL:
        return "no room under a cap";
    case VERDICT_COLD:
        return "taken if its cap has room, which is asked for when mail comes";
    case VERDICT_EXCEEDS:
        return "taken over a cap: the pool's rule is \"exceed\"";
    }
    return "?";
}
