/*
 * When lines of a log were written, where they do not tell the year or the time zone.  Pure.
 *
 * The first line is the newest that it can be and not later than its file was last written; each
 * further one is the nearest to the one before.  What is from before there was Postfix, or from ten
 * years and more ahead, is no time: a host that had none yet wrote it, or somebody made it up, and
 * all the years up to it would be gone through.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_LOGTIME_H
#define CTL_LOGTIME_H

#include <stdbool.h>
#include <stdint.h>

struct maillog_time;
struct zone;

struct logtime {
    const struct zone *zone; /* not ours: whose clock wrote it; NULL: UTC */
    bool known;
    int64_t near_ms;
    int64_t latest_ms; /* what is later is no time */
    int32_t offset_s;  /* holds from UTC from_s, until until_s */
    int64_t from_s, until_s;
};

void logtime_init(struct logtime *logtime, const struct zone *zone);

/* A file begins, which was last written then; where that is no time, as copies may have, now. */
void logtime_file(struct logtime *logtime, int64_t written_ms, int64_t now_ms);

/* Milliseconds since 1970; -1: it is no time. */
int64_t logtime_ms(struct logtime *logtime, const struct maillog_time *time);

#endif
