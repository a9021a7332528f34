/*
 * When lines of a log were written: without a year, without a zone, and when it cannot be.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "ctl/logtime.h"
#include "engine/zone.h"
#include "lib/maillog.h"
#include "lib/mem.h"

#include <stdlib.h>

static int64_t
time_of(struct logtime *logtime, const char *text)
{
    struct maillog_frame frame;
    char *line = mem_printf("%s mx postfix/smtp[1]: x", text);

    assert_true(maillog_cut(line, strlen(line), &frame));
    free(line);
    return logtime_ms(logtime, &frame.time);
}

static const int64_t hour_ms = 3600 * 1000, new_year_ms = 1798761600000; /* 2027-01-01 */

/* Without a year: by when the file was written, and then by the line before. */
static void
test_years(void **state)
{
    struct logtime logtime;

    (void)state;
    logtime_init(&logtime, NULL);
    logtime_file(&logtime, new_year_ms + 190 * 24 * hour_ms, new_year_ms); /* in July */
    assert_int_equal(time_of(&logtime, "Dec 31 23:00:00"), new_year_ms - hour_ms);
    assert_int_equal(time_of(&logtime, "Jan  1 01:00:00"), new_year_ms + hour_ms);
    logtime_file(&logtime, new_year_ms + 1900 * 24 * hour_ms,
                 new_year_ms); /* which was copied since */
    assert_int_equal(time_of(&logtime, "Jan  1 02:00:00"), new_year_ms + 2 * hour_ms);
    assert_int_equal(time_of(&logtime, "2025-01-01T00:00:00+01:00"),
                     new_year_ms - 730 * 24 * hour_ms - hour_ms);
    assert_int_equal(time_of(&logtime, "Feb 31 25:00:00"), -1);

    logtime_init(&logtime, NULL); /* some minutes are no year */
    logtime_file(&logtime, new_year_ms, new_year_ms);
    assert_int_equal(time_of(&logtime, "Jan  1 00:05:00"), new_year_ms + hour_ms / 12);
    logtime_init(&logtime, NULL);
    logtime_file(&logtime, new_year_ms, new_year_ms);
    assert_int_equal(time_of(&logtime, "Jan  3 00:00:00"), new_year_ms - 363 * 24 * hour_ms);
}

/* One line of a time that cannot be is left out, and does not move those behind it. */
static void
test_times_that_cannot_be(void **state)
{
    struct logtime logtime;

    (void)state;
    logtime_init(&logtime, NULL);
    logtime_file(&logtime, new_year_ms, new_year_ms);
    assert_int_equal(time_of(&logtime, "1970-01-01T00:00:07Z"), -1);
    assert_int_equal(time_of(&logtime, "9999-01-01T00:00:00Z"), -1);
    assert_int_equal(time_of(&logtime, "2037-06-01T00:00:00Z"), -1);
    assert_int_equal(time_of(&logtime, "Dec 31 23:00:00"), new_year_ms - hour_ms);
    assert_int_equal(time_of(&logtime, "9999-01-01T00:00:00Z"), -1);
    assert_int_equal(time_of(&logtime, "Dec 31 23:00:00"), new_year_ms - hour_ms);
    assert_true(time_of(&logtime, "1998-01-01T00:00:00Z") > 0);
    assert_true(time_of(&logtime, "2036-12-01T00:00:00Z") > 0);
    logtime_init(&logtime, NULL);
    logtime_file(&logtime, 0, new_year_ms); /* a copy that does not tell */
    assert_int_equal(time_of(&logtime, "Dec 31 23:00:00"), new_year_ms - hour_ms);
    assert_int_equal(time_of(&logtime, "2026-12-31T23:00:00Z"), new_year_ms - hour_ms);
    logtime_file(&logtime, new_year_ms - 7300 * 24 * hour_ms, new_year_ms); /* or is wrong */
    assert_int_equal(time_of(&logtime, "2026-12-31T23:00:00Z"), new_year_ms - hour_ms);
    for (int i = 0; i < 300; i++) { /* each is the nearest to the one before, always ahead */
        static const char *const months[] = {"Jan", "May", "Sep"};
        char text[32];

        snprintf(text, sizeof(text), "%s  1 00:00:00", months[i % 3]);
        assert_true(time_of(&logtime, text) < new_year_ms + 3653 * 24 * hour_ms);
    }
}

/* By the clock on the wall. */
static void
test_zones(void **state)
{
    struct zone *zone = zone_parse_rule("CET-1CEST,M3.5.0,M10.5.0/3");
    const int64_t forward_ms = 1774746000000; /* 2026-03-29T01:00:00Z */
    struct logtime logtime;

    (void)state;
    assert_non_null(zone);
    logtime_init(&logtime, zone);
    logtime_file(&logtime, forward_ms + 24 * hour_ms, new_year_ms);
    assert_int_equal(time_of(&logtime, "Mar 29 00:30:00"), forward_ms - 3 * hour_ms / 2);
    assert_int_equal(time_of(&logtime, "Mar 29 01:59:59"), forward_ms - 1000);
    assert_int_equal(time_of(&logtime, "Mar 29 03:00:00"), forward_ms);
    assert_int_equal(time_of(&logtime, "Mar 29 12:00:00"), forward_ms + 9 * hour_ms);
    assert_int_equal(time_of(&logtime, "Mar 29 01:00:00"), forward_ms - hour_ms); /* back */
    assert_int_equal(time_of(&logtime, "2026-03-29T01:00:00Z"), forward_ms);
    zone_free(zone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_years),
        cmocka_unit_test(test_times_that_cannot_be),
        cmocka_unit_test(test_zones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
