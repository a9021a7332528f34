/*
 * Standing in the configuration: rules, limits and pools by grade.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/conf.h"

#define SITE                                                           \
    "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n" \
    "  a2 = { ip = \"192.0.2.2\"; helo = \"a2.test\"; }; };\n"         \
    "pools: { p = { addresses = ( \"a1\" ); }; q = { addresses = ( \"a2\" ); }; };\n"

static void
test_rules(void **state)
{
    struct conf *conf = unit_conf(
        SITE
        "streams: ( { name = \"again\"; pool = \"p\"; limits = { bounces = 0.5; };\n"
        "  grades = { new = \"q\"; }; match = ( { sender = \"*@a.test\"; } ); },\n"
        "  { name = \"default\"; pool = \"p\"; match = (); } );\n"
        "feedback: { log = \"pipe\"; };\n"
        "standing: { volume = 50; days = 3; bounces = 4; complaints = 0.05; idle = \"30d\"; };\n");
    const struct stream *again = &conf->snapshot->streams[0];
    const struct stream *other = &conf->snapshot->streams[1];

    (void)state;
    assert_int_equal(conf->standing.volume, 50);
    assert_int_equal(conf->standing.days, 3);
    assert_int_equal(conf->standing.good_days, 7);
    assert_int_equal(conf->standing.samples, 200);
    assert_int_equal(conf->standing_under_way, 1000);
    assert_int_equal(conf->standing.idle_days, 30);
    assert_int_equal(again->limits.shares[FAULT_BOUNCE], 50);
    assert_int_equal(again->limits.shares[FAULT_BLOCK], 200);
    assert_int_equal(again->limits.shares[FAULT_COMPLAINT], 5);
    assert_int_equal(other->limits.shares[FAULT_BOUNCE], 400);
    assert_true(conf->snapshot->has_grades);
    assert_true(again->is_graded);
    assert_string_equal(again->by_grade[GRADE_NEW]->name, "q");
    assert_null(again->by_grade[GRADE_TRUSTED]);
    assert_false(other->is_graded);
    conf_unref(conf);
}

static void
test_defaults(void **state)
{
    struct conf *conf = unit_conf_with("");

    (void)state;
    assert_false(conf->snapshot->has_grades);
    assert_int_equal(conf->snapshot->streams[0].limits.shares[FAULT_BOUNCE], 500);
    assert_int_equal(conf->snapshot->streams[0].limits.shares[FAULT_COMPLAINT], 10);
    conf_unref(conf);
}

static void
test_mistakes(void **state)
{
    struct conf_problems problems =
        unit_problems(SITE "streams: ( { name = \"default\"; pool = \"p\"; match = ();\n"
                           "  grades = { new = \"qq\"; old = \"p\"; };\n"
                           "  limits = { bounces = 101; blocks = 0; complaints = \"1\"; }; } );\n"
                           "standing: { idle = \"36h\"; days = 23; };\n");
    static const char *const texts[] = {
        "text:5: streams.1.grades: there is no pool qq, did you mean \"q\"?",
        "text:6: streams.1.limits.bounces: 101 is outside 0.01 to 100 percent",
        "text:6: streams.1.limits.blocks: 0 is outside 0.01 to 100 percent",
        "text:6: streams.1.limits.complaints: is a text, a number is needed",
        "text:7: standing.idle: whole days are needed, such as \"30d\"",
        "text:7: standing.days: 23 is outside 1 to 22",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_true(unit_says(&problems, texts[i]));
    conf_problems_clear(&problems);
}

/* Without results nothing is earned, and a pool that only a grade leads to is used. */
static void
test_warnings(void **state)
{
    struct conf_problems problems =
        unit_problems(SITE "streams: ( { name = \"default\"; pool = \"p\"; match = (); grades = { "
                           "new = \"q\"; }; } );\n");

    (void)state;
    assert_true(unit_says(
        &problems, "text: warning: streams have grades, but without feedback.log nothing is known "
                   "of accounts: they stay as they are graded by hand"));
    for (size_t i = 0; i < problems.count; i++)
        assert_null(strstr(problems.items[i].text, "no stream leads"));
    conf_problems_clear(&problems);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_warnings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
