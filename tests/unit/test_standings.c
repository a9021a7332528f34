/*
 * Standings of accounts on two hosts that share a store: what both come to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/standings_world.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/standings.h"
#include "policyd/standings_inside.h"

static void
test_both_count(void **state)
{
    struct standings_world *w = *state;

    standings_world_told(w, 0, "a.test", 15, NULL);
    standings_world_told(w, 1, "a.test", 15, NULL);
    standings_world_settle(w);
    for (size_t i = 0; i < HOSTS; i++) {
        struct standing_figures today;

        assert_non_null(standings_world_known(w, i, "a.test"));
        today = standing_today(standings_world_known(w, i, "a.test"));
        assert_int_equal(today.results, 30);
    }
    assert_int_equal(w->hosts[0].all_puts, 1);
    standings_world_told(w, 0, "a.test", 4, "550 5.1.1 unknown");
    standings_world_told(w, 1, "a.test", 4, "550 5.1.1 unknown");
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION); /* 8 of 38 */
    standings_world_assert_grade(w, "b.test", GRADE_NEW);
    for (int day = 0; day < 3; day++) {
        standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
        standings_world_next_day(w);
        standings_world_told(w, (size_t)day % 2, "a.test", 60, NULL);
    }
    standings_world_assert_grade(w, "a.test", GRADE_NEW);
    standings_world_next_day(w);
    standings_world_told(w, 0, "a.test", 60, NULL);
    standings_world_assert_grade(w, "a.test", GRADE_NEW);
    standings_world_next_day(w);
    standings_world_assert_grade(w, "a.test", GRADE_TRUSTED);
}

/* Who is over a limit by what one host sees is known there at once, before the store is. */
static void
test_at_once(void **state)
{
    struct standings_world *w = *state;

    w->hosts[0].away = true;
    standings_world_told(w, 0, "a.test", 13, NULL);
    standings_world_told(w, 0, "a.test", 7, "550 5.7.1 spam");
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    assert_int_equal(standings_grade(w->hosts[1].standings, "a.test"), GRADE_NEW);
    assert_string_equal(standings_world_known(w, 0, "a.test")->why,
                        "blocks: 7 of 20 results in stream default, 0.4 allowed");
    standings_world_told(w, 1, "a.test", 30, NULL);
    standings_world_settle(w);
    w->hosts[0].away = false;
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
    assert_int_equal(standing_today(standings_world_known(w, 1, "a.test")).results, 50);
}

/*
 * What an address is blamed for is not the account's fault, nor that mail is past its deadline;
 * and what is deferred is no result.
 */
static void
test_not_its_fault(void **state)
{
    struct standings_world *w = *state;
    struct outcome outcome = {.at_ms = w->time_s * 1000,
                              .stream = &w->hosts[0].conf->snapshot->streams[0],
                              .status = MAILLOG_DEFERRED,
                              .account = "a.test"};

    standings_world_told(w, 0, "a.test", 30, "550 5.7.1 blocked");
    for (int i = 0; i < 30; i++)
        standings_on_outcome(w->hosts[0].standings, &outcome);
    outcome.status = MAILLOG_BOUNCED;
    outcome.late = true; /* we had no room for it in time */
    for (int i = 0; i < 30; i++)
        standings_on_outcome(w->hosts[0].standings, &outcome);
    standings_world_told(w, 0, "", 30, NULL);
    standings_world_told(w, 0, "no domain", 30, NULL);
    standings_world_settle(w);
    assert_null(standings_world_known(w, 0, "a.test"));
    assert_int_equal(w->hosts[0].all_puts, 0);
}

/* What was written goes on after a restart; what the log tells twice counts once. */
static void
test_restart(void **state)
{
    struct standings_world *w = *state;

    standings_world_told(w, 0, "a.test", 15, NULL);
    standings_world_told(w, 0, "little.test", 5, NULL);
    w->time_s += 2;
    standings_world_told(w, 0, "a.test", 1, NULL);
    standings_world_settle(w);
    standings_world_stop(w, 0);
    standings_world_start(w, 0);
    w->time_s -= 2;
    standings_world_told(w, 0, "a.test", 15, NULL); /* again */
    standings_world_settle(w);
    assert_int_equal(standing_today(standings_world_known(w, 0, "a.test")).results, 16);
    w->time_s += 2;
    standings_world_told(w, 0, "a.test", 2, NULL);
    standings_world_settle(w);
    for (size_t i = 0; i < HOSTS; i++)
        assert_int_equal(standing_today(standings_world_known(w, i, "a.test")).results, 18);
    assert_null(standings_world_known(w, 0, "little.test"));
}

static void
test_by_hand(void **state)
{
    struct standings_world *w = *state;

    standings_world_ask(w, 0, "accounts", "no account has sent enough");
    standings_world_ask(w, 0, "grade A.test trusted 3600000 a friend",
                        "a.test: trusted by hand until 2024-10-04, root");
    standings_world_assert_grade(w, "a.test", GRADE_TRUSTED);
    standings_world_ask(w, 1, "accounts",
                        "a.test: trusted by hand until 2024-10-04, root: a friend; earned: new");
    standings_world_ask(w, 1, "accounts grade=attention", "no such account has that grade");
    standings_world_ask(w, 1, "accounts account=a.test grade=attention", "no such account has");
    standings_world_ask(w, 1, "accounts account=a.test grade=trusted", "a.test: trusted by hand");
    standings_world_ask(w, 1, "accounts json account=a.test grade=new",
                        "{\"accounts\":[],\"more\":0}");
    standings_world_told(w, 1, "a.test", 30, "550 5.7.1 spam");
    standings_world_assert_grade(w, "a.test", GRADE_TRUSTED); /* by hand is by hand */
    w->time_s += 3600;
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
    standings_world_ask(w, 1, "grade a.test new - x",
                        "a.test: new by hand, root: x; earned: attention");
    standings_world_assert_grade(w, "a.test", GRADE_NEW);
    standings_world_ask(w, 0, "grade a.test earned - x",
                        "a.test: attention since 2024-10-04, blocks: 20 of 20");
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
    standings_world_ask(w, 0, "grade a.test good - x", "error: there are new");
    standings_world_ask(w, 0, "grade a.test new 0 x", "error: milliseconds");
    standings_world_ask(w, 0, "grade a.test new -", "error: why?");
    standings_world_ask(w, 0, "grade a.test", "error: there are new");
    standings_world_ask(w, 0, "accounts all", "error: behind accounts");
}

/* Those that need attention come first, also by hand. */
static void
test_list(void **state)
{
    struct standings_world *w = *state;

    standings_world_ask(w, 0, "grade a.test trusted - x", "a.test: trusted");
    standings_world_ask(w, 0, "grade b.test attention - x", "b.test: attention");
    standings_world_ask(w, 0, "accounts", "b.test: attention");
    standings_world_ask(w, 0, "accounts grade=trusted", "a.test: trusted");
}

/* Both order at the same time: the later one that the store hears of holds, on both. */
static void
test_orders_at_once(void **state)
{
    struct standings_world *w = *state;

    standings_world_ask(w, 0, "grade a.test trusted - one", "a.test: trusted");
    standings_world_ask(w, 1, "grade a.test attention - other", "a.test: attention");
    standings_world_assert_grade(w, "a.test",
                                 GRADE_ATTENTION); /* the store answers the first host first */
    standings_world_ask(w, 0, "grade a.test trusted - one", "a.test: trusted");
    standings_world_ask(w, 0, "grade a.test attention - two",
                        "a.test: attention"); /* the first is under way */
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
}

/* One that changes nothing is over, too: it does not undo what another host orders later. */
static void
test_order_of_what_is(void **state)
{
    struct standings_world *w = *state;

    standings_world_ask(w, 0, "grade a.test earned - x", "a.test: new");
    standings_world_settle(w);
    standings_world_ask(w, 1, "grade a.test trusted - a friend", "a.test: trusted");
    standings_world_assert_grade(w, "a.test", GRADE_TRUSTED);
    standings_world_ask(w, 0, "grade a.test attention - y", "a.test: attention");
    standings_world_settle(w);
    standings_world_ask(w, 0, "grade a.test attention - y", "a.test: attention");
    standings_world_settle(w);
    standings_world_ask(w, 1, "grade a.test earned - z", "a.test: new");
    standings_world_assert_grade(w, "a.test", GRADE_NEW);
    assert_null(standings_find(w->hosts[0].standings, "a.test")->order);
    assert_null(standings_find(w->hosts[1].standings, "a.test")->order);
}

/* What a host heard just before midnight, and writes just after it, counts. */
static void
test_midnight(void **state)
{
    struct standings_world *w = *state;

    standings_world_told(w, 0, "a.test", 15, NULL);
    standings_world_settle(w);
    w->time_s = (int64_t)(FIRST + 1) * DAY_S - 1;
    standings_world_told(w, 1, "a.test", 15, NULL);
    w->time_s += 61;
    standings_world_told(w, 0, "a.test", 3, NULL);
    standings_tick(w->hosts[0].standings);
    standings_flush(w->hosts[0].standings);
    while (standings_world_answer(w, 0))
        ;
    assert_int_equal(standings_world_known(w, 0, "a.test")->day, FIRST);
    standings_world_settle(w);
    w->time_s += STANDINGS_TURN_S;
    for (size_t i = 0; i < HOSTS; i++)
        standings_tick(w->hosts[i].standings);
    standings_world_settle(w);
    for (size_t i = 0; i < HOSTS; i++) {
        const struct standing *standing = standings_world_known(w, i, "a.test");

        assert_int_equal(standing->day, FIRST + 1);
        assert_int_equal(standing->past_count, 1);
        assert_int_equal(standing->past[0].figures.results, 30);
        assert_int_equal(standing_today(standing).results, 3);
    }
}

/* A clock that was wrong for a while: what comes after that counts, also after a restart. */
static void
test_clock_was_wrong(void **state)
{
    struct standings_world *w = *state;

    standings_world_told(w, 0, "a.test", 15, NULL);
    standings_world_settle(w);
    w->time_s += 40 * (int64_t)DAY_S;
    standings_world_next_day(w);
    standings_world_told(w, 0, "a.test", 15, NULL);
    standings_world_settle(w);
    assert_int_equal(standings_world_known(w, 1, "a.test")->day, FIRST + 41);
    w->time_s -= 40 * (int64_t)DAY_S;
    standings_tick(w->hosts[0].standings);
    standings_world_told(w, 0, "a.test", 19, NULL);
    standings_world_settle(w);
    assert_int_equal(standings_world_known(w, 0, "a.test")->day, FIRST + 41); /* or is it so now? */
    w->hosts[0].standings->day_ms -= STANDINGS_SURE_MS;
    standings_world_told(w, 0, "a.test", 1, NULL);
    standings_world_settle(w);
    standings_world_stop(w, 0);
    standings_world_start(w, 0);
    w->time_s += 2;
    standings_world_told(w, 0, "a.test", 5, NULL);
    standings_world_settle(w);
    for (size_t i = 0; i < HOSTS; i++) {
        assert_int_equal(standings_world_known(w, i, "a.test")->day, FIRST + 1);
        assert_int_equal(standing_today(standings_world_known(w, i, "a.test")).results, 25);
    }
    standings_world_told(w, 1, "a.test", 8, "550 5.1.1 unknown");
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
    standings_world_next_day(w);
    assert_int_equal(standings_world_known(w, 0, "a.test")->past_count, 2);
}

/* Nothing stays of who is not heard of any more. */
static void
test_forgotten(void **state)
{
    struct standings_world *w = *state;

    standings_world_told(w, 0, "a.test", 15, NULL);
    standings_world_settle(w);
    assert_true(standings_world_find(w, "standing/a.test")->length > 0);
    w->time_s += 61 * (int64_t)DAY_S;
    standings_world_next_day(w);
    assert_int_equal(standings_world_find(w, "standing/a.test")->length, 0);
    for (size_t i = 0; i < HOSTS; i++) {
        assert_null(standings_world_known(w, i, "a.test"));
        assert_int_equal(w->hosts[i].standings->records, 0);
        for (int j = 0; j < 256; j++)
            standings_tick(w->hosts[i].standings);
        assert_int_equal(w->hosts[i].standings->count, 0);
    }
}

/* A store without room, and one with nonsense in it. */
static void
test_bad_store(void **state)
{
    struct standings_world *w = *state;

    w->full = true;
    standings_world_told(w, 0, "a.test", 30, "550 5.7.1 spam");
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    assert_true(standings_world_answer(w, 0));
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    w->full = false;
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
    standings_on_record(w->hosts[0].standings, "standing/a.test", 99, "nonsense", 8);
    assert_int_equal(standings_grade(w->hosts[0].standings, "a.test"), GRADE_ATTENTION);
    standings_on_record(w->hosts[0].standings, "breaker/address/a1", 99, "x", 1);
    standings_on_record(w->hosts[0].standings, "standing/", 99, "x", 1);
}

/* Records are for those that are something: new ones leave room for them. */
static void
test_many(void **state)
{
    struct standings_world *w = *state;
    struct standings_world_host *host = &w->hosts[0];
    struct buf text = {0};
    char name[32];

    host->no_store = true;
    for (int i = 0; i < STANDINGS_NEW_MAX + 10; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        standings_world_told(w, 0, name, 10, NULL);
        standings_update(host->standings, standings_find(host->standings, name));
    }
    assert_int_equal(host->standings->records, STANDINGS_NEW_MAX);
    assert_int_equal(host->standings->count, STANDINGS_NEW_MAX + 10);
    for (int i = 0; i < STANDINGS_RECORDS_MAX - STANDINGS_NEW_MAX; i++) {
        snprintf(name, sizeof(name), "bad%d.test", i);
        standings_world_told(w, 0, name, 20, "550 5.7.1 spam");
        assert_int_equal(standings_grade(host->standings, name), GRADE_ATTENTION);
    }
    standings_world_told(w, 0, "more.test", 20, "550 5.7.1 spam");
    assert_int_equal(standings_grade(host->standings, "more.test"), GRADE_NEW);
    standings_world_ask(w, 0, "grade more.test trusted - x",
                        "error: too many accounts have a record");
    assert_int_equal(host->standings->records, STANDINGS_RECORDS_MAX);
    assert_true(standings_question(host->standings, "accounts grade=attention", NULL, &text));
    assert_non_null(strstr(buf_text(&text), "\nand 2000 more: name one, or a grade\n"));
    buf_clear(&text);
}

static void
test_json(void **state)
{
    struct standings_world *w = *state;
    struct buf text = {0};
    struct json json = {.out = &text};

    standings_world_told(w, 0, "a.test", 15, NULL);
    standings_world_next_day(w);
    standings_world_ask(
        w, 0, "accounts json account=a.test",
        "{\"accounts\":[{\"account\":\"a.test\",\"grade\":\"new\",\"earned\":\"new\",\"since\":"
        "null,"
        "\"why\":\"\",\"missing\":\"1 of 2 days, 15 of 100 results\",\"today\":{\"results\":0,"
        "\"bounces\":0,\"blocks\":0,\"complaints\":0},\"days\":[{\"day\":\"2024-10-04\","
        "\"results\":15,\"bounces\":0,\"blocks\":0,\"complaints\":0}]}],\"more\":0}");
    json_open(&json, NULL, '{');
    standings_status(w->hosts[0].standings, NULL, &json);
    json_close(&json, '}');
    assert_string_equal(buf_text(&text),
                        "{\"standing\":{\"accounts\":1,\"new\":1,\"trusted\":0,\"attention\":0}}");
    buf_clear(&text);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, standings_world_setup, standings_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_count),
        TEST(test_at_once),
        TEST(test_not_its_fault),
        TEST(test_restart),
        TEST(test_by_hand),
        TEST(test_orders_at_once),
        TEST(test_order_of_what_is),
        TEST(test_list),
        TEST(test_midnight),
        TEST(test_clock_was_wrong),
        TEST(test_forgotten),
        TEST(test_bad_store),
        TEST(test_many),
        TEST(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
