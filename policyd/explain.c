/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/explain.h"

#include "engine/curbs.h"
#include "engine/decide.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/explained.h"
#include "lib/hint.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/tag.h"
#include "policyd/breakers.h"
#include "policyd/engagements.h"
#include "policyd/mx.h"
#include "policyd/standings.h"
#include "policyd/volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wanted {
    char stream[STREAM_NAME_MAX + 1];
    uint64_t key;
    char domain[256];
    char account[METERS_ACCOUNT_MAX + 1];
    char sender[256];
    uint64_t hash; /* of the recipient */
    int32_t day;   /* of the message's hint; TAG_NO_DAY */
    bool json;
};

static bool
parse(const char *arguments, struct wanted *wanted)
{
    char json[8] = "";
    int count = sscanf(arguments, "%32s %" SCNx64 " %255s %255s %255s %" SCNx64 " %" SCNd32 " %7s",
                       wanted->stream, &wanted->key, wanted->domain, wanted->account,
                       wanted->sender, &wanted->hash, &wanted->day, json);

    wanted->json = strcmp(json, "json") == 0;
    return (count == 7 || (count == 8 && wanted->json)) && wanted->day >= TAG_NO_DAY &&
           wanted->day <= TAG_DAY_MAX;
}

/* "-" is none. */
static const char *
known(const char *text)
{
    return strcmp(text, "-") != 0 ? text : NULL;
}

static size_t
provider_of(const struct explain *explain, const char *domain)
{
    const struct provider *provider = NULL;

    if (explain->mx != NULL && strcmp(domain, "-") != 0)
        provider = mx_provider(explain->mx, domain, clock_ms(CLOCK_MONOTONIC));
    return provider != NULL ? provider->index : PROVIDER_OTHER;
}

/* Whom to ask for a cause. */
struct cause {
    struct breakers *breakers;
    const struct decide_question *question;
};

static const char *
why(struct breakers *breakers, const struct breakers_whose *whose)
{
    const struct breaker *breaker = breakers_find(breakers, whose);

    return breaker != NULL ? breaker_why(breaker) : NULL;
}

static const char *
on_cause(void *arg, const struct candidate *candidate)
{
    const struct cause *cause = arg;
    const struct decide_question *question = cause->question;
    struct breakers_whose whose = {.scope = BREAKERS_ADDRESS, .address = candidate->address};

    if (cause->breakers == NULL)
        return NULL;
    if (candidate->scope == CURB_ACCOUNT) {
        whose = (struct breakers_whose){.scope = BREAKERS_ACCOUNT, .name = question->account_name};
    } else if (candidate->scope == CURB_PROVIDER) {
        whose.scope = BREAKERS_PROVIDER;
        whose.provider = &question->roster->snapshot->providers[question->provider];
        if (question->provider == PROVIDER_OTHER && question->domain != NULL &&
            curbs_domain(question->curbs, candidate->address, question->domain)->share == 0) {
            whose.scope = BREAKERS_DOMAIN;
            whose.provider = NULL;
            whose.name = question->domain;
        }
    }
    return why(cause->breakers, &whose);
}

/* The pool of the account's grade, which is told first; NULL: its stream has no grades. */
static const struct pool *
explain_grade(const struct explain *explain, const struct stream *stream, const char *account,
              struct buf *text, struct json *json)
{
    struct buf why = {0};
    const struct pool *pool;
    enum grade grade;

    if (explain->standings == NULL || !stream->is_graded)
        return NULL;
    if (account == NULL)
        account = "";
    grade = standings_grade(explain->standings, account);
    pool = stream->by_grade[grade] != NULL ? stream->by_grade[grade] : stream->pool;
    standings_explain(explain->standings, account, &why);
    if (json != NULL) {
        json_text(json, "grade", grade_text(grade));
        json_text(json, "grade_why", buf_text(&why));
        json_text(json, "pool", pool->name);
    } else {
        buf_printf(text, "grade      %s\npool       %s\n", buf_text(&why), pool->name);
    }
    buf_clear(&why);
    return pool;
}

void
explain_answer(const struct explain *explain, const char *arguments, struct buf *answer)
{
    struct meters *meters = volume_meters(explain->volume);
    struct decide_question question = {
        .roster = explain->roster,
        .meters = meters,
        .account = METERS_NONE,
        .now_ms = volume_now_ms(explain->volume),
        .curbs = explain->curbs,
    };
    struct cause cause = {explain->breakers, &question};
    struct explained_with with = {meters, question.now_ms, 0, on_cause, &cause};
    struct json json = {.out = answer};
    struct decision decision;
    struct wanted wanted;

    if (!parse(arguments, &wanted)) {
        buf_puts(answer, "error: explain STREAM KEY DOMAIN ACCOUNT SENDER HASH DAY [json]");
        return;
    }
    question.stream =
        snapshot_find_stream(explain->roster->snapshot, wanted.stream, strlen(wanted.stream));
    if (question.stream == NULL) {
        buf_printf(answer, "error: the running configuration has no stream %s", wanted.stream);
        return;
    }
    question.key = wanted.key;
    question.provider = provider_of(explain, wanted.domain);
    question.domain = known(wanted.domain);
    question.account_name = known(wanted.sender);
    question.quiet_days =
        wanted.day != TAG_NO_DAY
            ? hint_quiet(wanted.day, explain->today)
            : engagements_quiet_hash(explain->engagements, wanted.hash, explain->today);
    with.quiet_days = question.quiet_days;
    if (meters != NULL && known(wanted.account) != NULL)
        question.account = meters_account(meters, question.stream->index, wanted.account);
    question.pool = explain_grade(explain, question.stream, question.account_name, answer,
                                  wanted.json ? &json : NULL);
    decide_explained(&question, &decision);
    if (wanted.json)
        explained_json(&decision, &with, &json);
    else
        explained_text(&decision, &with, answer);
}
