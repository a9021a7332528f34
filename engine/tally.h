/*
 * What happened to some mail, counted: sent, deferred and bounced by whom the
 * reply accused, how long delivery took, and what came back later.  A value; sums of sums are sums.
 *
 * Delays are kept in buckets of a logarithmic scale: the first is all below 100
 * ms, each of the others goes up to twice the one before, the last has no end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_TALLY_H
#define ENGINE_TALLY_H

#include <stdint.h>

enum {
    TALLY_CLASSES = 9,       /* enum accused in lib/replies.h; the last: no rule fits */
    TALLY_DELAYS = 24,       /* buckets; the last begins at 4.9 days */
    TALLY_DELAY_FIRST = 100, /* ms; bucket i > 0 ends below TALLY_DELAY_FIRST << i */
};

/* Places in a tally. */
enum tally_counter {
    TALLY_SENT,
    TALLY_FULL,                                     /* deferred for want of room under the caps */
    TALLY_RESCUED,                                  /* deferred, and would have bounced */
    TALLY_DEFERRED,                                 /* all of these, by class */
    TALLY_BOUNCED = TALLY_DEFERRED + TALLY_CLASSES, /* by class */
    TALLY_DELAY = TALLY_BOUNCED + TALLY_CLASSES,    /* of what was sent, by bucket */
    TALLY_COMPLAINTS = TALLY_DELAY + TALLY_DELAYS,  /* of recipients of what was sent */
    TALLY_RETURNED, /* sent, and bounced later by a server that had taken it */
    TALLY_COUNTERS,
};

struct tally {
    uint64_t counts[TALLY_COUNTERS];
};

/* The bucket of a delay; what is negative is the first's. */
int tally_delay_bucket(int64_t ms);

void tally_add(struct tally *tally, const struct tally *more);

uint64_t tally_deferred(const struct tally *tally); /* of all classes */
uint64_t tally_bounced(const struct tally *tally);
uint64_t tally_tried(const struct tally *tally); /* sent, deferred and bounced */

/*
 * The delay that so many percent of what was sent did not exceed, milliseconds: within its bucket
 * by even distribution on the logarithmic scale.  -1: nothing was sent.  In the last bucket its
 * beginning.
 */
int64_t tally_delay_ms(const struct tally *tally, int percent);

/* The other way: the share of what was sent that took no longer than that, 0 to 1.  -1: likewise.
 */
double tally_share_within(const struct tally *tally, int64_t ms);

#endif
