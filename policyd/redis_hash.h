/*
 * Hashes in Redis, see store_hash(): plain commands, on the connection of the
 * script.  An error of theirs, such as of a Redis that is full, ends nothing;
 * only where the keys are in a Cluster is learnt from it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_HASH_H
#define POLICYD_REDIS_HASH_H

#include "policyd/store.h"

struct redis_store;

enum { REDIS_HASH_FIELDS_MAX = 20000 }; /* of one key; of more nothing is told */

/* The call that is under way. */
struct redis_hash {
    bool busy;
    enum store_hash_what what;
    char why[160];       /* SET: what was wrong with its first command */
    store_hash_fn *done; /* NULL: forgotten */
    void *arg;           /* not ours */
};

bool redis_hash_call(struct redis_store *s, const struct store_hash *wanted, store_hash_fn *done,
                     void *arg);
void redis_hash_forget(struct redis_store *s);

#endif
