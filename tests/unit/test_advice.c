/*
 * What the numbers warn of, and what they do not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/advice.h"

static void
test_percent(void **state)
{
    (void)state;
    assert_int_equal(advice_percent(0, 0), 0);
    assert_int_equal(advice_percent(1, 3), 33);
    assert_int_equal(advice_percent(3, 3), 100);
    assert_int_equal(advice_percent(UINT64_MAX / 2, UINT64_MAX), 50);
}

static void
test_mixed(void **state)
{
    struct advice_part two[] = {{"bulk", 300}, {"transactional", 700}};
    struct advice_part one_twice[] = {{"bulk", 300}, {"bulk", 700}};
    struct advice_part little[] = {{"bulk", 9600}, {"transactional", 400}};
    struct advice_part few[] = {{"bulk", 99}, {"transactional", 101}};
    struct advice_part three[] = {{"a", 500}, {"c", 400}, {"b", 400}, {"a", 100}, {"d", 20}};
    uint64_t all;

    (void)state;
    assert_int_equal(advice_mix(two, COUNT(two), &all), 2);
    assert_int_equal(all, 1000);
    assert_string_equal(two[0].name, "transactional");
    assert_int_equal(advice_mix(one_twice, COUNT(one_twice), &all), 1);
    assert_int_equal(one_twice[0].sent, 1000);
    assert_int_equal(advice_mix(little, COUNT(little), &all), 1);
    assert_int_equal(advice_mix(few, COUNT(few), &all), 1);
    assert_int_equal(advice_mix(three, COUNT(three), &all), 3);
    assert_int_equal(three[0].sent, 600);
    assert_string_equal(three[1].name, "b");
    assert_int_equal(all, 1420);
    assert_int_equal(advice_mix(NULL, 0, &all), 0);
}

static void
test_thin(void **state)
{
    static const struct {
        uint64_t google, microsoft, other;
        size_t addresses;
        int days;
        const char *provider; /* NULL: no warning */
        uint64_t each;
        size_t enough;
    } cases[] = {
        {7000, 0, 0, 5, 30, "google", 1400, 3},
        {10000, 0, 0, 5, 30, NULL, 0, 0},             /* 2000 each */
        {7000, 0, 0, 1, 30, NULL, 0, 0},              /* one alone has all there is */
        {1500, 0, 0, 2, 30, "google", 750, 1},        /* not even one has enough */
        {7000, 0, 0, 5, 15, NULL, 0, 0},              /* so many in half a month */
        {100, 0, 0, 5, 6, NULL, 0, 0},                /* a few days tell nothing */
        {100, 0, 0, 5, 7, "google", 85, 1},           /* these do */
        {20000, 3000, 0, 5, 30, "microsoft", 600, 1}, /* one has enough, the other not */
        {40000, 3000, 0, 5, 30, NULL, 0, 0},          /* 7 % of the mail: too little to count */
        {3000, 4000, 0, 5, 30, "microsoft", 800, 2},  /* the one with more is told */
        {0, 0, 4000, 5, 30, NULL, 0, 0},              /* "other" is nobody */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct advice_part parts[] = {{"google", cases[i].google},
                                      {"microsoft", cases[i].microsoft},
                                      {"other", cases[i].other}};
        struct advice_thin thin;
        bool is = advice_is_thin(parts, COUNT(parts), "other", cases[i].addresses, cases[i].days,
                                 2000, &thin);

        print_message("case %zu\n", i);
        assert_int_equal(is, cases[i].provider != NULL);
        if (!is)
            continue;
        assert_string_equal(thin.provider, cases[i].provider);
        assert_int_equal(thin.each, cases[i].each);
        assert_int_equal(thin.enough, cases[i].enough);
    }
}

/* Any number will do: no warning, and no division by it. */
static void
test_thin_is_off(void **state)
{
    struct advice_part part = {"google", 10};
    struct advice_thin thin;

    (void)state;
    assert_false(advice_is_thin(&part, 1, "other", 5, 30, 0, &thin));
}

static void
test_most(void **state)
{
    static const struct {
        uint64_t a, b, c, null, all;
        unsigned percent; /* 0: no warning */
        size_t sharers;
    } cases[] = {
        {8000, 1000, 1000, 0, 10000, 80, 2},
        {5000, 3000, 2000, 0, 10000, 0, 0}, /* half is not more than half */
        {9000, 1000, 0, 0, 10000, 0, 0},    /* two do not make it shared */
        {9800, 150, 50, 0, 10000, 0, 0},    /* nor does one with hardly any */
        {800, 100, 100, 0, 1000, 80, 2},
        {799, 100, 100, 0, 999, 0, 0},         /* too few to tell */
        {1000, 1000, 1000, 9000, 12000, 0, 0}, /* bounces are no account */
        {8000, 1000, 1000, 0, 20000, 0, 0},    /* there are more of them, each small */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct advice_part parts[] = {
            {"", cases[i].null}, {"b", cases[i].b}, {"a", cases[i].a}, {"c", cases[i].c}};
        struct advice_most most;
        bool is = advice_is_most(parts, COUNT(parts), cases[i].all, 50, &most);

        print_message("case %zu\n", i);
        assert_int_equal(is, cases[i].percent > 0);
        if (!is)
            continue;
        assert_string_equal(most.account, "a");
        assert_int_equal(most.percent, cases[i].percent);
        assert_int_equal(most.sharers, cases[i].sharers);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent), cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_thin),    cmocka_unit_test(test_thin_is_off),
        cmocka_unit_test(test_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
