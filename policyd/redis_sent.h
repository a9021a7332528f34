/*
 * Commands that were sent to Redis on one connection, and have no answer yet.
 *
 * Each is told of exactly once: its answer, or that the connection is lost.
 * hiredis has a command until it called back, whatever became of the
 * connection's owner.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_SENT_H
#define POLICYD_REDIS_SENT_H

#include "policyd/redis_link.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct redisAsyncContext;
struct sent;

TAILQ_HEAD(redis_sent, sent);

void redis_sent_init(struct redis_sent *sent);

/* ac: the connection; if it is NULL, or ending, the command is lost with the rest. */
void redis_sent_command(struct redis_sent *sent, struct redisAsyncContext *ac,
                        const struct redis_args *args, redis_link_done_fn *done, void *arg);

/* A command of words, the last one NULL. */
void redis_sent_words(struct redis_sent *sent, struct redisAsyncContext *ac,
                      redis_link_done_fn *done, void *arg, ...) __attribute__((sentinel));

/* The connection is lost: all hear so, in their order. */
void redis_sent_lose(struct redis_sent *sent);

/* Nobody wants to hear of them any more. */
void redis_sent_mute(struct redis_sent *sent);

bool redis_sent_is_empty(const struct redis_sent *sent);

/* For how long the oldest has waited; 0: none does. */
int64_t redis_sent_age_ms(const struct redis_sent *sent);

#endif
