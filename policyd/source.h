/*
 * Where the lines of the log come from: a file, systemd's journal, or whoever hands
 * them in, as feedback.log says.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SOURCE_H
#define POLICYD_SOURCE_H

#include "policyd/feeds.h"
#include "policyd/place.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct maillog_frame;
struct source;

/* Called from the loop.  Neither may call source_free(). */
struct source_events {
    /* A line; frame is gone when this returns, NULL: it has not the form of a log's. */
    void (*on_line)(void *arg, const struct maillog_frame *frame);
    /* All that there is has been told; again and again as long as nothing comes. */
    void (*on_idle)(void *arg);
    void *arg;
};

/*
 * Follow log, a value of feedback.log that the configuration has checked and not
 * "none", from a place on.  from: NULL, or a place in another kind of log: from its
 * end.
 */
struct source *source_new(struct event_base *base, const char *log, const struct place *from,
                          const struct source_events *events);
void source_free(struct source *source); /* takes NULL */

/* Behind the last line that was told, also from inside on_line. */
void source_where(const struct source *source, struct place *ret_place);

/* How much of it is not told yet: -1: it cannot be read; else what is not known is 0. */
struct source_lag {
    int64_t bytes; /* of a file */
    int64_t ms;    /* since what is told next was logged, of a journal */
};
void source_lag(const struct source *source, struct source_lag *ret_lag);

/* How many hand lines in; -1: nobody can. */
int source_feeders(const struct source *source);

/* As feeds_take(). */
void source_feed(struct source *source, const struct feed_head *head, const char *bytes,
                 feeds_done_fn *done, void *arg);

#endif
