/*
 * The warm-up of an address: what each kind of day comes to, rule by rule.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/date.h"
#include "engine/schedule.h"
#include "engine/warmup.h"

#include <errno.h>

enum { FIRST = 20000 };

static const struct schedule schedule = {
    .stages = {100, 200, 400, 800, 1600},
    .stage_count = 5,
    .hour_percent = 10,
    .shares = {{"yahoo", 20}},
    .share_count = 1,
};
static const struct warmup_plan plan = {
    .schedule = &schedule,
    .rules = {.used_percent = 70,
              .accepted_percent = 90,
              .back_stages = 1,
              .idle_days = 30,
              .again_stages = 2},
};

static struct warmup warmup;

static int
setup(void **state)
{
    (void)state;
    memset(&warmup, 0, sizeof(warmup));
    assert_true(warmup_begin(&warmup, &plan, FIRST, FIRST));
    return 0;
}

static uint32_t
allowance(int32_t day)
{
    return warmup_allowance(&warmup, &plan, NULL, day).day;
}

static enum warmup_result
day(uint32_t used, uint32_t accepted, uint32_t refused, uint32_t events)
{
    const struct warmup_figures figures = {used, accepted, refused, events};

    warmup_note(&warmup, warmup.day, "mta1", &figures);
    return warmup_turn(&warmup, &plan);
}

static void
good_day(void)
{
    uint32_t all = allowance(warmup.day);

    assert_int_equal(day(all, all, 0, 0), WARMUP_ADVANCES);
}

static size_t
stage(void)
{
    return warmup_stage(&warmup, &schedule);
}

/* From the third stage, 400 a day: what a day does. */
static void
test_what_a_day_comes_to(void **state)
{
    static const struct {
        uint32_t used, accepted, refused, events;
        enum warmup_result result;
        size_t stage;
    } days[] = {
        {400, 400, 0, 0, WARMUP_ADVANCES, 3},
        {280, 280, 0, 0, WARMUP_ADVANCES, 3},
        {279, 279, 0, 0, WARMUP_FEW, 2},
        {400, 360, 40, 0, WARMUP_ADVANCES, 3},
        {400, 359, 41, 0, WARMUP_REFUSED, 2},
        {400, 0, 0, 0, WARMUP_REFUSED, 2},    /* nobody knows yet */
        {400, 252, 0, 0, WARMUP_ADVANCES, 3}, /* 90 % of 70 % */
        {400, 251, 0, 0, WARMUP_REFUSED, 2},
        {400, 400, 0, WARMUP_WARNED, WARMUP_WARNING, 2},
        {400, 400, 0, WARMUP_SUSPENDED, WARMUP_HELD, 2},
        {400, 400, 0, WARMUP_BLOCKED, WARMUP_BACK, 1},
        {400, 400, 0, WARMUP_EVENTS_ALL, WARMUP_BACK, 1},
        {0, 0, 0, WARMUP_BLOCKED, WARMUP_BACK, 1},
        {0, 0, 0, WARMUP_SUSPENDED, WARMUP_HELD, 2},
        {0, 0, 0, 0, WARMUP_IDLE, 2},
        {1, 1, 0, 0, WARMUP_FEW, 2},
        {UINT32_MAX, UINT32_MAX, 0, 0, WARMUP_ADVANCES, 3},
    };

    for (size_t i = 0; i < COUNT(days); i++) {
        print_message("%zu\n", i);
        setup(state);
        good_day();
        good_day();
        assert_int_equal(day(days[i].used, days[i].accepted, days[i].refused, days[i].events),
                         days[i].result);
        assert_int_equal(stage(), days[i].stage);
        assert_int_equal(warmup.past[warmup.past_count - 1].allowance, 400);
    }
}

static void
test_to_full_volume(void **state)
{
    (void)state;
    for (size_t i = 0; i < schedule.stage_count; i++) {
        assert_int_equal(stage(), i);
        assert_int_equal(allowance(warmup.day), schedule.stages[i]);
        good_day();
    }
    assert_int_equal(warmup.phase, WARMUP_FULL);
    assert_int_equal(allowance(warmup.day), WARMUP_UNLIMITED);
    assert_int_equal(warmup_allowance(&warmup, &plan, "yahoo", warmup.day).hour, WARMUP_UNLIMITED);
    assert_int_equal(day(5, 0, 5, WARMUP_EVENTS_ALL), WARMUP_STAYS);
    assert_int_equal(stage(), schedule.stage_count);
}

static void
test_no_stage_before_the_first(void **state)
{
    (void)state;
    assert_int_equal(day(100, 0, 100, WARMUP_BLOCKED), WARMUP_BACK);
    assert_int_equal(stage(), 0);
    assert_int_equal(allowance(warmup.day), 100);
}

static void
test_allowance(void **state)
{
    (void)state;
    assert_int_equal(allowance(FIRST - 1), 0);
    assert_int_equal(warmup_allowance(&warmup, &plan, NULL, FIRST).hour, 10);
    assert_int_equal(warmup_allowance(&warmup, &plan, "yahoo", FIRST).day, 20);
    assert_int_equal(warmup_allowance(&warmup, &plan, "yahoo", FIRST).hour, 2);
    assert_int_equal(warmup_allowance(&warmup, &plan, "google", FIRST).day, 100);
    good_day();
    assert_int_equal(allowance(FIRST), 100); /* a host whose clock is behind */
    assert_int_equal(allowance(FIRST + 1), 200);
    memset(&warmup, 0, sizeof(warmup));
    assert_int_equal(allowance(FIRST), WARMUP_UNLIMITED);
}

/* The day is over and not turned yet: neither more than before, nor more than it would be. */
static void
test_allowance_between_two_days(void **state)
{
    struct warmup_figures figures = {200, 200, 0, 0};

    (void)state;
    good_day();
    warmup_note(&warmup, FIRST + 1, "mta1", &figures);
    assert_int_equal(allowance(FIRST + 2), 200);
    figures.events = WARMUP_BLOCKED;
    warmup_note(&warmup, FIRST + 1, "mta1", &figures);
    assert_int_equal(allowance(FIRST + 2), 100);
    assert_int_equal(allowance(FIRST + 1), 200);
}

static void
test_idle_days(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        good_day();
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 3 + 29), 29);
    assert_int_equal(stage(), 3);
    good_day();
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 33 + 30), 30);
    assert_int_equal(stage(), 2);
    assert_int_equal(warmup.past[warmup.past_count - 1].result, WARMUP_AGAIN);
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 63 + 30), 30);
    assert_int_equal(stage(), 0);
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 93 + 3000), 3000);
    assert_int_equal(stage(), 0);
    assert_int_equal(warmup_turn_to(&warmup, &plan, 5), 0);
}

/* A clock that was far ahead: it comes back, and the days to come are forgotten. */
static void
test_a_clock_that_was_wrong(void **state)
{
    (void)state;
    good_day();
    day(5, 5, 0, 0);
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 9), 7);
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 8), 0); /* its zone is another */
    assert_int_equal(warmup.day, FIRST + 9);
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 5), 0);
    assert_int_equal(warmup.day, FIRST + 5);
    assert_int_equal(warmup.past_count, 3);
    assert_int_equal(warmup.past[2].days, 3);
    assert_int_equal(stage(), 1);
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST), 0);
    assert_int_equal(warmup.past_count, 0);
    good_day();
}

static void
test_idle_at_full_volume(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        good_day();
    assert_int_equal(warmup_turn_to(&warmup, &plan, FIRST + 5 + 29), 29);
    assert_int_equal(warmup.phase, WARMUP_FULL);
    warmup_turn(&warmup, &plan);
    assert_int_equal(warmup.phase, WARMUP_RUNNING);
    assert_int_equal(stage(), 3);
    assert_int_equal(allowance(warmup.day), 800);
    good_day();
    good_day();
    assert_int_equal(warmup.phase, WARMUP_FULL);
}

/* Days in a row without anything to tell are one entry, and the oldest give way. */
static void
test_history(void **state)
{
    const struct warmup_past *past;

    (void)state;
    good_day();
    warmup_turn_to(&warmup, &plan, FIRST + 11);
    assert_int_equal(warmup.past_count, 2);
    past = &warmup.past[1];
    assert_int_equal(past->day, FIRST + 1);
    assert_int_equal(past->days, 10);
    assert_int_equal(past->result, WARMUP_IDLE);
    assert_int_equal(allowance(FIRST + 5), 200);
    day(3, 2, 1, 0);
    day(4, 3, 1, 0);
    assert_int_equal(warmup.past_count, 4);
    assert_int_equal(warmup.past[3].figures.used, 4);
    for (int i = 0; i < 100; i++)
        day((uint32_t)i, 0, 0, 0);
    assert_int_equal(warmup.past_count, WARMUP_PAST_MAX);
    assert_int_equal(warmup.past[WARMUP_PAST_MAX - 1].figures.used, 99);
    assert_int_equal(warmup.past[0].figures.used, 100 - WARMUP_PAST_MAX);
    assert_int_equal(allowance(FIRST), 0); /* forgotten */
}

static void
test_days_of_full_volume_are_one_entry(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        good_day();
    for (int i = 0; i < 100; i++)
        day(20000000, 20000000, 0, 0);
    assert_int_equal(warmup.past_count, 6);
    assert_int_equal(warmup.past[5].days, 100);
    assert_int_equal(warmup.past[5].figures.used, WARMUP_FIGURE_MAX);
}

static void
test_notes(void **state)
{
    struct warmup_figures figures = {50, 40, 5, WARMUP_WARNED}, today;

    (void)state;
    assert_true(warmup_note(&warmup, FIRST, "mta1", &figures));
    assert_false(warmup_note(&warmup, FIRST, "mta1", &figures));
    figures = (struct warmup_figures){30, 41, 1, WARMUP_SUSPENDED};
    assert_true(warmup_note(&warmup, FIRST, "mta1", &figures));
    assert_true(warmup_note(&warmup, FIRST, "mta2", &figures));
    assert_int_equal(warmup_of_node(&warmup, "mta1").used, 50);
    assert_int_equal(warmup_of_node(&warmup, "mta1").accepted, 41);
    assert_int_equal(warmup_of_node(&warmup, "mta2").refused, 1);
    assert_int_equal(warmup_of_node(&warmup, "mta3").used, 0);
    today = warmup_today(&warmup);
    assert_int_equal(today.used, 80);
    assert_int_equal(today.accepted, 82);
    assert_int_equal(today.refused, 6);
    assert_int_equal(today.events, WARMUP_WARNED | WARMUP_SUSPENDED);
    assert_false(warmup_note(&warmup, FIRST + 1, "mta1", &figures)); /* turn to it first */
    assert_false(warmup_note(&warmup, FIRST - 1, "mta1", &figures));
    warmup_turn(&warmup, &plan);
    assert_int_equal(warmup_today(&warmup).used, 0);
    assert_int_equal(warmup_today(&warmup).events, 0);
    memset(&warmup, 0, sizeof(warmup));
    assert_false(warmup_note(&warmup, 0, "mta1", &figures));
}

/* What is told late: its figures are not counted, its events are, once. */
static void
test_late_notes(void **state)
{
    struct warmup_figures figures = {100, 100, 0, 0};

    (void)state;
    good_day();
    assert_false(warmup_note(&warmup, FIRST, "mta2", &figures));
    figures.events = WARMUP_BLOCKED;
    assert_true(warmup_note(&warmup, FIRST, "mta2", &figures));
    assert_false(warmup_note(&warmup, FIRST, "mta2", &figures));
    assert_int_equal(warmup_turn(&warmup, &plan), WARMUP_BACK);
    assert_int_equal(stage(), 0);
    assert_false(warmup_note(&warmup, FIRST, "mta2", &figures));
    assert_int_equal(warmup_today(&warmup).events, 0);
}

static void
test_too_many_nodes(void **state)
{
    const struct warmup_figures figures = {1, 1, 0, WARMUP_WARNED};
    char name[8];

    (void)state;
    for (int i = 0; i < WARMUP_NODES_MAX; i++) {
        snprintf(name, sizeof(name), "mta%d", i);
        assert_true(warmup_note(&warmup, FIRST, name, &figures));
    }
    assert_false(warmup_note(&warmup, FIRST, "more", &figures));
    assert_int_equal(warmup_today(&warmup).used, WARMUP_NODES_MAX);
}

static void
test_begin(void **state)
{
    (void)state;
    good_day();
    assert_false(warmup_begin(&warmup, &plan, FIRST, FIRST + 1));
    assert_false(warmup_begin(&warmup, &plan, FIRST - 1, FIRST + 1));
    assert_int_equal(stage(), 1);
    good_day();
    good_day();
    assert_true(warmup_begin(&warmup, &plan, FIRST + 1, FIRST + 2)); /* a clock that is behind */
    assert_int_equal(warmup.day, FIRST + 3);
    assert_int_equal(stage(), 0);
    assert_int_equal(warmup.past_count, 3);
    good_day();
    assert_true(warmup_begin(&warmup, &plan, FIRST + 100, FIRST + 10)); /* before its time */
    assert_int_equal(warmup.day, FIRST + 10);
    assert_int_equal(allowance(FIRST + 10), 100);
    assert_int_equal(allowance(FIRST + 9), 0);
}

/* Another schedule: the volume stays, as far as it has such a stage. */
static void
test_another_schedule(void **state)
{
    static const struct schedule other = {
        .stages = {150, 300, 500, 600}, .stage_count = 4, .hour_percent = 10};
    const struct warmup_plan now = {&other, plan.rules};
    const struct warmup_figures figures = {300, 300, 0, 0};

    (void)state;
    good_day();
    good_day();
    assert_int_equal(warmup_allowance(&warmup, &now, NULL, warmup.day).day, 300);
    assert_int_equal(warmup_stage(&warmup, &other), 1);
    warmup_note(&warmup, warmup.day, "mta1", &figures);
    assert_int_equal(warmup_turn(&warmup, &now), WARMUP_ADVANCES);
    assert_int_equal(warmup_allowance(&warmup, &now, NULL, warmup.day).day, 500);
    assert_int_equal(stage(), 2);
}

static int
by_hand(enum warmup_order order)
{
    return warmup_order(&warmup, &plan, order, warmup.day, "root", "moving\nhouse");
}

static void
test_by_hand(void **state)
{
    (void)state;
    assert_int_equal(by_hand(WARMUP_START), -EALREADY);
    assert_int_equal(by_hand(WARMUP_GO_BACK), -ERANGE);
    assert_int_equal(warmup.ordered_count, 0);
    assert_int_equal(by_hand(WARMUP_ADVANCE), 0);
    assert_int_equal(allowance(warmup.day), 200);
    assert_string_equal(warmup.ordered[0].who, "root");
    assert_string_equal(warmup.ordered[0].why, "moving?house");
    assert_int_equal(warmup.ordered[0].day, FIRST);
    assert_int_equal(by_hand(WARMUP_GO_BACK), 0);
    assert_int_equal(stage(), 0);
    assert_int_equal(by_hand(WARMUP_PAUSE), 0);
    assert_int_equal(by_hand(WARMUP_PAUSE), -EALREADY);
    assert_int_equal(by_hand(WARMUP_ADVANCE), 0);
    assert_int_equal(warmup.phase, WARMUP_PAUSED);
    assert_int_equal(by_hand(WARMUP_START), 0);
    assert_int_equal(stage(), 1);
    for (size_t i = 1; i < schedule.stage_count; i++)
        assert_int_equal(by_hand(WARMUP_ADVANCE), 0);
    assert_int_equal(warmup.phase, WARMUP_FULL);
    assert_int_equal(by_hand(WARMUP_ADVANCE), -EALREADY);
    assert_int_equal(by_hand(WARMUP_PAUSE), -ERANGE);
    assert_int_equal(by_hand(WARMUP_GO_BACK), 0);
    assert_int_equal(stage(), 4);
    assert_int_equal(by_hand(WARMUP_ADVANCE), 0);
    warmup_turn_to(&warmup, &plan, FIRST + 7);
    assert_int_equal(by_hand(WARMUP_START), 0);
    assert_int_equal(stage(), 0);
    assert_int_equal(warmup.started, FIRST + 7);
    assert_int_equal(warmup.ordered_count, WARMUP_ORDERS_MAX);
    assert_int_equal(warmup.ordered[WARMUP_ORDERS_MAX - 1].order, WARMUP_START);
    memset(&warmup, 0, sizeof(warmup));
    assert_int_equal(by_hand(WARMUP_PAUSE), -ERANGE);
    assert_int_equal(by_hand(WARMUP_ADVANCE), -ERANGE);
    assert_int_equal(by_hand(WARMUP_GO_BACK), -ERANGE);
    warmup.day = FIRST;
    assert_int_equal(by_hand(WARMUP_START), 0);
    assert_int_equal(allowance(FIRST), 100);
}

static void
test_paused(void **state)
{
    (void)state;
    good_day();
    by_hand(WARMUP_PAUSE);
    assert_int_equal(day(200, 200, 0, 0), WARMUP_WAITS);
    assert_int_equal(day(200, 0, 200, WARMUP_EVENTS_ALL), WARMUP_WAITS);
    warmup_turn_to(&warmup, &plan, FIRST + 200);
    assert_int_equal(stage(), 1);
    assert_int_equal(allowance(FIRST + 200), 200);
    by_hand(WARMUP_START);
    good_day();
}

/* What the allowance was is told of each day. */
static void
test_idle_days_of_two_stages(void **state)
{
    (void)state;
    warmup_turn(&warmup, &plan);
    warmup_turn(&warmup, &plan);
    by_hand(WARMUP_ADVANCE);
    warmup_turn(&warmup, &plan);
    assert_int_equal(warmup.past_count, 2);
    assert_int_equal(allowance(FIRST + 1), 100);
    assert_int_equal(allowance(FIRST + 2), 200);
}

static void
test_forecast(void **state)
{
    (void)state;
    assert_int_equal(warmup_forecast(&warmup, &plan, 100000, NULL, NULL), FIRST + 5);
    assert_int_equal(warmup_forecast(&warmup, &plan, 1120, NULL, NULL), FIRST + 5);
    assert_int_equal(warmup_forecast(&warmup, &plan, 1119, NULL, NULL), -1);
    assert_int_equal(warmup_forecast(&warmup, &plan, 0, NULL, NULL), -1);
    warmup.events = WARMUP_WARNED; /* of today; tomorrow is another day */
    assert_int_equal(warmup_forecast(&warmup, &plan, 100000, NULL, NULL), FIRST + 6);
    by_hand(WARMUP_PAUSE);
    assert_int_equal(warmup_forecast(&warmup, &plan, 100000, NULL, NULL), -1);
    by_hand(WARMUP_START);
    warmup.day = DATE_MAX;
    assert_int_equal(warmup_forecast(&warmup, &plan, 0, NULL, NULL), -1);
    memset(&warmup, 0, sizeof(warmup));
    assert_int_equal(warmup_forecast(&warmup, &plan, 100000, NULL, NULL), -1);
}

/* What is known of the day under way holds for its forecast. */
static void
test_forecast_of_a_day_under_way(void **state)
{
    struct warmup_figures figures = {100, 89, 11, 0};

    (void)state;
    warmup_note(&warmup, FIRST, "mta1", &figures);
    assert_int_equal(warmup_forecast(&warmup, &plan, 100000, NULL, NULL), FIRST + 6);
    warmup_turn(&warmup, &plan);
    for (int i = 0; i < 4; i++)
        good_day();
    figures = (struct warmup_figures){1600, 1000, 0, 0};
    warmup_note(&warmup, FIRST + 5, "mta1", &figures);
    assert_int_equal(warmup_forecast(&warmup, &plan, 10, NULL, NULL), FIRST + 6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_day_comes_to),
        cmocka_unit_test_setup(test_to_full_volume, setup),
        cmocka_unit_test_setup(test_no_stage_before_the_first, setup),
        cmocka_unit_test_setup(test_allowance, setup),
        cmocka_unit_test_setup(test_allowance_between_two_days, setup),
        cmocka_unit_test_setup(test_idle_days, setup),
        cmocka_unit_test_setup(test_a_clock_that_was_wrong, setup),
        cmocka_unit_test_setup(test_idle_at_full_volume, setup),
        cmocka_unit_test_setup(test_history, setup),
        cmocka_unit_test_setup(test_days_of_full_volume_are_one_entry, setup),
        cmocka_unit_test_setup(test_notes, setup),
        cmocka_unit_test_setup(test_late_notes, setup),
        cmocka_unit_test_setup(test_too_many_nodes, setup),
        cmocka_unit_test_setup(test_begin, setup),
        cmocka_unit_test_setup(test_another_schedule, setup),
        cmocka_unit_test_setup(test_by_hand, setup),
        cmocka_unit_test_setup(test_paused, setup),
        cmocka_unit_test_setup(test_idle_days_of_two_stages, setup),
        cmocka_unit_test_setup(test_forecast, setup),
        cmocka_unit_test_setup(test_forecast_of_a_day_under_way, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
