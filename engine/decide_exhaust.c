/*
 * What becomes of a message when no candidate is taken.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/decide_inside.h"

#include "engine/memo.h"
#include "engine/meters.h"
#include "engine/rendezvous.h"
#include "engine/roster.h"
#include "engine/snapshot.h"

/* The next member that may exceed a cap; where all of a block are held back it is passed over. */
static const struct member *
next_unbarred(struct walk *walk, struct rendezvous_walk *order, const struct memo_note *notes)
{
    const struct member *member;

    for (;;) {
        size_t block = notes != NULL ? rendezvous_block(order) : RENDEZVOUS_BLOCKLESS;

        if (block != RENDEZVOUS_BLOCKLESS && notes[1 + block].meter == METERS_NONE &&
            decide_note_holds(walk, &notes[1 + block])) {
            rendezvous_skip_block(order);
            continue;
        }
        member = rendezvous_next(order);
        if (member == NULL || !decide_is_barred(walk, member->address))
            return member;
    }
}

/* The first candidate that nothing but caps keeps back. */
static bool
find_first(struct walk *walk, struct candidate *ret_first)
{
    const struct decide_question *question = walk->question;
    const struct pool *pool;

    if (walk->preferred != NULL && !decide_is_barred(walk, question->prefer)) {
        *ret_first = (struct candidate){.pool = walk->preferred, .address = question->prefer};
        return true;
    }
    for (size_t step = 0; (pool = decide_pool_at(question, step)) != NULL; step++) {
        const struct memo_note *notes = walk->curbs != NULL ? decide_notes(walk, pool) : NULL;
        struct rendezvous_walk order;
        const struct member *member;

        if (notes != NULL && notes->meter == METERS_NONE && decide_note_holds(walk, notes))
            continue;
        rendezvous_start(&order, question->roster->by_pool[pool->index], question->key);
        member = next_unbarred(walk, &order, notes);
        if (member != NULL) {
            *ret_first = (struct candidate){.pool = pool, .address = member->address};
            return true;
        }
    }
    return false;
}

/* Has each address that this host has refused the message, or takes no new ones? */
static bool
is_refused_by_all(const struct walk *walk)
{
    const struct decide_question *question = walk->question;
    const struct pool *pool;
    bool refused = false;

    for (size_t step = 0; walk->avoids && (pool = decide_pool_at(question, step)) != NULL; step++)
        for (size_t i = 0; i < pool->member_count; i++) {
            const struct address *address = pool->members[i].address;

            if (!question->roster->present[address->index])
                continue;
            if (decide_is_avoided(walk, address))
                refused = true;
            else if (!decide_is_drained(walk, address) && !decide_is_unengaged(walk, address))
                return false;
        }
    return refused;
}

/* The account is suspended but for probes. */
static bool
is_account_probed(const struct walk *walk)
{
    return walk->curbs != NULL &&
           curbs_account(walk->curbs, walk->question->account_name)->share == 0;
}

/* Though caps have no room: the rule of the first pool. */
static bool
exceed(struct walk *walk)
{
    struct decision *decision = walk->decision;
    struct candidate first;

    if (decide_pool_at(walk->question, 0)->exhausted != EXHAUSTED_EXCEED ||
        is_account_probed(walk) || !find_first(walk, &first))
        return false;
    decision->exceeds = true;
    if (walk->question->meters != NULL)
        decide_needed(walk->question, first.address, walk->needs);
    decide_choose(walk, &first);
    for (size_t i = 0; i < decision->candidate_count; i++)
        if (decision->candidates[i].address == first.address &&
            decision->candidates[i].pool == first.pool)
            decision->candidates[i].verdict = VERDICT_EXCEEDS;
    return true;
}

void
decide_exhaust(struct walk *walk)
{
    struct decision *decision = walk->decision;
    const struct candidate *common = &walk->common;

    if (!walk->here)
        return;
    if (common->verdict == VERDICT_SUSPENDED || common->verdict == VERDICT_SLOWED) {
        decision->suspended = decision->held = true;
        decision->slowed = decision->thinned = common->verdict == VERDICT_SLOWED;
        decision->room_ms = common->room_ms;
        return;
    }
    if (common->verdict == VERDICT_FULL) { /* before that, addresses do not matter */
        walk->full = true;
        decision->room_ms = common->room_ms;
        decision->refused_by = common->meter;
    }
    if (walk->full && exceed(walk))
        return;
    decision->refused = is_refused_by_all(walk);
    decision->full = walk->full && !decision->refused;
    decision->suspended = walk->held && !decision->full && !decision->refused;
    decision->unengaged =
        walk->unengaged && !decision->full && !decision->suspended && !decision->refused;
    if (!decision->full)
        decision->refused_by = METERS_NONE;
}
