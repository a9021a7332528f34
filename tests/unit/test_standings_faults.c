/*
 * What counts against an account: complaints, bounces that come late, campaigns that turn bad.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/standings_world.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "policyd/outcome.h"
#include "policyd/reported.h"
#include "policyd/standings.h"
#include "policyd/standings_inside.h"

/* On that host's log a complaint of a message of the account. */
static void
complained(struct standings_world *w, size_t number, const char *account)
{
    struct reported reported = {.complaint = true, .at_ms = w->time_s * 1000};

    snprintf(reported.account, sizeof(reported.account), "%s", account);
    standings_on_reported(w->hosts[number].standings, &reported);
}

static void
test_complaints(void **state)
{
    struct standings_world *w = *state;

    standings_world_told(w, 0, "a.test", 100, NULL);
    standings_world_settle(w);
    for (int i = 0; i < 5; i++)
        complained(w, (size_t)i % 2, "a.test");
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
    assert_string_equal(standings_world_known(w, 1, "a.test")->why,
                        "complaints: 5 of 100 results of some days, 0.1 allowed");
}

/* What a server had days to take is as good as refused, by its last words. */
static void
test_expired(void **state)
{
    static const struct {
        const char *words;
        enum reply_origin origin;
        unsigned results, bounces, blocks;
    } cases[] = {
        {"452 4.2.2 full", REPLY_SAID, 1, 1, 0},
        {"450 4.7.1 spam", REPLY_SAID, 2, 1, 1},
        {"450 4.7.1 blocked", REPLY_SAID, 2, 1, 1},
        {"Connection timed out", REPLY_CONNECT, 2, 1, 1},
        {"postpool: no room under the caps", REPLY_LOCAL, 2, 1, 1},
    };
    struct standings_world *w = *state;
    struct standings_world_host *host = &w->hosts[0];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome outcome = {.at_ms = w->time_s * 1000,
                                  .account = "a.test",
                                  .stream = &host->conf->snapshot->streams[0],
                                  .status = MAILLOG_BOUNCED,
                                  .expired = true};
        const struct standing_figures *figures;

        reply_read_words(cases[i].words, strlen(cases[i].words), &outcome.reply);
        outcome.reply.origin = cases[i].origin;
        outcome.rule = replies_find(&host->conf->replies, NULL, &outcome.reply);
        standings_on_expired(host->standings, &outcome);
        figures = &standings_find(host->standings, "a.test")->days[0].figures;
        assert_int_equal(figures->results, cases[i].results);
        assert_int_equal(figures->faults[FAULT_BOUNCE], cases[i].bounces);
        assert_int_equal(figures->faults[FAULT_BLOCK], cases[i].blocks);
    }
}

/* Complaints, and bounces that come late; those that the log tells again are known. */
static void
test_reported(void **state)
{
    struct standings_world *w = *state;
    struct reported reported = {.complaint = true, .account = "a.test"};

    standings_world_told(w, 0, "a.test", 100, NULL);
    standings_world_settle(w);
    w->time_s += 2;
    reported.at_ms = w->time_s * 1000;
    standings_on_reported(w->hosts[0].standings, &reported);
    reported.complaint = false;
    for (int i = 0; i < 3; i++)
        standings_on_reported(w->hosts[0].standings, &reported);
    standings_world_settle(w);
    assert_int_equal(standing_today(standings_world_known(w, 1, "a.test")).faults[FAULT_COMPLAINT],
                     1);
    assert_int_equal(standing_today(standings_world_known(w, 1, "a.test")).faults[FAULT_BOUNCE], 3);
    assert_int_equal(standing_today(standings_world_known(w, 1, "a.test")).results, 100);
    standings_world_stop(w, 0);
    standings_world_start(w, 0);
    reported.at_ms -= 1000;
    standings_on_reported(w->hosts[0].standings, &reported);
    standings_world_settle(w);
    assert_int_equal(standing_today(standings_world_known(w, 0, "a.test")).faults[FAULT_BOUNCE], 3);
    reported.account[0] = '\0'; /* not told */
    standings_on_reported(w->hosts[0].standings, &reported);
    assert_null(standings_find(w->hosts[0].standings, ""));
}

/* Trusted by 3,000 results without a fault. */
static void
make_trusted(struct standings_world *w)
{
    for (size_t i = 0; i < HOSTS; i++)
        w->hosts[i].conf->standing.samples = 200;
    for (int day = 0; day < 3; day++) {
        standings_world_told(w, (size_t)day % 2, "a.test", 1000, NULL);
        standings_world_next_day(w);
    }
    standings_world_assert_grade(w, "a.test", GRADE_TRUSTED);
}

enum { CAMPAIGN = 100000, GOOD = 40000, LATE = 500 };

/*
 * A trusted account turns bad in the midst of 100,000 messages, over two hosts and with results
 * that come late: fewer than one in a hundred of those leave from the pool of the trusted.
 */
static void
test_campaign(void **state)
{
    struct standings_world *w = *state;
    unsigned shared = 0;

    make_trusted(w);
    for (unsigned n = 0; n < CAMPAIGN + LATE; n++) {
        size_t host = n % HOSTS;

        if (n >= GOOD && n < CAMPAIGN)
            shared += standings_grade(w->hosts[host].standings, "a.test") == GRADE_TRUSTED;
        if (n >= LATE)
            standings_world_told(w, host, "a.test", 1,
                                 n - LATE >= GOOD && (n / HOSTS) % 5 == 0 ? "550 5.1.1 unknown"
                                                                          : NULL);
        if (n % 1000 == 0)
            standings_world_settle(w);
    }
    print_message("%u messages left from the shared pool\n", shared);
    assert_in_range(shared, 1, 999);
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
}

/*
 * The same of 100,000 that all arrive, of which one in forty is complained of, 200 messages later
 * and at whichever host: the limit is one in a thousand, also of what was good before.
 */
static void
test_campaign_with_complaints(void **state)
{
    enum { READ = 200 };
    struct standings_world *w = *state;
    unsigned shared = 0;

    make_trusted(w);
    for (unsigned n = 0; n < CAMPAIGN; n++) {
        size_t host = n % HOSTS;

        shared += standings_grade(w->hosts[host].standings, "a.test") == GRADE_TRUSTED;
        standings_world_told(w, host, "a.test", 1, NULL);
        if (n >= READ && n % 40 == 0)
            complained(w, n / 40 % HOSTS, "a.test");
        if (n % 100 == 0)
            standings_world_settle(w);
    }
    print_message("%u messages left from the shared pool\n", shared);
    assert_in_range(shared, 1, 999);
    standings_world_assert_grade(w, "a.test", GRADE_ATTENTION);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, standings_world_setup, standings_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_complaints),
        TEST(test_expired),
        TEST(test_reported),
        TEST(test_campaign),
        TEST(test_campaign_with_complaints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
