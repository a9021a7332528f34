/*
 * Mail that is assumed, for postpool simulate: how much of each stream on each day, at which time
 * of it, to which providers, from how many accounts, and what becomes of it.
 *
 * Made of what stands on the command line; pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ASSUMED_H
#define CTL_ASSUMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct snapshot;
struct stream;
struct week;
struct zone;

enum {
    ASSUMED_ALL = 10000,           /* shares are so many parts of all: hundredths of a percent */
    ASSUMED_COUNT_MAX = 100000000, /* recipients of a stream in its time */
    ASSUMED_ACCOUNTS_MAX = 100000,
    ASSUMED_HOURS = 24,
    ASSUMED_MINUTES = 24 * 60,
    ASSUMED_CURVE_MAX = 1000,
};

enum assumed_per { ASSUMED_HOUR, ASSUMED_DAY, ASSUMED_WEEK };

struct assumed_stream {
    const struct stream *stream; /* not ours */
    uint64_t count;              /* recipients ... */
    enum assumed_per per;        /* ... in each of these in which there is any */
    struct week *when;           /* they come then; NULL: at any time, or in its hours; owned */
    char *when_text;             /* owned; NULL */
    uint32_t accounts;           /* they are from; 0: nobody says */
    uint64_t made;               /* so far, ... */
    uint64_t *made_to;           /* ... by provider.index; owned, NULL: none yet */
};

/* All zero, but snapshot, zone: nothing is assumed yet. */
struct assumed {
    const struct snapshot *snapshot; /* not ours */
    const struct zone *zone;         /* not ours: whose days, and hours of curve; NULL: UTC */
    struct assumed_stream *streams;  /* owned */
    size_t count;
    uint32_t *shares; /* by provider.index, ASSUMED_ALL in all; owned */
    uint32_t curve[ASSUMED_HOURS];
    const char *curve_name;    /* NULL: it is told in numbers */
    uint32_t bounced, refused; /* parts of ASSUMED_ALL; the rest is accepted */
};

void assumed_clear(struct assumed *assumed);

/* "bulk=500000/day,transactional=20000/hour".  Each: 0, or -EINVAL with what is wrong. */
int assumed_volumes(struct assumed *assumed, const char *text, struct err *err);

/* "google=40,microsoft=30.5": percent; the rest is "other".  NULL: the usual shares of those there
 * are. */
int assumed_providers(struct assumed *assumed, const char *text, struct err *err);

/* "day", "even", or 24 numbers with commas between them. */
int assumed_curve(struct assumed *assumed, const char *text, struct err *err);

/* "bulk=mon-fri 09:00-11:00"; its volume is known already, as with accounts: "bulk=50". */
int assumed_when(struct assumed *assumed, const char *text, struct err *err);
int assumed_accounts(struct assumed *assumed, const char *text, struct err *err);

/* "98.5" into parts of ASSUMED_ALL. */
int assumed_percent(const char *text, uint32_t *ret_parts, struct err *err);

/* The day of the calendar at that time, and when the day begins; milliseconds since 1970. */
int32_t assumed_day(const struct assumed *assumed, int64_t at_ms);
int64_t assumed_midnight_ms(const struct assumed *assumed, int32_t day);

/* Called for mail that comes in; key is of the first of count messages. */
typedef int assumed_fn(void *arg, int64_t at_ms, const struct stream *stream, size_t provider,
                       const char *account, uint32_t count);

/*
 * The mail of a day, minute by minute in the order of time; the sum of each stream is exact, on
 * a day or in a week.  What each returns that is not 0 ends it, and is returned.
 */
int assumed_make(struct assumed *assumed, int32_t day, assumed_fn *each, void *arg);

#endif
