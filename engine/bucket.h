/*
 * A rate that is kept to: so many in a second, and no more than some at once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_BUCKET_H
#define ENGINE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: full. */
struct bucket {
    int64_t spent_us; /* what was taken lasts until then */
};

/* When there is one to take, no earlier than now_ms.  per_second and burst are at least 1. */
int64_t bucket_when_ms(const struct bucket *bucket, int per_second, int burst, int64_t now_ms);

/* Take one, if there is one. */
bool bucket_take(struct bucket *bucket, int per_second, int burst, int64_t now_ms);

#endif
