/*
 * Hints: what a header's value says, and whose counts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/classify.h"
#include "engine/decide.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/hint.h"

enum { TODAY = 20784 }; /* 2026-11-27 */

static const char site[] =
    "warmup: { hint: { header = \"X-Engaged\"; values = { high = \"7d\"; now = \"0d\"; gone = "
    "\"3660d\"; low = \"never\"; }; match = ( { sasl_user = \"app\"; }, { client = "
    "\"192.0.2.0/24\"; header = \"X-Key\"; value = \"k\"; } ); }; };\n";

static void
test_values(void **state)
{
    static const struct {
        const char *value;
        int32_t day; /* -1: it is not understood */
    } cases[] = {
        {"high", TODAY - 7},
        {"HIGH", TODAY - 7},
        {"now", TODAY},
        {"gone", TODAY - 3660},
        {"low", HINT_NEVER},
        {"0", TODAY},
        {"12", TODAY - 12},
        {"45d", TODAY - 45},
        {"2026-11-20", TODAY - 7},
        {"2026-11-20T10:11:12Z", TODAY - 7},
        {"2026-11-28", TODAY + 1}, /* where it is tomorrow already */
        {"2026-11-29", -1},
        {"99999", HINT_NEVER},
        {"999999", -1},
        {"-3", -1},
        {"", -1},
        {"highest", -1},
        {"high low", -1},
        {"never", -1},
        {"2026-13-01", -1},
    };
    struct conf *conf = unit_conf_with(site);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct header headers[] = {{"Subject", "low"}, {"x-engaged", cases[i].value}};
        struct facts facts = {.sasl_user = "app", .headers = headers, .header_count = 2};
        int32_t day = -1;

        print_message("%s\n", cases[i].value);
        assert_int_equal(hint_read(&conf->hint, &facts, TODAY, &day),
                         cases[i].day >= 0 ? HINT_DAY : HINT_ODD);
        assert_int_equal(day, cases[i].day);
    }
    conf_unref(conf);
}

/* Words of days that are longer ago than there are days are still days. */
static void
test_before_there_were_days(void **state)
{
    struct conf *conf = unit_conf_with(site);
    const struct header header = {"X-Engaged", "gone"};
    struct facts facts = {.sasl_user = "app", .headers = &header, .header_count = 1};
    int32_t day = -1;

    (void)state;
    assert_int_equal(hint_read(&conf->hint, &facts, 100, &day), HINT_DAY);
    assert_int_equal(day, 1);
    conf_unref(conf);
}

static void
test_whose(void **state)
{
    const struct header headers[] = {
        {"X-Engaged", "high"}, {"X-Key", "k"}, {"X-Engaged", "low"}, {"X-Key", "other"}};
    struct conf *conf = unit_conf_with(site), *all, *none = unit_conf_with("");
    struct facts facts = {.headers = headers, .header_count = 1};
    int32_t day = -1;

    (void)state;
    assert_int_equal(hint_read(&conf->hint, &facts, TODAY, &day), HINT_REFUSED);
    facts.sasl_user = "somebody";
    assert_int_equal(hint_read(&conf->hint, &facts, TODAY, &day), HINT_REFUSED);
    assert_true(ip_parse("192.0.2.7", &facts.client));
    assert_int_equal(hint_read(&conf->hint, &facts, TODAY, &day), HINT_REFUSED);
    assert_int_equal(day, -1);
    facts.header_count = 4;
    assert_int_equal(hint_read(&conf->hint, &facts, TODAY, &day), HINT_DAY);
    assert_int_equal(day, TODAY - 7); /* the first of two */
    facts.headers = headers + 1;
    facts.header_count = 1;
    assert_int_equal(hint_read(&conf->hint, &facts, TODAY, &day), HINT_NONE);

    all = unit_conf_with("warmup: { hint: { header = \"X-Engaged\"; match = (); }; };\n");
    facts = (struct facts){.headers = headers, .header_count = 1};
    assert_int_equal(hint_read(&all->hint, &facts, TODAY, &day), HINT_ODD); /* it has no words */
    facts.headers = &(const struct header){"X-Engaged", "3"};
    assert_int_equal(hint_read(&all->hint, &facts, TODAY, &day), HINT_DAY);
    assert_int_equal(hint_read(&none->hint, &facts, TODAY, &day), HINT_NONE);
    conf_unref(all);
    conf_unref(none);
    conf_unref(conf);
}

/* The milter keeps the header, and those that tell whose hints count. */
static void
test_headers_are_kept(void **state)
{
    struct conf *conf = unit_conf_with(site);
    bool hint = false, key = false;

    (void)state;
    for (size_t i = 0; i < conf->snapshot->header_count; i++) {
        hint |= strcmp(conf->snapshot->headers[i], "X-Engaged") == 0;
        key |= strcmp(conf->snapshot->headers[i], "X-Key") == 0;
    }
    assert_true(hint && key);
    conf_unref(conf);
}

static void
test_quiet(void **state)
{
    (void)state;
    assert_int_equal(hint_quiet(TODAY - 7, TODAY), 7);
    assert_int_equal(hint_quiet(TODAY, TODAY), 0);
    assert_int_equal(hint_quiet(TODAY + 1, TODAY), 0);
    assert_int_equal(hint_quiet(HINT_NEVER, TODAY), DECIDE_NEVER_ACTIVE);
    assert_int_equal(hint_quiet(TODAY, TODAY + 40), 40); /* it waited so long */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_before_there_were_days),
        cmocka_unit_test(test_whose),  cmocka_unit_test(test_headers_are_kept),
        cmocka_unit_test(test_quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
