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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_hour, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
