/*
 * What accounts are graded by: results of deliveries, and complaints.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/standings_inside.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/reported.h"

#include <stdio.h>

struct standing_figures *
standings_figures(struct standings *standings, struct standings_item *item, int32_t day)
{
    int32_t today = standings_day(standings_now_s(standings));

    if (item->days[0].day - today > STANDING_AHEAD_MAX) /* the clock was wrong */
        item->heard_s = item->skip_s = 0;
    if (item->days[0].day != today) {
        item->days[1] = item->days[0].day == today - 1 ? item->days[0]
                                                       : (struct standing_day){.day = today - 1};
        item->days[0] = (struct standing_day){.day = today};
    }
    for (size_t i = 0; i < 2; i++)
        if (item->days[i].day == day)
            return &item->days[i].figures;
    return NULL;
}

/* The end of a delivery that says something of the account: with which fault?  FAULTS: none. */
static bool
read_outcome(const struct outcome *outcome, enum fault *ret_fault)
{
    *ret_fault = FAULTS;
    if (outcome->status == MAILLOG_SENT)
        return true;
    if (outcome->status != MAILLOG_BOUNCED || outcome->late)
        return false;
    *ret_fault = FAULT_BOUNCE;
    if (outcome->rule == NULL)
        return true;
    switch (outcome->rule->accused) {
    case ACCUSED_ADDRESS:
    case ACCUSED_ADDRESS_PROVIDER:
    case ACCUSED_PROVIDER:
    case ACCUSED_GREYLIST:
        return false; /* that is nobody's fault, or not known whose */
    case ACCUSED_ACCOUNT:
    case ACCUSED_CONTENT:
        *ret_fault = FAULT_BLOCK;
        return true;
    default:
        return true;
    }
}

/* NULL: it sends in too many streams. */
static struct standing_watch *
watch_of(const struct standings *standings, struct standings_item *item,
         const struct stream *stream)
{
    if (item->generation != standings->generation)
        item->stream_count = 0; /* they may be others now */
    item->generation = standings->generation;
    for (size_t i = 0; i < item->stream_count; i++)
        if (item->streams[i].stream == stream->index)
            return &item->streams[i].watch;
    if (item->stream_count == STANDINGS_STREAMS_MAX)
        return NULL;
    item->streams = mem_resize(item->streams, item->stream_count + 1, sizeof(*item->streams));
    item->streams[item->stream_count] = (struct standings_stream){.stream = stream->index};
    return &item->streams[item->stream_count++].watch;
}

/* Is it known that something of day gave reason for attention? */
static bool
is_known(const struct standings_item *item, int32_t day)
{
    return item->standing != NULL && item->standing->grade == GRADE_ATTENTION &&
           item->standing->since >= day;
}

/* True: it is over a limit now, and that is news. */
static bool
watch(const struct standings *standings, struct standings_item *item, const struct stream *stream,
      int32_t day, enum fault fault)
{
    struct standing_watch *its = watch_of(standings, item, stream);
    struct standing_figures figures;
    char where[STREAM_NAME_MAX + 16];
    enum fault over;

    if (its == NULL)
        return false;
    over = standing_see(its, &standings->conf->standing, &stream->limits, day, fault, &figures);
    if (over == FAULTS || is_known(item, day))
        return false;
    snprintf(where, sizeof(where), "in stream %s", stream->name);
    item->accused = true;
    item->accused_day = day;
    standing_why(&figures, over, where, item->accused_why);
    return true;
}

static void
hear(struct standings *standings, const struct outcome *outcome)
{
    int64_t at_s = outcome->at_ms / 1000;
    int32_t day = standings_day(at_s);
    struct standing_figures *figures;
    struct standings_item *item;
    enum fault fault;

    if (!standings->conf->snapshot->has_grades || !read_outcome(outcome, &fault))
        return;
    item = standings_make(standings, outcome->account);
    if (item == NULL || at_s < item->skip_s)
        return;
    figures = standings_figures(standings, item, day);
    if (figures == NULL)
        return;
    standing_count(figures, &outcome->stream->limits, fault);
    if (at_s > item->heard_s)
        item->heard_s = (uint32_t)at_s;
    if (watch(standings, item, outcome->stream, day, fault))
        standings_update(standings, item);
    else
        standings_touch(standings, item);
}

void
standings_on_outcome(void *arg, const struct outcome *outcome)
{
    hear(arg, outcome);
}

/*
 * Nobody refused it for good, but a server had days to take it: what that said last counts.  Not
 * where none was reached, nor where postpool itself held it back.
 */
void
standings_on_expired(void *arg, const struct outcome *outcome)
{
    if (outcome->reply.origin == REPLY_SAID)
        hear(arg, outcome);
}

/* Of mail whose result was counted before, on whichever host. */
void
standings_on_reported(void *arg, const struct reported *reported)
{
    struct standings *standings = arg;
    int64_t at_s = reported->at_ms / 1000;
    struct standing_figures *figures;
    struct standings_item *item;

    if (!standings->conf->snapshot->has_grades)
        return;
    item = standings_make(standings, reported->account); /* "": not told, so there is none */
    if (item == NULL || at_s < item->skip_s)
        return;
    figures = standings_figures(standings, item, standings_day(at_s));
    if (figures == NULL)
        return;
    standing_blame(figures, reported->complaint ? FAULT_COMPLAINT : FAULT_BOUNCE);
    if (at_s > item->heard_s)
        item->heard_s = (uint32_t)at_s;
    standings_touch(standings, item);
}
