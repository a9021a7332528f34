/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/bucket.h"

enum { SECOND_US = 1000 * 1000 };

int64_t
bucket_when_ms(const struct bucket *bucket, int per_second, int burst, int64_t now_ms)
{
    int64_t step_us = SECOND_US / per_second;
    int64_t when_us = bucket->spent_us - (burst - 1) * step_us;

    return when_us > now_ms * 1000 ? (when_us + 999) / 1000 : now_ms;
}

bool
bucket_take(struct bucket *bucket, int per_second, int burst, int64_t now_ms)
{
    if (bucket_when_ms(bucket, per_second, burst, now_ms) > now_ms)
        return false;
    if (bucket->spent_us < now_ms * 1000)
        bucket->spent_us = now_ms * 1000;
    bucket->spent_us += SECOND_US / per_second;
    return true;
}
