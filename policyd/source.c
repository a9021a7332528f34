/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/source.h"

#include "lib/maillog.h"
#include "lib/mem.h"
#include "policyd/eximlog.h"

#include <stdlib.h>
#include <string.h>

/* One of the three is there. */
struct source {
    struct source_events events;
    struct follow *follow;
    struct sysjournal *journal;
    struct feeds *feeds;
};

static void
on_line(void *arg, const char *line, size_t length)
{
    struct source *source = arg;
    struct maillog_frame frame;
    bool cut = maillog_cut(line, length, &frame) || eximlog_cut(line, length, &frame);

    source->events.on_line(source->events.arg, cut ? &frame : NULL);
}

static void
on_idle(void *arg)
{
    struct source *source = arg;

    source->events.on_idle(source->events.arg);
}

#ifdef HAVE_LIBSYSTEMD
static void
on_entry(void *arg, const struct maillog_frame *frame)
{
    struct source *source = arg;

    source->events.on_line(source->events.arg, frame);
}

static void
open_journal(struct source *source, struct event_base *base, const char *log,
             const struct place *from)
{
    const struct sysjournal_events events = {on_entry, on_idle, source};
    const char *colon = strchr(log, ':');
    const char *cursor = from != NULL && from->kind == PLACE_JOURNAL ? from->cursor : "";

    source->journal = sysjournal_new(base, colon != NULL ? colon + 1 : NULL, cursor, &events);
}
#endif

struct source *
source_new(struct event_base *base, const char *log, const struct place *from,
           const struct source_events *events)
{
    struct source *source = mem_new(sizeof(*source));
    const struct follow_events of_file = {on_line, on_idle, source};
    const struct feeds_events of_feeds = {on_line, on_idle, source};

    source->events = *events;
    if (strcmp(log, "pipe") == 0) {
        source->feeds = feeds_new(base, from, &of_feeds);
#ifdef HAVE_LIBSYSTEMD
    } else if (log[0] != '/') {
        open_journal(source, base, log, from);
#endif
    } else {
        source->follow = follow_new(
            base, log, from != NULL && from->kind == PLACE_FILE ? &from->file : NULL, &of_file);
    }
    return source;
}

void
source_free(struct source *source)
{
    if (source == NULL)
        return;
    follow_free(source->follow);
    feeds_free(source->feeds);
#ifdef HAVE_LIBSYSTEMD
    sysjournal_free(source->journal);
#endif
    free(source);
}

void
source_where(const struct source *source, struct place *ret_place)
{
    *ret_place = (struct place){.kind = PLACE_NONE};
    if (source->feeds != NULL)
        feeds_where(source->feeds, ret_place);
    if (source->follow != NULL)
        follow_where(source->follow, &ret_place->file);
    if (ret_place->file.inode != 0)
        ret_place->kind = PLACE_FILE;
#ifdef HAVE_LIBSYSTEMD
    if (source->journal != NULL)
        sysjournal_where(source->journal, ret_place->cursor);
    if (ret_place->cursor[0] != '\0')
        ret_place->kind = PLACE_JOURNAL;
#endif
}

void
source_lag(const struct source *source, struct source_lag *ret_lag)
{
    *ret_lag = (struct source_lag){0};
    if (source->follow != NULL)
        ret_lag->bytes = follow_lag_bytes(source->follow);
#ifdef HAVE_LIBSYSTEMD
    if (source->journal != NULL)
        ret_lag->ms = sysjournal_lag_ms(source->journal);
#endif
}

int
source_feeders(const struct source *source)
{
    return source->feeds != NULL ? feeds_count(source->feeds) : -1;
}

void
source_feed(struct source *source, const struct feed_head *head, const char *bytes,
            feeds_done_fn *done, void *arg)
{
    if (source->feeds == NULL)
        done(arg, "error: feedback.log is not \"pipe\"");
    else
        feeds_take(source->feeds, head, bytes, done, arg);
}
