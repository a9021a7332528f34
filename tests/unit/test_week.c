/*
 * Hours of the week, and the clocks that they are of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/week.h"
#include "engine/zone.h"
#include "lib/err.h"
#include "lib/zone_file.h"

#include <time.h>
#include <unistd.h>

static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3";

/* "2026-11-27 08:00" in UTC. */
static int64_t
at(const char *text)
{
    struct tm tm = {0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
    return timegm(&tm);
}

static struct week
week_of(const char *text)
{
    struct week week = {0};
    const char *why = week_parse(text, &week);

    if (why != NULL)
        fail_msg("%s: %s", text, why);
    return week;
}

static void
expect_next(const char *hours, const struct zone *zone, const char *now, const char *next)
{
    struct week week = week_of(hours);
    time_t found = (time_t)week_next_s(&week, zone, at(now));
    char text[32];

    strftime(text, sizeof(text), "%Y-%m-%d %H:%M", gmtime(&found));
    if (strcmp(text, next) != 0)
        fail_msg("%s at %s UTC: next at %s and not at %s", hours, now, text, next);
}

static void
test_what_is_written(void **state)
{
    static const struct {
        const char *text;
        size_t count;
        struct week_range first, last;
    } cases[] = {
        {"mon 08:00-20:00", 1, {480, 1200}, {480, 1200}},
        {"08:00-20:00", 7, {480, 1200}, {6 * 1440 + 480, 6 * 1440 + 1200}},
        {"mon-fri 08:00-20:00", 5, {480, 1200}, {4 * 1440 + 480, 4 * 1440 + 1200}},
        {" mon-tue  08:00-12:00 , 12:00-20:00", 2, {480, 1200}, {1440 + 480, 1440 + 1200}},
        {"mon 08:00-12:00, 14:00-18:00", 2, {480, 720}, {840, 1080}},
        {"sat-mon 10:00-11:00", 3, {600, 660}, {6 * 1440 + 600, 6 * 1440 + 660}},
        {"mon 22:00-06:00", 1, {1320, 1440 + 360}, {1320, 1440 + 360}},
        {"sun 22:00-06:00", 2, {0, 360}, {6 * 1440 + 1320, 10080}},
        {"00:00-24:00", 1, {0, 10080}, {0, 10080}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct week week = week_of(cases[i].text);

        if (week.count != cases[i].count)
            fail_msg("%s: %zu ranges", cases[i].text, week.count);
        assert_memory_equal(&week.ranges[0], &cases[i].first, sizeof(cases[i].first));
        assert_memory_equal(&week.ranges[week.count - 1], &cases[i].last, sizeof(cases[i].last));
    }
}

static void
test_what_is_wrong(void **state)
{
    static const char *const cases[] = {
        "",
        "8:00-20:00",
        "08:00",
        "08:00-",
        "08:00-20:60",
        "25:00-26:00",
        "08:00-24:01",
        "24:00-08:00",
        "08:00-08:00",
        "mon",
        "mon08:00-20:00",
        "mo 08:00-20:00",
        "mon- 08:00-20:00",
        "08:00-20:00;",
        "08:00-20:00,",
        "08:00 -20:00",
        "Mon 08:00-20:00",
        "mon-fri-sun 08:00-20:00",
    };
    struct week week = {.count = 77};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (week_parse(cases[i], &week) == NULL)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_int_equal(week.count, 77);
    }
}

static void
test_next(void **state)
{
    static const char work[] = "mon-fri 08:00-20:00";

    (void)state; /* 2026-11-27 is a Friday */
    expect_next(work, NULL, "2026-11-27 07:59", "2026-11-27 08:00");
    expect_next(work, NULL, "2026-11-27 08:00", "2026-11-27 08:00");
    expect_next(work, NULL, "2026-11-27 19:59", "2026-11-27 19:59");
    expect_next(work, NULL, "2026-11-27 20:00", "2026-11-30 08:00");
    expect_next(work, NULL, "2026-11-29 23:59", "2026-11-30 08:00");
    expect_next("22:00-06:00", NULL, "2026-11-29 23:59", "2026-11-29 23:59");
    expect_next("22:00-06:00", NULL, "2026-11-30 05:59", "2026-11-30 05:59");
    expect_next("22:00-06:00", NULL, "2026-11-30 06:00", "2026-11-30 22:00");
    expect_next("mon 00:00-01:00", NULL, "2026-11-30 01:00", "2026-12-07 00:00");
    expect_next("00:00-24:00", NULL, "2026-11-30 01:00", "2026-11-30 01:00");
    expect_next("08:00-20:00", NULL, "1969-12-31 22:00", "1970-01-01 08:00");
}

/* In Germany clocks went from 02:00 to 03:00 at 2026-03-29 01:00 UTC, and back on 2026-10-25. */
static void
expect_berlin(const struct zone *zone)
{
    int64_t until_s;

    assert_int_equal(zone_offset_s(zone, at("2026-03-29 00:59"), &until_s), 3600);
    assert_int_equal(until_s, at("2026-03-29 01:00"));
    assert_int_equal(zone_offset_s(zone, at("2026-03-29 01:00"), &until_s), 7200);
    assert_int_equal(until_s, at("2026-10-25 01:00"));
    assert_int_equal(zone_offset_s(zone, at("2026-10-25 01:00"), &until_s), 3600);
    assert_int_equal(until_s, at("2027-03-28 01:00"));
    assert_int_equal(zone_offset_s(zone, at("2100-07-01 00:00"), &until_s), 7200);
    expect_next("08:00-20:00", zone, "2026-03-28 20:00", "2026-03-29 06:00");
    expect_next("08:00-20:00", zone, "2026-10-24 20:00", "2026-10-25 07:00");
    expect_next("02:15-02:45", zone, "2026-03-28 12:00", "2026-03-30 00:15"); /* not that day */
    expect_next("02:15-04:00", zone, "2026-03-28 12:00", "2026-03-29 01:00"); /* it is 03:00 */
    expect_next("02:15-02:45", zone, "2026-10-24 12:00", "2026-10-25 00:15");
    expect_next("02:15-02:45", zone, "2026-10-25 00:45", "2026-10-25 01:15"); /* again */
    expect_next("02:15-02:45", zone, "2026-10-25 01:45", "2026-10-26 01:15");
    expect_next("sun 00:00-24:00", zone, "2026-10-24 12:00", "2026-10-24 22:00");
    expect_next("mon 00:00-24:00", zone, "2026-10-25 12:00", "2026-10-25 23:00");
}

static struct zone *
load(const char *name)
{
    struct zone *zone;
    struct err err;

    if (zone_load(name, &zone, &err) < 0)
        fail_msg("%s", err.msg);
    return zone;
}

static void
test_clocks_that_change(void **state)
{
    struct zone *zone = zone_parse_rule(berlin);

    (void)state;
    assert_non_null(zone);
    expect_berlin(zone);
    zone_free(zone);
    if (access(ZONE_FOLDER "/Europe/Berlin", R_OK) < 0)
        skip();
    zone = load("Europe/Berlin");
    expect_berlin(zone);
    zone_free(zone);
}

static void
test_rules(void **state)
{
    static const struct {
        const char *rule, *now;
        int32_t offset_s;
    } cases[] = {
        {"UTC0", "2026-07-01 00:00", 0},
        {"<+0545>-5:45", "2026-07-01 00:00", 5 * 3600 + 45 * 60},
        {"NST3:30NDT,M3.2.0,M11.1.0", "2026-07-01 00:00", -(2 * 3600 + 30 * 60)},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08 06:59", -5 * 3600},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08 07:00", -4 * 3600},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01 05:59", -4 * 3600},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01 06:00", -5 * 3600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01 00:00", 11 * 3600}, /* in the south */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-04-04 15:59", 11 * 3600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-04-04 16:00", 10 * 3600},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29 00:59", -2 * 3600}, /* the day before */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29 01:00", -1 * 3600},
        {"XXX3EDT4,0/0,J365/23", "2026-12-31 23:30", -4 * 3600}, /* all year */
        {"XXX0YYY,J60/0,J61/0", "2028-03-01 12:00", 3600},
        {"XXX0YYY,J60/0,J61/0", "2028-02-29 12:00", 0},
        {"XXX0YYY,59/0,60/0", "2028-02-29 12:00", 3600},
    };
    static const char *const wrong[] = {
        "",
        "U",
        "UTC",
        "UTC0X",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0/3",
        "CET-1CEST,M3.6.0,M10.5.0/3",
        "CET-1CEST,M3.5.7,M10.5.0/3",
        "CET-27",
        "<+03-3",
        "CET-1CEST,M3.5.0,M10.5.0/200",
        "CET-1CEST,J0,J366",
        "CET-1CEST,M3.5.0,M10.5.0/3 ",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct zone *zone = zone_parse_rule(cases[i].rule);
        int64_t until_s, now_s = at(cases[i].now);
        int32_t offset_s;

        if (zone == NULL)
            fail_msg("%s is refused", cases[i].rule);
        offset_s = zone_offset_s(zone, now_s, &until_s);
        if (offset_s != cases[i].offset_s)
            fail_msg("%s at %s: %d", cases[i].rule, cases[i].now, (int)offset_s);
        assert_true(until_s > now_s);
        zone_free(zone);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (zone_parse_rule(wrong[i]) != NULL)
            fail_msg("\"%s\" is taken", wrong[i]);
}

/* Every hour of many years, as the C library has it. */
static void
test_zones_of_the_host(void **state)
{
    static const char *const names[] = {
        "Europe/Berlin",     "America/New_York", "Asia/Kathmandu", "Australia/Sydney",
        "Africa/Casablanca", "Pacific/Apia",     "America/Nuuk",   "UTC"};

    (void)state;
    if (access(ZONE_FOLDER "/Europe/Berlin", R_OK) < 0)
        skip();
    for (size_t i = 0; i < COUNT(names); i++) {
        struct zone *zone = load(names[i]);
        int64_t until_s = 0;

        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t now_s = at("1990-01-01 00:00"); now_s < at("2060-01-01 00:00");
             now_s += 3600) {
            time_t time = (time_t)now_s;
            int32_t offset_s = zone_offset_s(zone, now_s, &until_s);

            if (offset_s != localtime(&time)->tm_gmtoff || until_s <= now_s)
                fail_msg("%s at %lld: %d and not %ld", names[i], (long long)now_s, (int)offset_s,
                         localtime(&time)->tm_gmtoff);
        }
        zone_free(zone);
    }
    unsetenv("TZ");
    tzset();
}

static void
test_zone_by_name(void **state)
{
    struct zone *zone = NULL;
    struct err err;
    int64_t until_s;

    (void)state;
    assert_true(zone_load("Europe/Nowhere", &zone, &err) < 0);
    assert_string_equal(err.msg, ZONE_FOLDER "/Europe/Nowhere: No such file or directory");
    assert_true(zone_load("../../../etc/passwd", &zone, &err) < 0);
    assert_string_equal(err.msg, "\"../../../etc/passwd\" is no name of a time zone");
    assert_true(zone_load("/etc/passwd", &zone, &err) < 0);
    setenv("TZ", "CET-1", 1);
    assert_int_equal(zone_load("local", &zone, &err), 0);
    assert_int_equal(zone_offset_s(zone, 0, &until_s), 3600);
    zone_free(zone);
    unsetenv("TZ");
    assert_int_equal(zone_load("local", &zone, &err), 0);
    zone_free(zone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_clocks_that_change),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_zones_of_the_host),
        cmocka_unit_test(test_zone_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
