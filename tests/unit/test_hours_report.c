/*
 * What is told of what happened to mail: questions, reports, warnings.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/replies.h"
#include "policyd/hours_advice.h"
#include "policyd/hours_report.h"
#include "tests/unit/hours_world.h"

#include <errno.h>

/* ------------------------------------------------------------------- reports */

static void
test_questions(void **state)
{
    static const struct {
        const char *text;
        const char *why; /* NULL: it is good */
    } cases[] = {
        {"address 7d", NULL},
        {"address 7d json node=mta2", NULL},
        {"hour 36h node=mta2 json", NULL},
        {"address", "behind report stand what to report by and for how long, such as \"address "
                    "7d\", and nothing else but json and node=NAME"},
        {"address 7d yaml", "behind report stand what to report by and for how long, such as "
                            "\"address 7d\", and nothing else but json and node=NAME"},
        {"address 7d json x", "behind report stand what to report by and for how long, such as "
                              "\"address 7d\", and nothing else but json and node=NAME"},
        {"address 7d node=", "behind report stand what to report by and for how long, such as "
                             "\"address 7d\", and nothing else but json and node=NAME"},
        {"moon 7d", "\"moon\" is nothing to report by, write address, stream, provider, account, "
                    "pool, hour or node"},
        {"address 7", "\"7\" has no unit that is known, write ms, s, m, h or d"},
    };
    struct hours_question question = {HOURS_BY_POOL, 5, false, ""};
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int r = hours_question_parse(cases[i].text, &question, &err);

        print_message("%s\n", cases[i].text);
        assert_int_equal(r, cases[i].why == NULL ? 0 : -EINVAL);
        if (cases[i].why != NULL)
            assert_string_equal(err.msg, cases[i].why);
    }
    assert_int_equal(question.by, HOURS_BY_HOUR); /* of the last that was good */
    assert_int_equal(question.since_ms, 36 * 3600 * 1000);
    assert_true(question.json);
    assert_string_equal(question.node, "mta2");
}

static struct hours_shared shared;
static int64_t since_ms = INT64_C(3600) * 1000;
static const struct snapshot *snapshot;

static char *
report(enum hours_by by, bool json, const struct hours_advice *advice)
{
    static char names[][5] = {"mta1", "mta2"};
    static char *nodes[] = {names[0], names[1]};
    struct hours_report report = {
        .question = {by, since_ms, json, ""},
        .node = "mta1",
        .shared = shared,
        .snapshot = snapshot,
        .nodes = nodes,
        .node_count = shared.shared ? 2 : 1,
        .from_ms = (int64_t)HOUR * TALLIES_HOUR_MS,
        .to_ms = (int64_t)HOUR * TALLIES_HOUR_MS + 61000,
        .kept_ms = INT64_C(24) * 3600 * 1000,
        .advice = advice,
    };
    struct buf text = {0};

    report.sums = hours_world_sums_of(by, HOUR, HOUR);
    assert_int_equal(hours_unmet_read(hours_world.file,
                                      &(struct hours_scope){HOUR, HOUR, "mta1", hours_world.node},
                                      &report.unmet, NULL),
                     0);
    (json ? hours_report_json : hours_report_print)(&report, &text);
    hours_sums_clear(&report.sums);
    hours_unmet_clear(&report.unmet);
    return buf_take(&text);
}

static void
some_mail(void)
{
    struct tally *b1 = hours_world_mail(HOUR, "bulk", "p", "b1", "google");
    struct tally *none = hours_world_mail(HOUR, "bulk", "p", "", "google");

    b1->counts[TALLY_SENT] = 900;
    b1->counts[TALLY_DELAY + 4] = 450; /* 0.8 s to 1.6 s */
    b1->counts[TALLY_DELAY + 10] = 450;
    b1->counts[TALLY_BOUNCED + ACCUSED_RECIPIENT] = 99;
    b1->counts[TALLY_BOUNCED + ACCUSED_COUNT] = 1;
    b1->counts[TALLY_DEFERRED + ACCUSED_ADDRESS] = 7;
    b1->counts[TALLY_RESCUED] = 7;
    none->counts[TALLY_DEFERRED + ACCUSED_COUNT] = 30;
    none->counts[TALLY_FULL] = 30;
    hours_world_suspended(HOUR, "b1", "")->counts[0] = 90 * 1000;
    hours_world_account(HOUR, "", "bulk", "p")->counts[TALLY_SENT] = 1;
    hours_world_account(HOUR, TALLIES_OTHERS, "bulk", "p")->counts[TALLY_SENT] = 2;
    hours_world_commit();
    hours_world_begin();
}

/* By stream alone, and of those that aim at something. */
static void
test_slo(void **state)
{
    struct conf *conf = unit_conf(unit_site);
    char *text;

    (void)state;
    some_mail();
    snapshot = conf->snapshot;
    text = report(HOURS_BY_STREAM, false, NULL);
    assert_null(strstr(text, "are to be"));
    free(text);
    for (size_t i = 0; i < conf->snapshot->stream_count; i++) {
        conf->snapshot->streams[i].slo_ms = 1600;
        conf->snapshot->streams[i].slo_share = 51;
    }
    text = report(HOURS_BY_STREAM, false, NULL);
    assert_non_null(
        strstr(text, "stream bulk: about 50.0 % within 1600ms, 51 % are to be: BREACHED\n"));
    assert_null(strstr(text, "stream tx"));
    free(text);
    text = report(HOURS_BY_STREAM, true, NULL);
    assert_non_null(strstr(text, "\"slo\":{\"ms\":1600,\"percent\":51,\"share\":0.5"));
    assert_non_null(strstr(text, "\"breached\":true}"));
    free(text);
    text = report(HOURS_BY_ADDRESS, true, NULL);
    assert_null(strstr(text, "\"slo\""));
    free(text);
    snapshot = NULL;
    conf_unref(conf);
}

/* By stream alone, also of those without mail; sums of what came to them, in that time. */
static void
test_unmet(void **state)
{
    char *text;

    (void)state;
    some_mail();
    hours_world_unmet(HOUR, "bulk", "one_click")->counts[0] = 12;
    hours_world_unmet(HOUR, "bulk", "one_from")->counts[0] = 1;
    hours_world_unmet(HOUR, "strict", "list_unsubscribe")->counts[0] = 3;
    hours_world_unmet(HOUR + 1, "strict", "list_unsubscribe")->counts[0] = 100;
    hours_world_unmet(HOUR, "strict", "a_requirement_to_come")->counts[0] = 7;
    hours_world_commit();
    hours_world_begin();
    hours_world_unmet(HOUR, "bulk", "one_click")->counts[0] = 8;
    hours_world_commit();
    hours_world_begin();
    hours_world_reopen();
    text = report(HOURS_BY_STREAM, false, NULL);
    assert_non_null(
        strstr(text, "\nstream bulk: messages without what it requires: one_click 20, one_from 1\n"
                     "stream strict: messages without what it requires: list_unsubscribe 3\n"));
    free(text);
    text = report(HOURS_BY_STREAM, true, NULL);
    assert_non_null(strstr(text,
                           ",\"unmet\":[{\"stream\":\"bulk\",\"one_click\":20,\"one_from\":1},"
                           "{\"stream\":\"strict\",\"list_unsubscribe\":3}],"));
    free(text);
    text = report(HOURS_BY_POOL, true, NULL);
    assert_null(strstr(text, "unmet"));
    free(text);
    hours_world.node = "mta2";
    text = report(HOURS_BY_STREAM, true, NULL);
    assert_non_null(strstr(text, "\"unmet\":[],"));
    free(text);
}

/* More is asked for than is kept. */
static void
test_kept(void **state)
{
    static const char note[] = "what is older than 1d is not kept (figures.keep)\n";
    char *text;

    (void)state;
    since_ms = INT64_C(24) * 3600 * 1000;
    text = report(HOURS_BY_ADDRESS, false, NULL);
    assert_null(strstr(text, note));
    free(text);
    since_ms += 1000;
    text = report(HOURS_BY_ADDRESS, false, NULL);
    assert_non_null(strstr(text, note));
    free(text);
    since_ms = INT64_C(3600) * 1000;
}

static void
test_table(void **state)
{
    char *text;

    (void)state;
    some_mail();
    text = report(HOURS_BY_ADDRESS, false, NULL);
    assert_string_equal(
        text,
        "recipients on mta1 from 2024-10-04 00:00 to 2024-10-04 00:01\n"
        "\n"
        "address        sent   deferrals    bounced   bounces  rescued  suspended       p50       "
        "p95       p99\n"
        "b1              900           7        100   10.00 %        7       90 s     1.6 s      "
        "96 s     101 s\n"
        "(none)            0          30          0    0.00 %        0          -         -       "
        "  -         -\n"
        "total           900          37        100   10.00 %        7       90 s     1.6 s      "
        "96 s     101 s\n"
        "\n"
        "bounced by what replies accuse: recipient 99, unknown 1\n"
        "deferrals likewise: address 7, unknown 30; of these for want of room under caps: 30\n");
    free(text);
    text = report(HOURS_BY_ACCOUNT, false, NULL);
    assert_non_null(strstr(text, "\n<>                 1  "));
    assert_non_null(strstr(text, "\n(others)           2  "));
    assert_null(strstr(text, "suspended"));
    free(text);
}

/* What comes back later has its columns where there is any. */
static void
test_reported(void **state)
{
    char *text;

    (void)state;
    some_mail();
    hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_COMPLAINTS] = 9;
    hours_world_mail(HOUR, "bulk", "p", "", "google")->counts[TALLY_RETURNED] = 2;
    hours_world_commit();
    hours_world_begin();
    text = report(HOURS_BY_ADDRESS, false, NULL);
    assert_non_null(strstr(
        text,
        "address        sent   deferrals    bounced   bounces  rescued  complaints  later  "
        "suspended       p50       p95       p99\n"
        "b1              900           7        100   10.00 %        7           9      0       "
        "90 s     1.6 s      96 s     101 s\n"
        "(none)            0          30          0    0.00 %        0           0      2          "
        "-         -         -         -\n"));
    assert_non_null(strstr(text,
                           "under caps: 30\ncomplaints: 9, 1.000 % of what was sent; sent, and "
                           "bounced later: 2\n"));
    free(text);
    text = report(HOURS_BY_STREAM, true, NULL);
    assert_non_null(strstr(text, "\"no_room\":30,\"complaints\":9,\"returned\":2,"));
    free(text);
}

/* Whose figures are in it, and how far those of others are. */
static void
test_hosts(void **state)
{
    static const struct {
        struct hours_shared shared;
        const char *text;
    } cases[] = {
        {{true, true, (int64_t)HOUR * TALLIES_HOUR_MS + 49000, false},
         "what other hosts counted is as of 12 s ago\n"},
        {{true, false, (int64_t)HOUR * TALLIES_HOUR_MS + 49000, true},
         "what other hosts counted is as of 12 s ago, what they counted since then is MISSING: the "
         "store is away\n"},
        {{true, true, 0, false},
         "what other hosts counted lately is MISSING: it was not to be had from the store since "
         "the start\n"},
        {{true, false, 0, false},
         "what other hosts counted lately is MISSING: it was not to be had from the store since "
         "the start: postpool status may tell why\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text, *begin;

        shared = cases[i].shared;
        text = report(HOURS_BY_ADDRESS, false, NULL);
        begin = mem_printf(
            "recipients on mta1, mta2 from 2024-10-04 00:00 to 2024-10-04 00:01\n%s\naddress ",
            cases[i].text);
        text[strlen(begin)] = '\0';
        assert_string_equal(text, begin);
        free(text);
        free(begin);
    }
    shared = (struct hours_shared){true, true, 1728000049000, false};
    {
        char *text = report(HOURS_BY_NODE, true, NULL);

        assert_non_null(strstr(text, "\"nodes\":[\"mta1\",\"mta2\"],\"others_current\":true,"
                                     "\"others_as_of\":1728000049,"));
        free(text);
    }
    shared = (struct hours_shared){0};
}

static void
test_json(void **state)
{
    char *text;

    (void)state;
    some_mail();
    text = report(HOURS_BY_ADDRESS, true, NULL);
    assert_non_null(strstr(
        text,
        "{\"node\":\"mta1\",\"by\":\"address\",\"from\":1728000000,\"to\":1728000061,\"kept_s\":"
        "86400,"
        "\"nodes\":[\"mta1\"],\"rows\":[{\"address\":\"b1\",\"sent\":900,\"deferred\":7,"
        "\"bounced\":100,"
        "\"bounce_share\":0.10000000000000001,\"rescued\":7,\"no_room\":0,\"complaints\":0,"
        "\"returned\":0,\"suspended_ms\":90000,"
        "\"deferred_by\":{\"address\":7},\"bounced_by\":{\"recipient\":99,"
        "\"unknown\":1},\"delay_p50_ms\":1600,"));
    assert_non_null(strstr(text, "\"warnings\":[]}\n"));
    free(text);
    text = report(HOURS_BY_HOUR, true, NULL);
    assert_non_null(strstr(text, "\"rows\":[{\"hour\":1728000000,\"sent\":900,"));
    free(text);
}

/* ------------------------------------------------------------------ warnings */

static char *
warnings(struct conf *conf)
{
    struct hours_advice *advice = NULL;
    struct buf text = {0};
    struct err err;

    if (hours_advice_make(hours_world.file, conf, HOUR, &advice, &err) < 0)
        fail_msg("%s", err.msg);
    hours_advice_print(advice, &text);
    hours_advice_free(advice);
    buf_puts(&text, "");
    return buf_take(&text);
}

/* Streams that meet in one pool, and are of one kind when they say so. */
static void
test_mixed(void **state)
{
    struct conf *conf = unit_conf_with("");
    char *text;

    (void)state;
    hours_world_mail(HOUR - 1, "tx", "fast", "a1", "other")->counts[TALLY_SENT] = 300;
    hours_world_mail(HOUR - 2, "default", "fast", "a1", "other")->counts[TALLY_SENT] = 100;
    hours_world_mail(HOUR - 1, "tx", "fast", "a2", "other")->counts[TALLY_SENT] = 600;
    hours_world_mail(HOUR - 1, "default", "fast", "a2", "other")->counts[TALLY_SENT] = 1400;
    hours_world_mail(HOUR - 1, "bulk", "bulk", "b1", "other")->counts[TALLY_SENT] = 500;
    hours_world_mail(HOUR - 1, "tx", "fast", "gone", "other")->counts[TALLY_SENT] = 500;
    hours_world_mail(HOUR - 1, "bulk", "fast", "gone", "other")->counts[TALLY_SENT] = 500;
    hours_world_mail(HOUR - 31 * 24, "client", "bulk", "b1", "other")->counts[TALLY_SENT] =
        500; /* long ago */
    hours_world_commit();
    hours_world_begin();
    text = warnings(conf);
    assert_string_equal(
        text, "warning: address a2 and 1 more send different kinds of mail: 70 % default, 30 % tx "
              "of 2000 in 30 days; what harms one harms the others: give each kind addresses of "
              "its own, or say with streams.kind that they are of one kind\n");
    free(text);
    free(conf->snapshot->streams[3].kind);
    conf->snapshot->streams[3].kind = mem_strdup("tx");
    text = warnings(conf);
    assert_string_equal(text, "");
    free(text);
    conf_unref(conf);
}

static void
test_thin_and_most(void **state)
{
    struct conf *conf = unit_conf_with(
        "providers: { google = { domains = ( \"gmail.com\" ); }; }; figures: { thin = 1000; };");
    char *text;

    (void)state;
    hours_world_mail(HOUR - 9 * 24, "tx", "fast", "a1", "google")->counts[TALLY_SENT] = 200;
    hours_world_mail(HOUR - 1, "tx", "fast", "a2", "google")->counts[TALLY_SENT] = 300;
    hours_world_account(HOUR - 1, "big.test", "bulk", "bulk")->counts[TALLY_SENT] = 900;
    hours_world_account(HOUR - 1, "one.test", "bulk", "bulk")->counts[TALLY_SENT] = 200;
    hours_world_account(HOUR - 1, "two.test", "client", "bulk")->counts[TALLY_SENT] = 200;
    hours_world_account(HOUR - 1, TALLIES_OTHERS, "bulk", "bulk")->counts[TALLY_SENT] = 100;
    hours_world_commit();
    hours_world_begin();
    text = warnings(conf);
    assert_string_equal(
        text,
        "warning: pool fast has 2 addresses for 1500 messages a month to google, 750 each; with "
        "fewer than 1000 an address gets no reputation there: use 1\n"
        "warning: account big.test is 64 % of pool bulk (900 of 1400 in 10 days), which 2 others "
        "share; its reputation is theirs: give it a stream and a pool of its own\n");
    free(text);
    conf_unref(conf);
}

/* A pool that sends since a few days tells nothing of how much it will; since more, as much. */
static void
test_thin_pool_is_new(void **state)
{
    struct conf *conf = unit_conf_with(
        "providers: { google = { domains = ( \"gmail.com\" ); }; }; figures: { thin = 1000; };");
    char *text;

    (void)state;
    hours_world_mail(HOUR - 40 * 24, "bulk", "bulk", "b1", "other")->counts[TALLY_SENT] = 900;
    hours_world_mail(HOUR - 6 * 24 + 1, "tx", "fast", "a1", "google")->counts[TALLY_SENT] = 100;
    hours_world_mail(HOUR - 1, "tx", "fast", "a2", "google")->counts[TALLY_SENT] = 300;
    hours_world_commit();
    hours_world_begin();
    text = warnings(conf);
    assert_string_equal(text, "");
    free(text);
    hours_world_mail(HOUR - 9 * 24, "tx", "fast", "a1", "google")->counts[TALLY_SENT] = 100;
    hours_world_commit();
    hours_world_begin();
    text = warnings(conf);
    assert_string_equal(
        text, "warning: pool fast has 2 addresses for 1500 messages a month to google, 750 each; "
              "with fewer than 1000 an address gets no reputation there: use 1\n");
    free(text);
    hours_world_mail(HOUR - 35 * 24, "tx", "fast", "a1", "google")->counts[TALLY_SENT] = 1;
    hours_world_commit();
    hours_world_begin();
    text = warnings(conf);
    assert_string_equal(
        text, "warning: pool fast has 2 addresses for 500 messages a month to google, 250 each; "
              "with fewer than 1000 an address gets no reputation there: use 1\n");
    free(text);
    conf_unref(conf);
}

static int
run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test_setup_teardown(test_unmet, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_kept, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_table, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_slo, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_reported, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_hosts, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_json, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_mixed, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_thin_pool_is_new, hours_world_setup,
                                        hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_thin_and_most, hours_world_setup,
                                        hours_world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
    return hours_world_run(run);
}
