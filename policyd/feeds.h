/*
 * Lines of a log that are handed in, by "postpool feedback -" or whoever speaks
 * its protocol (lib/feed.h).
 *
 * Each batch is told once, also when it comes twice; one that does not follow the
 * last of its feeder is not taken, so that none is left out: the answer says
 * which is wanted.  Lines are told in small slices between the loop's other work.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FEEDS_H
#define POLICYD_FEEDS_H

#include "lib/feed.h"
#include "policyd/place.h"

struct event_base;
struct feeds;

enum { FEEDS_WAITING_MAX = 64 }; /* batches, of FEED_BYTES_MAX; the feeder of another tries again */

/* Called from the loop.  Neither may call feeds_free(). */
struct feeds_events {
    /* line is without its end, may hold any byte, and is gone when this returns. */
    void (*on_line)(void *arg, const char *line, size_t length);
    /* All that there is has been told. */
    void (*on_idle)(void *arg);
    void *arg;
};

/* Called exactly once for each feeds_take(), maybe from inside it. */
typedef void feeds_done_fn(void *arg, const char *answer);

/* from: a PLACE_PIPE that was kept, or none. */
struct feeds *feeds_new(struct event_base *base, const struct place *from,
                        const struct feeds_events *events);
void feeds_free(struct feeds *feeds); /* takes NULL; who waits hears "error: ..." */

/* Take a batch, whose lines are bytes; copied. */
void feeds_take(struct feeds *feeds, const struct feed_head *head, const char *bytes,
                feeds_done_fn *done, void *arg);

/* Behind the last line that was told, also from inside on_line. */
void feeds_where(const struct feeds *feeds, struct place *ret_place);

/* Feeders that were heard of within FEED_SILENT_MS. */
int feeds_count(const struct feeds *feeds);

#endif
