/*
 * A connection to the Redis that is to be written to, kept up.
 *
 * It finds the master through Sentinels where there are any, logs in, makes
 * sure that it speaks to a master, and follows a Cluster's redirections when
 * told to.  What goes wrong ends the connection, with on_lost; another one is
 * tried after a while, longer each time until redis_link_settle().  A command
 * that has no answer after REDIS_LINK_ANSWER_MS ends it, too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_LINK_H
#define POLICYD_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct event_base;
struct redis_args;
struct redis_link;
struct redisReply;

enum { REDIS_LINK_ANSWER_MS = 2000 };

struct redis_link_events {
    void (*on_ready)(void *arg, const char *run_id); /* of the Redis it is */
    void (*on_lost)(void *arg, const char *why);     /* also for each attempt that failed */
    void *arg;                                       /* not ours */
};

/*
 * Called exactly once for each redis_link_call(), never from inside it.
 *
 * reply belongs to the link and is gone when the callback returns.  It is
 * NULL when the connection was lost; before on_lost is called, that is.
 */
typedef void redis_link_done_fn(void *arg, const struct redisReply *reply);

/* The first attempt is made from the loop. */
struct redis_link *redis_link_new(struct event_base *base, const struct conf *conf,
                                  const struct redis_link_events *events);

/* Takes NULL.  Open calls hear nothing more: their callers are going away, too. */
void redis_link_free(struct redis_link *link);

/* Only between on_ready and on_lost; else the call is lost at the next turn of the loop. */
void redis_link_call(struct redis_link *link, const struct redis_args *args,
                     redis_link_done_fn *done, void *arg);

/* End the connection, because of why, and connect again later. */
void redis_link_drop(struct redis_link *link, const char *why);

/* Everything is well: the next attempt after a loss comes soon. */
void redis_link_settle(struct redis_link *link);

/*
 * A Cluster says that our keys are at host:port ("" host: the same one): go
 * there.  asking: they are only on their way.
 */
void redis_link_move(struct redis_link *link, const char *where, bool asking);

/* What we speak to, without a password; valid until the link changes. */
const char *redis_link_where(const struct redis_link *link);

/* Wait for all that was sent, but no longer than most_ms; for the last words of a program. */
void redis_link_flush(struct redis_link *link, int most_ms);

#endif
