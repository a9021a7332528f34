/*
 * Which address does this recipient's mail leave from?
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_DECIDE_H
#define ENGINE_DECIDE_H

#include "engine/curbs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct meters;
struct pool;
struct roster;
struct stream;

/* What a check says of a candidate. */
enum verdict {
    VERDICT_TAKEN,
    VERDICT_NOT_HERE,   /* this host does not have the address */
    VERDICT_ELSEWHERE,  /* it is pinned to another node */
    VERDICT_NOT_ASKED,  /* an earlier one was taken; this would be the next */
    VERDICT_FULL,       /* a cap has no room */
    VERDICT_COLD,       /* whether a cap has room is being asked */
    VERDICT_EXCEEDS,    /* taken although a cap has no room: the pool's rule is "exceed" */
    VERDICT_SUSPENDED,  /* held back: it takes nothing now, or no probe more */
    VERDICT_DRAINED,    /* it takes no new messages */
    VERDICT_SLOWED,     /* it takes a part of what comes, and this message is not of that */
    VERDICT_PACED,      /* it takes one message after the other, and it is not time for the next */
    VERDICT_REFUSED_IT, /* it was refused there, and is not tried again */
    VERDICT_UNENGAGED,  /* it warms up, and takes recipients that were active of late */
};

/* An allowance that is used: of an address that warms up, see engine/warmup.h. */
struct warming {
    const struct address *address; /* NULL: it is none */
    uint32_t recipients, of; /* so many of the allowance may go; less while it is slowed down */
    uint8_t stage, stages;   /* from 1 */
    bool hour;               /* it is that of an hour, not of a day */
    bool at_provider;        /* likewise of it at the recipient's provider, not of all */
};

struct candidate {
    const struct pool *pool;
    const struct address *address; /* NULL: all of the pool, by decide() alone */
    enum verdict verdict;
    uint32_t meter;         /* VERDICT_FULL, _COLD, _EXCEEDS: whose cap; see engine/meters.h */
    enum curb_scope scope;  /* VERDICT_SUSPENDED, _DRAINED, _SLOWED, _PACED: whose curb */
    struct warming warming; /* VERDICT_FULL, _EXCEEDS: when that cap is of a warm-up */
    uint32_t engaged_days;  /* VERDICT_UNENGAGED: within so many days they must have been */
    int64_t room_ms;        /* those, VERDICT_FULL: when it may be better; CURB_NOT_KNOWN */
    int64_t full_ms;        /* VERDICT_FULL: until then nobody need look again ... */
    int64_t sure_ms;        /* ... and nobody who does will hear of an earlier room than that */
};

/* Most candidates that a record names; the rest is counted. */
enum {
    DECISION_CANDIDATES_MAX = 64,
    DECISION_PASSED_MAX = 8,
    DECISION_METERS = 4,
    DECISION_PROVIDER = 1,      /* place of the provider's among them */
    DECISION_COLD_MS = 5,       /* an ask that is older is not worth waiting for */
    DECISION_AWAITED_MS = 2000, /* likewise, of an address that is preferred */
    DECIDE_AVOID_MAX = 3,
    DECIDE_NEVER_ACTIVE = INT32_MAX,
    CANDIDATE_TEXT_SIZE = 256,
};

/* What is to be decided. */
struct decide_question {
    const struct roster *roster;
    const struct stream *stream;
    const struct pool *pool; /* in place of the stream's, for the account's grade; NULL: that */
    uint64_t key;            /* decide_key() */
    struct meters *meters;   /* NULL: there are no caps */
    size_t provider;         /* place of the recipient's provider */
    uint32_t account;        /* number of the account's meter; METERS_NONE */
    int64_t now_ms;          /* of the store's clock */
    bool may_wait;      /* the caller will wait for the store when that may change the choice */
    int32_t quiet_days; /* since the recipient was active; 0 also where nobody knows of any */

    struct curbs *curbs;      /* NULL: nothing is held back anywhere */
    const char *account_name; /* domain of the sender, lower case; NULL or "": none */
    const char *domain;       /* of the recipient, likewise */
    bool no_probe; /* nothing will be spent: what takes probes only is suspended for it */
    const struct address *prefer; /* tried first, if a pool of the stream has it; may be NULL */
    const struct address *avoid[DECIDE_AVOID_MAX]; /* refused this message already; NULLs behind */
};

/* The record of one decision: pointers into the snapshot, not ours. */
struct decision {
    const struct stream *stream;
    const struct pool *pool;       /* where the address is from; NULL: none was left */
    const struct address *address; /* NULL: none was left, the mail is deferred */
    bool exceeds;                  /* address has no room: the pool's rule is "exceed" */
    bool cold; /* one that may have room is passed over: it is being asked about */

    /* Why address is NULL; none of these: this host has none of the addresses. */
    bool full;           /* some have no room under caps; others may be held back */
    bool suspended;      /* all that this host has are held back, or the account is */
    bool refused;        /* each that this host has refused this message, or is drained */
    bool unengaged;      /* the recipient waits for one that is warm: it was not active of late */
    bool held;           /* suspended: it is the account */
    bool slowed;         /* suspended: some are only slowed down */
    bool thinned;        /* some only pass this message over for a minute, and not the next one */
    int64_t room_ms;     /* not before that will it be better, as far as is known; INT64_MAX */
    uint32_t refused_by; /* full: number of a meter that will have room; METERS_NONE: not known */
    uint32_t meters[DECISION_METERS]; /* of what address needs a grant; METERS_NONE: unused */
    /* By decide() those that were passed over, at most DECISION_PASSED_MAX; see there. */
    size_t candidate_count;
    size_t omitted; /* candidates, or blocks of them, that were more */
    struct candidate candidates[DECISION_CANDIDATES_MAX];
};

/*
 * The key of one message and one recipient domain: recipients of a message in
 * one domain stay together, and a retry meets the same address.
 *
 * message: its id from the tag, else its sender.  domain: lower case, or "".
 */
uint64_t decide_key(const char *message, const char *domain);

/*
 * Take the first candidate that every check lets pass: first those of the
 * stream's pool (or question->pool), then those of each pool on its overflow ladder.  Spends
 * nothing, but lets meters know what is wanted.  Of decision->candidates it
 * fills in the first few that it passes over, and a pool of which all is known to
 * be closed as one without an address, so that it costs what the choice costs.
 *
 * An address that warms up takes recipients that were active of late alone, if it is known of
 * any: what others need is one that is warm, and this never exceeds a cap either.
 *
 * What is held back (engine/curbs.h) is passed over, and never exceeds a cap:
 *   suspended, or no probe is left: for all messages
 *   drained: for all but those that prefer it
 *   slowed down: what has caps works with that share of them (meters_scale()); where only the
 *     address has, messages leave as far apart as that share of its caps would have them;
 *     without caps it passes over all but that share of messages, by their keys
 *     and the minute, so that the same message is not asked for twice in vain
 * The order of candidates stays: what moves is the mail of those that are held back.
 *
 * With decision->cold set an answer of the store may make another choice,
 * and the caller may wait for it; or take this one, unless it has may_wait.
 *
 * Where caps are not exceeded, a message does not leave from another address than the one
 * that it prefers only because the store has not told of that yet: there is no room for it
 * meanwhile, for DECISION_AWAITED_MS at most.
 *
 * Costs the same with any number of addresses: what is full is noted in the
 * roster's memo, in blocks, and looked at again when a note is over.  A look at
 * all of it takes about 60 ns for each address.  Until then room_ms may be
 * earlier than a fresh look would say; nothing else differs.
 */
void decide(const struct decide_question *question, struct decision *ret_decision);

/*
 * The same choice, with the record of every candidate and why; meters hear
 * nothing of it.  One whose caps nothing is known of is taken, with cold set.
 */
void decide_explained(const struct decide_question *question, struct decision *ret_decision);

/* Spend the grants of the decision's address, and its probes.  Same question, same moment. */
void decide_spend(const struct decide_question *question, const struct decision *decision);

/* "taken", "this host does not have the address", ... */
const char *verdict_text(enum verdict verdict);

/*
 * The same of a candidate; of one whose allowance is used, "warming up: stage 3 of 14, 300
 * recipients a day are used", written to text.
 */
const char *candidate_text(const struct candidate *candidate,
                           char text[static CANDIDATE_TEXT_SIZE]);

#endif
