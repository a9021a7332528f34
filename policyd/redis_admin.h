/*
 * What an admin orders of the Redis: forget the uses of a key, or a node.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_ADMIN_H
#define POLICYD_REDIS_ADMIN_H

#include "policyd/store.h"

#include <stddef.h>
#include <sys/queue.h>

struct forgetting;
struct redis_store;
struct reset;

struct redis_admin {
    TAILQ_HEAD(, reset) resets;
    size_t reset_count;
    LIST_HEAD(, forgetting) forgettings;
};

void redis_admin_init(struct redis_store *s);
void redis_admin_clear(struct redis_store *s); /* the link is closed by then */

/* See store_reset(): it waits for the store. */
void redis_admin_reset(struct redis_store *s, const char *key);

/* Send the resets that wait. */
void redis_admin_flush(struct redis_store *s);

/* See store_forget(): while the store is away, it is refused. */
void redis_admin_forget(struct redis_store *s, const char *node, store_forgotten_fn *done,
                        void *arg);

#endif
