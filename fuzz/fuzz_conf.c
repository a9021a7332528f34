/*
 * The configuration file: what is refused has a reason, what is loaded works.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/classify.h"
#include "engine/decide.h"
#include "engine/provider.h"
#include "engine/roster.h"
#include "lib/conf.h"
#include "lib/mem.h"

#include <string.h>

/*
 * libconfig's scanner forgets the text it was reading when the syntax is wrong:
 * one text for each file that is refused.  Its settings are not meant here.
 */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
    return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

/* What the file would have us open is not for strangers to choose. */
static bool
reaches_outside(const char *text)
{
    return strstr(text, "@include") != NULL || strstr(text, "/dev") != NULL ||
           strstr(text, "/proc") != NULL;
}

static void
check_problems(const struct conf_problems *problems)
{
    size_t errors = 0;

    for (size_t i = 0; i < problems->count; i++) {
        MUST(problems->items[i].text != NULL && problems->items[i].text[0] != '\0');
        errors += !problems->items[i].warning;
    }
    MUST(errors == problems->error_count);
}

static void
check_pools(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = &snapshot->pools[i];

        MUST(pool->index == i && snapshot_find_pool(snapshot, pool->name) == pool);
        MUST(pool->member_count > 0);
        for (size_t j = 0; j < pool->member_count; j++) {
            const struct address *address = pool->members[j].address;

            MUST(pool->members[j].weight > 0);
            MUST(address == &snapshot->addresses[address->index]);
            MUST(snapshot_find_address(snapshot, address->name) == address);
        }
    }
}

/* Every stream has an address to give while the host has them all. */
static void
check_decisions(const struct snapshot *snapshot)
{
    bool *present = mem_array(snapshot->address_count, sizeof(*present));
    struct roster *roster;
    struct decision decision;

    memset(present, true, snapshot->address_count * sizeof(*present));
    roster = roster_new(snapshot, present);
    MUST(roster != NULL);
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct stream *stream = &snapshot->streams[i];
        struct decide_question question = {
            .roster = roster, .stream = stream, .key = decide_key("message", "one.test")};

        MUST(snapshot_find_stream(snapshot, stream->name, strlen(stream->name)) == stream);
        decide_explained(&question, &decision);
        MUST(decision.address != NULL);
        decide(&question, &decision);
        MUST(decision.address != NULL);
    }
    roster_free(roster);
    free(present);
}

static void
check_streams(const struct snapshot *snapshot)
{
    const char *recipients[] = {"a@one.test", "b@two.test"};
    struct header headers[] = {{"X-Stream", "tx"}, {"Subject", "news 7"}};
    struct facts facts = {
        .sender = "a@lists.test",
        .sasl_user = "app-1",
        .daemon = "tx",
        .client = {4, {127, 0, 0, 1}},
        .recipients = recipients,
        .recipient_count = 2,
        .headers = headers,
        .header_count = 2,
    };
    struct facts nothing = {0};

    MUST(snapshot->stream_count > 0);
    MUST(snapshot->streams[snapshot->stream_count - 1].match_count == 0);
    MUST(classify(snapshot, &facts) != NULL);
    MUST(classify(snapshot, &nothing) != NULL);
    snapshot_is_bypass(snapshot, "a.internal.test");
}

/* "other" is there and first; every name leads to its provider. */
static void
check_providers(const struct snapshot *snapshot)
{
    MUST(snapshot->provider_count > 0);
    MUST(strcmp(snapshot->providers[PROVIDER_OTHER].name, "other") == 0);
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct provider *provider = &snapshot->providers[i];

        MUST(provider->index == i && snapshot_find_provider(snapshot, provider->name) == provider);
        for (size_t j = 0; j < provider->domain_count; j++)
            MUST(provider_by_domain(snapshot, provider->domains[j]) == provider);
        for (size_t j = 0; j < provider->mx_count; j++) {
            const char *host = provider->mx[j] + 1;

            MUST(provider_by_mx(snapshot, &host, 1) == provider);
        }
    }
}

static void
on_change(void *arg, const char *line)
{
    (void)arg;
    MUST(line[0] == '+' || line[0] == '-' || line[0] == '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *text = fuzz_text(&input);
    struct conf_problems problems = {0};
    struct conf *conf = NULL;

    if (reaches_outside(text)) {
        free(text);
        return -1;
    }
    if (conf_load_text(text, &conf, &problems) == 0) {
        MUST(problems.error_count == 0 && conf != NULL);
        check_pools(conf->snapshot);
        check_streams(conf->snapshot);
        check_providers(conf->snapshot);
        check_decisions(conf->snapshot);
        MUST(conf_diff(conf, conf, on_change, NULL) == 0);
        conf_diff(fuzz_conf(), conf, on_change, NULL);
    } else {
        MUST(problems.error_count > 0 && conf == NULL);
    }
    check_problems(&problems);
    conf_problems_clear(&problems);
    conf_unref(conf);
    free(text);
    return 0;
}
