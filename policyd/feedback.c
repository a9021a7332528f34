/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/feedback.h"

#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/tagged.h"
#include "policyd/maillog.h"
#include "policyd/outcome.h"
#include "policyd/queued.h"
#include "policyd/source.h"
#include "policyd/volume.h"

#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* At the end of the log without a line: more than it takes to go on to another file. */
enum { QUIET_LOOKS = 30 };

enum { WAITS_MAX = 200, WAITS_MS = 10 }; /* so many that wait are told of at a time, and between */

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
    struct event *waits; /* those in queued that wait are told of */
    struct feedback_listener listeners[FEEDBACK_LISTENERS_MAX];
    size_t listener_count;
    struct feedback_figures figures;
    int64_t line_ms;   /* when the last line was read; 0: never */
    int64_t unread_ms; /* since when the log cannot be read, as far as was asked; 0: it can */
};

static void
settle(struct feedback *feedback, const struct maillog *line, const struct outcome *outcome)
{
    struct volume *volume = feedback->start.volume;

    if (outcome->own)
        return; /* it had no grant; what it has now is of another try */
    if (outcome->reached || queued_is_heard(feedback->queued, line->queue_id))
        feedback->figures.spent += volume_spend(volume, outcome->message_id, outcome->recipient);
    else
        feedback->figures.given_back +=
            volume_give_back(volume, outcome->message_id, outcome->recipient);
}

static int64_t
time_of_day_ms(int *ret_offset_s)
{
    time_t now = time(NULL);
    struct tm local;

    localtime_r(&now, &local);
    *ret_offset_s = (int)local.tm_gmtoff;
    return clock_ms(CLOCK_REALTIME_COARSE);
}

static struct outcome_view
view_of(const struct feedback *feedback)
{
    struct outcome_view view = {
        .conf = feedback->conf,
        .provider = feedback->start.provider,
        .arg = feedback->start.arg,
    };

    view.now_ms = time_of_day_ms(&view.local_offset_s);
    return view;
}

/* It waits for its turn, or for another address: policyd/pace.h. */
static void
note_wait(struct feedback *feedback, const struct maillog *line, const struct outcome *outcome)
{
    int64_t delay_ms = outcome->delay_ms > 0 ? outcome->delay_ms : 0;

    if (outcome->own || outcome->rescued)
        queued_set_waits(feedback->queued, line->queue_id, outcome->recipient,
                         outcome->at_ms - delay_ms);
}

static void
on_waits(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval soon = {0, WAITS_MS * 1000};
    struct feedback *feedback = arg;
    struct outcome_view view = view_of(feedback);
    struct queued_wait wait;
    struct outcome outcome;

    (void)fd;
    (void)what;
    for (int i = 0; i < WAITS_MAX; i++) {
        if (!queued_next_waiting(feedback->queued, &wait))
            return;
        if (!outcome_of_wait(&view, &wait, &outcome))
            continue;
        for (size_t j = 0; j < feedback->listener_count; j++)
            if (feedback->listeners[j].on_wait != NULL)
                feedback->listeners[j].on_wait(feedback->listeners[j].arg, &outcome);
    }
    event_add(feedback->waits, &soon);
}

static void
on_result(struct feedback *feedback, const struct maillog_time *time, const struct maillog *line)
{
    const char *sender = queued_sender(feedback->queued, line->queue_id);
    struct outcome_view view;
    struct outcome outcome;

    feedback->figures.results += !feedback->again;
    if (sender == NULL) {
        feedback->figures.unknown += !feedback->again;
        return;
    }
    view = view_of(feedback);
    if (!outcome_make(&view, time, line, sender, &outcome))
        return;
    note_wait(feedback, line, &outcome);
    outcome.chosen = volume_chosen(feedback->start.volume, outcome.message_id, outcome.recipient);
    if (!feedback->again)
        settle(feedback, line, &outcome);
    for (size_t i = 0; i < feedback->listener_count; i++)
        if (feedback->listeners[i].on_outcome != NULL &&
            (feedback->listeners[i].replays || !feedback->again))
            feedback->listeners[i].on_outcome(feedback->listeners[i].arg, &outcome);
}

static void
on_removed(struct feedback *feedback, struct span queue_id)
{
    char id[MAILLOG_QUEUE_ID_MAX + 1];

    if (queued_sender(feedback->queued, queue_id) == NULL)
        return;
    memcpy(id, queue_id.start, queue_id.length);
    id[queue_id.length] = '\0';
    queued_remove(feedback->queued, queue_id);
    for (size_t i = 0; i < feedback->listener_count && !feedback->again; i++)
        if (feedback->listeners[i].on_gone != NULL)
            feedback->listeners[i].on_gone(feedback->listeners[i].arg, id);
}

/* Did the other side hear of the recipient, as one of several servers tells? */
static bool
is_heard(const struct maillog *line)
{
    struct reply reply;

    reply_read("", 0, line->reply.start, line->reply.length, &reply);
    return reply_reached(&reply);
}

static void
on_parsed(struct feedback *feedback, const struct maillog_frame *frame)
{
    struct maillog line;

    maillog_parse(frame->ident, frame->message, &line);
    switch (line.kind) {
    case MAILLOG_ACTIVE:
        queued_note(feedback->queued, line.queue_id, line.sender);
        break;
    case MAILLOG_RESULT:
        if (line.status != MAILLOG_OTHER_STATUS)
            on_result(feedback, &frame->time, &line);
        break;
    case MAILLOG_NEW: /* whoever had its queue id is gone */
    case MAILLOG_REMOVED:
        on_removed(feedback, line.queue_id);
        break;
    case MAILLOG_ODD:
        feedback->figures.odd += !feedback->again;
        break;
    case MAILLOG_SAID:
        if (is_heard(&line))
            queued_set_heard(feedback->queued, line.queue_id);
        break;
    case MAILLOG_EXPIRED:
    case MAILLOG_OTHER:
        break;
    }
}

/* Is this where the log was told up to before? */
static bool
has_reached(const struct feedback *feedback)
{
    struct place place;

    source_where(feedback->source, &place);
    return place_has_reached(&place, &feedback->reached);
}

static void
on_line(void *arg, const struct maillog_frame *frame)
{
    struct feedback *feedback = arg;

    feedback->quiet = 0;
    feedback->figures.lines += !feedback->again;
    feedback->line_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    if (frame != NULL)
        on_parsed(feedback, frame);
    if (feedback->again && has_reached(feedback))
        feedback->again = false;
}

static void
on_idle(void *arg)
{
    struct feedback *feedback = arg;

    if (feedback->again && ++feedback->quiet >= QUIET_LOOKS)
        feedback->again = false; /* the file that it had reached is gone */
    volume_flush(feedback->start.volume);
    for (size_t i = 0; i < feedback->listener_count; i++)
        if (feedback->listeners[i].on_idle != NULL)
            feedback->listeners[i].on_idle(feedback->listeners[i].arg);
}

static void
open_log(struct feedback *feedback, const struct place *from)
{
    const struct source_events events = {on_line, on_idle, feedback};

    source_free(feedback->source);
    feedback->source = NULL;
    if (feedback->path != NULL && feedback->begun)
        feedback->source = source_new(feedback->start.base, feedback->path, from, &events);
}

struct queued *
feedback_follow(struct feedback *feedback, const struct place *from, struct queued *queued)
{
    struct queued *before = feedback->queued;

    if (feedback->source != NULL && !feedback->again)
        source_where(feedback->source, &feedback->reached);
    feedback->again = from != NULL && feedback->reached.kind != PLACE_NONE &&
                      !place_has_reached(from, &feedback->reached);
    feedback->quiet = 0;
    feedback->begun = true;
    feedback->queued = queued != NULL ? queued : queued_new();
    open_log(feedback, from);
    event_active(feedback->waits, EV_TIMEOUT, 0);
    return before;
}

bool
feedback_is_live(const struct feedback *feedback, int64_t now_ms)
{
    return feedback->source != NULL && feedback->line_ms > 0 &&
           now_ms - feedback->line_ms < FEEDBACK_SILENT_MS;
}

void
feedback_set_conf(struct feedback *feedback, const struct conf *conf)
{
    const char *path = strcmp(conf->feedback_log, "none") != 0 ? conf->feedback_log : NULL;

    feedback->conf = conf;
    if (path != NULL && feedback->path != NULL && strcmp(path, feedback->path) == 0)
        return;
    free(feedback->path);
    feedback->path = path != NULL ? mem_strdup(path) : NULL;
    feedback->again = false;
    feedback->reached = (struct place){.kind = PLACE_NONE};
    open_log(feedback, NULL);
}

struct feedback *
feedback_new(const struct feedback_start *start)
{
    struct feedback *feedback = mem_new(sizeof(*feedback));

    feedback->start = *start;
    feedback->queued = queued_new();
    feedback->waits = mem_must(evtimer_new(start->base, on_waits, feedback));
    feedback_set_conf(feedback, start->conf);
    return feedback;
}

void
feedback_listen(struct feedback *feedback, const struct feedback_listener *listener)
{
    assert(feedback->listener_count < FEEDBACK_LISTENERS_MAX);
    feedback->listeners[feedback->listener_count++] = *listener;
}

bool
feedback_message_id(struct feedback *feedback, const char *queue_id,
                    char id[static TAG_SENDER_SIZE])
{
    const char *sender = queued_sender(feedback->queued, (struct span){queue_id, strlen(queue_id)});

    if (sender == NULL)
        return false;
    tagged_stream(feedback->conf, sender, id);
    return id[0] != '\0';
}

bool
feedback_is_followed(const struct feedback *feedback)
{
    return feedback->begun;
}

const char *
feedback_path(const struct feedback *feedback)
{
    return feedback->path;
}

void
feedback_place(const struct feedback *feedback, struct place *ret_place)
{
    *ret_place = (struct place){.kind = PLACE_NONE};
    if (feedback->source != NULL)
        source_where(feedback->source, ret_place);
}

struct queued *
feedback_queued(struct feedback *feedback)
{
    return feedback->queued;
}

int64_t
feedback_lag_bytes(const struct feedback *feedback)
{
    struct source_lag lag;

    if (!feedback_is_read(feedback))
        return -1;
    source_lag(feedback->source, &lag);
    return lag.bytes;
}

bool
feedback_is_read(const struct feedback *feedback)
{
    struct source_lag lag;

    if (feedback->source == NULL)
        return false;
    source_lag(feedback->source, &lag);
    return lag.bytes >= 0 && lag.ms >= 0 && source_feeders(feedback->source) != 0;
}

bool
feedback_counts(struct feedback *feedback, int64_t now_ms)
{
    if (feedback->path == NULL)
        return false;
    if (feedback_is_read(feedback))
        feedback->unread_ms = 0;
    else if (feedback->unread_ms == 0)
        feedback->unread_ms = now_ms;
    return feedback->unread_ms == 0 || now_ms - feedback->unread_ms < FEEDBACK_UNREAD_MS;
}

void
feedback_feed(struct feedback *feedback, const struct feed_head *head, const char *bytes,
              void (*done)(void *arg, const char *answer), void *arg)
{
    if (feedback->source == NULL)
        done(arg, feedback->path != NULL ? "error: not ready yet"
                                         : "error: feedback.log is not \"pipe\"");
    else
        source_feed(feedback->source, head, bytes, done, arg);
}

void
feedback_free(struct feedback *feedback)
{
    if (feedback == NULL)
        return;
    source_free(feedback->source);
    event_free(feedback->waits);
    queued_free(feedback->queued);
    free(feedback->path);
    free(feedback);
}

/* "mail.log, 12 bytes behind" */
static void
add_where(const struct feedback *feedback, struct buf *text)
{
    int feeders = source_feeders(feedback->source);
    struct source_lag lag;

    source_lag(feedback->source, &lag);
    buf_printf(text, "feedback: %s", feedback->path);
    if (!feedback_is_read(feedback))
        buf_puts(text, feeders == 0 ? ", nobody hands lines in" : " cannot be read");
    else if (feeders > 0)
        buf_printf(text, ", handed in by %d", feeders);
    else if (feedback->path[0] == '/')
        buf_printf(text, ", %" PRId64 " bytes behind", lag.bytes);
    else
        buf_printf(text, ", %" PRId64 " s behind", lag.ms / 1000);
}

static void
add_text(const struct feedback *feedback, struct buf *text)
{
    const struct feedback_figures *figures = &feedback->figures;

    add_where(feedback, text);
    if (feedback_is_read(feedback))
        buf_printf(text,
                   "; %" PRIu64 " lines, %" PRIu64 " results, %" PRIu64
                   " of messages not heard of before: %" PRIu64 " grants spent, %" PRIu64
                   " given back",
                   figures->lines, figures->results, figures->unknown, figures->spent,
                   figures->given_back);
    buf_puts(text, "\n");
}

static void
add_json(const struct feedback *feedback, struct json *json)
{
    const struct feedback_figures *figures = &feedback->figures;
    int feeders = source_feeders(feedback->source);
    struct source_lag lag;

    source_lag(feedback->source, &lag);
    json_open(json, "feedback", '{');
    json_text(json, "log", feedback->path);
    json_bool(json, "read", feedback_is_read(feedback));
    json_number(json, "lag_bytes", lag.bytes);
    json_number(json, "lag_ms", lag.ms);
    if (feeders >= 0)
        json_number(json, "feeders", feeders);
    json_number(json, "lines", (long long)figures->lines);
    json_number(json, "results", (long long)figures->results);
    json_number(json, "spent", (long long)figures->spent);
    json_number(json, "given_back", (long long)figures->given_back);
    json_number(json, "unknown", (long long)figures->unknown);
    json_number(json, "odd", (long long)figures->odd);
    json_close(json, '}');
}

void
feedback_status(const struct feedback *feedback, struct buf *text, struct json *json)
{
    if (feedback->source == NULL)
        return;
    if (text != NULL)
        add_text(feedback, text);
    if (json != NULL)
        add_json(feedback, json);
}
