/*
 * Putting this node's rows back into a Redis that may not have them, from the
 * journal; then it confirms that all are there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_RESTATE_H
#define POLICYD_REDIS_RESTATE_H

#include "policyd/redis_link.h"

#include <stdint.h>

struct journal_row;
struct redis_store;

/* Begin, for that generation of the data, unless it is under way. */
void redis_restate_begin(struct redis_store *s, int64_t generation);
void redis_restate_stop(struct redis_store *s);

/* Put one row back. */
void redis_restate_send(struct redis_store *s, const struct journal_row *row,
                        redis_link_done_fn *done, void *arg);

#endif
