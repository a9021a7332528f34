/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/logtime.h"

#include "engine/zone.h"
#include "lib/maillog.h"

static const int64_t day_ms = 86400 * 1000;

/* The nearest to that is less than a year before the file was written, and no more than a day
 * after. */
enum { HALF_A_YEAR = 181, TEN_YEARS = 3652 };

#define EARLIEST_MS (INT64_C(883612800) * 1000) /* 1998-01-01 */

void
logtime_init(struct logtime *logtime, const struct zone *zone)
{
    *logtime = (struct logtime){.zone = zone, .latest_ms = INT64_MAX};
}

void
logtime_file(struct logtime *logtime, int64_t written_ms, int64_t now_ms)
{
    if (written_ms < EARLIEST_MS)
        written_ms = now_ms;
    logtime->latest_ms = (written_ms > now_ms ? written_ms : now_ms) + TEN_YEARS * day_ms;
    if (!logtime->known)
        logtime->near_ms = written_ms - HALF_A_YEAR * day_ms;
}

/* How far the clock on the wall was from UTC when it showed that. */
static int32_t
offset_s(struct logtime *logtime, int64_t wall_s)
{
    int64_t at_s = wall_s - logtime->offset_s;

    if (at_s < logtime->from_s || at_s >= logtime->until_s) {
        at_s = wall_s - zone_offset_s(logtime->zone, wall_s, &logtime->until_s);
        logtime->offset_s = zone_offset_s(logtime->zone, at_s, &logtime->until_s);
        logtime->from_s = at_s;
    }
    return logtime->offset_s;
}

int64_t
logtime_ms(struct logtime *logtime, const struct maillog_time *time)
{
    int64_t ms = maillog_time_ms(time, logtime->near_ms, 0);

    if (ms < 0)
        return -1;
    if (!time->has_offset)
        ms -= (int64_t)offset_s(logtime, ms / 1000) * 1000;
    if (ms < EARLIEST_MS || ms > logtime->latest_ms)
        return -1;
    logtime->known = true;
    logtime->near_ms = ms;
    return ms;
}
