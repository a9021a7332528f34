/*
 * Warm-ups on two hosts that share a store: what both come to, by results, days and orders.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/date.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/warmups.h"
#include "policyd/warmups_inside.h"

enum { HOSTS = 2, DAY_S = 24 * 3600, FIRST = 20000 };

static const char *const sites[HOSTS] = {"node = \"mta1\";\n", "node = \"mta2\";\n"};
#define SITE(zone)                                                                                \
    "addresses: {\n"                                                                              \
    "  a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; warmup = { schedule = \"s\"; started = "    \
    "\"2024-10-04\"; }; };\n"                                                                     \
    "  a2 = { ip = \"192.0.2.2\"; helo = \"a2.test\"; }; };\n"                                    \
    "pools: { p = { addresses = ( \"a1\", \"a2\" ); }; };\n"                                      \
    "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"                           \
    "feedback: { log = \"/var/log/mail.log\"; };\n"                                               \
    "replies: ( { name = \"unknown\"; class = \"recipient\"; pattern = \"unknown\"; samples = ( " \
    "\"550 unknown\" ); } );\n"                                                                   \
    "warmup: { time_zone = \"" zone "\"; schedules: { s = { days = ( 10, 20, 40 ); }; }; };\n"

static const char in_utc[] = SITE("UTC"), in_berlin[] = SITE("CET-1CEST,M3.5.0,M10.5.0/3");

struct put {
    bool waits;
    uint64_t version;
    char text[WARMUP_TEXT_SIZE];
    size_t length;
};

struct host {
    struct world *world;
    struct conf *conf;
    struct warmups *warmups;
    const struct address *a1;
    struct put put;
    unsigned puts;
    bool away;
};

struct world {
    int64_t time_s;
    struct put record; /* what the store has */
    struct host hosts[HOSTS];
};

static bool
on_put(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct host *host = arg;

    assert_string_equal(key, "warmup/a1");
    assert_false(host->put.waits); /* one at a time */
    host->put = (struct put){.waits = true, .version = version, .length = length};
    memcpy(host->put.text, bytes, length);
    host->puts++;
    return true;
}

static int64_t
on_time(void *arg)
{
    struct host *host = arg;

    return host->world->time_s;
}

/* The store answers one put, and the other host hears of it. */
static void
answer(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number], *other = &w->hosts[1 - number];
    bool written = host->put.version == w->record.version;

    if (!host->put.waits || host->away)
        return;
    host->put.waits = false;
    if (written) {
        w->record.version++;
        w->record.length = host->put.length;
        memcpy(w->record.text, host->put.text, host->put.length);
    }
    warmups_on_put(host->warmups, "warmup/a1", written, w->record.version, w->record.text,
                   w->record.length);
    if (written && other->warmups != NULL && !other->away)
        warmups_on_record(other->warmups, "warmup/a1", w->record.version, w->record.text,
                          w->record.length);
}

static void
settle(struct world *w)
{
    for (int i = 0; i < 8; i++)
        answer(w, (size_t)i % HOSTS);
}

static void
start(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number];
    char *text = mem_printf("%s%s", sites[number], in_utc);

    *host = (struct host){.world = w, .conf = unit_conf(text)};
    free(text);
    host->a1 = snapshot_find_address(host->conf->snapshot, "a1");
    host->warmups = warmups_new(
        &(struct warmups_start){.conf = host->conf, .time_s = on_time, .put = on_put, .arg = host});
}

static void
stop(struct world *w, size_t number)
{
    struct host *host = &w->hosts[number];

    warmups_free(host->warmups);
    conf_unref(host->conf);
    memset(host, 0, sizeof(*host));
}

static void
tick(struct world *w)
{
    for (size_t i = 0; i < HOSTS; i++)
        if (w->hosts[i].warmups != NULL)
            warmups_flush(w->hosts[i].warmups);
    settle(w);
}

static int
setup(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    w->time_s = (int64_t)FIRST * DAY_S + 12 * 3600;
    start(w, 0);
    start(w, 1);
    for (int i = 0; i < 2; i++)
        tick(w);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    stop(w, 0);
    stop(w, 1);
    free(w);
    return 0;
}

static void
sent(struct world *w, size_t number, unsigned count)
{
    struct outcome outcome = {.at_ms = w->time_s * 1000,
                              .address = w->hosts[number].a1,
                              .status = MAILLOG_SENT,
                              .reached = true};

    while (count-- > 0)
        warmups_on_outcome(w->hosts[number].warmups, &outcome);
}

static void
refused(struct world *w, size_t number, const char *words, unsigned count)
{
    struct outcome outcome = {.at_ms = w->time_s * 1000,
                              .address = w->hosts[number].a1,
                              .status = MAILLOG_BOUNCED,
                              .reached = true};

    reply_read_words(words, strlen(words), &outcome.reply);
    outcome.rule = replies_find(&w->hosts[number].conf->replies, NULL, &outcome.reply);
    while (count-- > 0)
        warmups_on_outcome(w->hosts[number].warmups, &outcome);
}

static const struct warmup *
now(const struct world *w, size_t number)
{
    const struct warmups *warmups = w->hosts[number].warmups;

    assert_int_equal(warmups->count, 1);
    return &warmups->items[0].now;
}

/* Both know it, and the store, too. */
static void
assert_stage(struct world *w, size_t stage)
{
    const struct address *a1 = w->hosts[0].a1;
    struct warmup stored;

    assert_int_equal(warmup_parse(w->record.text, w->record.length, &stored), 0);
    assert_int_equal(warmup_stage(&stored, a1->schedule), stage);
    for (size_t i = 0; i < HOSTS; i++)
        if (w->hosts[i].warmups != NULL)
            assert_int_equal(warmup_stage(now(w, i), a1->schedule), stage);
}

static void
next_day(struct world *w)
{
    tick(w);
    w->time_s += DAY_S;
    tick(w);
}

/* ------------------------------------------------------------------- tests */

static void
test_two_hosts_have_one_stage(void **state)
{
    struct world *w = *state;

    assert_stage(w, 0);
    sent(w, 0, 4);
    sent(w, 1, 3);
    tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 7);
    assert_int_equal(warmup_today(now(w, 1)).used, 7);
    next_day(w);
    assert_stage(w, 1);
    assert_int_equal(now(w, 0)->past[0].figures.accepted, 7);
    sent(w, 0, 6);
    sent(w, 1, 6);
    next_day(w);
    assert_stage(w, 1); /* 12 of 20 are too few */
}

/* Right after midnight it is not turned yet, and what was told late counts. */
static void
test_midnight(void **state)
{
    struct world *w = *state;

    sent(w, 0, 4);
    tick(w);
    w->time_s = (int64_t)(FIRST + 1) * DAY_S - 1;
    sent(w, 1, 3);
    w->time_s += WARMUPS_TURN_S;
    tick(w);
    assert_stage(w, 0);
    assert_int_equal(now(w, 0)->day, FIRST);
    assert_int_equal(warmup_today(now(w, 0)).used, 7);
    sent(w, 0, 2); /* of the new day */
    tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 7);
    w->time_s += 1;
    for (size_t i = 0; i < HOSTS; i++)
        warmups_tick(w->hosts[i].warmups); /* figures may wait, the day does not */
    settle(w);
    assert_stage(w, 1);
    assert_int_equal(now(w, 1)->day, FIRST + 1);
    assert_int_equal(warmup_today(now(w, 1)).used, 2);
}

static void
test_what_is_held_against_it(void **state)
{
    struct world *w = *state;
    struct warmup_figures today;

    sent(w, 0, 7);
    refused(w, 0, "550 unknown", 2);
    tick(w);
    today = warmup_today(now(w, 0));
    assert_int_equal(today.used, 9);
    assert_int_equal(today.refused, 0);
    refused(w, 0, "554 no", 1);
    tick(w);
    assert_int_equal(warmup_today(now(w, 1)).refused, 1);
    next_day(w);
    assert_stage(w, 0); /* 7 of 8 */
    sent(w, 0, 10);
    refused(w, 1, "554 no", 1);
    next_day(w);
    assert_stage(w, 1);
}

/* A host that was started anew goes on from where it was, also when the other counted on. */
static void
test_restart(void **state)
{
    struct world *w = *state;

    sent(w, 0, 4);
    sent(w, 1, 1);
    tick(w);
    stop(w, 0);
    start(w, 0);
    sent(w, 0, 2); /* before it knows what there is */
    settle(w);
    tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 7);
    assert_int_equal(warmup_today(now(w, 1)).used, 7);
    tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 7);
    next_day(w);
    assert_stage(w, 1);
}

/* What is there when a warm-up begins is counted once. */
static void
test_the_first_figures(void **state)
{
    struct world *w = *state;

    stop(w, 0);
    stop(w, 1);
    memset(&w->record, 0, sizeof(w->record));
    start(w, 0);
    sent(w, 0, 3);
    for (int i = 0; i < 3; i++)
        tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 3);
    start(w, 1);
    sent(w, 1, 2);
    for (int i = 0; i < 3; i++)
        tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 5);
}

/* Nobody was there for two days; there was no mail then. */
static void
test_away_for_days(void **state)
{
    struct world *w = *state;

    sent(w, 0, 8);
    tick(w);
    stop(w, 0);
    stop(w, 1);
    w->time_s += 3 * DAY_S;
    start(w, 0);
    settle(w);
    tick(w);
    assert_stage(w, 1);
    assert_int_equal(now(w, 0)->past_count, 2);
    assert_int_equal(now(w, 0)->past[1].days, 2);
    assert_int_equal(now(w, 0)->past[1].result, WARMUP_IDLE);
    start(w, 1);
    settle(w);
}

/* While a host is cut off, it counts for itself; then both agree again. */
static void
test_cut_off(void **state)
{
    struct world *w = *state;

    w->hosts[1].away = true;
    sent(w, 0, 4);
    sent(w, 1, 4);
    tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 4);
    assert_int_equal(warmup_today(now(w, 1)).used, 4);
    w->hosts[1].away = false;
    tick(w);
    tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 8);
    next_day(w);
    assert_stage(w, 1);
}

/* What was heard of a day long ago, or is to come, is nobody's. */
static void
test_other_days(void **state)
{
    struct world *w = *state;
    int64_t time_s = w->time_s;
    struct outcome old = {.at_ms = (time_s - 3 * DAY_S) * 1000,
                          .address = w->hosts[0].a1,
                          .status = MAILLOG_SENT,
                          .reached = true};

    warmups_on_outcome(w->hosts[0].warmups, &old);
    old.at_ms = (time_s + 2 * DAY_S) * 1000;
    warmups_on_outcome(w->hosts[0].warmups, &old);
    old.at_ms = time_s * 1000;
    old.address = snapshot_find_address(w->hosts[0].conf->snapshot, "a2");
    warmups_on_outcome(w->hosts[0].warmups, &old);
    old.address = NULL;
    warmups_on_outcome(w->hosts[0].warmups, &old);
    tick(w);
    assert_int_equal(warmup_today(now(w, 0)).used, 0);
}

/* What nobody can read is written anew. */
static void
test_rubbish_in_the_store(void **state)
{
    struct world *w = *state;

    w->record.version++;
    w->record.length = 3;
    memcpy(w->record.text, "x y", 3);
    for (size_t i = 0; i < HOSTS; i++)
        warmups_on_record(w->hosts[i].warmups, "warmup/a1", w->record.version, "x y", 3);
    settle(w);
    assert_stage(w, 0);
}

/* Nothing is put where nothing is new. */
static void
test_puts_are_few(void **state)
{
    struct world *w = *state;
    unsigned puts = w->hosts[0].puts + w->hosts[1].puts;

    for (int i = 0; i < 100; i++) {
        w->time_s++;
        for (size_t j = 0; j < HOSTS; j++)
            warmups_tick(w->hosts[j].warmups);
        settle(w);
    }
    assert_int_equal(w->hosts[0].puts + w->hosts[1].puts, puts);
    for (int i = 0; i < 100; i++) {
        sent(w, 0, 1);
        warmups_tick(w->hosts[0].warmups);
        settle(w);
    }
    assert_in_range(w->hosts[0].puts + w->hosts[1].puts, puts, puts + 3); /* 5 s apart */
}

/* A host whose clock is far ahead, for a while: the day comes back. */
static void
test_a_clock_that_was_wrong(void **state)
{
    struct world *w = *state;

    w->time_s += 20 * DAY_S;
    tick(w);
    assert_int_equal(now(w, 1)->day, FIRST + 20);
    w->time_s -= 20 * DAY_S;
    tick(w);
    assert_int_equal(now(w, 0)->day, FIRST + 20);
    for (size_t i = 0; i < HOSTS; i++) /* that long */
        w->hosts[i].warmups->day_ms -= WARMUPS_SURE_MS;
    tick(w);
    assert_int_equal(now(w, 0)->day, FIRST);
    assert_int_equal(now(w, 1)->day, FIRST);
    sent(w, 0, 8);
    next_day(w);
    assert_stage(w, 1);
}

/* A host whose clock is far behind when it starts, until it is set: nothing is lost by that. */
static void
test_a_clock_that_is_not_set_yet(void **state)
{
    struct world *w = *state;

    sent(w, 0, 8);
    next_day(w);
    assert_stage(w, 1);
    stop(w, 0);
    w->time_s -= 90 * DAY_S;
    start(w, 0);
    warmups_on_record(w->hosts[0].warmups, "warmup/a1", w->record.version, w->record.text,
                      w->record.length);
    sent(w, 0, 1);
    tick(w);
    w->time_s += 90 * DAY_S;
    tick(w);
    assert_stage(w, 1);
    assert_int_equal(now(w, 0)->past_count, 1);
    assert_int_equal(now(w, 0)->day, FIRST + 1);
}

static void
reload(struct world *w, size_t number, const char *site)
{
    struct host *host = &w->hosts[number];
    char *text = mem_printf("%s%s", sites[number], site);
    struct conf *before = host->conf;

    host->conf = unit_conf(text);
    free(text);
    host->a1 = snapshot_find_address(host->conf->snapshot, "a1");
    warmups_set_conf(host->warmups, host->conf);
    conf_unref(before);
}

static void
test_a_reload(void **state)
{
    struct world *w = *state;

    sent(w, 0, 7);
    reload(w, 0, in_utc);
    next_day(w);
    assert_stage(w, 1);
}

/* The day that begins there has so many hours, and what left in its last second is part of it. */
static void
day_of_hours(struct world *w, int32_t day, int64_t begins_s, int hours, unsigned used)
{
    w->time_s = begins_s - 1;
    assert_int_equal(warmups_today(w->hosts[0].warmups), day - 1);
    w->time_s = begins_s + WARMUPS_TURN_S;
    tick(w);
    assert_int_equal(now(w, 0)->day, day);
    sent(w, 0, used / 2);
    w->time_s = begins_s + hours * 3600 - 1;
    sent(w, 1, used - used / 2);
    tick(w);
    assert_int_equal(now(w, 0)->day, day);
    assert_int_equal(warmup_today(now(w, 0)).used, used);
    w->time_s += 1 + WARMUPS_TURN_S;
    tick(w);
    assert_int_equal(now(w, 0)->day, day + 1);
    assert_int_equal(now(w, 0)->past[now(w, 0)->past_count - 1].result, WARMUP_ADVANCES);
}

static void
test_clocks_that_are_set(void **state)
{
    static const struct {
        const char *date;
        int64_t begins_s;
        int hours;
        unsigned used;
    } days[] = {
        {"2024-10-27", 1729980000, 25, 7}, /* 22:00 of the 26th in UTC */
        {"2024-10-28", 1730070000, 24, 14},
        {"2025-03-30", 1743289200, 23, 7}, /* the first stage again, as it was idle for months */
    };
    struct world *w = *state;

    for (size_t i = 0; i < HOSTS; i++)
        reload(w, i, in_berlin);
    for (size_t i = 0; i < COUNT(days); i++) {
        int32_t day;

        assert_int_equal(date_parse(days[i].date, &day), 0);
        day_of_hours(w, day, days[i].begins_s, days[i].hours, days[i].used);
    }
}

static void
order(struct world *w, size_t number, enum warmup_order order)
{
    struct warmups_item *item = &w->hosts[number].warmups->items[0];

    item->orders[item->order_count++] = (struct warmups_order){order, "root", "moving"};
    warmups_update(w->hosts[number].warmups, item, true);
}

/* Both order the same: the other host's is over, and does not hold against a later one. */
static void
test_orders_at_once(void **state)
{
    struct world *w = *state;

    order(w, 0, WARMUP_PAUSE);
    order(w, 1, WARMUP_PAUSE);
    settle(w);
    assert_int_equal(now(w, 0)->phase, WARMUP_PAUSED);
    assert_int_equal(now(w, 1)->phase, WARMUP_PAUSED);
    order(w, 0, WARMUP_START);
    settle(w);
    assert_int_equal(now(w, 0)->phase, WARMUP_RUNNING);
    assert_int_equal(now(w, 1)->phase, WARMUP_RUNNING);
    assert_int_equal(now(w, 1)->ordered_count, 2);
    assert_int_equal(w->hosts[1].warmups->items[0].order_count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_hosts_have_one_stage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_midnight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_held_against_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_figures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_away_for_days, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_days, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rubbish_in_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_puts_are_few, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_clock_that_was_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_clock_that_is_not_set_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clocks_that_are_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orders_at_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
