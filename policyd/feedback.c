/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/feedback_inside.h"

#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/tagged.h"
#include "lib/units.h"
#include "policyd/deferred.h"
#include "policyd/queued.h"
#include "policyd/source.h"
#include "policyd/volume.h"

#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* At the end of the log without a line: more than it takes to go on to another file. */
enum { QUIET_LOOKS = 30, OFF_SIZE = UNITS_SPAN_SIZE + 16 };

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
        feedback_hear(feedback, frame);
    if (feedback->again && has_reached(feedback))
        feedback->again = false;
}

/* "9 h behind", to the next quarter of an hour. */
static const char *
off_text(const struct feedback *feedback, char text[static OFF_SIZE])
{
    int64_t quarter_ms = 15 * 60 * 1000, off_ms = llabs(feedback->clock_ms);
    char span[UNITS_SPAN_SIZE];

    off_ms = (off_ms + quarter_ms / 2) / quarter_ms * quarter_ms;
    snprintf(text, OFF_SIZE, "%s %s", units_print_span(off_ms, span),
             feedback->clock_ms > 0 ? "behind" : "ahead");
    return text;
}

static const char *
off_means(const struct feedback *feedback)
{
    return feedback->clock_ms > 0 ? "nothing is suspended for what it tells"
                                  : "figures stand in wrong hours";
}

/* At the end of the log the last result was written just now: is that what its time says? */
static void
compare_clocks(struct feedback *feedback)
{
    bool off = feedback->offs >= FEEDBACK_OFF_RESULTS;
    char text[OFF_SIZE];

    if (!feedback->has_time)
        return;
    feedback->has_time = false;
    feedback->clock_ms = feedback->off_ms;
    if (llabs(feedback->clock_ms) < FEEDBACK_OFF_MS) {
        feedback->offs = 0;
        if (off)
            log_info("feedback: the times in %s are right again", feedback->path);
    } else if (++feedback->offs == FEEDBACK_OFF_RESULTS) {
        log_warn("feedback: the times in %s are %s: another time zone? -- %s", feedback->path,
                 off_text(feedback, text), off_means(feedback));
    }
}

static void
on_idle(void *arg)
{
    struct feedback *feedback = arg;

    compare_clocks(feedback);
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
    deferred_free(feedback->deferred); /* its lines may come again */
    seen_clear(&feedback->reported);
    feedback->deferred = deferred_new();
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
    feedback->offs = 0;
    feedback->has_time = false;
    feedback->reached = (struct place){.kind = PLACE_NONE};
    open_log(feedback, NULL);
}

struct feedback *
feedback_new(const struct feedback_start *start)
{
    struct feedback *feedback = mem_new(sizeof(*feedback));

    feedback->start = *start;
    feedback->queued = queued_new();
    feedback->deferred = deferred_new();
    feedback->waits = mem_must(evtimer_new(start->base, feedback_on_waits, feedback));
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
    deferred_free(feedback->deferred);
    seen_clear(&feedback->reported);
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
    char off[OFF_SIZE];

    add_where(feedback, text);
    if (feedback_is_read(feedback))
        buf_printf(text,
                   "; %" PRIu64 " lines, %" PRIu64 " results, %" PRIu64
                   " of messages not heard of before: %" PRIu64 " grants spent, %" PRIu64
                   " given back",
                   figures->lines, figures->results, figures->unknown, figures->spent,
                   figures->given_back);
    if (feedback->conf->complaint_addresses.count > 0)
        buf_printf(text,
                   "\nfeedback: %" PRIu64 " complaints and late bounces, %" PRIu64
                   " more of messages that had one, %" PRIu64 " that name no mail of ours",
                   figures->reports, figures->repeated, figures->foreign);
    if (feedback->offs >= FEEDBACK_OFF_RESULTS)
        buf_printf(text, "\nfeedback: its times are %s -- %s", off_text(feedback, off),
                   off_means(feedback));
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
    json_number(json, "reports", (long long)figures->reports);
    json_number(json, "reports_repeated", (long long)figures->repeated);
    json_number(json, "reports_foreign", (long long)figures->foreign);
    json_number(json, "off_ms", feedback->offs >= FEEDBACK_OFF_RESULTS ? feedback->clock_ms : 0);
    json_close(json, '}');
}

void
feedback_status(const struct feedback *feedback, struct buf *text, struct json *json)
{
    if (feedback->source == NULL) {
        if (text != NULL && feedback->path == NULL)
            buf_puts(text, "feedback: none, feedback.log names no log: results are not seen, and "
                           "nothing follows from them\n");
        return;
    }
    if (text != NULL)
        add_text(feedback, text);
    if (json != NULL)
        add_json(feedback, json);
}
