/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/breakers_world.h"

#include "engine/curbs.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/outcome.h"

#include <stdlib.h>

const char breakers_world_site[] =
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

struct breakers_world_record *
breakers_world_record_of(struct breakers_world *w, const char *key)
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
    struct breakers_world_host *host = arg;
    struct breakers_world_record *put = &host->waits[host->wait_count++];

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
answer(struct breakers_world_host *host)
{
    struct breakers_world *w = host->world;

    while (!host->away && host->wait_count > 0) {
        struct breakers_world_record put = host->waits[--host->wait_count];
        struct breakers_world_record *record = breakers_world_record_of(w, put.key);
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

void
breakers_world_settle(struct breakers_world *w)
{
    for (int round = 0; round < 4; round++)
        for (size_t i = 0; i < HOSTS; i++)
            answer(&w->hosts[i]);
}

static int64_t
now_ms(void *arg)
{
    struct breakers_world_host *host = arg;

    return host->world->now_ms;
}

static void
on_change(void *arg, const struct breakers_whose *whose, bool suspended)
{
    struct breakers_world_host *host = arg;

    (void)whose;
    host->suspensions += suspended;
    host->resumptions += !suspended;
}

void
breakers_world_start(struct breakers_world *w, size_t number, bool store)
{
    struct breakers_world_host *host = &w->hosts[number];

    *host = (struct breakers_world_host){.world = w, .curbs = curbs_new(w->conf->snapshot)};
    host->breakers = breakers_new(
        &(struct breakers_start){NULL, w->conf, host->curbs, now_ms, store ? on_put : NULL, host});
    breakers_listen(host->breakers, on_change, host);
    for (size_t i = 0; i < RECORDS && store; i++)
        if (w->records[i].version > 0)
            breakers_on_record(host->breakers, w->records[i].key, w->records[i].version,
                               w->records[i].text, w->records[i].length);
}

void
breakers_world_stop(struct breakers_world *w, size_t number)
{
    breakers_free(w->hosts[number].breakers);
    curbs_free(w->hosts[number].curbs);
    memset(&w->hosts[number], 0, sizeof(w->hosts[number]));
}

int
breakers_world_setup(void **state)
{
    struct breakers_world *w = mem_new(sizeof(*w));

    w->conf = unit_conf_with(breakers_world_site);
    w->now_ms = START;
    w->a1 = snapshot_find_address(w->conf->snapshot, "a1");
    w->a2 = snapshot_find_address(w->conf->snapshot, "b1");
    w->google = snapshot_find_provider(w->conf->snapshot, "google");
    breakers_world_start(w, 0, true);
    breakers_world_start(w, 1, true);
    *state = w;
    return 0;
}

int
breakers_world_teardown(void **state)
{
    struct breakers_world *w = *state;

    breakers_world_stop(w, 0);
    breakers_world_stop(w, 1);
    conf_unref(w->conf);
    free(w);
    return 0;
}

void
breakers_world_later(struct breakers_world *w, int64_t ms)
{
    w->now_ms += ms;
    for (size_t i = 0; i < HOSTS; i++)
        if (w->hosts[i].breakers != NULL)
            breakers_tick(w->hosts[i].breakers);
    breakers_world_settle(w);
}

/* A result of a message from a1, on a host. */
void
breakers_world_result(struct breakers_world *w, size_t number, const char *domain,
                      const char *words)
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

int
breakers_world_share(const struct breakers_world *w, size_t number)
{
    return curbs_provider(w->hosts[number].curbs, w->a1, w->google)->share;
}

void
breakers_world_assert_status(const struct breakers_world *w, size_t number, const char *wanted)
{
    static const char until[] = " until ";
    struct buf text = {0}, masked = {0};

    breakers_status(w->hosts[number].breakers, &text, NULL);
    for (const char *at = buf_text(&text); *at != '\0'; at++) {
        buf_add(&masked, at, 1);
        if (strncmp(at, until, strlen(until)) == 0 && at[strlen(until)] >= '0' &&
            at[strlen(until)] <= '9') {
            buf_puts(&masked, "until TIME");
            at = strstr(at, " (") - 1;
        }
    }
    assert_string_equal(buf_text(&masked), wanted);
    buf_clear(&text);
    buf_clear(&masked);
}
