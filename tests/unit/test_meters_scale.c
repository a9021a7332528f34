/*
 * Meters that work with a part of their caps.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"

enum { NOW_MS = 1000000, HOUR_MS = 3600 * 1000 };

static const char site[] =
    "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; caps = { hour = 6400; "
    "smooth = false; }; };\n"
    "             a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; }; };\n"
    "pools: { fast = { addresses = ( \"a1\", \"a2\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"fast\"; match = (); account_caps = { hour = 8; }; } "
    ");\n";

struct world {
    struct conf *conf;
    struct meters *meters;
    uint32_t a1;
    struct meter *meter; /* of a1 */
    struct book_ask ask;
};

static int
set_up(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf(site);
    w->meters = meters_new(w->conf->snapshot);
    w->a1 = meters_address(w->meters, snapshot_find_address(w->conf->snapshot, "a1")->index);
    w->meter = &meters_at(w->meters, w->a1)->meter;
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    meters_free(w->meters);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static void
answer(struct world *w, uint32_t count, int64_t from_ms, int64_t again_ms)
{
    struct book_answer told = {
        .seq = w->ask.seq, .count = count, .from_ms = from_ms, .again_ms = again_ms};

    assert_true(meters_answered(w->meters, w->a1, &told, NOW_MS));
}

/* A lease of what the caps give: 100, and a half when none is held. */
static void
lease(struct world *w)
{
    meters_want(w->meters, w->a1);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    answer(w, w->ask.want, NOW_MS, 0);
}

static void
test_asks_with_its_part(void **state)
{
    struct world *w = *state;

    meters_want(w->meters, w->a1);
    meters_scale(w->meters, w->a1, 25, NOW_MS);
    assert_true(meters_are_scaled(w->meters));
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    assert_int_equal(w->ask.percent, 25);
    assert_int_equal(w->ask.want, 25 + 12);
    answer(w, 37, NOW_MS, 0);
    meters_scale(w->meters, w->a1, 100, NOW_MS);
    assert_false(meters_are_scaled(w->meters));
    for (int i = 0; i < 37; i++)
        meters_take(w->meters, w->a1, NOW_MS);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    assert_int_equal(w->ask.percent, 0);
    assert_int_equal(w->ask.want, 150);
}

/* What is held goes back, when it is more than a lease of the part. */
static void
test_sinks(void **state)
{
    struct world *w = *state;

    lease(w);
    assert_int_equal(meter_held(w->meter), 150);
    meters_scale(w->meters, w->a1, 25, NOW_MS);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    assert_int_equal(w->ask.unused, 150);
    assert_int_equal(w->ask.want, 0);
    assert_int_equal(w->ask.percent, 25);
    answer(w, 0, 0, 0);
    assert_int_equal(meter_state(w->meter, NOW_MS), METER_COLD);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), METERS_NONE);
}

/* A lease that was under way comes, and goes back. */
static void
test_sinks_while_it_asks(void **state)
{
    struct world *w = *state;

    meters_want(w->meters, w->a1);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    meters_scale(w->meters, w->a1, 25, NOW_MS);
    answer(w, 150, NOW_MS, 0);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    assert_int_equal(w->ask.unused, 150);
}

static void
test_keeps_what_fits(void **state)
{
    struct world *w = *state;

    lease(w);
    for (int i = 0; i < 120; i++)
        meters_take(w->meters, w->a1, NOW_MS);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1); /* half of it was used */
    answer(w, 0, 0, NOW_MS + HOUR_MS);
    meters_scale(w->meters, w->a1, 25, NOW_MS);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), METERS_NONE);
    assert_int_equal(meter_held(w->meter), 30);
}

/* "No room before" was of the part: now it is asked again. */
static void
test_grows(void **state)
{
    struct world *w = *state;

    meters_scale(w->meters, w->a1, 25, NOW_MS);
    meters_want(w->meters, w->a1);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    answer(w, 0, 0, NOW_MS + HOUR_MS);
    assert_int_equal(meter_state(w->meter, NOW_MS), METER_FULL);
    meters_scale(w->meters, w->a1, 50, NOW_MS);
    assert_int_equal(meter_state(w->meter, NOW_MS), METER_COLD);
    meters_want(w->meters, w->a1);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    assert_int_equal(w->ask.percent, 50);
    meters_scale(w->meters, w->a1, 100, NOW_MS); /* while it asks */
    answer(w, 0, 0, NOW_MS + HOUR_MS);
    assert_int_equal(meter_state(w->meter, NOW_MS), METER_COLD);
}

/* A lease that begins in half an hour is not waited for. */
static void
test_grows_with_a_ticket(void **state)
{
    struct world *w = *state;

    meters_scale(w->meters, w->a1, 25, NOW_MS);
    meters_want(w->meters, w->a1);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    answer(w, 37, NOW_MS + HOUR_MS / 2, 0);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), METERS_NONE);
    meters_scale(w->meters, w->a1, 100, NOW_MS);
    meters_want(w->meters, w->a1);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    assert_int_equal(w->ask.unused, 37);
    answer(w, 0, 0, 0);
    assert_int_equal(meter_state(w->meter, NOW_MS), METER_COLD);
    lease(w);
    assert_int_equal(meter_state(w->meter, NOW_MS), METER_FREE);
}

/* Without the store: this node's share is of the part. */
static void
test_alone(void **state)
{
    struct world *w = *state;

    meters_set_nodes(w->meters, 2);
    meters_set_share(w->meters, true);
    meters_lapse(w->meters, NOW_MS);
    meters_take(w->meters, w->a1, NOW_MS);
    assert_int_equal(w->meter->from_ms, NOW_MS + HOUR_MS / 3200 + 1);
    meters_scale(w->meters, w->a1, 25, NOW_MS);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), METERS_NONE);
    meters_take(w->meters, w->a1, NOW_MS + 2000);
    assert_int_equal(w->meter->from_ms, NOW_MS + 2000 + HOUR_MS / 800 + 1);
    meters_rejoin(w->meters);
    assert_int_equal(meters_next(w->meters, NOW_MS, &w->ask), w->a1);
    assert_int_equal(w->ask.percent, 25);
}

/* Meters that go do not count any more, and their numbers are whole again. */
static void
test_gone(void **state)
{
    struct world *w = *state;
    struct conf *before = w->conf;
    uint32_t account = meters_account(w->meters, 0, "x.test");

    meters_scale(w->meters, account, 50, NOW_MS);
    meters_scale(w->meters, w->a1, 50, NOW_MS);
    assert_true(meters_are_scaled(w->meters));
    while (meters_next(w->meters, NOW_MS, &w->ask) != METERS_NONE)
        ;
    meters_tend(w->meters, account, NOW_MS + 2 * HOUR_MS);
    w->conf = unit_conf("addresses: { a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; }; };\n"
                        "pools: { fast = { addresses = ( \"a2\" ); }; };\n"
                        "streams: ( { name = \"default\"; pool = \"fast\"; match = (); "
                        "account_caps = { hour = 8; }; } );\n");
    assert_true(meters_set_snapshot(w->meters, w->conf->snapshot, NOW_MS));
    conf_unref(before);
    assert_false(meters_are_scaled(w->meters));
    assert_int_equal(meters_account(w->meters, 0, "y.test"), account);
    assert_int_equal(meters_at(w->meters, account)->off, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_asks_with_its_part),
        TEST(test_sinks),
        TEST(test_sinks_while_it_asks),
        TEST(test_keeps_what_fits),
        TEST(test_grows),
        TEST(test_grows_with_a_ticket),
        TEST(test_alone),
        TEST(test_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
