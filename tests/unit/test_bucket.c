/*
 * A rate that is kept to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/bucket.h"

static void
test_a_full_one_gives_its_burst_and_then_its_rate(void **state)
{
    struct bucket bucket = {0};
    int taken = 0;

    (void)state;
    for (int i = 0; i < 20; i++)
        taken += bucket_take(&bucket, 100, 10, 5000);
    assert_int_equal(taken, 10);
    assert_int_equal(bucket_when_ms(&bucket, 100, 10, 5000), 5010);
    assert_false(bucket_take(&bucket, 100, 10, 5009));
    assert_true(bucket_take(&bucket, 100, 10, 5010));
    assert_false(bucket_take(&bucket, 100, 10, 5010));
}

static void
test_no_second_holds_more(void **state)
{
    static const int rates[] = {1, 3, 100, 1000};

    (void)state;
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct bucket bucket = {0};
        int taken = 0, rate = rates[i];

        for (int64_t now_ms = 1000; now_ms < 11 * 1000; now_ms++)
            while (bucket_take(&bucket, rate, 1, now_ms))
                taken++;
        assert_in_range(taken, 10 * rate - 1, 10 * rate + 1);
    }
}

static void
test_what_was_not_taken_is_not_saved(void **state)
{
    struct bucket bucket = {0};
    int taken = 0;

    (void)state;
    assert_true(bucket_take(&bucket, 10, 2, 1000));
    for (int i = 0; i < 20; i++)
        taken += bucket_take(&bucket, 10, 2, 3600 * 1000);
    assert_int_equal(taken, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_one_gives_its_burst_and_then_its_rate),
        cmocka_unit_test(test_no_second_holds_more),
        cmocka_unit_test(test_what_was_not_taken_is_not_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
