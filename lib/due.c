/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/due.h"

#include "engine/snapshot.h"
#include "engine/week.h"
#include "engine/zone.h"
#include "lib/tag.h"

#include <time.h>

int64_t
due_ends_ms(const struct stream *stream, const char *message_id, int64_t now_ms)
{
    int64_t came_s;

    if (stream->deadline_ms == 0)
        return INT64_MAX;
    came_s = tag_time_s(message_id, now_ms / 1000);
    return came_s >= 0 ? (came_s + 1) * 1000 + stream->deadline_ms : INT64_MAX;
}

int64_t
due_opens_ms(const struct stream *stream, int64_t now_ms)
{
    int64_t now_s = now_ms / 1000, next_s;

    if (stream->hours == NULL)
        return now_ms;
    next_s = week_next_s(stream->hours, stream->zone, now_s);
    return next_s > now_s ? next_s * 1000 : now_ms;
}

const char *
due_print(const struct stream *stream, int64_t at_ms, char out[static DUE_TEXT_SIZE])
{
    int64_t until_s, at_s = at_ms / 1000;
    time_t local = (time_t)(at_s + zone_offset_s(stream->zone, at_s, &until_s));
    struct tm tm;

    gmtime_r(&local, &tm);
    strftime(out, DUE_TEXT_SIZE, "%Y-%m-%d %H:%M", &tm);
    return out;
}
