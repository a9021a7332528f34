/*
 * The inside of a decision.  decide.c goes along the candidates, decide_check.c
 * says what is wrong with one, decide_slow.c what of it may leave that is slowed down, and
 * decide_exhaust.c what follows when none is left.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_DECIDE_INSIDE_H
#define ENGINE_DECIDE_INSIDE_H

#include "engine/decide.h"

struct memo_note;
struct pool;
struct rendezvous;

/* A lookup asks for leases of so many candidates; of those behind only what is held counts. */
enum { DECIDE_COLDS_MAX = 3 };

/* One decision on its way. */
struct walk {
    const struct decide_question *question;
    struct decision *decision;
    struct curbs *curbs; /* NULL: nothing is held back, and no meter is scaled */
    bool explain;
    bool avoids;       /* some address refused the message */
    bool asks_engaged; /* an address may take active recipients alone, and it is not */
    bool picky;        /* curbs, avoids, or asks_engaged */
    bool unengaged;    /* and one that takes no such recipient */
    bool here;         /* this host has a candidate */
    bool full;         /* and one without room, or of which that is not known */
    bool held;         /* and one that is held back */
    uint32_t needs[DECISION_METERS]; /* decide_needed() of the candidate that was checked last */
    unsigned colds;                  /* candidates passed over whose caps are being asked about */
    struct candidate common;         /* what account and stream say, whatever the address */
    struct candidate least;          /* of the pool under way: what is better first */
    bool awaited;   /* what is preferred is being asked about: no other one instead */
    bool pool_open; /* some of it are not closed to every message */
    const struct pool
        *preferred; /* question->prefer was looked at first, in that; NULL: it was not */
};

/* Pool number step of the question: its own, then the ladder; NULL behind the end. */
const struct pool *decide_pool_at(const struct decide_question *question, size_t step);

/* walk->needs are the candidate's. */
void decide_choose(struct walk *walk, const struct candidate *candidate);

/* What is noted of the pool: see memo_notes().  NULL: nothing can be. */
struct memo_note *decide_notes(const struct walk *walk, const struct pool *pool);
bool decide_note_holds(const struct walk *walk, const struct memo_note *note);

/* No address was taken: exceed a cap if that is the rule, else say why there is none. */
void decide_exhaust(struct walk *walk);

/* What needs a grant when mail of the question leaves from address: two of its own, two in common.
 */
void decide_needed(const struct decide_question *question, const struct address *address,
                   uint32_t needs[static DECISION_METERS]);

/* Set walk->common. */
void decide_check_common(struct walk *walk);

/* Set the verdict of a candidate, and walk->pool_open if it is of this message alone. */
void decide_check(struct walk *walk, struct candidate *candidate);

/* May it not be taken even when caps do not matter? */
bool decide_is_barred(const struct walk *walk, const struct address *address);

/* Does it take no new messages? */
bool decide_is_drained(const struct walk *walk, const struct address *address);

/* Nothing of the message, for that reason. */
void decide_hold(struct candidate *candidate, enum verdict verdict, enum curb_scope scope,
                 int64_t until_ms);

/* What caps are to be scaled to, percent. */
unsigned decide_part_of(const struct curb *curb);

/* Is the message not of the share that passes in this minute?  Then candidate says so. */
bool decide_thin(const struct decide_question *question, unsigned share, uint64_t seed,
                 enum curb_scope scope, struct candidate *candidate);

/*
 * May it not leave now, of what is slowed down without caps of its own?  Curbs of the address,
 * and of it at the provider and the domain.
 */
bool decide_slow(const struct decide_question *question, const struct curb *at_all,
                 const struct curb *at_provider, const struct curb *at_domain,
                 struct candidate *candidate);

/* A message leaves from there: the next one may later. */
void decide_spend_slow(const struct decide_question *question, const struct address *address);

bool decide_is_avoided(const struct walk *walk, const struct address *address);

/* Does it take recipients alone that were active later? */
bool decide_is_unengaged(const struct walk *walk, const struct address *address);

/* Changes with every event that may open what is closed. */
uint64_t decide_gains(const struct walk *walk);

/* Are all addresses of the block closed to every message?  Then *ret_note says until when. */
bool decide_look_at_block(struct walk *walk, const struct rendezvous *order, size_t block,
                          struct memo_note *ret_note);

#endif
