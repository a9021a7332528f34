/*
 * The inside of struct feedback: feedback.c follows the log, feedback_hear.c tells of its lines.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FEEDBACK_INSIDE_H
#define POLICYD_FEEDBACK_INSIDE_H

#include "engine/seen.h"
#include "policyd/feedback.h"
#include "policyd/place.h"

#include <event2/event.h>

struct deferred;
struct maillog_frame;
struct source;

struct feedback {
    struct feedback_start start;
    const struct conf *conf; /* not ours */
    struct source *source;   /* NULL: there is no log */
    char *path;              /* which one, or what it will be */
    bool begun;
    bool again;           /* what is told now was told before, up to ... */
    struct place reached; /* ... there */
    unsigned quiet;       /* looks at the end since a line came */
    struct queued *queued;
    struct deferred *deferred;
    struct seen reported; /* messages that were told of, by id and kind */
    int named;            /* messages that postsuper named since it said how many */
    struct event *waits;  /* those in queued that wait are told of */
    struct feedback_listener listeners[FEEDBACK_LISTENERS_MAX];
    size_t listener_count;
    struct feedback_figures figures;
    int64_t line_ms;   /* when the last line was read; 0: never */
    bool has_time;     /* a result was told since the end was reached last, ... */
    int64_t off_ms;    /* ... so long after the time that it has; at the end it came just now */
    int64_t clock_ms;  /* the same of the last that came at the end */
    unsigned offs;     /* so many of those in a row were FEEDBACK_OFF_MS off */
    int64_t unread_ms; /* since when the log cannot be read, as far as was asked; 0: it can */
};

/* A line of the log. */
void feedback_hear(struct feedback *feedback, const struct maillog_frame *frame);

/* Tell of some that wait, by what is known of the queue, and go on later. */
void feedback_on_waits(evutil_socket_t fd, short what, void *arg);

#endif
