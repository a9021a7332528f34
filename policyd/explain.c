/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/explain.h"

#include "engine/decide.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/explained.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/mx.h"
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
    bool json;
};

static bool
parse(const char *arguments, struct wanted *wanted)
{
    char json[8] = "";
    int count = sscanf(arguments, "%32s %" SCNx64 " %255s %255s %7s", wanted->stream, &wanted->key,
                       wanted->domain, wanted->account, json);

    wanted->json = strcmp(json, "json") == 0;
    return count == 4 || (count == 5 && wanted->json);
}

static size_t
provider_of(const struct explain *explain, const char *domain)
{
    const struct provider *provider = NULL;

    if (explain->mx != NULL && strcmp(domain, "-") != 0)
        provider = mx_provider(explain->mx, domain, clock_ms(CLOCK_MONOTONIC));
    return provider != NULL ? provider->index : PROVIDER_OTHER;
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
    };
    struct json json = {.out = answer};
    struct decision decision;
    struct wanted wanted;

    if (!parse(arguments, &wanted)) {
        buf_puts(answer, "error: explain STREAM KEY DOMAIN ACCOUNT [json]");
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
    if (meters != NULL && strcmp(wanted.account, "-") != 0)
        question.account = meters_account(meters, question.stream->index, wanted.account);
    decide_explained(&question, &decision);
    if (wanted.json)
        explained_json(&decision, meters, question.now_ms, &json);
    else
        explained_text(&decision, meters, question.now_ms, answer);
}
