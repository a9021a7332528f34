/*
 * How much of a stream's mail was delivered in time, in the last hour.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/slo.h"

#include <stdio.h>
#include <time.h>

enum { MINUTE_MS = 60 * 1000 };

static int64_t now_ms = 1000 * 1000;
static struct conf *conf;
static struct slo *slo;

int64_t __wrap_clock_ms(clockid_t clock);

int64_t
__wrap_clock_ms(clockid_t clock)
{
    (void)clock;
    return now_ms;
}

static struct buf said;

void __wrap_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *level, const char *format, va_list ap)
{
    char line[256];

    vsnprintf(line, sizeof(line), format, ap);
    buf_printf(&said, "%s: %s\n", level, line);
}

void
__wrap_log_warn(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say("warn", format, ap);
    va_end(ap);
}

void
__wrap_log_info(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say("info", format, ap);
    va_end(ap);
}

/* What the log was told since the last time. */
static void
expect_said(const char *text)
{
    slo_tick(slo);
    assert_string_equal(buf_text(&said), text);
    buf_clear(&said);
}

static void
hear(size_t stream, enum maillog_status status, int64_t delay_ms, bool ours)
{
    struct outcome outcome = {
        .stream = &conf->snapshot->streams[stream],
        .address = ours ? &conf->snapshot->addresses[0] : NULL,
        .status = status,
        .delay_ms = delay_ms,
    };

    slo_on_outcome(slo, &outcome);
}

static void
expect(uint64_t sent, uint64_t within, bool breached)
{
    struct slo_figures figures;

    slo_figures(slo, &conf->snapshot->streams[0], &figures);
    assert_int_equal(figures.sent, sent);
    assert_int_equal(figures.within, within);
    assert_int_equal(figures.breached, breached);
}

static int
set_up(void **state)
{
    (void)state;
    conf = unit_conf(unit_site);
    conf->snapshot->streams[0].slo_ms = 30 * 1000;
    conf->snapshot->streams[0].slo_share = 75;
    slo = slo_new(conf->snapshot);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    slo_free(slo);
    conf_unref(conf);
    return 0;
}

static void
test_what_counts(void **state)
{
    (void)state;
    expect(0, 0, false); /* nothing is no breach */
    hear(0, MAILLOG_SENT, 30 * 1000, true);
    hear(0, MAILLOG_SENT, 0, true);
    hear(0, MAILLOG_SENT, 1, true);
    hear(0, MAILLOG_SENT, 30 * 1000 + 1, true);
    expect(4, 3, false);
    hear(0, MAILLOG_DEFERRED, 40 * 1000, true);
    hear(0, MAILLOG_BOUNCED, 40 * 1000, true);
    hear(0, MAILLOG_SENT, -1, true);         /* how long is not known */
    hear(0, MAILLOG_SENT, 40 * 1000, false); /* by another transport */
    hear(1, MAILLOG_SENT, 40 * 1000, true);  /* a stream without an aim */
    expect(4, 3, false);
    hear(0, MAILLOG_SENT, 31 * 1000, true);
    expect(5, 3, true);
}

static void
test_last_hour(void **state)
{
    (void)state;
    hear(0, MAILLOG_SENT, 40 * 1000, true);
    now_ms += 30 * MINUTE_MS;
    hear(0, MAILLOG_SENT, 1, true);
    expect(2, 1, true);
    now_ms += 30 * MINUTE_MS;
    expect(1, 1, false);
    hear(0, MAILLOG_SENT, 2, true); /* in the place of the first */
    expect(2, 2, false);
    now_ms += 59 * MINUTE_MS;
    expect(1, 1, false);
    now_ms += MINUTE_MS;
    expect(0, 0, false);
}

/* Another aim begins anew; a stream is found again by its name. */
static void
test_reload(void **state)
{
    struct conf *next = unit_conf(unit_site);

    (void)state;
    hear(0, MAILLOG_SENT, 40 * 1000, true);
    next->snapshot->streams[0].slo_ms = 30 * 1000;
    next->snapshot->streams[0].slo_share = 99;
    slo_set_snapshot(slo, next->snapshot);
    conf_unref(conf);
    conf = next;
    expect(1, 0, true);
    next = unit_conf(unit_site);
    next->snapshot->streams[0].slo_ms = 60 * 1000;
    slo_set_snapshot(slo, next->snapshot);
    conf_unref(conf);
    conf = next;
    expect(0, 0, false);
}

static void
test_told(void **state)
{
    struct buf text = {0};
    struct json json = {.out = &text};

    (void)state;
    hear(0, MAILLOG_SENT, 40 * 1000, true);
    hear(0, MAILLOG_SENT, 1, true);
    slo_print(slo, &text);
    assert_string_equal(
        buf_text(&text),
        "stream tx: 1 of 2 within 30s in the last hour, 75 % are to be: BREACHED\n");
    buf_clear(&text);
    json_open(&json, NULL, '{');
    slo_json(slo, &conf->snapshot->streams[0], &json);
    slo_json(slo, &conf->snapshot->streams[1], &json);
    json_close(&json, '}');
    assert_string_equal(
        buf_text(&text),
        "{\"slo\":{\"ms\":30000,\"percent\":75,\"sent\":2,\"within\":1,\"breached\":true}}");
    buf_clear(&text);
}

static void
hear_many(unsigned count, int64_t delay_ms)
{
    while (count-- > 0)
        hear(0, MAILLOG_SENT, delay_ms, true);
}

/* Once when it begins, and once when it is well over. */
static void
test_log(void **state)
{
    (void)state;
    hear_many(3, 1);
    hear_many(1, 40 * 1000);
    expect_said("");
    hear_many(1, 40 * 1000);
    expect_said("warn: stream tx: 3 of 5 within 30s in the last hour, 75 % are to be -- its slo is "
                "breached\n");
    hear_many(1, 40 * 1000);
    expect_said("");
    now_ms += 10 * MINUTE_MS;
    hear_many(6, 1); /* 9 of 12: it is no breach any more */
    expect(12, 9, false);
    expect_said("");
    hear_many(1, 40 * 1000); /* again, and still the same one */
    expect(13, 9, true);
    hear_many(18, 1);
    expect(31, 27, false);
    expect_said("");
    hear_many(1, 1);
    expect_said("info: stream tx: 28 of 32 within 30s in the last hour, 75 % are to be: its slo "
                "holds again after 10 min\n");
    expect_said("");
    hear_many(10, 40 * 1000);
    expect_said("warn: stream tx: 28 of 42 within 30s in the last hour, 75 % are to be -- its slo "
                "is breached\n");
}

/* With nothing left of it in the hour it is over, also where none may be late. */
static void
test_log_of_an_hour(void **state)
{
    (void)state;
    conf->snapshot->streams[0].slo_share = 100;
    hear_many(1, 40 * 1000);
    expect_said("warn: stream tx: 0 of 1 within 30s in the last hour, 100 % are to be -- its slo "
                "is breached\n");
    now_ms += 59 * MINUTE_MS;
    hear_many(1000, 1);
    expect_said("");
    now_ms += MINUTE_MS;
    expect_said("info: stream tx: 1000 of 1000 within 30s in the last hour, 100 % are to be: its "
                "slo holds again after 60 min\n");
    hear_many(1, 40 * 1000);
    slo_tick(slo);
    buf_clear(&said);
    now_ms += 60 * MINUTE_MS;
    expect_said("info: stream tx: 0 of 0 within 30s in the last hour, 100 % are to be: its slo "
                "holds again after 60 min\n");
}

/* A reload does not have it told again. */
static void
test_log_and_a_reload(void **state)
{
    struct conf *next = unit_conf(unit_site);

    (void)state;
    hear_many(1, 40 * 1000);
    slo_tick(slo);
    buf_clear(&said);
    next->snapshot->streams[0].slo_ms = 30 * 1000;
    next->snapshot->streams[0].slo_share = 75;
    slo_set_snapshot(slo, next->snapshot);
    conf_unref(conf);
    conf = next;
    expect_said("");
    hear_many(7, 1);
    expect_said("info: stream tx: 7 of 8 within 30s in the last hour, 75 % are to be: its slo "
                "holds again after 1 s\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_hour, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_of_an_hour, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_and_a_reload, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
