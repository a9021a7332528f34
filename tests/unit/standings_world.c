/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/standings_world.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/standings.h"
#include "policyd/standings_inside.h"

static const char site[] =
    "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
    "pools: { p = { addresses = ( \"a1\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"p\"; grades = { new = \"p\"; }; match = (); } );\n"
    "feedback: { log = \"/var/log/mail.log\"; };\n"
    "replies: ( { name = \"blocked\"; class = \"address\"; pattern = \"blocked\"; after = 1; "
    "within = "
    "\"1h\"; suspend = \"1h\"; samples = ( \"550 blocked\" ); },\n"
    "  { name = \"spam\"; class = \"content\"; pattern = \"spam\"; samples = ( \"550 spam\" ); } "
    ");\n"
    "standing: { samples = 20; volume = 100; days = 2; good_days = 2; };\n";

static bool
on_put(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct standings_world_host *host = arg;
    struct standings_world_record *put = &host->puts[host->put_count];

    if (host->no_store)
        return false;
    host->put_count++;
    for (size_t i = 0; i + 1 < host->put_count; i++)
        assert_string_not_equal(host->puts[i].key, key); /* one at a time */
    assert_in_range(host->put_count, 1, KEYS);
    snprintf(put->key, sizeof(put->key), "%s", key);
    put->version = version;
    put->length = length;
    memcpy(put->text, bytes, length);
    host->all_puts++;
    return true;
}

const char *__wrap_control_user(struct control_call *call);

const char *
__wrap_control_user(struct control_call *call)
{
    (void)call;
    return "root";
}

static int64_t
on_time(void *arg)
{
    struct standings_world_host *host = arg;

    return host->world->time_s;
}

struct standings_world_record *
standings_world_find(struct standings_world *w, const char *key)
{
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(w->records[i].key, key) == 0)
            return &w->records[i];
    for (size_t i = 0; i < KEYS; i++)
        if (w->records[i].key[0] == '\0') {
            snprintf(w->records[i].key, sizeof(w->records[i].key), "%s", key);
            return &w->records[i];
        }
    fail_msg("too many records");
    return NULL;
}

/* The store answers one put, and the other host hears of it. */
bool
standings_world_answer(struct standings_world *w, size_t number)
{
    struct standings_world_host *host = &w->hosts[number], *other = &w->hosts[1 - number];
    struct standings_world_record put, *record;
    bool written;

    if (host->put_count == 0 || host->away)
        return false;
    put = host->puts[0];
    memmove(&host->puts[0], &host->puts[1], --host->put_count * sizeof(put));
    record = standings_world_find(w, put.key);
    written = put.version == record->version && !w->full;
    if (written) {
        record->version = put.length > 0 ? ++w->version : 0;
        record->length = put.length;
        memcpy(record->text, put.text, put.length);
    }
    standings_on_put(host->standings, put.key, written, record->version, record->text,
                     record->length);
    if (written && other->standings != NULL && !other->away)
        standings_on_record(other->standings, put.key, record->version, record->text,
                            record->length);
    return true;
}

void
standings_world_settle(struct standings_world *w)
{
    for (int i = 0; i < 20; i++) {
        for (size_t j = 0; j < HOSTS; j++)
            if (w->hosts[j].standings != NULL && !w->full)
                standings_flush(w->hosts[j].standings);
        standings_world_answer(w, (size_t)i % HOSTS);
    }
}

void
standings_world_start(struct standings_world *w, size_t number)
{
    struct standings_world_host *host = &w->hosts[number];
    char *text = mem_printf("node = \"mta%zu\";\n%s", number, site);

    *host = (struct standings_world_host){.world = w, .conf = unit_conf(text)};
    free(text);
    host->standings = standings_new(&(struct standings_start){
        .conf = host->conf, .time_s = on_time, .put = on_put, .arg = host});
    for (size_t i = 0; i < KEYS; i++)
        if (w->records[i].length > 0)
            standings_on_record(host->standings, w->records[i].key, w->records[i].version,
                                w->records[i].text, w->records[i].length);
}

void
standings_world_stop(struct standings_world *w, size_t number)
{
    struct standings_world_host *host = &w->hosts[number];

    standings_free(host->standings);
    conf_unref(host->conf);
    memset(host, 0, sizeof(*host));
}

int
standings_world_setup(void **state)
{
    struct standings_world *w = mem_new(sizeof(*w));

    w->time_s = (int64_t)FIRST * DAY_S + 12 * 3600;
    standings_world_start(w, 0);
    standings_world_start(w, 1);
    *state = w;
    return 0;
}

int
standings_world_teardown(void **state)
{
    struct standings_world *w = *state;

    standings_world_stop(w, 0);
    standings_world_stop(w, 1);
    free(w);
    return 0;
}

/* So many results; words: what the other side says, NULL: it took them. */
void
standings_world_told(struct standings_world *w, size_t number, const char *account, unsigned count,
                     const char *words)
{
    struct standings_world_host *host = &w->hosts[number];
    struct outcome outcome = {.at_ms = w->time_s * 1000,
                              .stream = &host->conf->snapshot->streams[0],
                              .status = words == NULL ? MAILLOG_SENT : MAILLOG_BOUNCED,
                              .reached = true};

    snprintf(outcome.account, sizeof(outcome.account), "%s", account);
    if (words != NULL) {
        reply_read_words(words, strlen(words), &outcome.reply);
        outcome.rule = replies_find(&host->conf->replies, NULL, &outcome.reply);
    }
    while (count-- > 0)
        standings_on_outcome(host->standings, &outcome);
}

const struct standing *
standings_world_known(struct standings_world *w, size_t number, const char *account)
{
    const struct standings_item *item = standings_find(w->hosts[number].standings, account);

    return item != NULL ? item->standing : NULL;
}

void
standings_world_assert_grade(struct standings_world *w, const char *account, enum grade grade)
{
    standings_world_settle(w);
    for (size_t i = 0; i < HOSTS; i++)
        assert_int_equal(standings_grade(w->hosts[i].standings, account), grade);
}

void
standings_world_next_day(struct standings_world *w)
{
    standings_world_settle(w);
    w->time_s += DAY_S;
    for (size_t i = 0; i < HOSTS; i++)
        standings_tick(w->hosts[i].standings);
    standings_world_settle(w);
}

void
standings_world_ask(struct standings_world *w, size_t number, const char *question,
                    const char *begins)
{
    struct buf text = {0};

    assert_true(standings_question(w->hosts[number].standings, question, NULL, &text));
    if (strncmp(buf_text(&text), begins, strlen(begins)) != 0)
        fail_msg("%s: %s", question, buf_text(&text));
    buf_clear(&text);
}
