/*
 * Why a delivery failed, as the log has it, and the rule of those that are
 * installed that it falls under.
 *
 * Input: the enhanced code of the log, NUL, what stands behind the status.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/reply.h"

#include <string.h>

static void
check_reply(const struct reply *reply)
{
    size_t length = strlen(reply->text);

    MUST(length <= REPLY_TEXT_MAX && strlen(reply->enhanced) <= REPLY_ENHANCED_MAX);
    MUST(reply->code == 0 || (reply->code >= 200 && reply->code < 600));
    MUST(reply->code == 0 || reply->origin == REPLY_SAID);
    MUST(reply->origin != REPLY_LOCAL || reply->phase == REPLY_BEFORE);
    MUST(reply_reached(reply) == (reply->phase >= REPLY_RECIPIENT));
    for (const char *c = reply->text; *c != '\0'; c++)
        MUST((unsigned char)*c >= ' ' && *c != 0x7f && !(c[0] == ' ' && c[1] == ' '));
    MUST(length == 0 || reply->text[0] != ' ');
}

/* Whoever says it: a rule that is found is for that one, and fits by its codes. */
static void
check_rules(const struct conf *conf, const struct reply *reply)
{
    for (size_t i = 0; i < conf->snapshot->provider_count; i++) {
        const struct provider *provider = &conf->snapshot->providers[i];
        const struct reply_rule *rule = replies_find(&conf->replies, provider, reply);

        if (rule == NULL)
            continue;
        MUST(rule->provider == NULL || rule->provider == provider);
        MUST(rule->code == 0 || rule->code == reply->code || rule->code == reply->code / 100);
        MUST(rule->pattern == NULL || pattern_find(rule->pattern, reply->text));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    const struct conf *conf = fuzz_installed();
    char *dsn = fuzz_text(&input);
    char *text = malloc(input.size + 1); /* of its own, so that a byte too far is seen */
    struct reply reply;

    if (input.size > 0)
        memcpy(text, input.data, input.size);
    reply_read(dsn, strlen(dsn), text, input.size, &reply);
    check_reply(&reply);
    check_rules(conf, &reply);
    reply_read_words(text, input.size, &reply);
    MUST(reply.origin == REPLY_SAID);
    check_reply(&reply);
    free(text);
    free(dsn);
    return 0;
}
