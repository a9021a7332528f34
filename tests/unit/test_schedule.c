/*
 * Dates, and the schedules of a warm-up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/date.h"
#include "engine/schedule.h"

#include <errno.h>

static void
test_dates(void **state)
{
    static const struct {
        const char *text;
        int32_t day;
    } dates[] = {
        {"1970-01-01", 0},     {"1970-12-31", 364},    {"1972-02-29", 789},
        {"2000-02-29", 11016}, {"2000-03-01", 11017},  {"2026-11-27", 20784},
        {"2100-03-01", 47541}, {"2400-02-29", 157113}, {"9999-12-31", DATE_MAX},
    };
    static const char *const wrong[] = {
        "",           "2026",        "2026-11",     "2026-11-2",  "2026-11-271", "2026-11-00",
        "2026-13-01", "2026-00-01",  "2026-02-29",  "2100-02-29", "2026-04-31",  "1969-12-31",
        "2026/11/27", " 2026-11-27", "2026-11-27 ", "20a6-11-27", "-026-11-27",  "26-11-27",
    };
    char text[DATE_SIZE];
    int32_t day;

    (void)state;
    for (size_t i = 0; i < COUNT(dates); i++) {
        print_message("%s\n", dates[i].text);
        assert_int_equal(date_parse(dates[i].text, &day), 0);
        assert_int_equal(day, dates[i].day);
        date_print(day, text);
        assert_string_equal(text, dates[i].text);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        print_message("\"%s\"\n", wrong[i]);
        day = 77;
        assert_int_equal(date_parse(wrong[i], &day), -EINVAL);
        assert_int_equal(day, 77);
    }
    for (int32_t i = 0; i <= DATE_MAX; i += 97) {
        date_print(i, text);
        assert_int_equal(date_parse(text, &day), 0);
        assert_int_equal(day, i);
    }
    date_print(-1, text);
    assert_string_equal(text, "1970-01-01");
    date_print(INT32_MAX, text);
    assert_string_equal(text, "9999-12-31");
}

static void
test_presets(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCHEDULE_PRESETS; i++) {
        const struct schedule *schedule = &schedule_presets[i];

        assert_ptr_equal(schedule_preset(schedule->name), schedule);
        assert_in_range(schedule->stage_count, 15, SCHEDULE_STAGES_MAX);
        assert_true(schedule->stages[0] > 0);
        for (size_t j = 1; j < SCHEDULE_STAGES_MAX; j++)
            assert_true(j < schedule->stage_count ? schedule->stages[j] > schedule->stages[j - 1]
                                                  : schedule->stages[j] == 0);
        assert_in_range(schedule->hour_percent, 5, 100);
    }
    assert_null(schedule_preset("bold"));
    assert_int_equal(schedule_day(schedule_preset("conservative"), 0, NULL), 300);
    assert_int_equal(schedule_day(schedule_preset("conservative"), 20, NULL), 57000);
    assert_int_equal(schedule_day(schedule_preset("standard"), 6, NULL), 10000);
    assert_int_equal(schedule_day(schedule_preset("aggressive"), 19, NULL), 1000000);
}

static void
test_providers_and_hours(void **state)
{
    static const struct schedule schedule = {
        .stages = {100, 200, 1000},
        .stage_count = 3,
        .hour_percent = 15,
        .shares = {{"yahoo", 10}, {"small", 1}},
        .share_count = 2,
    };
    static const struct schedule flat = {.stages = {100},
                                         .stage_count = 1,
                                         .hour_percent = 1,
                                         .shares = {{"a", 50}},
                                         .share_count = 1};

    (void)state;
    assert_int_equal(schedule_day(&schedule, 1, NULL), 200);
    assert_int_equal(schedule_hour(&schedule, 1, NULL), 30);
    assert_int_equal(schedule_day(&schedule, 0, "google"), 100);
    assert_int_equal(schedule_day(&schedule, 0, "yahoo"), 10);
    assert_int_equal(schedule_hour(&schedule, 0, "yahoo"), 1);
    assert_int_equal(schedule_day(&schedule, 1, "yahoo"), 110);
    assert_int_equal(schedule_hour(&schedule, 1, "yahoo"), 16);
    assert_int_equal(schedule_day(&schedule, 2, "yahoo"), 1000);
    assert_int_equal(schedule_day(&schedule, 0, "small"), 1);
    assert_int_equal(schedule_hour(&schedule, 0, "small"), 1);
    assert_int_equal(schedule_day(&flat, 0, "a"), 50);
    assert_int_equal(schedule_hour(&flat, 0, NULL), 1);
}

static void
test_stage_of_a_volume(void **state)
{
    static const struct schedule schedule = {.stages = {100, 200, 1000}, .stage_count = 3};

    (void)state;
    assert_int_equal(schedule_stage(&schedule, 1), 0);
    assert_int_equal(schedule_stage(&schedule, 100), 0);
    assert_int_equal(schedule_stage(&schedule, 199), 0);
    assert_int_equal(schedule_stage(&schedule, 200), 1);
    assert_int_equal(schedule_stage(&schedule, 999), 1);
    assert_int_equal(schedule_stage(&schedule, UINT32_MAX), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_providers_and_hours),
        cmocka_unit_test(test_stage_of_a_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
