/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/arrivals.h"

#include "ctl/attempt.h"
#include "ctl/logtime.h"
#include "ctl/mails.h"
#include "engine/heap.h"
#include "lib/conf.h"
#include "lib/logtext.h"
#include "lib/mem.h"
#include "lib/replies.h"
#include "lib/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One that waits for what came before it.  Owned by the heap's owner. */
struct held {
    struct arrival arrival;
    uint64_t number; /* in the order in which they were told of */
    size_t place;
    char text[]; /* account and domain */
};

enum { FIRST_MS = 2000 }; /* times of one line are off by less */

struct arrivals {
    struct arrivals_start start;
    struct arrivals_figures figures;
    uint64_t *ruled; /* by the rule's place */
    struct logtime logtime;
    struct mails *mails;
    struct heap held;
    uint64_t number;
    int64_t told_ms;
};

/* ---------------------------------------------------------------- arrivals */

static bool
before(const void *a, const void *b)
{
    const struct held *x = a, *y = b;

    return x->arrival.at_ms != y->arrival.at_ms ? x->arrival.at_ms < y->arrival.at_ms
                                                : x->number < y->number;
}

/* Tell of the first that is held. */
static void
tell(struct arrivals *arrivals)
{
    struct held *held = heap_first(&arrivals->held);

    heap_remove(&arrivals->held, held);
    if (held->arrival.at_ms < arrivals->told_ms)
        held->arrival.at_ms = arrivals->told_ms;
    arrivals->told_ms = held->arrival.at_ms;
    arrivals->start.each(arrivals->start.arg, &held->arrival);
    free(held);
}

static void
tell_until(struct arrivals *arrivals, int64_t until_ms)
{
    const struct held *held;

    while ((held = heap_first(&arrivals->held)) != NULL &&
           (held->arrival.at_ms <= until_ms || arrivals->held.count > ARRIVALS_HELD_MAX))
        tell(arrivals);
}

static struct held *
held_new(const struct attempt *attempt)
{
    size_t account = strlen(attempt->account) + 1, domain = strlen(attempt->domain) + 1;
    struct held *held = mem_new(sizeof(*held) + account + domain);

    held->arrival.account = held->text;
    held->arrival.domain = held->text + account;
    memcpy(held->text, attempt->account, account);
    memcpy(held->text + account, attempt->domain, domain);
    return held;
}

static void
count_arrival(struct arrivals_figures *figures, const struct arrival *arrival, bool begun)
{
    figures->messages += arrival->first;
    figures->recipients++;
    figures->before += !begun;
    figures->unsure += arrival->stream != arrival->perhaps;
    figures->sent += arrival->status == MAILLOG_SENT;
    figures->deferred += arrival->status == MAILLOG_DEFERRED;
    figures->bounced += arrival->status == MAILLOG_BOUNCED;
}

/* It is the first try: the recipient is told of when its time has come. */
static void
hold(struct arrivals *arrivals, const struct attempt *attempt, const struct provider *provider,
     const struct reply *reply, const struct reply_rule *rule)
{
    const struct conf *conf = arrivals->start.conf;
    struct mail *mail = attempt->mail;
    struct held *held = held_new(attempt);
    struct arrival *arrival = &held->arrival;

    arrival->at_ms = mail->came_ms;
    arrival->stream = mail->stream;
    arrival->perhaps = mail->perhaps;
    arrival->provider = provider;
    arrival->key = attempt_key(conf, attempt);
    arrival->first = !mail->counted;
    arrival->status = attempt->line->status;
    arrival->reached = arrival->status == MAILLOG_SENT || reply_reached(reply);
    arrival->code = arrival->status == MAILLOG_SENT ? 250 : reply->code;
    arrival->rule = rule;
    mail->counted = true;
    count_arrival(&arrivals->figures, arrival, mail->begun);
    held->number = arrivals->number++;
    if (!heap_add(&arrivals->held, held))
        mem_must(NULL);
}

/* Which rule does the reply fall under?  It counts, whichever try it is. */
static const struct reply_rule *
find_rule(struct arrivals *arrivals, const struct maillog *line, const struct provider *provider,
          struct reply *ret_reply)
{
    const struct replies *replies = &arrivals->start.conf->replies;
    const struct reply_rule *rule;

    if (line->status == MAILLOG_SENT)
        return NULL;
    reply_read(line->dsn.start, line->dsn.length, line->reply.start, line->reply.length, ret_reply);
    rule = replies_find(replies, provider, ret_reply);
    if (rule == NULL) {
        arrivals->figures.not_ruled++;
        return NULL;
    }
    arrivals->figures.ruled++;
    arrivals->ruled[rule - replies->rules]++;
    return rule;
}

/* ------------------------------------------------------------------- lines */

static struct span
span_of(const char *text)
{
    return (struct span){text, text != NULL ? strlen(text) : 0};
}

/* What another host was asked first: is it a relayhost, that all is handed to? */
static void
note_relay(struct arrivals *arrivals, const struct maillog *line)
{
    struct arrivals_figures *figures = &arrivals->figures;
    size_t length = attempt_host(line).length;

    if (logtext_is(line->relay, "none"))
        return;
    figures->relayed++;
    if (figures->relay_host[0] == '\0')
        snprintf(figures->relay_host, sizeof(figures->relay_host), "%.*s", (int)length,
                 line->relay.start);
    figures->relayed_there += strlen(figures->relay_host) == length &&
                              memcmp(figures->relay_host, line->relay.start, length) == 0;
}

/* A message of which everything was forgotten: it came while the log was read. */
static bool
is_forgotten(const struct arrivals *arrivals, const struct attempt *attempt, int64_t at_ms)
{
    return !attempt->mail->begun && mails_forgotten(arrivals->mails) > 0 &&
           at_ms - attempt->line->delay_ms > arrivals->figures.first_ms + FIRST_MS;
}

/* A filter has it, and handed it back under another queue id: it is the same client's. */
static void
on_filtered(struct arrivals *arrivals, const struct maillog *line)
{
    struct mail *filtered = attempt_filtered(arrivals->mails, line);
    const struct mail *mail = mails_find(arrivals->mails, line->queue_id);

    if (mail == NULL || filtered == NULL || filtered == mail || filtered->stream != NULL)
        return;
    filtered->by_client = mail->by_client;
    filtered->client = mail->client;
    mails_keep(arrivals->mails, &filtered->login, span_of(mail->login));
    mails_keep(arrivals->mails, &filtered->service, span_of(mail->service));
}

static void
on_result(struct arrivals *arrivals, const struct maillog *line, int64_t at_ms)
{
    const struct conf *conf = arrivals->start.conf;
    const struct provider *provider;
    const struct reply_rule *rule;
    enum attempt_kind kind;
    struct attempt attempt;
    struct reply reply = {0};

    /* what error(8) and qmgr(8) defer untried is tried later, or never */
    if (line->status == MAILLOG_OTHER_STATUS || !logtext_is(line->daemon, "smtp"))
        return;
    kind = attempt_make(conf, line, mails_find(arrivals->mails, line->queue_id), &attempt);
    arrivals->figures.tries[kind]++;
    if (kind == ATTEMPT_FILTER && line->status == MAILLOG_SENT)
        on_filtered(arrivals, line);
    if (kind != ATTEMPT_OUT)
        return;
    note_relay(arrivals, line);
    provider = attempt_provider(conf, &attempt);
    rule = find_rule(arrivals, line, provider, &reply);
    if (mails_was_tried(attempt.mail, line->recipient) || is_forgotten(arrivals, &attempt, at_ms))
        return;
    if (line->status == MAILLOG_DEFERRED)
        mails_note_tried(arrivals->mails, attempt.mail, line->recipient);
    attempt_find_stream(conf, arrivals->start.mapping, &attempt);
    hold(arrivals, &attempt, provider, &reply, rule);
}

/* A client hands it in, or a program of this host. */
static void
on_client(struct arrivals *arrivals, const struct maillog *line)
{
    struct mail *mail = mails_begin(arrivals->mails, line->queue_id);
    char client[IP_TEXT_SIZE];

    mail->begun = mail->by_client = true;
    snprintf(client, sizeof(client), "%.*s", (int)line->client.length, line->client.start);
    if (line->client.length > 0 && !ip_parse(client, &mail->client))
        mail->by_client = false; /* a socket of the unix domain, or nonsense: whoever that is */
    mails_keep(arrivals->mails, &mail->login, line->login);
    mails_keep(arrivals->mails, &mail->service, line->service);
}

/* cleanup(8) has it: behind on_client(), or Postfix made it itself. */
static void
on_new(struct arrivals *arrivals, const struct maillog *line)
{
    struct mail *mail = mails_find(arrivals->mails, line->queue_id);

    if (mail == NULL || mail->cleaned || mail->active)
        mail = mails_begin(arrivals->mails, line->queue_id);
    mail->begun = mail->cleaned = true;
}

/* The queue manager takes it up, for the first time or again. */
static void
on_active(struct arrivals *arrivals, const struct maillog *line, int64_t at_ms)
{
    struct mail *mail = mails_find(arrivals->mails, line->queue_id);

    if (mail != NULL && mail->active) {
        size_t length = mail->sender != NULL ? strlen(mail->sender) : 0;

        if (length == line->sender.length &&
            (length == 0 || memcmp(mail->sender, line->sender.start, length) == 0))
            return;
        mail = NULL; /* another one, of which nothing was said */
    }
    if (mail == NULL)
        mail = mails_begin(arrivals->mails, line->queue_id);
    mail->active = true;
    mail->came_ms = at_ms;
    mails_keep(arrivals->mails, &mail->sender, line->sender);
}

static void
hear_line(struct arrivals *arrivals, const struct maillog *line, int64_t at_ms)
{
    switch (line->kind) {
    case MAILLOG_CLIENT:
        on_client(arrivals, line);
        break;
    case MAILLOG_NEW:
        on_new(arrivals, line);
        break;
    case MAILLOG_ACTIVE:
        on_active(arrivals, line, at_ms);
        break;
    case MAILLOG_RESULT:
        on_result(arrivals, line, at_ms);
        break;
    case MAILLOG_REMOVED:
        mails_drop(arrivals->mails, line->queue_id);
        break;
    default:
        break;
    }
}

/* Returns false for a line whose time is none. */
static bool
take_time(struct arrivals *arrivals, const struct maillog_frame *frame, int64_t *ret_at_ms)
{
    struct arrivals_figures *figures = &arrivals->figures;
    int64_t at_ms = logtime_ms(&arrivals->logtime, &frame->time);

    if (at_ms < 0)
        return false;
    if (figures->postfix == 0)
        figures->first_ms = figures->last_ms = at_ms;
    if (figures->last_ms - at_ms > figures->back_ms)
        figures->back_ms = figures->last_ms - at_ms;
    if (at_ms > figures->last_ms)
        figures->last_ms = at_ms;
    figures->postfix++;
    *ret_at_ms = at_ms;
    return true;
}

void
arrivals_hear(struct arrivals *arrivals, const char *text, size_t length)
{
    struct arrivals_figures *figures = &arrivals->figures;
    struct maillog_frame frame;
    struct maillog line;
    int64_t at_ms;

    figures->lines++;
    if (!maillog_cut(text, length, &frame)) {
        figures->foreign += frame.time.month == 0; /* else of a program that is nobody of ours */
        return;
    }
    maillog_parse(frame.ident, frame.message, &line);
    if (line.kind == MAILLOG_OTHER)
        return;
    if (line.kind == MAILLOG_ODD || !take_time(arrivals, &frame, &at_ms)) {
        figures->odd++;
        return;
    }
    hear_line(arrivals, &line, at_ms);
    tell_until(arrivals, figures->last_ms - ARRIVALS_HOLD_MS);
}

void
arrivals_file(struct arrivals *arrivals, int64_t written_ms, int64_t now_ms)
{
    logtime_file(&arrivals->logtime, written_ms, now_ms);
}

void
arrivals_end(struct arrivals *arrivals)
{
    tell_until(arrivals, INT64_MAX);
    arrivals->figures.forgotten = mails_forgotten(arrivals->mails);
}

struct arrivals *
arrivals_new(const struct arrivals_start *start)
{
    struct arrivals *arrivals = mem_new(sizeof(*arrivals));

    arrivals->start = *start;
    arrivals->ruled = mem_array(start->conf->replies.count, sizeof(*arrivals->ruled));
    logtime_init(&arrivals->logtime, start->zone);
    arrivals->mails = mails_new();
    arrivals->held.before = before;
    arrivals->held.place = offsetof(struct held, place);
    return arrivals;
}

void
arrivals_free(struct arrivals *arrivals)
{
    if (arrivals == NULL)
        return;
    for (size_t i = 0; i < arrivals->held.count; i++)
        free(arrivals->held.items[i]);
    heap_clear(&arrivals->held);
    mails_free(arrivals->mails);
    free(arrivals->ruled);
    free(arrivals);
}

const struct arrivals_figures *
arrivals_figures(const struct arrivals *arrivals)
{
    return &arrivals->figures;
}

uint64_t
arrivals_ruled(const struct arrivals *arrivals, size_t rule)
{
    return arrivals->ruled[rule];
}
