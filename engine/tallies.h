/*
 * Tallies by hour and by what the mail was: what is to be added to those that
 * are kept, until somebody keeps it.
 *
 * Bounded: there are TALLIES_MAX at most, and of accounts as many an hour as
 * asked for; the mail of the others is counted together.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_TALLIES_H
#define ENGINE_TALLIES_H

#include "engine/tally.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TALLIES_MAX = 30 * 1000, /* about 20 MB */
    TALLIES_NAMES = 4,
    TALLIES_NAME_MAX = 255, /* characters; what is longer is cut */
    TALLIES_HOUR_MS = 3600 * 1000,
};

/* The account that stands for those that are too many. */
#define TALLIES_OTHERS "*"

/* What they are told apart by, beside the hour; names in this order. */
enum tallies_kind {
    TALLIES_MAIL,      /* stream, pool, address ("": none), provider */
    TALLIES_ACCOUNTS,  /* account, stream, pool */
    TALLIES_SUSPENDED, /* address, provider ("": all); counts[0] is milliseconds */
    TALLIES_UNMET,     /* stream, what it requires; counts[0] is messages without that */
    TALLIES_KINDS,
};

struct tallies;

/* One of them. */
struct tallies_cell {
    enum tallies_kind kind;
    int64_t hour; /* since 1970 */
    const char *names[TALLIES_NAMES];
    struct tally tally;
};

/* accounts: most TALLIES_ACCOUNTS in one hour.  NULL only without memory. */
struct tallies *tallies_new(size_t accounts);
void tallies_free(struct tallies *tallies); /* takes NULL */

/*
 * The tally of that kind, hour and names, made where it was not there.  A name that is NULL is "".
 * NULL: there are TALLIES_MAX, or no memory.
 */
struct tally *tallies_at(struct tallies *tallies, enum tallies_kind kind, int64_t hour,
                         const char *const names[static TALLIES_NAMES]);

size_t tallies_count(const struct tallies *tallies);

/* One after the other, 0 to count - 1. */
const struct tallies_cell *tallies_get(const struct tallies *tallies, size_t i);

#endif
