/*
 * Calls of the script, as the store makes them: its arguments, its clock,
 * what is to be done about an error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_OP_H
#define POLICYD_REDIS_OP_H

#include "policyd/redis_link.h"
#include "policyd/redis_script.h"

struct redis_store;

/* Is the connection there, and the script? */
bool redis_op_is_ready(const struct redis_store *s);

/* Begin a call; what is special to op goes behind it.  key: of a book, NULL: none. */
void redis_op_begin(const struct redis_store *s, struct redis_args *args, const char *op,
                    const char *key);
void redis_op_begin_ask(const struct redis_store *s, struct redis_args *args, const char *key,
                        const struct caps *caps, const struct book_ask *ask);

/* Send it; args are empty then.  done: see redis_link_call(). */
void redis_op_send(struct redis_store *s, struct redis_args *args, redis_link_done_fn *done,
                   void *arg);

/*
 * The answer to a call that was sent at sent_ms, by the boot clock.  False:
 * nothing was carried out, and what is to be done about it is.
 */
bool redis_op_read(struct redis_store *s, const struct redisReply *reply, int64_t sent_ms,
                   struct redis_answer *ret_answer);

/* An error that Redis told: load the script, follow a Cluster, wait, or end the connection. */
void redis_op_error(struct redis_store *s, const char *text);

/* Load the script; a beat follows. */
void redis_op_load(struct redis_store *s);

/* For s->pause: go on. */
void redis_op_on_pause(int fd, short what, void *arg);

#endif
