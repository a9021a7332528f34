/*
 * The inside of postpool simulate: simulate.c has its options and runs it, simulate_show.c prints
 * what was assumed and what came of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_SIMULATE_H
#define CTL_SIMULATE_H

#include "ctl/assumed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct conf;
struct warmup;
struct world;

enum { SIMULATE_BLOCKS_MAX = 100 };

/* An address that is to be blocked, once. */
struct simulate_block {
    const struct address *address; /* not ours */
    int32_t day;
};

struct simulation {
    struct conf *conf; /* owned, as are the others */
    struct assumed assumed;
    struct world *world;
    bool now;
    struct warmup *warmups; /* by address.index; NULL: they begin anew */
    struct simulate_block blocks[SIMULATE_BLOCKS_MAX];
    size_t block_count;
    int32_t first_day;
    int days;
    int64_t lifetime_ms;
    uint64_t seed;
    uint64_t messages, results; /* so far */
    int64_t told_ms;            /* progress */
};

/* To standard output.  Returns an exit status. */
int simulate_show(const struct simulation *simulation, bool json);

#endif
