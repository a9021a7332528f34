/*
 * Mail that is assumed: sums and shares are those that were asked for, on each day, whatever its
 * length.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "ctl/assumed.h"
#include "engine/date.h"
#include "engine/snapshot.h"
#include "engine/zone.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"

enum { PROVIDERS = 4, ACCOUNTS = 8, HOUR_MS = 3600 * 1000 };

struct made {
    struct conf *conf;
    struct zone *zone;
    struct assumed assumed;
    uint64_t count, to[PROVIDERS], from[ACCOUNTS];
    int64_t last_ms;
    int stop_after;
};

static int
on_mail(void *arg, int64_t at_ms, const struct stream *stream, size_t provider, const char *account,
        uint32_t count)
{
    struct made *made = arg;
    unsigned number = 0;

    assert_true(at_ms >= made->last_ms);
    assert_true(count > 0);
    assert_non_null(stream);
    made->last_ms = at_ms;
    made->count += count;
    made->to[provider] += count;
    if (account[0] != '\0')
        assert_int_equal(sscanf(account, "account%u.example", &number), 1);
    assert_true(number < ACCOUNTS);
    made->from[number] += count;
    return made->stop_after > 0 && --made->stop_after == 0 ? 5 : 0;
}

static void
begin(struct made *made, const char *zone)
{
    *made = (struct made){
        .conf = unit_conf_with("providers: { one = { domains = ( \"one.test\" ); };\n"
                               "             google = { domains = ( \"gmail.com\" ); };\n"
                               "             microsoft = { domains = ( \"live.com\" ); }; };\n")};
    made->zone = zone != NULL ? mem_must(zone_parse_rule(zone)) : NULL;
    made->assumed.snapshot = made->conf->snapshot;
    made->assumed.zone = made->zone;
    assert_int_equal(made->conf->snapshot->provider_count, PROVIDERS);
    assert_int_equal(assumed_providers(&made->assumed, NULL, NULL), 0);
    assert_int_equal(assumed_curve(&made->assumed, "day", NULL), 0);
}

static void
end(struct made *made)
{
    assumed_clear(&made->assumed);
    zone_free(made->zone);
    conf_unref(made->conf);
}

static int32_t
day_of(const char *date)
{
    int32_t day;

    assert_int_equal(date_parse(date, &day), 0);
    return day;
}

static uint64_t
make(struct made *made, const char *date)
{
    uint64_t before = made->count;

    made->last_ms = 0;
    assert_int_equal(assumed_make(&made->assumed, day_of(date), on_mail, made), 0);
    return made->count - before;
}

static size_t
place(const struct made *made, const char *provider)
{
    return snapshot_find_provider(made->conf->snapshot, provider)->index;
}

/* The shares of those that are not there are "other"; without its parts Microsoft has all of them.
 */
static void
test_usual(void **state)
{
    struct made made;

    (void)state;
    begin(&made, NULL);
    assert_int_equal(made.assumed.shares[place(&made, "google")], 4000);
    assert_int_equal(made.assumed.shares[place(&made, "microsoft")], 2500);
    assert_int_equal(made.assumed.shares[place(&made, "one")], 0);
    assert_int_equal(made.assumed.shares[PROVIDER_OTHER], 3500);
    end(&made);
}

static void
test_sums(void **state)
{
    static const uint64_t counts[] = {1, 7, 1439, 1440, 99991, 1234567};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct made made;
        char text[64];

        begin(&made, NULL);
        snprintf(text, sizeof(text), "bulk=%llu/day", (unsigned long long)counts[i]);
        assert_int_equal(assumed_volumes(&made.assumed, text, NULL), 0);
        assert_int_equal(assumed_providers(&made.assumed, "one=33.33,google=0.5", NULL), 0);
        for (int day = 1; day <= 3; day++) {
            snprintf(text, sizeof(text), "2026-12-%02d", day);
            assert_int_equal(make(&made, text), counts[i]);
        }
        assert_true(made.to[place(&made, "one")] <= 3 * counts[i] * 3333 / 10000);
        assert_true(made.to[place(&made, "one")] + 2 >= 3 * counts[i] * 3333 / 10000);
        assert_true(made.to[place(&made, "google")] <= 3 * counts[i] / 200);
        assert_int_equal(made.to[place(&made, "microsoft")], 0);
        end(&made);
    }
}

/* Accounts have equal parts. */
static void
test_accounts(void **state)
{
    struct made made;

    (void)state;
    begin(&made, NULL);
    assert_int_equal(assumed_volumes(&made.assumed, "bulk=9100/day", NULL), 0);
    assert_int_equal(assumed_accounts(&made.assumed, "bulk=7", NULL), 0);
    make(&made, "2026-12-01");
    assert_int_equal(made.from[0], 0);
    for (size_t i = 1; i < ACCOUNTS; i++)
        assert_true(made.from[i] > 1200 && made.from[i] < 1400);
    end(&made);
}

/* Days of 25 and 23 hours have as much mail, and an hour's in each of their hours. */
static void
test_odd_days(void **state)
{
    static const struct {
        const char *date;
        int64_t hours;
    } days[] = {{"2026-10-24", 24}, {"2026-10-25", 25}, {"2026-03-29", 23}};

    (void)state;
    for (size_t i = 0; i < COUNT(days); i++) {
        struct made made;
        int32_t day = day_of(days[i].date);
        int64_t from_ms, to_ms;

        begin(&made, "CET-1CEST,M3.5.0,M10.5.0/3");
        from_ms = assumed_midnight_ms(&made.assumed, day);
        to_ms = assumed_midnight_ms(&made.assumed, day + 1);
        assert_int_equal(to_ms - from_ms, days[i].hours * HOUR_MS);
        assert_int_equal(assumed_day(&made.assumed, from_ms), day);
        assert_int_equal(assumed_day(&made.assumed, to_ms - 1), day);
        assert_int_equal(assumed_volumes(&made.assumed, "bulk=1000/day,default=60/hour", NULL), 0);
        assert_int_equal(make(&made, days[i].date), 1000 + 60 * (uint64_t)days[i].hours);
        assert_true(made.last_ms < to_ms);
        end(&made);
    }
}

/* A week's mail, on those of its days that have hours. */
static void
test_weeks(void **state)
{
    struct made made;

    (void)state;
    begin(&made, NULL);
    assert_int_equal(assumed_volumes(&made.assumed, "bulk=700/week", NULL), 0);
    assert_int_equal(make(&made, "2026-12-01"), 100);
    assert_int_equal(assumed_when(&made.assumed, "bulk=mon-fri 09:00-11:00", NULL), 0);
    assert_int_equal(make(&made, "2026-12-01"), 140);
    assert_int_equal(make(&made, "2026-12-05"), 0);
    end(&made);
}

/* Nothing of a week is lost where it has no whole number for each day. */
static void
test_small_weeks(void **state)
{
    static const char *const volumes[] = {"bulk=3/week", "bulk=100/week"};
    static const uint64_t counts[] = {3, 100};

    (void)state;
    for (size_t i = 0; i < COUNT(volumes); i++) {
        struct made made;
        int32_t monday = day_of("2026-11-30");
        uint64_t on[8] = {0};

        begin(&made, NULL);
        assert_int_equal(assumed_volumes(&made.assumed, volumes[i], NULL), 0);
        for (int32_t day = 0; day < 7; day++) {
            assert_int_equal(assumed_make(&made.assumed, monday + day, on_mail, &made), 0);
            on[day + 1] = made.count;
            assert_in_range(on[day + 1] - on[day], counts[i] / 7, counts[i] / 7 + 1);
        }
        assert_int_equal(made.count, counts[i]);
        end(&made);
    }
}

static void
test_stops(void **state)
{
    struct made made;

    (void)state;
    begin(&made, NULL);
    assert_int_equal(assumed_volumes(&made.assumed, "bulk=70000/day", NULL), 0);
    made.stop_after = 9;
    assert_int_equal(assumed_make(&made.assumed, day_of("2026-12-01"), on_mail, &made), 5);
    assert_int_equal(made.stop_after, 0);
    end(&made);
}

static void
test_percent(void **state)
{
    static const struct {
        const char *text;
        int32_t parts; /* -1: it is none */
    } cases[] = {{"0", 0},       {"1", 100},     {"40", 4000}, {"1.5", 150}, {"0.05", 5},
                 {"100", 10000}, {"100.01", -1}, {"101", -1},  {"", -1},     {".5", -1},
                 {"1.", -1},     {"1.234", -1},  {"-1", -1},   {"1,5", -1},  {"5%", -1}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t parts = 77;
        struct err err;
        int r = assumed_percent(cases[i].text, &parts, &err);

        assert_int_equal(r == 0 ? (int32_t)parts : -1, cases[i].parts);
        if (r < 0)
            assert_int_equal(parts, 77);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),    cmocka_unit_test(test_sums),
        cmocka_unit_test(test_accounts), cmocka_unit_test(test_odd_days),
        cmocka_unit_test(test_weeks),    cmocka_unit_test(test_small_weeks),
        cmocka_unit_test(test_stops),    cmocka_unit_test(test_percent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
