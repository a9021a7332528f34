/*
 * Which address does this recipient's mail leave from?
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_DECIDE_H
#define ENGINE_DECIDE_H

#include <stddef.h>
#include <stdint.h>

struct address;
struct pool;
struct roster;
struct stream;

/* What a check says of a candidate. */
enum verdict {
    VERDICT_TAKEN,
    VERDICT_NOT_HERE,  /* this host does not have the address */
    VERDICT_NOT_ASKED, /* an earlier one was taken; this would be the next */
};

struct candidate {
    const struct pool *pool;
    const struct address *address;
    enum verdict verdict;
};

/* Most candidates that a record names; the rest is counted. */
enum { DECISION_CANDIDATES_MAX = 64 };

/* The record of one decision: pointers into the snapshot, not ours. */
struct decision {
    const struct stream *stream;
    const struct pool *pool;       /* where the address is from; NULL: none was left */
    const struct address *address; /* NULL: none was left, the mail is deferred */
    size_t candidate_count;        /* filled only by decide_explained() */
    size_t omitted;                /* candidates beyond DECISION_CANDIDATES_MAX */
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
 * stream's pool, then those of each pool on its overflow ladder.  Does not
 * touch decision->candidates, so that it costs what the choice costs.
 */
void decide(const struct roster *roster, const struct stream *stream, uint64_t key,
            struct decision *ret_decision);

/* The same choice, with the record of every candidate and why. */
void decide_explained(const struct roster *roster, const struct stream *stream, uint64_t key,
                      struct decision *ret_decision);

/* "taken", "this host does not have the address", ... */
const char *verdict_text(enum verdict verdict);

#endif
