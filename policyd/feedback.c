/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/feedback.h"

#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/reply.h"
#include "lib/tagged.h"
#include "policyd/follow.h"
#include "policyd/maillog.h"
#include "policyd/queued.h"
#include "policyd/volume.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct feedback {
    struct event_base *base; /* not ours */
    const struct conf *conf; /* not ours */
    struct volume *volume;   /* not ours */
    struct follow *follow;   /* NULL: there is no log */
    char *path;              /* what follow follows */
    struct queued *queued;
    struct feedback_figures figures;
};

/* Did the other side hear of the recipient, as the reply of the line tells? */
static bool
reached(const struct maillog *line)
{
    struct reply reply;

    reply_read(line->dsn.start, line->dsn.length, line->reply.start, line->reply.length, &reply);
    return reply_reached(&reply);
}

static void
on_result(struct feedback *feedback, const struct maillog *line)
{
    const char *sender = queued_sender(feedback->queued, line->queue_id);
    char id[TAG_SENDER_SIZE], recipient[ADDR_MAX + 1];

    feedback->figures.results++;
    if (sender == NULL) {
        feedback->figures.unknown++;
        return;
    }
    if (line->recipient.length > ADDR_MAX)
        return; /* no grant is for such a one */
    memcpy(recipient, line->recipient.start, line->recipient.length);
    recipient[line->recipient.length] = '\0';
    tagged_stream(feedback->conf, sender, id);
    tagged_recipient(id, recipient);
    if (line->status == MAILLOG_SENT || reached(line) ||
        queued_is_heard(feedback->queued, line->queue_id))
        feedback->figures.spent += volume_spend(feedback->volume, id, recipient);
    else
        feedback->figures.given_back += volume_give_back(feedback->volume, id, recipient);
}

static void
on_line(void *arg, const char *text, size_t length, const struct follow_place *behind)
{
    struct feedback *feedback = arg;
    struct maillog_frame frame;
    struct maillog line;

    (void)behind;
    feedback->figures.lines++;
    if (!maillog_cut(text, length, &frame))
        return;
    maillog_parse(frame.ident, frame.message, &line);
    switch (line.kind) {
    case MAILLOG_ACTIVE:
        queued_note(feedback->queued, line.queue_id, line.sender);
        break;
    case MAILLOG_RESULT:
        if (line.status != MAILLOG_OTHER_STATUS)
            on_result(feedback, &line);
        break;
    case MAILLOG_NEW: /* whoever had its queue id is gone */
    case MAILLOG_REMOVED:
        queued_remove(feedback->queued, line.queue_id);
        break;
    case MAILLOG_ODD:
        feedback->figures.odd++;
        break;
    case MAILLOG_SAID:
        if (reached(&line))
            queued_set_heard(feedback->queued, line.queue_id);
        break;
    case MAILLOG_EXPIRED:
    case MAILLOG_OTHER:
        break;
    }
}

static void
on_idle(void *arg)
{
    struct feedback *feedback = arg;

    volume_flush(feedback->volume);
}

void
feedback_set_conf(struct feedback *feedback, const struct conf *conf)
{
    const struct follow_events events = {on_line, on_idle, feedback};
    const char *path = strcmp(conf->feedback_log, "none") != 0 ? conf->feedback_log : NULL;

    feedback->conf = conf;
    if (path != NULL && feedback->path != NULL && strcmp(path, feedback->path) == 0)
        return;
    follow_free(feedback->follow);
    free(feedback->path);
    feedback->path = path != NULL ? mem_strdup(path) : NULL;
    feedback->follow = path != NULL ? follow_new(feedback->base, path, NULL, &events) : NULL;
}

struct feedback *
feedback_new(struct event_base *base, const struct conf *conf, struct volume *volume)
{
    struct feedback *feedback = mem_new(sizeof(*feedback));

    feedback->base = base;
    feedback->volume = volume;
    feedback->queued = queued_new();
    feedback_set_conf(feedback, conf);
    return feedback;
}

void
feedback_free(struct feedback *feedback)
{
    if (feedback == NULL)
        return;
    follow_free(feedback->follow);
    queued_free(feedback->queued);
    free(feedback->path);
    free(feedback);
}

void
feedback_status(const struct feedback *feedback, struct buf *text, struct json *json)
{
    const struct feedback_figures *figures = &feedback->figures;
    int64_t lag_bytes;

    if (feedback->follow == NULL)
        return;
    lag_bytes = follow_lag_bytes(feedback->follow);
    if (text != NULL && lag_bytes < 0)
        buf_printf(text, "feedback: %s cannot be read\n", feedback->path);
    else if (text != NULL)
        buf_printf(text,
                   "feedback: %s, %" PRId64 " bytes behind; %" PRIu64 " lines, %" PRIu64
                   " results, %" PRIu64 " of messages not heard of before: %" PRIu64
                   " grants spent, %" PRIu64 " given back\n",
                   feedback->path, lag_bytes, figures->lines, figures->results, figures->unknown,
                   figures->spent, figures->given_back);
    if (json == NULL)
        return;
    json_open(json, "feedback", '{');
    json_text(json, "log", feedback->path);
    json_number(json, "lag_bytes", lag_bytes);
    json_number(json, "lines", (long long)figures->lines);
    json_number(json, "results", (long long)figures->results);
    json_number(json, "spent", (long long)figures->spent);
    json_number(json, "given_back", (long long)figures->given_back);
    json_number(json, "unknown", (long long)figures->unknown);
    json_number(json, "odd", (long long)figures->odd);
    json_close(json, '}');
}
