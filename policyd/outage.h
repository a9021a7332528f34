/*
 * Saying in the log when something that is asked often goes away, and when it
 * is back; not each time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_OUTAGE_H
#define POLICYD_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

/* The caller sets the first three, zero for the rest. */
struct outage {
    const char *what;        /* not ours; "DNS" */
    const char *consequence; /* not ours */
    uint64_t tolerated;      /* failures in a row that are not worth a word */
    uint64_t failures;       /* in a row */
    int64_t since_ms;        /* the first of them */
    bool said;
};

/* It failed once more; why is said when this makes it an outage. */
void outage_fail(struct outage *outage, int64_t now_ms, const char *why);

/* It went well. */
void outage_end(struct outage *outage, int64_t now_ms);

#endif
