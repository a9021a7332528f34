/*
 * One meter: what it asks for, and what it says of leases that it has.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/meter.h"

/* Grants for several recipients at once, from two leases. */
static void
test_several_at_once(void **state)
{
    static const struct caps caps = {{{3600000, 100, false, "hour"}}, 1};
    struct meter meter = {0};
    struct book_ask ask;

    (void)state;
    assert_int_equal(meter_state_many(&meter, 1, 1000), METER_COLD);
    meter.lacking = 30;
    assert_true(meter_ask(&meter, &caps, 10, 10000, 1000, &ask));
    assert_int_equal(ask.want, 30);
    meter_answered(&meter, &(struct book_answer){.count = 10, .from_ms = 1000}, 1000);
    assert_int_equal(meter_state_many(&meter, 10, 1000), METER_FREE);
    assert_int_equal(meter_state_many(&meter, 11, 1000), METER_COLD);
    meter.lacking = 2; /* held is more than half a lease, but not enough */
    assert_true(meter_ask(&meter, &caps, 10, 10000, 1000, &ask));
    assert_int_equal(ask.want, 10);
    meter_answered(&meter, &(struct book_answer){.count = 10, .from_ms = 5000}, 1000);
    assert_int_equal(meter_state_many(&meter, 10, 1000), METER_FREE);
    assert_int_equal(meter_state_many(&meter, 12, 1000), METER_FULL);
    assert_int_equal(meter_room_many_ms(&meter, 12, 1000), 5000);
    assert_int_equal(meter_state_many(&meter, 20, 5000), METER_FREE);
    assert_int_equal(meter_state_many(&meter, 21, 5000), METER_COLD);
    meter.lacking = 1;
    assert_true(meter_ask(&meter, &caps, 10, 10000, 5000, &ask));
    meter_answered(&meter, &(struct book_answer){.again_ms = 9000, .room_ms = 12000}, 5000);
    assert_int_equal(meter_state_many(&meter, 21, 5000), METER_FULL);
    assert_int_equal(meter_room_many_ms(&meter, 21, 5000), 12000);
    assert_int_equal(meter_state_many(&meter, 21, 9000), METER_COLD); /* it is worth asking */
    meter.lacking = 1;
    assert_false(meter_ask(&meter, &caps, 10, 10000, 5001, &ask));
    assert_int_equal(meter_state_many(&meter, 20, 5000), METER_FREE);
    for (int i = 0; i < 20; i++)
        meter_take(&meter, &caps, 5000);
    assert_int_equal(meter_state_many(&meter, 1, 5000), METER_FULL);
    for (int i = 0; i < 3; i++)
        meter_give_back(&meter, 1000, 5000); /* not yet reported: spent anew */
    assert_int_equal(meter_state_many(&meter, 3, 5000), METER_FREE);
}

/* However many are given back of one moment, they are one line of the report. */
static void
test_given_back_together(void **state)
{
    static const struct caps caps = {{{3600000, 100, false, "hour"}}, 1};
    struct meter meter = {.wanted = true};
    struct book_ask ask;

    (void)state;
    for (int i = 0; i < 40; i++)
        meter_give_back(&meter, 1000, 5000);
    assert_true(meter_ask(&meter, &caps, 10, 10000, 5000, &ask));
    assert_int_equal(ask.report_count, 1);
    assert_int_equal(ask.reports[0].count, -40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_given_back_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
