/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policy.h"

#include "engine/classify.h"
#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/tag.h"
#include "lib/units.h"
#include "policyd/policy_request.h"
#include "policyd/transactions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WHO_MAX = 64,            /* bytes of a name in an answer */
    RECIPIENTS_MAX = 100000, /* of one message; more are taken for so many */
    QUEUE_PART = 16, /* mail waits in the queue when a smooth cap has room in that part of it */
    MINUTE_MS = 60 * 1000,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
};

/* One request on its way to an answer. */
struct question {
    const struct policy_view *view;
    const struct policy_request *request;
    struct transaction *transaction; /* NULL: it has no name, or no recipients yet */
    uint64_t key;                    /* of its name; 0: it has none */
    const struct stream *stream;
    const char *account;
    uint32_t account_meter;
    uint32_t full; /* METERS_NONE: there is room; else the number of the meter that has none */
    int64_t room_ms;
    bool promised; /* room is there at room_ms; else there is none before */
};

static uint64_t
hash(const char *text)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool policy";
    uint64_t value = hash_sip(key, text, strlen(text));

    return value != 0 ? value : 1;
}

static bool
is_own(const struct conf *conf, const struct policy_request *request, struct ip *ret_client)
{
    bool known = ip_parse(request->client_address, ret_client);

    if (request->sasl_username[0] != '\0')
        return true;
    for (size_t i = 0; known && i < conf->internal_count; i++)
        if (ip_net_has(&conf->internal[i], ret_client))
            return true;
    return false;
}

/* The first stream that takes the message, as far as its recipients were seen. */
static const struct stream *
stream_of(const struct question *question, const struct ip *client, const char *sender)
{
    const struct policy_request *request = question->request;
    const struct snapshot *snapshot = question->view->conf->snapshot;
    const char *recipient = request->recipient;
    struct facts facts = {
        .sender = sender,
        .sasl_user = request->sasl_username[0] != '\0' ? request->sasl_username : NULL,
        .client = *client,
        .recipients = &recipient,
        .recipient_count = recipient[0] != '\0',
    };
    const struct stream *stream = classify(snapshot, &facts);

    if (question->transaction != NULL && question->transaction->stream < stream->index)
        stream = &snapshot->streams[question->transaction->stream];
    return stream;
}

/* A stream's own caps: is there so little room that the mail is not even to be queued? */
static bool
stream_is_full(struct question *question)
{
    const struct policy_view *view = question->view;
    uint32_t number = meters_stream(view->meters, question->stream->index);
    const struct metered *metered;
    const struct cap *cap;

    if (number == METERS_NONE)
        return false;
    metered = meters_at(view->meters, number);
    if (metered->meter.own || meter_state(&metered->meter, view->store_ms) != METER_FULL)
        return false; /* nobody is asked: what is not delivered yet is not counted, either */
    question->full = number;
    question->room_ms = meter_room_ms(&metered->meter, view->store_ms);
    question->promised = metered->meter.held > 0;
    cap = &metered->caps->items[metered->meter.window % metered->caps->count];
    if (cap->smooth && question->room_ms - view->store_ms <= cap->window_ms / QUEUE_PART)
        question->full = METERS_NONE;
    return question->full != METERS_NONE;
}

/* Is there room for count more recipients of the account? */
static enum meter_state
account_state(struct question *question, uint32_t count)
{
    const struct policy_view *view = question->view;
    const struct meter *meter;
    enum meter_state state;

    if (question->account_meter == METERS_NONE)
        return METER_FREE;
    meter = &meters_at(view->meters, question->account_meter)->meter;
    state = meter_state_many(meter, count, view->store_ms);
    if (state == METER_FREE)
        return state;
    if (state == METER_COLD)
        meters_want_many(view->meters, question->account_meter, count);
    if (state == METER_FULL) {
        question->full = question->account_meter;
        question->room_ms = meter_room_many_ms(meter, count, view->store_ms);
        question->promised = count <= meter->held + meter->next;
    }
    return state;
}

/* Count recipients, over the cap where no grants are at hand.  Returns how many had one. */
static uint32_t
take(const struct question *question, uint32_t count)
{
    const struct policy_view *view = question->view;
    uint32_t number = question->account_meter;
    const struct meter *meter;
    uint32_t taken = 0;

    if (number == METERS_NONE)
        return 0;
    meter = &meters_at(view->meters, number)->meter;
    while (taken < count && meter_state(meter, view->store_ms) == METER_FREE) {
        meters_take(view->meters, number, view->store_ms);
        taken++;
    }
    for (uint32_t i = taken; i < count; i++)
        meters_exceed(view->meters, number, view->store_ms);
    return taken;
}

/* The grants that a transaction took and does not need. */
static void
give_back(const struct policy_view *view, struct transaction *transaction, uint32_t count)
{
    struct meter *meter;

    if (count > transaction->taken)
        count = transaction->taken;
    transaction->taken -= count;
    if (transaction->account == METERS_NONE || count == 0)
        return;
    meter = &meters_at(view->meters, transaction->account)->meter;
    for (uint32_t i = 0; i < count; i++)
        meter_give_back(meter, transaction->taken_ms, view->store_ms);
    meter->again_ms = 0; /* who is refused now may have room */
    meters_touch(view->meters, transaction->account);
}

static void
note_taken(const struct question *question, uint32_t count, uint32_t taken)
{
    struct transaction *transaction = question->transaction;

    if (transaction == NULL)
        return;
    if (transaction->account !=
        question->account_meter) { /* a recipient put it into another stream */
        transaction->kept += transaction->taken;
        transaction->taken = 0;
    }
    transaction->account = question->account_meter;
    transaction->stream = (uint32_t)question->stream->index;
    transaction->taken += taken;
    transaction->kept += count - taken;
    if (taken > 0)
        transaction->taken_ms = question->view->store_ms;
}

static void
add_who(char *out, size_t size, const char *name)
{
    size_t length = strlen(name), used = 0;

    for (; used < length && used < WHO_MAX && used + 4 < size; used++)
        out[used] = name[used] < ' ' || name[used] > '~' ? '?' : name[used];
    strcpy(out + used, used < length ? "..." : "");
}

static const char *
window_word(const struct cap *cap)
{
    switch (cap->window_ms) {
    case MINUTE_MS:
        return "per-minute";
    case HOUR_MS:
        return "hourly";
    case DAY_MS:
        return "daily";
    default:
        return cap->name;
    }
}

/* "hourly limit of 2000 recipients for app-news reached, room again in 12 min" */
static void
print_full(const struct question *question, const char *action,
           char answer[static POLICY_ANSWER_SIZE])
{
    const struct metered *metered = meters_at(question->view->meters, question->full);
    const struct cap *cap = &metered->caps->items[metered->meter.window % metered->caps->count];
    bool stream = metered->kind == METERS_STREAM;
    char who[WHO_MAX + 8], span[UNITS_SPAN_SIZE];

    add_who(who, sizeof(who), stream ? question->stream->name : question->account);
    snprintf(answer, POLICY_ANSWER_SIZE, "%s %s limit of %u recipient%s for %s%s reached, %s %s",
             action, window_word(cap), cap->limit, cap->limit == 1 ? "" : "s",
             stream ? "stream " : "", who,
             question->promised ? "room again in" : "no room for another",
             units_print_span(question->room_ms - question->view->store_ms, span));
}

static enum policy_answered
say_dunno(char answer[static POLICY_ANSWER_SIZE])
{
    strcpy(answer, "DUNNO");
    return POLICY_DUNNO;
}

/*
 * A header can only be asked for before the message comes, and once: Postfix
 * would add it again for each recipient.
 */
static enum policy_answered
say_tag(const struct question *question, char answer[static POLICY_ANSWER_SIZE])
{
    bool late = strcmp(question->request->protocol_state, "END-OF-MESSAGE") == 0;

    if (late || (question->transaction != NULL && question->transaction->told))
        return say_dunno(answer);
    if (question->transaction != NULL)
        question->transaction->told = true;
    strcpy(answer, "PREPEND X-Postpool-Over-Quota: yes");
    return POLICY_TAG;
}

/* There is no room for count recipients: what the configuration wants said then. */
static enum policy_answered
say_over(struct question *question, uint32_t count, char answer[static POLICY_ANSWER_SIZE])
{
    struct transaction *transaction = question->transaction;

    switch (question->view->conf->over_quota) {
    case OVER_QUOTA_DEFER:
        print_full(question, "DEFER_IF_PERMIT 4.7.1", answer);
        return POLICY_DEFER;
    case OVER_QUOTA_REJECT:
        print_full(question, "REJECT 5.7.1", answer);
        return POLICY_REJECT;
    case OVER_QUOTA_HOLD:
        print_full(question, "HOLD", answer);
        if (transaction != NULL)
            transaction->over += count;
        return POLICY_HOLD;
    case OVER_QUOTA_TAG:
        if (transaction != NULL)
            transaction->over += count;
        return say_tag(question, answer);
    }
    return say_dunno(answer);
}

/* A store that has been silent for long is not worth waiting for. */
static bool
may_wait(const struct question *question)
{
    const struct policy_view *view = question->view;
    const struct meter *meter = &meters_at(view->meters, question->account_meter)->meter;

    return view->may_wait && view->store_up &&
           !meter_asked_for(meter, POLICY_PATIENCE_MS, view->store_ms);
}

/*
 * Room for count more recipients?  Then it is taken.  POLICY_WAIT: perhaps, and
 * an answer of the store will tell.
 */
static enum policy_answered
charge(struct question *question, uint32_t count, char answer[static POLICY_ANSWER_SIZE],
       struct policy_result *result)
{
    enum meter_state state = account_state(question, count);

    if (state == METER_COLD && may_wait(question))
        return POLICY_WAIT;
    if (state == METER_FULL || stream_is_full(question)) {
        result->over = true;
        return say_over(question, count, answer);
    }
    result->unsure |= state == METER_COLD;
    note_taken(question, count, take(question, count));
    return say_dunno(answer);
}

static enum policy_answered
on_recipient(struct question *question, char answer[static POLICY_ANSWER_SIZE],
             struct policy_result *result)
{
    const struct policy_view *view = question->view;
    uint64_t recipient = hash(question->request->recipient);
    struct transaction *transaction = question->transaction;
    enum policy_answered answered;

    if (question->key == 0) { /* what is taken could not be settled: only look */
        if (account_state(question, 1) != METER_FULL && !stream_is_full(question))
            return say_dunno(answer);
        result->over = true;
        return say_over(question, 1, answer);
    }
    if (transaction != NULL && transaction->recipient == recipient &&
        transaction->answer == POLICY_TAG) {
        transaction->told = false;
        return say_tag(question, answer);
    }
    if (transaction != NULL && transaction->recipient == recipient &&
        transaction->answer == POLICY_DUNNO)
        return say_dunno(answer); /* asked again; one that was refused may have room by now */
    if (transaction != NULL && transaction->recipient == recipient &&
        transaction->answer == POLICY_HOLD) {
        transaction->over--; /* it is counted anew */
        transaction->answer = POLICY_DEFER;
    }
    if (transaction == NULL)
        question->transaction = transaction =
            transactions_add(view->transactions, question->key, view->now_ms);
    answered = charge(question, 1, answer, result);
    if (answered == POLICY_WAIT)
        return answered;
    transaction->recipient = recipient;
    transaction->answer = (uint8_t)answered;
    transaction->stream = (uint32_t)question->stream->index;
    return answered;
}

static uint32_t
recipient_count(const struct policy_request *request)
{
    unsigned long count = strtoul(request->recipient_count, NULL, 10);

    return count < RECIPIENTS_MAX ? (uint32_t)count : RECIPIENTS_MAX;
}

static enum policy_answered
on_message(struct question *question, char answer[static POLICY_ANSWER_SIZE],
           struct policy_result *result)
{
    const struct policy_view *view = question->view;
    uint32_t count = recipient_count(question->request), known;
    struct transaction *transaction = question->transaction;
    enum policy_answered answered = POLICY_DUNNO;

    if (transaction == NULL && question->key != 0)
        question->transaction = transaction =
            transactions_add(view->transactions, question->key, view->now_ms);
    known = transaction != NULL ? transaction->taken + transaction->kept + transaction->over : 0;
    if (count > known) {
        answered = charge(question, count - known, answer, result);
        if (answered == POLICY_WAIT)
            return answered;
    } else {
        say_dunno(answer);
    }
    if (transaction == NULL)
        return answered;
    if (answered == POLICY_DEFER || answered == POLICY_REJECT) {
        give_back(view, transaction, transaction->taken); /* the message is refused as a whole */
        return answered;
    }
    if (count < known && known - count > transaction->over)
        give_back(view, transaction, known - count - transaction->over);
    transaction->settled = true;
    return answered;
}

/* The transaction that this connection had before was broken off, if it did not come to its end. */
static void
leave(const struct policy_view *view, struct policy_session *session, uint64_t key)
{
    struct transaction *before;

    if (session->transaction == key || key == 0)
        return;
    before = session->transaction != 0
                 ? transactions_find(view->transactions, session->transaction, view->now_ms)
                 : NULL;
    if (before != NULL && !before->settled && session->settles)
        give_back(view, before, before->taken);
    session->transaction = key;
}

static enum policy_answered
answer_own(struct question *question, struct policy_session *session, const struct ip *client,
           char answer[static POLICY_ANSWER_SIZE], struct policy_result *result)
{
    const struct policy_view *view = question->view;
    const struct policy_request *request = question->request;
    bool recipient = strcmp(request->protocol_state, "RCPT") == 0;
    bool message = strcmp(request->protocol_state, "DATA") == 0 ||
                   strcmp(request->protocol_state, "END-OF-MESSAGE") == 0;
    char sender[ADDR_MAX + 1], domain[256];

    if (!recipient && !message)
        return say_dunno(answer);
    if (recipient && view->domain != NULL) {
        addr_domain(request->recipient, domain, sizeof(domain));
        view->domain(view->arg, domain);
    }
    if (view->meters == NULL)
        return say_dunno(answer);
    leave(view, session, question->key);
    session->settles |= message;
    if (question->key != 0)
        question->transaction = transactions_find(view->transactions, question->key, view->now_ms);
    if (question->transaction != NULL)
        question->transaction->active_ms = view->now_ms;
    strcpy(sender, request->sender);
    tag_remove(sender);
    question->stream = result->stream = stream_of(question, client, sender);
    addr_domain(sender, domain, sizeof(domain));
    question->account = request->sasl_username[0] != '\0' ? request->sasl_username : domain;
    question->account_meter =
        question->account[0] != '\0'
            ? meters_account(view->meters, question->stream->index, question->account)
            : METERS_NONE;
    /* Too many accounts are known, or the message names none. */
    result->unsure =
        question->account_meter == METERS_NONE && question->stream->account_caps.count > 0;
    return recipient ? on_recipient(question, answer, result)
                     : on_message(question, answer, result);
}

enum policy_answered
policy_answer(const struct policy_view *view, struct policy_session *session,
              const struct policy_request *request, char answer[static POLICY_ANSWER_SIZE],
              struct policy_result *ret_result)
{
    struct question question = {
        .view = view,
        .request = request,
        .key = request->instance[0] != '\0' ? hash(request->instance) : 0,
        .account_meter = METERS_NONE,
        .full = METERS_NONE,
    };
    struct ip client = {0};

    *ret_result = (struct policy_result){0};
    ret_result->answered = is_own(view->conf, request, &client)
                               ? answer_own(&question, session, &client, answer, ret_result)
                               : say_dunno(answer);
    return ret_result->answered;
}
