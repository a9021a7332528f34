/*
 * How many addresses does a pool need, so that the most mail that ever came for it has room at
 * once under their caps?
 *
 * By the caps of the configuration, each address as the average of those that the pool has, and
 * warm: what a warm-up leaves of them is for its calendar to say.  Mail is taken to come evenly
 * within a minute, and outside the hours of its stream as they begin.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_NEED_H
#define ENGINE_NEED_H

#include <stddef.h>
#include <stdint.h>

struct cap;
struct pool;
struct provider;
struct world;

struct need {
    size_t addresses;                /* 0: no mail came for it */
    uint64_t peak;                   /* recipients in the window of cap; of a day without one */
    const struct cap *cap;           /* that asks for most; NULL: none limits it */
    const struct provider *provider; /* whose cap it is; NULL: the addresses' own */
};

struct need need_of(const struct world *world, const struct pool *pool);

#endif
