/*
 * Suspensions on two hosts that share a store: what replies do, what both see, and what stays.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/breakers.h"
#include "policyd/outcome.h"

#include <stdlib.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, RECORDS = 16, HOSTS = 2 };

#define START INT64_C(1000000000)

/* As a store keeps it. */
struct record {
    char key[BREAKERS_KEY_SIZE];
    uint64_t version; /* 0: removed */
    char text[BREAKER_TEXT_SIZE];
    size_t length;
};

struct host {
    struct world *world;
    struct curbs *curbs;
    struct breakers *breakers;
    bool away;                    /* its puts wait */
    struct record waits[RECORDS]; /* those that do, each for the version that it names */
    size_t wait_count;
    unsigned puts, suspensions, resumptions;
};

struct world {
    struct conf *conf;
    int64_t now_ms;
    struct record records[RECORDS];
    struct host hosts[HOSTS];
    const struct address *a1, *a2;
    const struct provider *google;
};

static const char site[] =
    "providers: { google = { domains = ( \"gmail.com\" ); }; };\n"
    "suspension: { probes = 2; probe_every = \"1m\"; steps = ( \"10\", \"50\" ); step = \"10m\"; "
    "forget = \"1d\"; };\n"
    "replies: (\n"
    "{ name = \"blocked\"; class = \"address_provider\"; pattern = \"blocked\"; after = 2; "
    "within = \"1h\"; suspend = \"1h\"; suspend_most = \"4h\"; samples = ( \"550 blocked\" ); },\n"
    "{ name = \"listed\"; class = \"address\"; pattern = \"listed\"; after = 1; within = \"1h\"; "
    "suspend = \"1h\"; suspend_most = \"4h\"; samples = ( \"550 listed\" ); },\n"
    "{ name = \"domain\"; class = \"account\"; pattern = \"reputation\"; after = 9; within = "
    "\"1h\"; suspend = \"1h\"; suspend_most = \"4h\"; slow = 20; slow_after = 1; slow_for = "
    "\"30m\"; samples = ( \"421 reputation\" ); },\n"
    "{ name = \"unknown\"; class = \"recipient\"; pattern = \"unknown\"; samples = ( \"550 "
    "unknown\" ); } );\n";

/* -------------------------------------------------------------- a store */

static struct record *
record_of(struct world *w, const char *key)
{
    size_t i = 0;

    while (w->records[i].key[0] != '\0' && strcmp(w->records[i].key, key) != 0)
        assert_true(++i < RECORDS);
    snprintf(w->records[i].key, sizeof(w->records[i].key), "%s", key);
    return &w->records[i];
}

static bool
on_put(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct host *host = arg;
    struct record *put = &host->waits[host->wait_count++];

    assert_true(host->wait_count < RECORDS);
    for (size_t i = 0; i + 1 < host->wait_count; i++) /* one of each at a time */
        assert_string_not_equal(host->waits[i].key, key);
    snprintf(put->key, sizeof(put->key), "%s", key);
    put->version = version;
    put->length = length;
    memcpy(put->text, bytes, length);
    host->puts++;
    return true;
}

/* The store answers what waits, if host can reach it; the others hear of it. */
static void
answer(struct host *host)
{
    struct world *w = host->world;

    while (!host->away && host->wait_count > 0) {
        struct record put = host->waits[--host->wait_count];
        struct record *record = record_of(w, put.key);
        bool written = record->version == put.version;

        if (written) {
            record->version = put.length > 0 ? record->version + 1 : 0;
            record->length = put.length;
            memcpy(record->text, put.text, put.length);
        }
        breakers_on_put(host->breakers, put.key, written, record->version, record->text,
                        record->length);
        for (size_t i = 0; written && i < HOSTS; i++)
            if (&w->hosts[i] != host && w->hosts[i].breakers != NULL)
                breakers_on_record(w->hosts[i].breakers, put.key, record->version, record->text,
                                   record->length);
    }
}

static void
settle(struct world *w)
{
    for (int round = 0; round < 4; round++)
        for (size_t i = 0; i < HOSTS; i++)
            answer(&w->hosts[i]);
}

static int64_t
now_ms(void *arg)
{
    struct host *host = arg;

    return host->world->now_ms;
}

static void
on_change(void *arg, const struct breakers_whose *whose, bool suspended)
{
    struct host *host = arg;

    (void)whose;
    host->suspensions += suspended;
    host->resumptions += !suspended;
}

static void
start(struct world *w, size_t number, bool store)
{
    struct host *host = &w->hosts[number];

    *host = (struct host){.world = w, .curbs = curbs_new(w->conf->snapshot)};
    host->breakers = breakers_new(
        &(struct breakers_start){NULL, w->conf, host->curbs, now_ms, store ? on_put : NULL, host});
    breakers_listen(host->breakers, on_change, host);
    for (size_t i = 0; i < RECORDS && store; i++)
        if (w->records[i].version > 0)
            breakers_on_record(host->breakers, w->records[i].key, w->records[i].version,
                               w->records[i].text, w->records[i].length);
}

static void
stop(struct world *w, size_t number)
{
    breakers_free(w->hosts[number].breakers);
    curbs_free(w->hosts[number].curbs);
    memset(&w->hosts[number], 0, sizeof(w->hosts[number]));
}

static int
setup(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf_with(site);
    w->now_ms = START;
    w->a1 = snapshot_find_address(w->conf->snapshot, "a1");
    w->a2 = snapshot_find_address(w->conf->snapshot, "b1");
    w->google = snapshot_find_provider(w->conf->snapshot, "google");
    start(w, 0, true);
    start(w, 1, true);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    stop(w, 0);
    stop(w, 1);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static void
later(struct world *w, int64_t ms)
{
    w->now_ms += ms;
    for (size_t i = 0; i < HOSTS; i++)
        if (w->hosts[i].breakers != NULL)
            breakers_tick(w->hosts[i].breakers);
    settle(w);
}

/* A result of a message from a1, on a host. */
static void
result(struct world *w, size_t number, const char *domain, const char *words)
{
    struct outcome outcome = {
        .at_ms = clock_ms(CLOCK_REALTIME_COARSE),
        .address = w->a1,
        .status = words == NULL ? MAILLOG_SENT : MAILLOG_DEFERRED,
        .reached = true,
    };

    snprintf(outcome.account, sizeof(outcome.account), "client.test");
    snprintf(outcome.domain, sizeof(outcome.domain), "%s", domain);
    outcome.provider = strcmp(domain, "gmail.com") == 0
                           ? w->google
                           : &w->conf->snapshot->providers[PROVIDER_OTHER];
    if (words != NULL) {
        reply_read_words(words, strlen(words), &outcome.reply);
        outcome.rule = replies_find(&w->conf->replies, outcome.provider, &outcome.reply);
        assert_non_null(outcome.rule);
    }
    breakers_on_outcome(w->hosts[number].breakers, &outcome);
}

static int
share(const struct world *w, size_t number)
{
    return curbs_provider(w->hosts[number].curbs, w->a1, w->google)->share;
}

/* ----------------------------------------------------------------- tests */

static void
test_two_hosts_count_together(void **state)
{
    struct world *w = *state;

    result(w, 0, "gmail.com", "550 blocked");
    settle(w);
    assert_int_equal(share(w, 0), 100);
    result(w, 1, "gmail.com", "550 blocked");
    settle(w);
    assert_int_equal(share(w, 0), 0);
    assert_int_equal(share(w, 1), 0);
    assert_int_equal(w->hosts[0].suspensions, 1);
    assert_int_equal(w->hosts[1].suspensions, 1);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    assert_true(breakers_is_suspended(w->hosts[0].breakers, w->a1, w->google));
    assert_false(breakers_is_suspended(w->hosts[0].breakers, w->a1, NULL));
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->until_ms, START + HOUR);
}

/* Both write at once: the second writes again, behind the first. */
static void
test_at_the_same_time(void **state)
{
    struct world *w = *state;

    result(w, 0, "gmail.com", "550 blocked");
    result(w, 1, "gmail.com", "550 blocked");
    assert_int_equal(share(w, 0), 100);
    settle(w);
    assert_int_equal(share(w, 0), 0);
    assert_int_equal(share(w, 1), 0);
    assert_int_equal(record_of(w, "breaker/provider/a1/google")->version, 2);
}

static void
count_suspended(void *arg, const struct address *address, const struct provider *provider)
{
    unsigned *count = arg;

    assert_string_equal(address->name, "a1");
    *count += provider != NULL ? 1 : 100;
}

/* What is suspended, or probed, is told of with its provider; what recovers is not. */
static void
test_each_suspended(void **state)
{
    struct world *w = *state;
    unsigned count = 0;

    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "small.test", "550 blocked");
    result(w, 0, "small.test", "550 blocked");
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 1);
    result(w, 0, "gmail.com", "550 listed");
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 102);
    later(w, HOUR);
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 203);
    result(w, 0, "gmail.com", NULL);
    result(w, 0, "gmail.com", NULL);
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 203);
}

static void
test_probes_and_steps(void **state)
{
    struct world *w = *state;
    const struct curb *curb;

    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "gmail.com", "550 blocked");
    settle(w);
    result(w, 0, "gmail.com", "550 blocked"); /* was under way */
    later(w, HOUR - 1);
    curb = curbs_provider(w->hosts[0].curbs, w->a1, w->google);
    assert_int_equal(curb->share + curb->probes, 0);
    later(w, 1);
    curb = curbs_provider(w->hosts[0].curbs, w->a1, w->google);
    assert_int_equal(curb->share, 0);
    assert_int_equal(curb->probes, 2);
    assert_int_equal(w->hosts[0].resumptions, 1);
    curbs_probe(w->hosts[0].curbs, w->a1, w->google, NULL, "client.test");
    curbs_probe(w->hosts[0].curbs, w->a1, w->google, NULL, "client.test");
    later(w, MINUTE - 1);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 0);
    later(w, 1); /* they are lost */
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
    curbs_probe(w->hosts[0].curbs, w->a1, w->google, NULL, "client.test");
    result(w, 0, "other.test", NULL); /* says nothing of google */
    result(w, 0, "gmail.com", NULL);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 1);
    settle(w);
    result(w, 1, "gmail.com", "550 unknown"); /* well enough */
    settle(w);
    assert_int_equal(share(w, 0), 10);
    assert_int_equal(share(w, 1), 10);
    later(w, 10 * MINUTE);
    assert_int_equal(share(w, 0), 50);
    later(w, 10 * MINUTE);
    assert_int_equal(share(w, 1), 100);
}

static void
test_a_probe_that_is_refused(void **state)
{
    struct world *w = *state;

    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "gmail.com", "550 blocked");
    later(w, HOUR);
    assert_int_equal(curbs_provider(w->hosts[1].curbs, w->a1, w->google)->probes, 2);
    result(w, 1, "gmail.com", "550 blocked");
    settle(w);
    later(w, 2 * HOUR - 1);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 0);
    later(w, 1);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
}

/* A domain of no provider has nothing to do with the others. */
static void
test_scopes(void **state)
{
    struct world *w = *state;
    struct curbs *curbs = w->hosts[0].curbs;

    result(w, 0, "small.test", "550 blocked");
    result(w, 0, "small.test", "550 blocked");
    assert_int_equal(curbs_domain(curbs, w->a1, "small.test")->share, 0);
    assert_int_equal(curbs_domain(curbs, w->a1, "other.test")->share, 100);
    assert_int_equal(curbs_provider(curbs, w->a1, &w->conf->snapshot->providers[0])->share, 100);
    result(w, 0, "gmail.com", "421 reputation");
    assert_int_equal(curbs_account(curbs, "client.test")->share, 20);
    assert_int_equal(share(w, 0), 100);
    result(w, 0, "gmail.com", "550 unknown");
    result(w, 0, "gmail.com", "550 unknown");
    assert_int_equal(share(w, 0), 100);
    result(w, 0, "gmail.com", "550 listed");
    assert_int_equal(curbs_address(curbs, w->a1)->share, 0);
    assert_int_equal(curbs_address(curbs, w->a2)->share, 100);
    settle(w);
    later(w, 30 * MINUTE);
    assert_int_equal(curbs_account(w->hosts[1].curbs, "client.test")->share, 100);
}

static void
test_by_hand(void **state)
{
    struct world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};
    struct buf text = {0};

    assert_false(breakers_resume(w->hosts[0].breakers, &a1));
    assert_true(breakers_suspend(w->hosts[0].breakers, &a1, START + HOUR, "moving"));
    settle(w);
    assert_int_equal(curbs_address(w->hosts[1].curbs, w->a1)->share, 0);
    assert_int_equal(breakers_status(w->hosts[1].breakers, &text, NULL), 1);
    assert_string_equal(buf_text(&text), "a1: suspended, for another 60 min: moving\n");
    buf_clear(&text);
    assert_true(breakers_resume(w->hosts[1].breakers, &a1));
    settle(w);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    assert_true(breakers_suspend(w->hosts[0].breakers, &a1, w->now_ms + HOUR, "moving"));
    settle(w);
    later(w, HOUR); /* without probes */
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    assert_true(breakers_drain(w->hosts[0].breakers, &a1, "old"));
    settle(w);
    assert_true(curbs_address(w->hosts[1].curbs, w->a1)->drained);
    breakers_status(w->hosts[1].breakers, &text, NULL);
    assert_string_equal(buf_text(&text), "a1: drained until it is resumed: old\n");
    buf_clear(&text);
    assert_true(breakers_resume(w->hosts[1].breakers, &a1));
    settle(w);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    assert_int_equal(record_of(w, "breaker/address/a1")->version, 0);
}

/* Both hosts hear of it, and one of them that it is over. */
static void
test_lasting_cause(void **state)
{
    struct world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};

    breakers_end(w->hosts[0].breakers, &a1, BREAKER_LISTED, false);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    for (size_t i = 0; i < 2; i++)
        assert_true(breakers_keep_suspended(w->hosts[i].breakers, &a1, BREAKER_LISTED, START + HOUR,
                                            "listed by zen (127.0.0.2)"));
    settle(w);
    later(w, HOUR / 2);
    assert_true(breakers_keep_suspended(w->hosts[0].breakers, &a1, BREAKER_LISTED, w->now_ms + HOUR,
                                        "listed by zen (127.0.0.2)"));
    settle(w);
    later(w, HOUR - 1000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(breakers_find(w->hosts[i].breakers, &a1)->state, BREAKER_OPEN);
        assert_int_equal(w->hosts[i].suspensions, 1);
    }
    breakers_end(w->hosts[1].breakers, &a1, BREAKER_LISTED, false);
    settle(w);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(breakers_find(w->hosts[i].breakers, &a1)->state, BREAKER_PROBING);
}

/* A host gets another configuration, without a1 or with it. */
static void
reload(struct world *w, size_t number, struct conf *conf)
{
    struct host *host = &w->hosts[number];

    assert_true(curbs_set_snapshot(host->curbs, conf->snapshot));
    breakers_set_conf(host->breakers, conf, host->curbs);
}

static void
assert_status(const struct world *w, size_t number, const char *wanted)
{
    struct buf text = {0};

    breakers_status(w->hosts[number].breakers, &text, NULL);
    assert_string_equal(buf_text(&text) != NULL ? buf_text(&text) : "", wanted);
    buf_clear(&text);
}

/* Another address in the place of a1, as a site edits it. */
static struct conf *
conf_without_a1(void)
{
    char *text = mem_printf("%s%s", unit_site, site), *at;
    struct conf *conf;

    while ((at = strstr(text, "a1")) != NULL)
        at[1] = '7';
    conf = unit_conf(text);
    free(text);
    return conf;
}

static void
test_an_address_that_is_gone(void **state)
{
    struct world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};
    struct conf *without = conf_without_a1();

    breakers_suspend(w->hosts[0].breakers, &a1, START + HOUR, "moving");
    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "gmail.com", "550 blocked");
    settle(w);
    reload(w, 0, without);
    reload(w, 1, without);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    assert_status(w, 0,
                  "a1 (not in the configuration): suspended, for another 60 min: moving\n"
                  "a1 at google (not in the configuration): suspended, for another 60 min: "
                  "blocked: 550 blocked\n");
    reload(w, 0, w->conf); /* as it was, when it comes back before */
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 0);
    assert_int_equal(share(w, 0), 0);
    reload(w, 0, without);
    later(w, HOUR);
    assert_status(w, 0, "");
    assert_int_equal(record_of(w, "breaker/address/a1")->version, 0);
    reload(w, 0, w->conf); /* within the day it is probed */
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
    reload(w, 0, without);
    later(w, 24 * HOUR);
    later(w, 1000);
    assert_int_equal(record_of(w, "breaker/provider/a1/google")->version, 0);
    reload(w, 0, w->conf);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    stop(w, 0);
    stop(w, 1);
    conf_unref(without);
}

/* A host that remembers nothing, and BREAKERS_MAX domains that were counted once. */
static void
fill(struct world *w)
{
    char domain[32];

    stop(w, 0);
    start(w, 0, false);
    for (int i = 0; i < BREAKERS_MAX; i++) {
        snprintf(domain, sizeof(domain), "d%d.test", i);
        result(w, 0, domain, "550 blocked");
    }
}

static bool
is_known(struct world *w, const char *domain)
{
    const struct breakers_whose whose = {BREAKERS_DOMAIN, w->a1, NULL, domain};

    return breakers_find(w->hosts[0].breakers, &whose) != NULL;
}

/* Strangers fill the table: what was only counted longest ago gives way. */
static void
test_the_idlest_gives_way(void **state)
{
    struct world *w = *state;
    struct buf text = {0};

    fill(w);
    assert_true(is_known(w, "d0.test"));
    result(w, 0, "d0.test", "550 blocked"); /* suspended: stays */
    result(w, 0, "new.test", "550 blocked");
    result(w, 0, "new.test", "550 blocked");
    assert_int_equal(curbs_domain(w->hosts[0].curbs, w->a1, "new.test")->share, 0);
    assert_true(is_known(w, "d0.test"));
    assert_false(is_known(w, "d1.test"));
    assert_true(is_known(w, "d2.test"));
    breakers_status(w->hosts[0].breakers, &text, NULL);
    assert_non_null(strstr(buf_text(&text), "since the start 1 that were only counted were "
                                            "forgotten, 0 not held back\n"));
    buf_clear(&text);
    later(w, 25 * HOUR); /* all that was counted is forgotten anyway */
    assert_status(w, 0,
                  "a1 at d0.test: probing, 0 of 2 probes accepted: blocked: 550 blocked\n"
                  "a1 at new.test: probing, 0 of 2 probes accepted: blocked: 550 blocked\n");
}

/* All of them are suspended, so that none gives way: there is room for what matters. */
static void
test_always_room(void **state)
{
    struct world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};
    const struct breakers_whose client = {BREAKERS_ACCOUNT, NULL, NULL, "client.test"};
    char domain[32];

    fill(w);
    for (int i = 0; i < BREAKERS_MAX; i++) {
        snprintf(domain, sizeof(domain), "d%d.test", i);
        result(w, 0, domain, "550 blocked");
    }
    result(w, 0, "new.test", "550 blocked");
    assert_false(is_known(w, "new.test"));
    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "gmail.com", "550 blocked");
    assert_int_equal(share(w, 0), 0);
    result(w, 0, "gmail.com", "550 listed");
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 0);
    assert_true(breakers_resume(w->hosts[0].breakers, &a1));
    assert_true(breakers_suspend(w->hosts[0].breakers, &client, BREAKER_FOR_EVER, "x"));
    assert_int_equal(curbs_account(w->hosts[0].curbs, "client.test")->share, 0);
    for (int i = 1; i < BREAKERS_HOLDS_MAX; i++) {
        const struct breakers_whose more = {BREAKERS_ACCOUNT, NULL, NULL, domain};

        snprintf(domain, sizeof(domain), "more%d.test", i);
        assert_true(breakers_suspend(w->hosts[0].breakers, &more, BREAKER_FOR_EVER, "x"));
    }
    assert_false(breakers_suspend(
        w->hosts[0].breakers, &(struct breakers_whose){BREAKERS_ACCOUNT, NULL, NULL, "last.test"},
        BREAKER_FOR_EVER, "x"));
}

/* What gives way is gone from the store, too; what is on the way to it does not give way. */
static void
test_giving_way_in_the_store(void **state)
{
    struct world *w = *state;
    const struct breakers_whose first = {BREAKERS_DOMAIN, w->a1, NULL, "d1.test"};
    char key[BREAKERS_KEY_SIZE], text[BREAKER_TEXT_SIZE];
    struct breaker counted = {.hits = {{.rule = 9, .count = 1, .at_ms = {START}}}};
    size_t length = breaker_print(&counted, text);

    for (int i = 1; i <= BREAKERS_MAX; i++) {
        snprintf(key, sizeof(key), "breaker/domain/a1/d%d.test", i);
        breakers_on_record(w->hosts[0].breakers, key, 7, text, length);
    }
    assert_non_null(breakers_find(w->hosts[0].breakers, &first));
    w->hosts[0].away = true;
    result(w, 0, "new.test", "550 blocked");
    assert_null(breakers_find(w->hosts[0].breakers, &first));
    assert_int_equal(w->hosts[0].wait_count, 2);
    assert_string_equal(w->hosts[0].waits[0].key, "breaker/domain/a1/d1.test");
    assert_int_equal(w->hosts[0].waits[0].version, 7);
    assert_int_equal(w->hosts[0].waits[0].length, 0);
    breakers_on_put(w->hosts[0].breakers, "breaker/domain/a1/d1.test", true, 0, NULL, 0);
}

static void
test_a_restart_keeps(void **state)
{
    struct world *w = *state;

    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "gmail.com", "550 blocked");
    settle(w);
    stop(w, 0);
    start(w, 0, true);
    assert_int_equal(share(w, 0), 0);
    later(w, HOUR);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
}

/* What happens while the store is away holds here, and is told when it is back. */
static void
test_away(void **state)
{
    struct world *w = *state;

    w->hosts[0].away = true;
    for (int i = 0; i < 20; i++) {
        result(w, 0, "gmail.com", "421 reputation");
        later(w, 20 * 1000);
    }
    assert_int_equal(curbs_account(w->hosts[0].curbs, "client.test")->share, 0);
    assert_int_equal(w->hosts[0].puts, 1);
    result(w, 1, "gmail.com", "421 reputation");
    settle(w);
    assert_int_equal(curbs_account(w->hosts[1].curbs, "client.test")->share, 20);
    w->hosts[0].away = false;
    settle(w);
    assert_int_equal(curbs_account(w->hosts[0].curbs, "client.test")->share,
                     curbs_account(w->hosts[1].curbs, "client.test")->share);
}

static void
test_without_a_store(void **state)
{
    struct world *w = *state;

    stop(w, 0);
    start(w, 0, false);
    result(w, 0, "gmail.com", "550 blocked");
    result(w, 0, "gmail.com", "550 blocked");
    assert_int_equal(share(w, 0), 0);
    later(w, 2 * HOUR);
    result(w, 0, "gmail.com", NULL);
    result(w, 0, "gmail.com", NULL);
    assert_int_equal(share(w, 0), 10);
}

/* What is forgotten is gone from memory and store; nothing is written for nothing. */
static void
test_forgotten(void **state)
{
    struct world *w = *state;
    const struct breakers_whose whose = {BREAKERS_PROVIDER, w->a1, w->google, NULL};
    unsigned puts;

    result(w, 0, "gmail.com", "550 blocked");
    settle(w);
    puts = w->hosts[0].puts;
    assert_non_null(breakers_find(w->hosts[1].breakers, &whose));
    later(w, 23 * HOUR);
    assert_int_equal(w->hosts[0].puts, puts);
    later(w, 2 * HOUR);
    later(w, 1);
    assert_int_equal(record_of(w, "breaker/provider/a1/google")->version, 0);
    assert_null(breakers_find(w->hosts[0].breakers, &whose));
    assert_null(breakers_find(w->hosts[1].breakers, &whose));
}

/* Records that others damaged, or that are of things this host does not have. */
static void
test_odd_records(void **state)
{
    static const char *const keys[] = {
        "breaker/address/a1",
        "breaker/address/gone",
        "breaker/provider/a1/gone",
        "breaker/provider/a1",
        "breaker/address/a1/x",
        "breaker/account/x.test",
        "breaker/domain/gone/d.test",
        "breaker/what/a1",
        "breaker/",
        "address/a1",
        "breaker/domain/",
        "breaker/account",
    };
    struct world *w = *state;
    struct breaker open = {.hand = {.until_ms = BREAKER_FOR_EVER}};
    char text[BREAKER_TEXT_SIZE];
    size_t length = breaker_print(&open, text);

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        breakers_on_record(w->hosts[0].breakers, keys[i], 7, "rubbish", 7);
        breakers_on_record(w->hosts[0].breakers, keys[i], 8, text, length);
    }
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 0);
    assert_int_equal(curbs_account(w->hosts[0].curbs, "x.test")->share, 0);
    breakers_on_record(w->hosts[0].breakers, "breaker/address/a1", 9, "rubbish", 7);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    breakers_tick(w->hosts[0].breakers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_hosts_count_together),
        TEST(test_at_the_same_time),
        TEST(test_each_suspended),
        TEST(test_probes_and_steps),
        TEST(test_a_probe_that_is_refused),
        TEST(test_scopes),
        TEST(test_by_hand),
        TEST(test_lasting_cause),
        TEST(test_an_address_that_is_gone),
        TEST(test_the_idlest_gives_way),
        TEST(test_always_room),
        TEST(test_giving_way_in_the_store),
        TEST(test_a_restart_keeps),
        TEST(test_away),
        TEST(test_without_a_store),
        TEST(test_forgotten),
        TEST(test_odd_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
