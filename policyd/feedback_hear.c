/*
 * What the lines of the log say: from each result an outcome, which settles its grant and is told
 * of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/feedback_inside.h"

#include "engine/hash.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/logtext.h"
#include "lib/maillog.h"
#include "lib/replies.h"
#include "policyd/deferred.h"
#include "policyd/eximlog.h"
#include "policyd/outcome.h"
#include "policyd/queued.h"
#include "policyd/reported.h"
#include "policyd/volume.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* So many that wait are told of at a time, and the time between. */
enum { WAITS_MAX = 200, WAITS_MS = 10 };

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

void
feedback_on_waits(evutil_socket_t fd, short what, void *arg)
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

/* Postfix returns what every address has refused without a try: error(8) has a server's words. */
static void
find_blamed(const struct feedback *feedback, struct outcome *outcome)
{
    if (outcome->address == NULL && outcome->status == MAILLOG_BOUNCED &&
        outcome->reply.origin == REPLY_SAID && feedback->start.refused != NULL)
        outcome->blamed =
            feedback->start.refused(feedback->start.arg, outcome->message_id, outcome->recipient);
}

/* Patterns that took too long, with words that nobody but the admin can mend them by. */
static void
tell_given_up(const struct feedback *feedback, const struct outcome *outcome)
{
    const struct reply_rule *rule;

    while (outcome->status != MAILLOG_SENT &&
           (rule = replies_take_given_up(&feedback->conf->replies)) != NULL)
        log_warn("replies: the pattern of rule %s was given up, it takes too long, on \"%s\" -- by "
                 "such words no rule behind it is found",
                 rule->name, outcome->reply.text);
}

/* reply: as outcome_make() has it. */
static void
on_result(struct feedback *feedback, const struct maillog_time *time, const struct maillog *line,
          const struct reply *reply)
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
    if (!outcome_make(&view, time, line, reply, sender, &outcome))
        return;
    find_blamed(feedback, &outcome);
    tell_given_up(feedback, &outcome);
    feedback->has_time = true;
    feedback->off_ms = view.now_ms - outcome.at_ms;
    note_wait(feedback, line, &outcome);
    outcome.chosen = volume_chosen(feedback->start.volume, outcome.message_id, outcome.recipient);
    if (!feedback->again)
        settle(feedback, line, &outcome);
    for (size_t i = 0; i < feedback->listener_count; i++)
        if (feedback->listeners[i].on_outcome != NULL &&
            (feedback->listeners[i].replays || !feedback->again))
            feedback->listeners[i].on_outcome(feedback->listeners[i].arg, &outcome);
}

/* Of a line; what has no time was written now. */
static int64_t
time_of(const struct maillog_time *time, const struct outcome_view *view)
{
    int64_t at_ms = maillog_time_ms(time, view->now_ms, view->local_offset_s);

    return at_ms >= 0 ? at_ms : view->now_ms;
}

/* A message that is returned. */
struct expired {
    struct feedback *feedback;
    struct outcome_view view;
    const char *sender;
    int64_t at_ms;
};

static void
expire_one(void *arg, const struct maillog_frame *frame)
{
    const struct expired *expired = arg;
    struct feedback *feedback = expired->feedback;
    struct maillog line;
    struct outcome outcome;

    maillog_parse(frame->ident, frame->message, &line);
    if (!outcome_make(&expired->view, &frame->time, &line, NULL, expired->sender, &outcome))
        return;
    outcome_expire(&outcome, expired->at_ms);
    for (size_t i = 0; i < feedback->listener_count; i++)
        if (feedback->listeners[i].on_expired != NULL &&
            (feedback->listeners[i].replays || !feedback->again))
            feedback->listeners[i].on_expired(feedback->listeners[i].arg, &outcome);
}

static void
on_expired(struct feedback *feedback, const struct maillog_time *time, struct span queue_id)
{
    struct expired expired = {feedback, view_of(feedback),
                              queued_sender(feedback->queued, queue_id), -1};

    expired.at_ms = time_of(time, &expired.view);
    if (expired.sender != NULL)
        deferred_each(feedback->deferred, queue_id, expire_one, &expired);
    deferred_drop(feedback->deferred, queue_id);
}

static void
on_gone(struct feedback *feedback, struct span queue_id, bool held)
{
    char id[MAILLOG_QUEUE_ID_MAX + 1];

    if (queued_sender(feedback->queued, queue_id) == NULL)
        return;
    memcpy(id, queue_id.start, queue_id.length);
    id[queue_id.length] = '\0';
    if (held)
        queued_set_waits(feedback->queued, queue_id, NULL, 0);
    else
        queued_remove(feedback->queued, queue_id);
    for (size_t i = 0; i < feedback->listener_count && !feedback->again; i++)
        if (feedback->listeners[i].on_gone != NULL)
            feedback->listeners[i].on_gone(feedback->listeners[i].arg, id);
}

static void
on_unmet(struct feedback *feedback, const struct maillog_time *time, const struct maillog *line)
{
    struct outcome_view view = view_of(feedback);

    for (size_t i = 0; i < feedback->listener_count; i++)
        if (feedback->listeners[i].on_unmet != NULL &&
            (feedback->listeners[i].replays || !feedback->again))
            feedback->listeners[i].on_unmet(feedback->listeners[i].arg, time_of(time, &view),
                                            line->stream, line->unmet);
}

/* Of each message one complaint and one bounce: true for the first. */
static bool
is_first(struct feedback *feedback, const struct reported *reported)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool report";
    char text[TAG_ID_MAX + 2];
    int length =
        snprintf(text, sizeof(text), "%c%s", reported->complaint ? 'c' : 'b', reported->id);

    return seen_note(&feedback->reported, hash_sip(key, text, (size_t)length));
}

static void
on_reported(struct feedback *feedback, const struct maillog_time *time, const struct maillog *line)
{
    struct outcome_view view = view_of(feedback);
    struct reported reported;

    if (!reported_make(&view, time, line, &reported)) {
        feedback->figures.foreign += !feedback->again && line->stream.length == 0;
        return;
    }
    if (!is_first(feedback, &reported)) {
        feedback->figures.repeated += !feedback->again;
        return;
    }
    feedback->figures.reports += !feedback->again;
    for (size_t i = 0; i < feedback->listener_count; i++)
        if (feedback->listeners[i].on_reported != NULL &&
            (feedback->listeners[i].replays || !feedback->again))
            feedback->listeners[i].on_reported(feedback->listeners[i].arg, &reported);
}

/* What an admin took away with postsuper, by ids or, without a word of them, all. */
static void
on_swept(struct feedback *feedback, int count)
{
    bool all_named = count <= feedback->named;

    feedback->named = 0;
    for (size_t i = 0; i < feedback->listener_count && !feedback->again && !all_named; i++)
        if (feedback->listeners[i].on_swept != NULL)
            feedback->listeners[i].on_swept(feedback->listeners[i].arg);
}

/* Did the other side hear of the recipient, as one of several servers tells? */
static bool
is_heard(const struct maillog *line)
{
    struct reply reply;

    reply_read("", 0, line->reply.start, line->reply.length, &reply);
    return reply_reached(&reply);
}

/* Exim's line: its results name the sender, too, where that is logged. */
static bool
read_exim(struct feedback *feedback, struct span message, struct maillog *ret_line,
          struct reply *ret_reply)
{
    struct eximlog line;

    eximlog_parse(message, &line);
    eximlog_as_maillog(&line, ret_line);
    if (line.kind != EXIMLOG_RESULT)
        return false;
    if (line.has_sender && queued_sender(feedback->queued, line.queue_id) == NULL)
        queued_note(feedback->queued, line.queue_id, line.sender);
    eximlog_reply(&line, ret_reply);
    return true;
}

void
feedback_hear(struct feedback *feedback, const struct maillog_frame *frame)
{
    bool has_reply = false;
    struct maillog line;
    struct reply reply;

    if (eximlog_is(frame))
        has_reply = read_exim(feedback, frame->message, &line, &reply);
    else
        maillog_parse(frame->ident, frame->message, &line);
    if (logtext_is(line.daemon, "postsuper") && line.kind != MAILLOG_SWEPT)
        feedback->named++;
    switch (line.kind) {
    case MAILLOG_ACTIVE:
        deferred_drop(feedback->deferred, line.queue_id);
        queued_note(feedback->queued, line.queue_id, line.sender);
        break;
    case MAILLOG_RESULT:
        if (line.status != MAILLOG_OTHER_STATUS)
            on_result(feedback, &frame->time, &line, has_reply ? &reply : NULL);
        if (line.status == MAILLOG_DEFERRED && !has_reply) /* Exim tells of each that it returns */
            deferred_add(feedback->deferred, line.queue_id, frame);
        break;
    case MAILLOG_SWEPT:
        on_swept(feedback, line.count);
        break;
    case MAILLOG_NEW: /* whoever had its queue id is gone */
    case MAILLOG_REMOVED:
        deferred_drop(feedback->deferred, line.queue_id);
        on_gone(feedback, line.queue_id, false);
        break;
    case MAILLOG_HELD:
        on_gone(feedback, line.queue_id, true);
        break;
    case MAILLOG_ODD:
        feedback->figures.odd += !feedback->again;
        break;
    case MAILLOG_SAID:
        if (is_heard(&line))
            queued_set_heard(feedback->queued, line.queue_id);
        break;
    case MAILLOG_UNMET:
        on_unmet(feedback, &frame->time, &line);
        break;
    case MAILLOG_COMPLAINT:
    case MAILLOG_RETURNED:
        on_reported(feedback, &frame->time, &line);
        break;
    case MAILLOG_EXPIRED:
        on_expired(feedback, &frame->time, line.queue_id);
        break;
    case MAILLOG_CLIENT:
    case MAILLOG_OTHER:
        break;
    }
}
