/*
 * "explain" on the control socket: the decision as it would fall now, with the
 * room that caps have, and what is held back.  Nothing is spent or asked for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_EXPLAIN_H
#define POLICYD_EXPLAIN_H

#include <stdint.h>

struct breakers;
struct buf;
struct curbs;
struct engagements;
struct mx;
struct roster;
struct standings;
struct volume;

/* Nothing is ours; mx may be NULL. */
struct explain {
    const struct roster *roster;
    struct volume *volume;
    struct mx *mx;
    struct curbs *curbs;
    struct breakers *breakers;   /* who know why */
    struct standings *standings; /* NULL: accounts have no grades */
    const struct engagements *engagements;
    int32_t today;
};

/*
 * arguments: "STREAM KEY DOMAIN ACCOUNT SENDER HASH DAY [json]": the stream's name, the
 * key of decide_key() in hexadecimal, the recipient's domain or "-", the account
 * whose caps count or "-", the sender's domain or "-", engagement_hash() of the
 * recipient in hexadecimal, the day of its hint or TAG_NO_DAY.  The answer is text, or the
 * members of a JSON object; it begins with the account's grade, and the pool, where the
 * stream has pools for grades.
 */
void explain_answer(const struct explain *explain, const char *arguments, struct buf *answer);

#endif
