/*
 * Records in Redis: see store_put().  This node keeps a copy of all, so that it
 * hears of what others change, and puts back what a Redis has lost.
 *
 * Every answer of the script tells the highest version that there is; when that
 * moved, those above the last one that is known here are fetched.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_RECORDS_H
#define POLICYD_REDIS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct known_record;
struct record_put;
struct redis_answer;
struct redis_store;
struct waiting_put;

enum { REDIS_RECORDS_BUCKETS = 1024 };

struct redis_records {
    LIST_HEAD(, known_record) known[REDIS_RECORDS_BUCKETS];
    size_t known_count;
    TAILQ_HEAD(, waiting_put) puts; /* those that are sent among them */
    uint64_t since;                 /* all up to that version are known */
    uint64_t there;                 /* the highest version, as the last answer told */
    int64_t generation;             /* of Redis, when they were fetched last */
    int64_t generation_there;
    bool fetching;
    int64_t fetch_ms; /* when it was sent */
    size_t restoring; /* puts that put back */
    bool told;        /* that all of the start are told */
};

void redis_records_init(struct redis_store *s);
void redis_records_clear(struct redis_store *s); /* the link is closed by then */

/* put becomes ours. */
void redis_records_put(struct redis_store *s, struct record_put *put);

/* An answer was read. */
void redis_records_note(struct redis_store *s, const struct redis_answer *answer);

/* Send what waits, and fetch what is new, if it can be. */
void redis_records_flush(struct redis_store *s);

#endif
