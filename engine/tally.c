/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/tally.h"

#include <math.h>

int
tally_delay_bucket(int64_t ms)
{
    int bucket = 0;

    while (bucket < TALLY_DELAYS - 1 && ms >= (int64_t)TALLY_DELAY_FIRST << bucket)
        bucket++;
    return bucket;
}

void
tally_add(struct tally *tally, const struct tally *more)
{
    for (int i = 0; i < TALLY_COUNTERS; i++)
        tally->counts[i] += more->counts[i];
}

static uint64_t
sum(const struct tally *tally, int first, int count)
{
    uint64_t all = 0;

    for (int i = first; i < first + count; i++)
        all += tally->counts[i];
    return all;
}

uint64_t
tally_deferred(const struct tally *tally)
{
    return sum(tally, TALLY_DEFERRED, TALLY_CLASSES);
}

uint64_t
tally_bounced(const struct tally *tally)
{
    return sum(tally, TALLY_BOUNCED, TALLY_CLASSES);
}

uint64_t
tally_tried(const struct tally *tally)
{
    return tally->counts[TALLY_SENT] + tally_deferred(tally) + tally_bounced(tally);
}

/* The delay at a share of a bucket, 0 to 1. */
static int64_t
within(int bucket, double share)
{
    double end = (double)((int64_t)TALLY_DELAY_FIRST << bucket);

    if (bucket == 0)
        return (int64_t)(share * end);
    return (int64_t)(end / 2 * exp2(bucket == TALLY_DELAYS - 1 ? 0 : share));
}

int64_t
tally_delay_ms(const struct tally *tally, int percent)
{
    const uint64_t *delays = &tally->counts[TALLY_DELAY];
    uint64_t all = sum(tally, TALLY_DELAY, TALLY_DELAYS);
    double wanted = (double)all * percent / 100, below = 0;

    for (int i = 0; i < TALLY_DELAYS && all > 0; i++) {
        if (delays[i] > 0 && below + (double)delays[i] >= wanted)
            return within(i, (wanted - below) / (double)delays[i]);
        below += (double)delays[i];
    }
    return -1;
}

double
tally_share_within(const struct tally *tally, int64_t ms)
{
    const uint64_t *delays = &tally->counts[TALLY_DELAY];
    uint64_t all = sum(tally, TALLY_DELAY, TALLY_DELAYS);
    int bucket = tally_delay_bucket(ms);
    double end = (double)((int64_t)TALLY_DELAY_FIRST << bucket);
    double part = bucket == 0                  ? (double)ms / end
                  : bucket == TALLY_DELAYS - 1 ? 1
                                               : log2((double)ms / end) + 1;

    if (all == 0)
        return -1;
    return ((double)sum(tally, TALLY_DELAY, bucket) + part * (double)delays[bucket]) / (double)all;
}
