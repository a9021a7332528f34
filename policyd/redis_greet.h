/*
 * The first words on a new connection: log in, see who it is, and that it is
 * a master; or ask a Sentinel for the master.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_GREET_H
#define POLICYD_REDIS_GREET_H

#include <stdint.h>

struct redis_sent;
struct redis_url;
struct redisAsyncContext;

enum { REDIS_RUN_ID_MAX = 64 };

/*
 * One of the three is called, once, unless the connection is lost before; for
 * on_fail it is to be ended.
 */
struct redis_greet {
    void (*on_ready)(void *arg, const char *run_id);
    void (*on_master)(void *arg, const char *host, uint16_t port);
    void (*on_fail)(void *arg, const char *why);
    void *arg; /* not ours */
    char run_id[REDIS_RUN_ID_MAX + 1];
};

void redis_greet(struct redis_greet *greet, struct redis_sent *sent, struct redisAsyncContext *ac,
                 const struct redis_url *url);
void redis_greet_sentinel(struct redis_greet *greet, struct redis_sent *sent,
                          struct redisAsyncContext *ac, const char *master);

#endif
