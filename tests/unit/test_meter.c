/*
 * One meter: what it asks for, and what it says of leases that it has.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/meter.h"
#include "tests/unit/chance.h"

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
}

/* What is given back before it was reported is spent anew, but only while its lease may be used. */
static void
test_given_back(void **state)
{
    static const struct caps caps = {{{60000, 100, false, "a minute"}}, 1};
    struct meter meter = {.lacking = 3};
    struct book_ask ask;

    (void)state;
    assert_true(meter_ask(&meter, &caps, 3, 10000, 1000, &ask));
    meter_answered(&meter, &(struct book_answer){.count = 3, .from_ms = 1000}, 1000);
    for (int i = 0; i < 3; i++)
        meter_take(&meter, &caps, 15900);
    for (int i = 0; i < 3; i++)
        meter_give_back(&meter, 15900);
    assert_int_equal(meter_state_many(&meter, 3, 16000), METER_FREE);
    assert_int_equal(meter_state_many(&meter, 3, 16001), METER_COLD);
}

/* An ask of the meter at that time is answered at once, with all that it wants. */
static void
tend(struct meter *meter, const struct caps *caps, int64_t now_ms, struct book_ask *ask)
{
    *ask = (struct book_ask){0};
    if (meter_ask(meter, caps, 10, 10000, now_ms, ask))
        meter_answered(meter, &(struct book_answer){.count = ask->want, .from_ms = now_ms}, now_ms);
}

/* For mail that found none, and may come again, one is at hand; and not for ever. */
static void
test_missed(void **state)
{
    static const struct caps caps = {{{60000, 100, false, "a minute"}}, 1};
    const int64_t end_ms = 1000 + METER_MISS_S * 1000;
    struct meter meter = {0};
    struct book_ask ask;

    (void)state;
    meter_miss(&meter, 1000);
    tend(&meter, &caps, 1000, &ask);
    assert_int_equal(ask.want, 15);
    tend(&meter, &caps, 8500, &ask); /* not before half of what a lease may lie */
    assert_int_equal(ask.unused + ask.want, 0);
    tend(&meter, &caps, 8501, &ask);
    assert_int_equal(ask.unused, 15);
    assert_int_equal(ask.want, 1);
    for (int64_t now_ms = 9000; now_ms < end_ms; now_ms += 5000) {
        tend(&meter, &caps, now_ms, &ask);
        assert_int_equal(ask.unused, ask.want);
        assert_int_equal(meter_held(&meter), 1);
        assert_int_equal(meter_state(&meter, now_ms), METER_FREE);
    }
    for (int64_t now_ms = end_ms; now_ms < end_ms + 60000; now_ms += 5000) {
        tend(&meter, &caps, now_ms, &ask);
        assert_int_equal(ask.want, 0);
    }
    assert_int_equal(meter_held(&meter), 0);
    assert_false(meter_ask(&meter, &caps, 10, 10000, end_ms + 60000, &ask));
}

/* Of a lease that may lie for long all goes back but one; and that, too, when it was taken. */
static void
test_missed_and_idle(void **state)
{
    static const struct caps caps = {{{3600000, 100, false, "hour"}}, 1};
    struct meter meter = {0};
    struct book_ask ask;

    (void)state;
    meter_miss(&meter, 1000);
    tend(&meter, &caps, 1000, &ask);
    tend(&meter, &caps, 11001, &ask);
    assert_int_equal(ask.unused, 14);
    assert_int_equal(ask.want, 0);
    tend(&meter, &caps, 400000, &ask);
    assert_int_equal(meter_state(&meter, 400000), METER_FREE);
    meter_take(&meter, &caps, 400000);
    tend(&meter, &caps, 410001, &ask);
    assert_int_equal(ask.want, 0); /* nobody is missed any more */
    meter_miss(&meter, 420000);
    tend(&meter, &caps, 420000, &ask);
    meter_return(&meter); /* by hand, or at the end */
    tend(&meter, &caps, 420001, &ask);
    assert_int_equal(ask.unused, 15);
    tend(&meter, &caps, 420002, &ask);
    assert_int_equal(meter_held(&meter), 0);
}

/* Of the lease before they are not to be had with the one that is held now. */
static void
test_given_back_of_another(void **state)
{
    static const struct caps caps = {{{60000, 100, false, "a minute"}}, 1};
    struct meter meter = {.lacking = 3};
    struct book_ask ask;

    (void)state;
    assert_true(meter_ask(&meter, &caps, 3, 10000, 1000, &ask));
    meter_answered(&meter, &(struct book_answer){.count = 3, .from_ms = 1000}, 1000);
    meter.lacking = 4;
    assert_true(meter_ask(&meter, &caps, 3, 10000, 15000, &ask));
    meter_answered(&meter, &(struct book_answer){.count = 4, .from_ms = 15000}, 15000);
    for (int i = 0; i < 3; i++)
        meter_take(&meter, &caps, 15900);
    for (int i = 0; i < 3; i++)
        meter_give_back(&meter, 15900);
    assert_int_equal(meter_held(&meter), 4);
    meter.wanted = true;
    for (int i = 0; i < 4; i++)
        meter_take(&meter, &caps, 15900);
    assert_true(meter_ask(&meter, &caps, 3, 10000, 15900, &ask));
    assert_int_equal(ask.report_count, 2); /* all seven, and those that were given back */
    assert_int_equal(ask.reports[0].count, 7);
    assert_int_equal(ask.reports[1].count, -3);
}

/* What was reported already counts in the book, and a use of the lease after it stays a use. */
static void
test_given_back_after_report(void **state)
{
    static const struct caps caps = {{{60000, 100, false, "a minute"}}, 1};
    struct meter meter = {.lacking = 3};
    struct book_ask ask;

    (void)state;
    assert_true(meter_ask(&meter, &caps, 3, 10000, 1000, &ask));
    meter_answered(&meter, &(struct book_answer){.count = 3, .from_ms = 1000}, 1000);
    for (int i = 0; i < 3; i++)
        meter_take(&meter, &caps, 1000);
    meter.wanted = true;
    assert_true(meter_ask(&meter, &caps, 3, 10000, 1000, &ask));
    meter_answered(&meter, &(struct book_answer){.count = 3, .from_ms = 1000}, 1000);
    meter_take(&meter, &caps, 5000);
    meter_give_back(&meter, 1000);
    assert_int_equal(meter_held(&meter), 2);
    meter_take(&meter, &caps, 5000);
    assert_true(meter_ask(&meter, &caps, 3, 10000, 5000, &ask));
    assert_int_equal(ask.report_count, 2);
    assert_int_equal(ask.reports[0].count, 2);
    assert_int_equal(ask.reports[1].at_ms, 1000);
    assert_int_equal(ask.reports[1].count, -1);
}

/* A full meter with nothing held, of whose grants one at 1,000 was reported. */
static void
make_full(struct meter *meter, const struct caps *caps)
{
    struct book_ask ask;

    *meter = (struct meter){.lacking = 1};
    assert_true(meter_ask(meter, caps, 1, 10000, 1000, &ask));
    meter_answered(meter, &(struct book_answer){.count = 1, .from_ms = 1000}, 1000);
    meter_take(meter, caps, 1000);
    meter->wanted = true;
    assert_true(meter_ask(meter, caps, 1, 10000, 1000, &ask));
    assert_int_equal(ask.report_count, 1);
}

/* The store told when there is room, and knew nothing of what is given back now: ask at once. */
static void
test_given_back_makes_room(void **state)
{
    static const struct caps caps = {{{3600000, 1, false, "hour"}}, 1};
    static const struct book_answer full = {.again_ms = 3000000, .room_ms = 3000000};
    struct meter meter;
    struct book_ask ask;

    (void)state;
    make_full(&meter, &caps);
    meter_answered(&meter, &full, 1000);
    assert_int_equal(meter_state(&meter, 5000), METER_FULL);
    assert_false(meter_ask(&meter, &caps, 1, 10000, 5000, &ask));
    meter_give_back(&meter, 1000);
    assert_int_equal(meter_state(&meter, 5000), METER_COLD);
    assert_true(meter_ask(&meter, &caps, 1, 10000, 5000, &ask));
    assert_int_equal(ask.report_count, 1);
    assert_int_equal(ask.reports[0].count, -1);
    assert_true(ask.want > 0);
    meter_answered(&meter, &full, 5000); /* it was another's: that is the last word */
    assert_int_equal(meter_state(&meter, 5000), METER_FULL);
}

/* Likewise while an ask is under way, which did not tell of it. */
static void
test_given_back_while_asked(void **state)
{
    static const struct caps caps = {{{3600000, 1, false, "hour"}}, 1};
    struct meter meter;
    struct book_ask ask;

    (void)state;
    make_full(&meter, &caps);
    meter_give_back(&meter, 1000);
    assert_false(meter_ask(&meter, &caps, 1, 10000, 5000, &ask));
    meter_answered(&meter, &(struct book_answer){.again_ms = 3000000, .room_ms = 3000000}, 5000);
    assert_int_equal(meter_state(&meter, 5000), METER_COLD);
    assert_true(meter_ask(&meter, &caps, 1, 10000, 5000, &ask));
    assert_int_equal(ask.report_count, 1);
    assert_int_equal(ask.reports[0].count, -1);
}

/* Of however many moments they are, and whatever is used between: none is forgotten. */
static void
test_given_back_of_many_moments(void **state)
{
    static const struct caps caps = {{{60000, 1000, false, "a minute"}}, 1};
    int sum = 0, turns = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct meter meter = {.lacking = 200};
        struct book_ask ask = {0};
        int64_t now_ms = 10000;

        chance_seed(seed);
        assert_true(meter_ask(&meter, &caps, 200, 10000, now_ms, &ask));
        meter_answered(&meter, &(struct book_answer){.count = 200, .from_ms = now_ms}, now_ms);
        meter.mixed = chance(2) == 0;
        sum = 0;
        for (int i = 0; i < 40; i++) {
            now_ms += (int64_t)chance(200);
            if (chance(2) == 0) {
                meter_take(&meter, &caps, now_ms);
                sum++;
            } else {
                meter_give_back(&meter, now_ms - (int64_t)chance(9000));
                sum--;
            }
            assert_true(meter.use_count <= METER_USES);
        }
        meter_return(&meter);
        while (meter_ask(&meter, &caps, 200, 10000, now_ms, &ask)) {
            for (size_t i = 0; i < ask.report_count; i++)
                sum -= ask.reports[i].count;
            meter_answered(&meter, &(struct book_answer){0}, now_ms);
            meter_return(&meter);
            turns++;
        }
        assert_int_equal(sum, 0);
    }
    assert_true(turns >= 2000);
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
        meter_give_back(&meter, 1000);
    assert_true(meter_ask(&meter, &caps, 10, 10000, 5000, &ask));
    assert_int_equal(ask.report_count, 1);
    assert_int_equal(ask.reports[0].count, -40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_missed),
        cmocka_unit_test(test_missed_and_idle),
        cmocka_unit_test(test_given_back),
        cmocka_unit_test(test_given_back_of_another),
        cmocka_unit_test(test_given_back_together),
        cmocka_unit_test(test_given_back_after_report),
        cmocka_unit_test(test_given_back_makes_room),
        cmocka_unit_test(test_given_back_while_asked),
        cmocka_unit_test(test_given_back_of_many_moments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
