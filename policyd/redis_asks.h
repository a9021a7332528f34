/*
 * Asks of the books, on their way: waiting -> sent -> (durable: until a
 * replica has it) -> written to the journal -> answered.
 *
 * At a loss of the connection what was sent waits again; the script carries
 * nothing out twice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_ASKS_H
#define POLICYD_REDIS_ASKS_H

#include "engine/book.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct ask;
struct redis_store;
struct unused;

TAILQ_HEAD(asks, ask);

struct redis_asks {
    struct asks waiting;
    struct asks busy;
    size_t in_flight;
    TAILQ_HEAD(, unused) unused;

    /* durable: */
    bool waiting_ack; /* WAIT is under way */
    bool acked;       /* the last one found a replica */
    bool unacked_said;
    int64_t round_ms; /* when the first call before it was sent */
};

void redis_asks_init(struct redis_store *s);
void redis_asks_clear(struct redis_store *s); /* the journal and the link are closed by then */

/* See store_ask(). */
void redis_asks_add(struct redis_store *s, const char *key, const struct caps *caps,
                    const struct book_ask *ask);

/* Send what waits, if it can be. */
void redis_asks_flush(struct redis_store *s);

/* The connection is lost: what no replica has waits again. */
void redis_asks_lost(struct redis_store *s);

/* A life is over: nobody wants the answers. */
void redis_asks_forget(struct redis_store *s);

/* Durable: ask whether a replica has all since sent_ms; else nothing. */
void redis_asks_send_wait(struct redis_store *s, int64_t sent_ms);

#endif
