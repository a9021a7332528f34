/*
 * Hours of a week in which something may be done: "mon-fri 08:00-20:00, sat 10:00-14:00".
 *
 * Times are those of the clock on the wall, from a range's beginning to its end
 * without that; one that ends where it begins or before goes on into the next day,
 * "22:00-06:00".  A range without days is of every day, or of those that the one before it has.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WEEK_H
#define ENGINE_WEEK_H

#include <stddef.h>
#include <stdint.h>

enum { WEEK_RANGES_MAX = 64 };

struct zone;

/* Minutes since Monday, 00:00; to is not in it. */
struct week_range {
    uint16_t from, to;
};

struct week {
    size_t count;
    struct week_range ranges[WEEK_RANGES_MAX]; /* in their order, none touches the next */
};

/* NULL: it is read; else what is wrong with the text, and *ret_week is untouched. */
const char *week_parse(const char *text, struct week *ret_week);

/*
 * When the hours next include the time, by the clocks of that zone: at_s, or later.  What a clock
 * that is put forward passes over is not there on that day; what it shows twice is there twice.
 */
int64_t week_next_s(const struct week *week, const struct zone *zone, int64_t at_s);

#endif
