/*
 * What the file of hours adds up to, by one of the things that mail is told
 * apart by: of this host, and of those that show it their pages.  Blocks, as the
 * file does.
 *
 * Hosts on one store suspend together.  So of a suspension that several counted
 * the longest time in an hour counts, not their sum.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_SUMS_H
#define POLICYD_HOURS_SUMS_H

#include "engine/tally.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct hours_file;

enum hours_by {
    HOURS_BY_ADDRESS,
    HOURS_BY_STREAM,
    HOURS_BY_PROVIDER,
    HOURS_BY_ACCOUNT,
    HOURS_BY_POOL,
    HOURS_BY_HOUR,
    HOURS_BY_NODE,
    HOURS_BYS,
};

enum { HOURS_SUMS_MAX = 2500 }; /* lines; all hours of 90 days are fewer */

struct hours_sum {
    char *name;   /* owned; "": no address, or the null sender */
    int64_t hour; /* HOURS_BY_HOUR */
    struct tally tally;
    /*
     * HOURS_BY_ADDRESS: as a whole.  HOURS_BY_PROVIDER: of all addresses at it.  HOURS_BY_HOUR: of
     * all addresses, both ways.  The others: 0.
     */
    int64_t suspended_ms;
};

struct hours_sums {
    struct hours_sum *items; /* owned; what has most mail first; hours in their order, the newest */
    size_t count;
    size_t omitted;             /* how many more there are ... */
    struct hours_sum remainder; /* ... and what they add up to */
    struct hours_sum total;
};

/* What is summed up. */
struct hours_scope {
    int64_t from, to; /* hours; the first and the last among them */
    const char *me;   /* this host's name; not ours */
    const char *node; /* that host alone; NULL: all; not ours */
};

int hours_sums_read(struct hours_file *file, enum hours_by by, const struct hours_scope *scope,
                    struct hours_sums *ret_sums, struct err *err);
void hours_sums_clear(struct hours_sums *sums);

/*
 * What was sent, by two things: rows of one first come together, the largest of them first.  Of
 * HOURS_STREAM_UNMET messages without what their stream requires, TALLIES_UNMET.
 */
enum hours_pair {
    HOURS_ADDRESS_STREAM,
    HOURS_POOL_PROVIDER,
    HOURS_POOL_ACCOUNT,
    HOURS_STREAM_UNMET,
};

/* The names are gone when it returns. */
typedef void hours_pair_fn(void *arg, const char *first, const char *second, uint64_t count);

int hours_sums_pairs(struct hours_file *file, enum hours_pair pair, const struct hours_scope *scope,
                     hours_pair_fn *each, void *arg, struct err *err);

/* The oldest hour that is kept of mail from pool, NULL: of all; -1: none is. */
int hours_sums_oldest(struct hours_file *file, const char *pool, int64_t *ret_hour,
                      struct err *err);

/* "address", "stream" and so on; NULL behind the last. */
const char *hours_by_text(enum hours_by by);
bool hours_by_parse(const char *text, enum hours_by *ret_by);

#endif
