/*
 * What is wrong with how mail is spread over addresses, as the numbers of some
 * days tell: kinds of mail that spoil each other's reputation, addresses that
 * have too little mail to get one, and one sender that is most of what others
 * share.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_ADVICE_H
#define ENGINE_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ADVICE_DAYS = 30,             /* the numbers are of so many days, or fewer */
    ADVICE_DAYS_MIN = 7,          /* fewer tell nothing of how much mail there is */
    ADVICE_MIX_PERCENT = 5,       /* less than that of an address' mail spoils nothing ... */
    ADVICE_MIX_MIN = 100,         /* ... nor do so few messages */
    ADVICE_PROVIDER_PERCENT = 10, /* of a pool's mail: what goes to smaller ones is always little */
    ADVICE_SHARER_PERCENT = 1,    /* of a pool's mail: who has less does not count as sharing it */
    ADVICE_SHARERS_MIN = 2,       /* beside the largest one */
    ADVICE_SHARED_MIN = 1000,     /* messages of a pool: fewer tell nothing */
};

/* So many messages of one name were sent. */
struct advice_part {
    const char *name; /* not ours */
    uint64_t sent;
};

struct advice_thin {
    const char *provider;
    uint64_t per_month; /* of the pool at it */
    uint64_t each;      /* of one address */
    size_t enough; /* so many addresses would have enough; 1: even one has not, but it is best */
};

struct advice_most {
    const char *account;
    unsigned percent; /* of the pool's mail */
    uint64_t sent;
    size_t sharers; /* others with ADVICE_SHARER_PERCENT or more */
};

/* Whole percents, rounded down; of nothing: 0. */
unsigned advice_percent(uint64_t part, uint64_t all);

/*
 * Does an address send different kinds of mail?  kinds: each once or several times; they are added
 * up, sorted, the largest first, and those that do not matter are left out.  Returns how many stay;
 * fewer than two: it does not.
 */
size_t advice_mix(struct advice_part *kinds, size_t count, uint64_t *ret_all);

/*
 * Do a pool's addresses get less than least a month at a provider?  parts: what was sent in days to
 * each provider; other: the name of the one that is none.  Told is the one with most mail of which
 * that holds.  An address alone cannot have more than there is.
 */
bool advice_is_thin(const struct advice_part *parts, size_t count, const char *other,
                    size_t addresses, int days, uint64_t least, struct advice_thin *ret_thin);

/*
 * Is more than percent of the mail of a pool that several share one account's?  parts: the largest
 * accounts; all: what the pool sent.  The null sender, "", is no account.
 */
bool advice_is_most(const struct advice_part *parts, size_t count, uint64_t all, unsigned percent,
                    struct advice_most *ret_most);

#endif
