/*
 * Messages are taken up before their time none too often.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/recall.h"

static struct recall *recall;

static int
setup(void **state)
{
    (void)state;
    recall = recall_new();
    return recall != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    recall_free(recall);
    return 0;
}

/* Take it up whenever that may be, until end_ms.  How often? */
static int
take_up(const char *id, int64_t now_ms, int64_t end_ms)
{
    int count = 0;

    for (;;) {
        now_ms = recall_when_ms(recall, id, now_ms);
        if (now_ms >= end_ms)
            return count;
        recall_note(recall, id, now_ms);
        count++;
    }
}

static void
test_one_that_is_not_known_may_be(void **state)
{
    (void)state;
    assert_int_equal(recall_when_ms(recall, "4A1", 7000), 7000);
}

static void
test_less_and_less_often(void **state)
{
    (void)state;
    recall_note(recall, "4A1", 1000);
    assert_int_equal(recall_when_ms(recall, "4A1", 1000), 2000);
    assert_int_equal(recall_when_ms(recall, "4A1", 2500), 2500);
    assert_int_equal(recall_when_ms(recall, "4A2", 1000), 1000);
    /* 1, 2, 3, 4, then after 1, 2, 4, 8, ... s */
    assert_in_range(take_up("4A3", 0, 60 * 1000), RECALL_FREE + 4, RECALL_FREE + 7);
    assert_in_range(take_up("4A4", 0, 24 * 3600 * 1000), 20, 50);
}

static void
test_one_that_was_helped_begins_anew(void **state)
{
    (void)state;
    take_up("4A1", 0, 3600 * 1000);
    assert_true(recall_when_ms(recall, "4A1", 3600 * 1000) > 3600 * 1000);
    recall_helped(recall, "4A1");
    assert_int_equal(recall_when_ms(recall, "4A1", 3600 * 1000), 3600 * 1000);
    recall_helped(recall, "4A9"); /* not known */
}

static void
test_what_is_held_waits(void **state)
{
    (void)state;
    recall_hold(recall, "4A1", 9000, 1000);
    recall_hold(recall, "4A1", 8000, 1000);
    assert_int_equal(recall_when_ms(recall, "4A1", 2000), 9000);
    assert_int_equal(recall_when_ms(recall, "4A1", 9000), 9000);
    recall_note(recall, "4A1", 8500);
    assert_int_equal(recall_when_ms(recall, "4A1", 9000), 9500);
}

/* Of more than there is room for, those that are held are kept before the others. */
static void
test_the_others_give_way_first(void **state)
{
    char id[16];
    int lost = 0;

    (void)state;
    for (int i = 0; i < RECALL_IDS / 8; i++) {
        snprintf(id, sizeof(id), "H%d", i);
        recall_hold(recall, id, 900 * 1000, i);
    }
    for (int i = 0; i < 4 * RECALL_IDS; i++) {
        snprintf(id, sizeof(id), "N%d", i);
        recall_note(recall, id, 10 * 1000 + i);
    }
    for (int i = 0; i < RECALL_IDS / 8; i++) {
        snprintf(id, sizeof(id), "H%d", i);
        lost += recall_when_ms(recall, id, 200 * 1000) != 900 * 1000;
    }
    assert_int_equal(lost, 0);
    snprintf(id, sizeof(id), "N%d", 4 * RECALL_IDS - 1);
    assert_true(recall_when_ms(recall, id, 10 * 1000 + 4 * RECALL_IDS) >
                10 * 1000 + 4 * RECALL_IDS);
}

static void
test_after_hours_it_counts_from_nothing(void **state)
{
    (void)state;
    take_up("4A1", 0, 3600 * 1000);
    recall_note(recall, "4A1", (int64_t)24 * 3600 * 1000);
    assert_int_equal(recall_when_ms(recall, "4A1", (int64_t)24 * 3600 * 1000),
                     (int64_t)24 * 3600 * 1000 + RECALL_GAP_MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_is_not_known_may_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_less_and_less_often, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_was_helped_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_held_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_others_give_way_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_hours_it_counts_from_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
