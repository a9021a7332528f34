/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/choice.h"

#include "engine/curbs.h"
#include "engine/decide.h"
#include "engine/grants.h"
#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/provider.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/due.h"
#include "policyd/lookup.h"

#include <string.h>

_Static_assert((int)LOOKUP_AVOID_MAX == (int)DECIDE_AVOID_MAX, "a decision avoids all of them");

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

/* Is nothing to leave from there, not even a probe?  What may be one of those stays. */
static bool
is_shut(const struct curb *curb)
{
    return curb->share == 0 && !curb->probing;
}

static bool
is_suspended(const struct decide_question *question, const struct address *address)
{
    const struct curbs *curbs = question->curbs;
    const struct provider *provider = &question->roster->snapshot->providers[question->provider];

    return curbs != NULL && !curbs_is_empty(curbs) &&
           (is_shut(curbs_address(curbs, address)) ||
            is_shut(curbs_provider(curbs, address, provider)) ||
            is_shut(curbs_account(curbs, question->account_name)) ||
            is_shut(curbs_domain(curbs, address, question->domain)));
}

static bool
has_refused(const struct decide_question *question, const struct address *address)
{
    for (size_t i = 0; i < DECIDE_AVOID_MAX; i++)
        if (question->avoid[i] == address)
            return true;
    return false;
}

/* The address of the grant that is open for this message and recipient; NULL: none is. */
static const struct address *
open_grant(const struct lookup_view *view, const struct decide_question *question,
           const struct grant_key *key, bool ahead)
{
    const struct grant *grant = NULL;
    const struct address *address;

    if (view->grants != NULL)
        grant = ahead ? grants_find(view->grants, key, view->now_ms)
                      : grants_ask(view->grants, key, view->now_ms);
    if (grant == NULL || !view->roster->present[grant->address])
        return NULL;
    address = &view->conf->snapshot->addresses[grant->address];
    if (ahead && grants_state(view->grants, key, view->now_ms) == GRANT_ASKED)
        return address; /* it is under way there */
    if (!is_suspended(question, address) && !has_refused(question, address))
        return address;
    grants_spend(view->grants, key, view->now_ms); /* where it is now nobody knows */
    return NULL;
}

static uint16_t
stream_number(const struct lookup_view *view, const struct stream *stream)
{
    return view->stream_numbers != NULL ? view->stream_numbers[stream->index] : 0;
}

uint16_t
choice_account(const struct lookup_view *view, const struct stream *stream, const char *account)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool account";
    uint16_t number;

    if (!stream->is_graded || view->conf->standing_under_way == 0 || account[0] == '\0')
        return 0;
    number = hash_sip(key, account, strlen(account)) % GRANTS_ACCOUNTS;
    return number > 0 ? number : 1;
}

/* Is as much of the stream, or of the account, under way as may be?  What does not end is not
 * counted on. */
static bool
is_busy(const struct lookup_view *view, const struct choice_mail *mail)
{
    const struct stream *stream = mail->stream;

    if (!view->settles || view->grants == NULL)
        return false;
    return (stream->active > 0 && grants_of_stream(view->grants, stream_number(view, stream)) >=
                                      (size_t)stream->active) ||
           (stream->is_graded &&
            grants_of_account(view->grants, choice_account(view, stream, mail->account)) >=
                (size_t)view->conf->standing_under_way &&
            view->conf->standing_under_way > 0);
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
    if (question->stream->is_graded)
        grants_set_account(view->grants, key,
                           choice_account(view, question->stream, question->account_name),
                           view->now_ms);
    if (!ahead)
        grants_ask(view->grants, key, view->now_ms);
}

/* Is it too late for it, or too early? */
static bool
heed_times(const struct lookup_view *view, const struct choice_mail *mail,
           struct lookup_result *result)
{
    result->expired = due_ends_ms(mail->stream, mail->message_id, view->time_ms) <= view->time_ms;
    if (result->expired)
        return true;
    result->opens_ms = due_opens_ms(mail->stream, view->time_ms);
    result->outside = result->opens_ms > view->time_ms;
    return result->outside;
}

const struct pool *
choice_pool(const struct lookup_view *view, const struct stream *stream, const char *account)
{
    const struct pool *pool = NULL;

    if (view->grade != NULL && stream->is_graded)
        pool = stream->by_grade[view->grade(view->grade_arg, account)];
    return pool != NULL ? pool : stream->pool;
}

void
choice_key(const struct lookup_view *view, const struct choice_mail *mail,
           struct grant_key *ret_key)
{
    grant_key(view->grant_secret, mail->message_id, mail->recipient, ret_key);
}

/* What earlier tries say.  True: it has been tried enough, and the answer is to tell so. */
static bool
heed_history(const struct lookup_view *view, const struct choice_mail *mail,
             struct decide_question *question, struct lookup_result *result)
{
    struct lookup_history history = {0};

    if (view->history != NULL)
        view->history(view->arg, mail->message_id, mail->recipient, mail->domain, &history);
    question->prefer = history.prefer;
    memcpy(question->avoid, history.avoid, sizeof(history.avoid));
    result->words = history.words;
    result->refused = history.ended && history.words != NULL;
    return result->refused;
}

/* Tell what the decision says, and spend what it takes. */
static void
carry_out(const struct lookup_view *view, const struct choice_mail *mail,
          const struct decide_question *question, const struct decision *decision,
          const struct grant_key *key, bool ahead, struct lookup_result *result)
{
    bool unknown = view->provider != NULL && result->provider == NULL;

    result->address = decision->address;
    result->exceeds = decision->exceeds;
    result->full = decision->full;
    result->suspended = decision->suspended;
    result->refused = decision->refused;
    if (result->address == NULL)
        return;
    spend(view, question, decision, key, unknown ? lookup_domain(mail->domain) : 0, ahead);
    if (unknown)
        view->unknown(view->arg, mail->domain, result->address);
}

void
choice_make(const struct lookup_view *view, const struct choice_mail *mail, bool ahead,
            struct lookup_result *ret_result, struct decision *ret_decision)
{
    struct lookup_result *result = ret_result;
    struct decide_question question = {
        .roster = view->roster,
        .stream = mail->stream,
        .pool = choice_pool(view, mail->stream, mail->account),
        .meters = view->meters,
        .now_ms = view->store_ms,
        .may_wait = view->may_wait,
        .curbs = view->curbs,
        .account_name = mail->account,
        .domain = mail->domain,
    };
    struct grant_key key = {0};

    *result = (struct lookup_result){.stream = mail->stream, .is_decision = true};
    if (view->grants != NULL)
        choice_key(view, mail, &key);
    result->key = key.low;
    if (heed_history(view, mail, &question, result) || heed_times(view, mail, result))
        return;
    if (view->provider != NULL)
        result->provider = view->provider(view->arg, mail->domain);
    question.provider = result->provider != NULL ? result->provider->index : PROVIDER_OTHER;
    result->kept =
        view->grants != NULL && grants_state(view->grants, &key, view->now_ms) == GRANT_RESERVED;
    result->address = open_grant(view, &question, &key, ahead);
    result->again = result->address != NULL;
    if (result->again)
        return;
    result->busy = is_busy(view, mail);
    if (result->busy)
        return;
    question.key = decide_key(mail->message_id, mail->domain);
    question.account = account_of(view, mail);
    if (view->quiet != NULL)
        question.quiet_days = view->quiet(view->arg, mail->message_id, mail->recipient);
    result->decided = true;
    decide(&question, ret_decision);
    if (ret_decision->refused && result->words == NULL && question.avoid[0] != NULL) {
        /* Nobody has refused it for good, so that they may be tried again. */
        memset(question.avoid, 0, sizeof(question.avoid));
        decide(&question, ret_decision);
    }
    result->waits = ret_decision->cold && view->may_wait;
    if (!result->waits)
        carry_out(view, mail, &question, ret_decision, &key, ahead, result);
}
