/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/choice.h"

#include "engine/decide.h"
#include "engine/grants.h"
#include "engine/meters.h"
#include "engine/provider.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "policyd/lookup.h"

/* Who is counted where no policy service counts logins: the domain of the sender. */
static uint32_t
account_of(const struct lookup_view *view, const struct choice_mail *mail)
{
    if (view->meters == NULL || view->conf->policy != NULL || mail->stream->account_caps.count == 0)
        return METERS_NONE;
    return mail->account[0] != '\0'
               ? meters_account(view->meters, mail->stream->index, mail->account)
               : METERS_NONE;
}

/* The address of the grant that is open for this message and recipient; NULL: none is. */
static const struct address *
open_grant(const struct lookup_view *view, const struct grant_key *key, bool ahead)
{
    const struct grant *grant = NULL;

    if (view->grants != NULL)
        grant = ahead ? grants_find(view->grants, key, view->now_ms)
                      : grants_ask(view->grants, key, view->now_ms);
    if (grant == NULL || !view->roster->present[grant->address])
        return NULL;
    return &view->conf->snapshot->addresses[grant->address];
}

static uint16_t
stream_number(const struct lookup_view *view, const struct stream *stream)
{
    return view->stream_numbers != NULL ? view->stream_numbers[stream->index] : 0;
}

/* Is as much of the stream under way as may be?  What does not end is not counted on. */
static bool
is_busy(const struct lookup_view *view, const struct stream *stream)
{
    return view->settles && view->grants != NULL && stream->active > 0 &&
           grants_of_stream(view->grants, stream_number(view, stream)) >= (size_t)stream->active;
}

static void
spend(const struct lookup_view *view, const struct decide_question *question,
      const struct decision *decision, const struct grant_key *key, uint32_t domain, bool ahead)
{
    struct grant grant = {
        .address = (uint32_t)decision->address->index, .domain = domain, .at_ms = view->now_ms};
    bool is_new;

    decide_spend(question, decision);
    if (view->grants == NULL)
        return;
    for (size_t i = 0; i < DECISION_METERS; i++)
        grant.meters[i] = decision->meters[i];
    grants_expire(view->grants, view->now_ms, 2); /* more than come, so that they stay few */
    grants_reserve(view->grants, key, &grant, stream_number(view, question->stream),
                   &is_new); /* open_grant() found none */
    if (!ahead)
        grants_ask(view->grants, key, view->now_ms);
}

void
choice_key(const struct lookup_view *view, const struct choice_mail *mail,
           struct grant_key *ret_key)
{
    grant_key(view->grant_secret, mail->message_id, mail->recipient, ret_key);
}

void
choice_make(const struct lookup_view *view, const struct choice_mail *mail, bool ahead,
            struct lookup_result *ret_result, struct decision *ret_decision)
{
    struct lookup_result *result = ret_result;
    struct decide_question question = {
        .roster = view->roster,
        .stream = mail->stream,
        .meters = view->meters,
        .now_ms = view->store_ms,
        .may_wait = view->may_wait,
    };
    struct grant_key key = {0};
    bool unknown;

    *result = (struct lookup_result){.stream = mail->stream, .is_decision = true};
    if (view->grants != NULL)
        choice_key(view, mail, &key);
    result->key = key.low;
    result->address = open_grant(view, &key, ahead);
    result->again = result->address != NULL;
    if (result->again)
        return;
    result->busy = is_busy(view, mail->stream);
    if (result->busy)
        return;
    if (view->provider != NULL)
        result->provider = view->provider(view->arg, mail->domain);
    unknown = view->provider != NULL && result->provider == NULL;
    question.provider = result->provider != NULL ? result->provider->index : PROVIDER_OTHER;
    question.key = decide_key(mail->message_id, mail->domain);
    question.account = account_of(view, mail);
    decide(&question, ret_decision);
    result->waits = ret_decision->cold && view->may_wait;
    if (result->waits)
        return;
    result->address = ret_decision->address;
    result->exceeds = ret_decision->exceeds;
    result->full = ret_decision->full;
    if (result->address == NULL)
        return;
    if (view->meters != NULL || view->grants != NULL)
        spend(view, &question, ret_decision, &key, unknown ? lookup_domain(mail->domain) : 0,
              ahead);
    if (unknown)
        view->unknown(view->arg, mail->domain, result->address);
}
