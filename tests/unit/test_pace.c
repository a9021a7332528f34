/*
 * Which deferred messages are woken, and when: on a clock that the test moves, with room as the
 * test says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/pace_world.h"

#include "engine/decide.h"
#include "engine/grants.h"
#include "engine/snapshot.h"
#include "engine/waiting.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/tag.h"
#include "policyd/choice.h"
#include "policyd/lookup.h"
#include "policyd/outcome.h"
#include "policyd/pace_inside.h"
#include "policyd/volume.h"
#include "policyd/wake.h"

#include <event2/event.h>
#include <time.h>

/* -------------------------------------------------------------------- tests */

/* By priority, the oldest first; what was asked for waits no more. */
static void
test_room(void **state)
{
    (void)state;
    pace_world_defer(2, "B1");
    pace_world.now_ms += 1000;
    pace_world_defer(2, "B2");
    pace_world_defer(0, "A1");
    pace_world_run_until(2500);
    pace_world_assert_woken("");
    pace_world.room = true;
    pace_world_run_until(4000); /* nobody says that there is room: it is looked at each second */
    pace_world_assert_woken("A1 B1 B2 ");
    assert_int_equal(waiting_count(pace_world.pace->waiting), 3);
    pace_world_look_up("A1");
    pace_world_look_up("B2");
    pace_world_run_until(5000);
    assert_int_equal(waiting_count(pace_world.pace->waiting), 1);
    assert_int_equal(pace_world.helped, 2);
    assert_int_equal(pace_world.pace->used, 2);
    pace_world_assert_woken("");
}

/* Those to recipients that were active of late go first, by the message's hint, too. */
static void
test_active_first(void **state)
{
    (void)state;
    pace_world_defer(2, "Q1");
    pace_world_defer(2, "Q2");
    pace_world.now_ms += 1000;
    pace_world_defer(2, "B3");
    pace_world.room = true;
    pace_world_run_until(4000);
    pace_world_assert_woken("B3 Q1 Q2 ");
}

/* Its lookup never came: the grant goes back, and it is woken again, whatever the hour. */
static void
test_woken_in_vain(void **state)
{
    (void)state;
    for (int shift = 0; shift < 2 * TICK_MS; shift++) {
        int64_t begin_ms;

        pace_world_set_up(NULL);
        pace_world.room = true;
        begin_ms = pace_world.now_ms;
        pace_world_defer(0, "A1");
        pace_world_tick();
        pace_world_assert_woken("A1 ");
        pace_world.now_ms += shift; /* the ticks that come are at any distance of the end */
        pace_world_run_until(pace_world.now_ms - begin_ms + PACE_RESERVED_MS + 100);
        pace_world_assert_woken("A1 ");
        assert_int_equal(pace_world.given_back, 1);
        assert_int_equal(pace_world.pace->unused, 1);
        assert_int_equal(waiting_count(pace_world.pace->waiting), 1);
        pace_world_tear_down(NULL);
    }
}

/* The queue manager may not have been done with it: it is woken again, and again, less and less. */
static void
test_woken_too_early(void **state)
{
    (void)state;
    pace_world.room = true;
    pace_world_defer(0, "A1");
    pace_world_defer(0, "A2");
    pace_world_run_until(900);
    pace_world_assert_woken("A1 A2 ");
    pace_world_look_up("A2");
    pace_world_run_until(1100);
    pace_world_assert_again("A1 ");
    pace_world_run_until(3900);
    pace_world_assert_again("");
    pace_world_run_until(4200);
    pace_world_assert_again("A1 ");
    pace_world_run_until(PACE_RESERVED_MS - 1000);
    pace_world_assert_again("A1 ");
    assert_int_equal(waiting_count(pace_world.pace->waiting), 1);
    pace_world_look_up("A1");
    pace_world_run_until(2 * PACE_RESERVED_MS);
    pace_world_assert_again("");
    pace_world_assert_woken("");
    assert_int_equal(pace_world.helped, 2);
}

/* Nobody knows where it is: others are not to wait for it for ever. */
static void
test_given_up(void **state)
{
    (void)state;
    pace_world.room = true;
    pace_world_defer(0, "A1");
    pace_world_run_until((PACE_VAIN_MAX + 1) * (PACE_RESERVED_MS + 1000));
    pace_world_assert_woken("A1 A1 A1 ");
    assert_int_equal(pace_world.given_back, PACE_VAIN_MAX);
    assert_int_equal(waiting_count(pace_world.pace->waiting), 0);
    pace_world_defer(0, "A1"); /* but there it is */
    pace_world_run_until((PACE_VAIN_MAX + 2) * (PACE_RESERVED_MS + 1000));
    pace_world_assert_woken("A1 A1 ");
    assert_int_equal(waiting_count(pace_world.pace->waiting), 1);
}

/* Many that nobody knows: all come at Postfix' own pace_world.pace, and no room waits for them. */
static void
test_all_given_up(void **state)
{
    char id[8];

    (void)state;
    pace_world.room = true;
    for (int i = 0; i < PACE_VAIN_ROW + 5; i++) {
        snprintf(id, sizeof(id), "A%d", i);
        pace_world_defer(0, id);
    }
    pace_world_run_until(PACE_RESERVED_MS - 1000);
    assert_int_equal(waiting_count(pace_world.pace->waiting), PACE_VAIN_ROW + 5);
    pace_world_run_until(PACE_RESERVED_MS + 1000);
    assert_int_equal(waiting_count(pace_world.pace->waiting), 0);
    assert_int_equal(pace_world.pace->reserved_count, 0);
    assert_int_equal(pace_world.given_back, PACE_VAIN_ROW + 5);

    pace_world_defer(0, "B1");
    pace_world_tick();
    pace_on_swept(pace_world.pace);
    assert_int_equal(waiting_count(pace_world.pace->waiting), 0);
    assert_int_equal(pace_world.given_back, PACE_VAIN_ROW + 6);
}

/* It left the queue without being asked for: what it had is others'. */
static void
test_gone(void **state)
{
    (void)state;
    pace_world.room = true;
    pace_world_defer(0, "A1");
    pace_world_tick();
    pace_world_assert_woken("A1 ");
    pace_on_gone(pace_world.pace, "A1");
    assert_int_equal(pace_world.given_back, 1);
    assert_int_equal(pace_world.pace->reserved_count, 0);
    assert_int_equal(waiting_count(pace_world.pace->waiting), 0);
}

/* Postfix tried it without asking: what was reserved goes back at once. */
static void
test_deferred_again(void **state)
{
    (void)state;
    pace_world.room = true;
    pace_world_defer(0, "A1");
    pace_world_tick();
    pace_world_assert_woken("A1 ");
    pace_world.now_ms += 2 * WAITING_ONCE_MS;
    pace_world_defer(0, "A1");
    assert_int_equal(pace_world.given_back, 1);
    assert_int_equal(pace_world.pace->reserved_count, 0);
    pace_world_tick();
    pace_world_assert_woken("A1 ");
}

/* The first has none, the next one has: there is something about the first. */
static void
test_odd_one(void **state)
{
    (void)state;
    pace_world.room = true;
    pace_world.odd = "B1";
    pace_world_defer(2, "B1");
    pace_world.now_ms += 1000;
    pace_world_defer(2, "B2");
    pace_world_defer(2, "B3");
    pace_world_run_until(3000);
    pace_world_assert_woken("B2 B3 ");
    pace_world_look_up("B2");
    pace_world_look_up("B3");
    pace_world.odd = NULL; /* soon seen */
    pace_world_run_until(3000 + 1000);
    pace_world_assert_woken("B1 ");
}

/* Many in a row that are passed over for a minute: nobody waits behind them. */
static void
test_thinned(void **state)
{
    (void)state;
    pace_world.room = pace_world.thinned = true;
    for (int i = 1; i <= 5; i++) {
        char id[] = {'T', (char)('0' + i), '\0'};

        pace_world_defer(2, id);
    }
    pace_world.now_ms += 1000;
    pace_world_defer(2, "B1");
    pace_world_run_until(1100);
    pace_world_assert_woken("B1 ");
    pace_world_look_up("B1");
    pace_world_run_until(20000);
    pace_world_assert_woken("");
    assert_in_range(pace_world.looks, 6, 50); /* each is looked at less and less */
    pace_world.thinned = false;
    pace_world_run_until(60000);
    assert_int_equal(strlen(pace_world.woken), 5 * strlen("T1 "));
}

/* One after the other: the next is woken when it is its time. */
static void
test_slowed_down(void **state)
{
    (void)state;
    pace_world.room = true;
    pace_world.paced_ms = START_MS + 300;
    pace_world_defer(2, "B1");
    pace_world_defer(2, "B2");
    pace_world_run_until(300);
    pace_world_assert_woken("");
    pace_world_run_until(340);
    pace_world_assert_woken("B1 B2 ");
}

/* Alone it would be answered from Postfix' memory, until another was asked for. */
static void
test_last_answer(void **state)
{
    struct lookup_result last = {.is_decision = true};
    struct grant_key key;

    (void)state;
    pace_world.room = true;
    grant_key(pace_world_secret, "A1", "x@one.test", &key);
    last.key = key.low;
    pace_on_answered(pace_world.pace, &last);
    pace_world_defer(0, "A1");
    pace_world_run_until(20000);
    pace_world_assert_woken("");
    last.key++;
    pace_on_answered(pace_world.pace, &last);
    pace_world_run_until(22000);
    pace_world_assert_woken("A1 ");

    last.key--;
    pace_on_answered(pace_world.pace, &last);
    pace_world_look_up("A1");
    pace_world_run_until(22100);
    pace_world_defer(0, "A2");
    pace_world_run_until(22200);
    pace_world_assert_woken("A2 ");
}

static void
test_never_woken(void **state)
{
    static const struct reply_rule greylist = {.accused = ACCUSED_GREYLIST};
    struct outcome outcome;

    (void)state;
    pace_world.room = true;
    outcome = pace_world_outcome(0, "A1");
    outcome.own = false;
    outcome.address = &pace_world.conf->snapshot->addresses[0];
    outcome.rule = &greylist;
    pace_on_outcome(pace_world.pace, &outcome);
    pace_on_idle(pace_world.pace);
    outcome = pace_world_outcome(0, "A2"); /* another's fault: Postfix' own time is right */
    outcome.own = false;
    outcome.address = &pace_world.conf->snapshot->addresses[0];
    pace_on_outcome(pace_world.pace, &outcome);
    pace_on_idle(pace_world.pace);
    pace_world_run_until(5000);
    pace_world_assert_woken("");
    /* Then its address was suspended. */
    pace_on_suspended(pace_world.pace, &pace_world.conf->snapshot->addresses[0], NULL, NULL);
    pace_world_run_until(6000);
    pace_world_assert_woken("A2 ");
    assert_int_equal(pace_world.pace->hits, 1);
}

/* A log that is far behind tells of what may be gone. */
static void
test_log_behind(void **state)
{
    struct outcome outcome;

    (void)state;
    pace_world.room = true;
    outcome = pace_world_outcome(0, "A1");
    pace_on_outcome(pace_world.pace, &outcome);
    pace_world.now_ms += 2500;
    pace_world_run_until(5000);
    pace_world_assert_woken("");
    pace_on_idle(pace_world.pace);
    pace_world_run_until(5100);
    pace_world_assert_woken("A1 ");
}

/* It is over with it: its lookup takes no room. */
static void
test_ended(void **state)
{
    (void)state;
    pace_world.ended = "A1";
    pace_world_defer(0, "A1");
    pace_world_run_until(100);
    pace_world_assert_woken("A1 ");
    assert_int_equal(pace_world.pace->reserved_count, 0);
    pace_on_gone(pace_world.pace, "A1");
    assert_int_equal(waiting_count(pace_world.pace->waiting), 0);
}

/* Nobody knows where it is: it is not woken for ever, whichever end it has come to. */
static void
test_ended_in_vain(void **state)
{
    char id[TAG_ID_LENGTH + 1], expected[80];

    (void)state;
    pace_world.ended = "A1";
    pace_world_defer(0, "A1");
    pace_world_run_until((PACE_VAIN_MAX + 2) * (PACE_RESERVED_MS + 1000));
    pace_world_assert_woken("A1 A1 A1 ");
    assert_int_equal(waiting_count(pace_world.pace->waiting), 0);
    tag_id(1, START_MS / 1000, id);
    pace_world.conf->snapshot->streams[0].deadline_ms = 10 * 1000;
    pace_world_defer(0, id);
    pace_world_run_until(2 * (PACE_VAIN_MAX + 2) * (PACE_RESERVED_MS + 1000));
    snprintf(expected, sizeof(expected), "%s %s %s ", id, id, id);
    pace_world_assert_woken(expected);
    assert_int_equal(waiting_count(pace_world.pace->waiting), 0);
}

/* Outside the hours it is looked at now and then; when they begin, the first go first. */
static void
test_hours(void **state)
{
    (void)state;
    pace_world.room = true;
    pace_world.opens_ms = START_MS + 200 * 1000;
    pace_world_defer(2, "B1");
    pace_world_defer(0, "A1");
    pace_world_run_until(199990);
    pace_world_assert_woken("");
    assert_in_range(pace_world.looks, 2, 20);
    pace_world_run_until(200100);
    pace_world_assert_woken("A1 B1 ");
}

/* Past its deadline it is woken where nothing else is, and once in a while. */
static void
test_deadline(void **state)
{
    char young[TAG_ID_LENGTH + 1], old[TAG_ID_LENGTH + 1], expected[80];

    (void)state;
    pace_world.late_ms = 7; /* clocks do not agree to the millisecond */
    tag_id(1, START_MS / 1000, young);
    tag_id(2, START_MS / 1000 - 50, old);
    pace_world.conf->snapshot->streams[0].deadline_ms = 60 * 1000;
    pace_world_defer(0, young);
    pace_world_defer(0, old);
    pace_world_defer(0, "joe@a.test"); /* has none */
    pace_world.conf->snapshot->streams[2].deadline_ms = 100 * 1000;
    pace_world_defer(2, "other@a.test");
    pace_world_run_until(10900);
    pace_world_assert_woken("");
    pace_world_run_until(11100);
    snprintf(expected, sizeof(expected), "%s ", old);
    pace_world_assert_woken(expected);
    assert_int_equal(pace_world.pace->reserved_count, 0);
    pace_world_run_until(30000);
    pace_world_assert_woken("");
    pace_on_gone(pace_world.pace, old);
    pace_world.opens_ms = START_MS + 1000 * 1000; /* hours make no difference */
    pace_world_run_until(70000);
    snprintf(expected, sizeof(expected), "%s ", young);
    pace_world_assert_woken(expected);
    pace_world_run_until(95000); /* its lookup did not come */
    pace_world_assert_woken(expected);
    pace_on_gone(pace_world.pace, young);
    pace_world_run_until(200000);
    pace_world_assert_woken("");
}

/* A reload gave it more time; and one that rests is left to that. */
static void
test_deadline_that_moved(void **state)
{
    char id[TAG_ID_LENGTH + 1], expected[80];

    (void)state;
    tag_id(1, START_MS / 1000, id);
    pace_world.conf->snapshot->streams[0].deadline_ms = 10 * 1000;
    pace_world_defer(0, id);
    pace_world.conf->snapshot->streams[0].deadline_ms = 100 * 1000;
    pace_world_run_until(95000);
    pace_world_assert_woken("");
    pace_world.rests_ms = START_MS + 200 * 1000;
    pace_world_run_until(199900);
    pace_world_assert_woken("");
    pace_world_run_until(200100);
    snprintf(expected, sizeof(expected), "%s ", id);
    pace_world_assert_woken(expected);
}

/* What waited before the start does so now; what is under way is left alone. */
static void
test_waits_since_before(void **state)
{
    struct outcome outcome;
    struct grant_key key;
    struct grant grant = {.at_ms = START_MS, .meters = {GRANT_NO_METER}};
    bool is_new;

    (void)state;
    pace_world.room = true;
    outcome = pace_world_outcome(0, "A1");
    pace_on_wait(pace_world.pace, &outcome);
    outcome = pace_world_outcome(0, "A2");
    pace_on_wait(pace_world.pace, &outcome);
    grant_key(pace_world_secret, "A2", "x@one.test", &key);
    grants_reserve(pace_world.grants, &key, &grant, 0, &is_new);
    pace_world_look_up("A2");
    pace_world_run_until(100);
    pace_world_assert_woken("A1 ");
    assert_int_equal(waiting_count(pace_world.pace->waiting), 1);
}

/* Accounts of another grade have another pool: that it is full holds up none of these. */
static void
test_grades(void **state)
{
    (void)state;
    pace_world.conf->snapshot->streams[2].is_graded = true;
    pace_world.room = true;
    pace_world.poor = "new.test";
    for (int i = 0; i < 100; i++) {
        char id[8];
        struct outcome outcome;

        snprintf(id, sizeof(id), "N%d", i);
        outcome = pace_world_outcome(2, id);
        strcpy(outcome.account, "new.test");
        pace_on_outcome(pace_world.pace, &outcome);
    }
    pace_world.now_ms += 1000;
    pace_world_defer(2, "B1");
    pace_world_run_until(3000);
    pace_world_assert_woken("B1 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_room, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_active_first, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test(test_woken_in_vain),
        cmocka_unit_test_setup_teardown(test_woken_too_early, pace_world_set_up,
                                        pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_given_up, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_all_given_up, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_gone, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_deferred_again, pace_world_set_up,
                                        pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_odd_one, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_thinned, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_slowed_down, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_grades, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_last_answer, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_never_woken, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_log_behind, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_ended, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_ended_in_vain, pace_world_set_up,
                                        pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_hours, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_deadline, pace_world_set_up, pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_deadline_that_moved, pace_world_set_up,
                                        pace_world_tear_down),
        cmocka_unit_test_setup_teardown(test_waits_since_before, pace_world_set_up,
                                        pace_world_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
