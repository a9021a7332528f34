/*
 * Counting what happened to mail: buckets of delays, what they tell, and bounds of the table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/tallies.h"

static const char *const *
names(const char *a, const char *b, const char *c, const char *d)
{
    static const char *all[TALLIES_NAMES];

    all[0] = a;
    all[1] = b;
    all[2] = c;
    all[3] = d;
    return all;
}

/* Each bucket goes up to twice the one before, the last has no end. */
static void
test_buckets(void **state)
{
    static const struct {
        int64_t ms;
        int bucket;
    } cases[] = {
        {-1, 0},   {0, 0},    {99, 0},           {100, 1},        {199, 1},        {200, 2},
        {1599, 4}, {1600, 5}, {3600 * 1000, 16}, {419430399, 22}, {419430400, 23}, {INT64_MAX, 23},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%lld\n", (long long)cases[i].ms);
        assert_int_equal(tally_delay_bucket(cases[i].ms), cases[i].bucket);
    }
}

/* What the buckets tell is never further off than their own width. */
static void
test_percentiles(void **state)
{
    struct tally tally = {0};

    (void)state;
    assert_int_equal(tally_delay_ms(&tally, 50), -1);
    for (int64_t ms = 1000; ms <= 100000; ms += 1000) /* evenly from 1 s to 100 s */
        tally.counts[TALLY_DELAY + tally_delay_bucket(ms)]++;
    assert_in_range(tally_delay_ms(&tally, 50), 45000, 55000);
    assert_in_range(tally_delay_ms(&tally, 95), 80000, 102400);
    assert_in_range(tally_delay_ms(&tally, 99), (uint64_t)tally_delay_ms(&tally, 95), 102400);
    tally = (struct tally){0};
    tally.counts[TALLY_DELAY] = 10;
    assert_in_range(tally_delay_ms(&tally, 99), 1, 100);
    tally = (struct tally){0};
    tally.counts[TALLY_DELAY + TALLY_DELAYS - 1] = 1;
    assert_int_equal(tally_delay_ms(&tally, 99), 419430400);
}

static void
test_sums(void **state)
{
    struct tally tally = {0}, more = {0};

    (void)state;
    more.counts[TALLY_SENT] = 5;
    more.counts[TALLY_FULL] = 100;    /* of the deferred ones: not to be counted again */
    more.counts[TALLY_RESCUED] = 100; /* likewise */
    more.counts[TALLY_DEFERRED] = 1;
    more.counts[TALLY_DEFERRED + TALLY_CLASSES - 1] = 2;
    more.counts[TALLY_BOUNCED] = 10;
    more.counts[TALLY_BOUNCED + TALLY_CLASSES - 1] = 20;
    more.counts[TALLY_DELAY] = 1000;
    tally_add(&tally, &more);
    tally_add(&tally, &more);
    assert_int_equal(tally_deferred(&tally), 6);
    assert_int_equal(tally_bounced(&tally), 60);
    assert_int_equal(tally_tried(&tally), 76);
}

static void
test_table(void **state)
{
    struct tallies *tallies = tallies_new(10);
    struct tally *one = tallies_at(tallies, TALLIES_MAIL, 7, names("bulk", "p", "a1", "google"));
    const struct tallies_cell *cell;

    (void)state;
    tallies_free(NULL);
    assert_non_null(one);
    one->counts[TALLY_SENT] = 3;
    assert_ptr_equal(tallies_at(tallies, TALLIES_MAIL, 7, names("bulk", "p", "a1", "google")), one);
    assert_ptr_not_equal(tallies_at(tallies, TALLIES_MAIL, 8, names("bulk", "p", "a1", "google")),
                         one);
    assert_ptr_not_equal(
        tallies_at(tallies, TALLIES_ACCOUNTS, 7, names("bulk", "p", "a1", "google")), one);
    /* where one name ends and the next begins */
    assert_ptr_not_equal(tallies_at(tallies, TALLIES_MAIL, 7, names("bulkp", "", "a1", "google")),
                         one);
    assert_ptr_not_equal(tallies_at(tallies, TALLIES_SUSPENDED, 7, names("a1", NULL, NULL, NULL)),
                         one);
    assert_int_equal(tallies_count(tallies), 5);
    cell = tallies_get(tallies, 0);
    assert_int_equal(cell->hour, 7);
    assert_string_equal(cell->names[0], "bulk");
    assert_string_equal(cell->names[3], "google");
    assert_int_equal(cell->tally.counts[TALLY_SENT], 3);
    assert_string_equal(tallies_get(tallies, 4)->names[1], "");
    tallies_free(tallies);
}

/* So many accounts an hour, then those that are too many are one. */
static void
test_accounts(void **state)
{
    struct tallies *tallies = tallies_new(2);
    struct tally *others;

    (void)state;
    tallies_at(tallies, TALLIES_ACCOUNTS, 1, names("a", "bulk", "p", ""));
    tallies_at(tallies, TALLIES_ACCOUNTS, 1, names("b", "bulk", "p", ""));
    others = tallies_at(tallies, TALLIES_ACCOUNTS, 1, names("c", "bulk", "p", ""));
    assert_ptr_equal(tallies_at(tallies, TALLIES_ACCOUNTS, 1, names("d", "bulk", "p", "")), others);
    assert_ptr_not_equal(tallies_at(tallies, TALLIES_ACCOUNTS, 1, names("d", "tx", "p", "")),
                         others);
    assert_int_equal(tallies_count(tallies), 4);
    assert_string_equal(tallies_get(tallies, 2)->names[0], TALLIES_OTHERS);
    assert_string_equal(tallies_get(tallies, 3)->names[1], "tx");
    tallies_at(tallies, TALLIES_ACCOUNTS, 2, names("c", "bulk", "p", "")); /* another hour */
    assert_string_equal(tallies_get(tallies, 4)->names[0], "c");
    tallies_free(tallies);
}

/* The other way; in a bucket by even distribution on the logarithmic scale. */
static void
test_shares(void **state)
{
    struct tally tally = {0};

    (void)state;
    assert_true(tally_share_within(&tally, 1000) < 0);
    tally.counts[TALLY_DELAY] = 50;
    tally.counts[TALLY_DELAY + 4] = 40; /* 0.8 s to 1.6 s */
    tally.counts[TALLY_DELAY + TALLY_DELAYS - 1] = 10;
    assert_float_equal(tally_share_within(&tally, 0), 0, 1e-9);
    assert_float_equal(tally_share_within(&tally, 50), 0.25, 1e-9);
    assert_float_equal(tally_share_within(&tally, 100), 0.5, 1e-9);
    assert_float_equal(tally_share_within(&tally, 800), 0.5, 1e-9);
    assert_float_equal(tally_share_within(&tally, 1131), 0.7, 1e-3);
    assert_float_equal(tally_share_within(&tally, 1600), 0.9, 1e-9);
    assert_float_equal(tally_share_within(&tally, 3600 * 1000), 0.9, 1e-9);
    assert_float_equal(tally_share_within(&tally, INT64_C(30) * 86400 * 1000), 1, 1e-9);
}

/* What is full takes no more, and what is there can still be added to. */
static void
test_full(void **state)
{
    struct tallies *tallies = tallies_new(0);
    struct tally *first = tallies_at(tallies, TALLIES_MAIL, 0, names("s", "p", "a", "x"));
    char long_name[2 * TALLIES_NAME_MAX];

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    assert_non_null(tallies_at(tallies, TALLIES_MAIL, 0, names(long_name, "p", "a", "x")));
    assert_int_equal(strlen(tallies_get(tallies, 1)->names[0]), TALLIES_NAME_MAX);
    for (int i = 2; i < TALLIES_MAX; i++)
        assert_non_null(tallies_at(tallies, TALLIES_MAIL, i, names("s", "p", "a", "x")));
    assert_int_equal(tallies_count(tallies), TALLIES_MAX);
    assert_null(tallies_at(tallies, TALLIES_MAIL, -1, names("s", "p", "a", "x")));
    assert_ptr_equal(tallies_at(tallies, TALLIES_MAIL, 0, names("s", "p", "a", "x")), first);
    tallies_free(tallies);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),  cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_sums),     cmocka_unit_test(test_table),
        cmocka_unit_test(test_accounts), cmocka_unit_test(test_full),
        cmocka_unit_test(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
