/*
 * Caps: what may be sent is sent, also when it is a part of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "tests/unit/caps_world.h"
#include "tests/unit/chance.h"

static size_t
spent_since(const struct world *w, int64_t since_ms)
{
    size_t count = 0;

    while (count < w->grant_count && w->grants[w->grant_count - 1 - count].at_ms >= since_ms)
        count++;
    return count;
}

static void
scale_all(struct world *w, uint8_t percent)
{
    for (unsigned i = 0; i < w->node_count; i++)
        node_scale(w, &w->nodes[i], percent);
}

/*
 * A cap that is all used sinks to a quarter: nothing goes until no more than that
 * counts, then a quarter is used; and all of it soon after it is whole again.
 */
static void
sink_and_grow(unsigned nodes, bool smooth)
{
    static struct spent grants[GRANTS_MAX];
    struct caps caps = {{{60000, 1200, smooth, "a minute"}}, 1};
    struct world w;
    int64_t sunk_ms;
    size_t used;

    chance_seed(3);
    world_start(&w, &caps, nodes, grants);
    world_want_all(&w, w.now_ms + 70000, 20);
    sunk_ms = w.now_ms;
    scale_all(&w, 25);
    world_want_all(&w, w.now_ms + 30000, 20);
    used = spent_since(&w, sunk_ms);
    assert_true(used <= 30 * nodes); /* what was held, and not yet given back */
    world_want_all(&w, w.now_ms + 60000, 20);
    for (int64_t end_ms = w.now_ms + 120000; w.now_ms < end_ms;) {
        world_want_all(&w, w.now_ms + 5000, 20);
        assert_true(spent_since(&w, w.now_ms - 59999) <= 300);
    }
    used = spent_since(&w, w.now_ms - 120000);
    print_message("  a quarter of 1200, %u nodes%s: %.1f %% used\n", nodes,
                  smooth ? ", smooth" : "", 100.0 * (double)used / 600);
    assert_true(used >= 580);
    scale_all(&w, 0);
    world_want_all(&w, w.now_ms + 1000, 20);
    assert_true(spent_since(&w, w.now_ms - 1000) > 10);
    world_want_all(&w, w.now_ms + 119000, 20);
    used = spent_since(&w, w.now_ms - 60000);
    assert_true(used >= 1150);
    world_check_windows(&w);
    world_end(&w);
}

static void
test_a_part_of_it(void **state)
{
    (void)state;
    for (int smooth = 0; smooth < 2; smooth++) {
        sink_and_grow(1, smooth);
        sink_and_grow(4, smooth);
    }
}

/* What is left of a cap is never nothing. */
static void
test_limits(void **state)
{
    static const struct {
        uint32_t limit;
        unsigned percent;
        uint32_t left;
    } cases[] = {
        {1000, 0, 1000}, {1000, 100, 1000}, {1000, 25, 250}, {1000, 1, 10},
        {10, 25, 2},     {10, 5, 1},        {1, 99, 1},      {CAP_LIMIT_MAX, 99, 990000000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cap cap = {60000, cases[i].limit, false, "a minute"};

        assert_int_equal(book_limit(&cap, cases[i].percent), cases[i].left);
    }
}

/* All nodes want all they can get, for several windows: at least part of the cap is used. */
static void
saturate(const struct cap *cap, unsigned nodes, double least, double asks_most)
{
    static struct spent grants[GRANTS_MAX];
    struct caps caps = {{*cap}, 1};
    struct world w;
    int64_t end_ms;
    double used, asks;
    uint64_t turns = 5;

    chance_seed(1);
    world_start(&w, &caps, nodes, grants);
    end_ms = w.now_ms + (int64_t)turns * cap->window_ms;
    world_want_all(&w, end_ms, cap->window_ms / 4000 + 1);
    world_check_windows(&w);
    used = (double)w.grant_count / (double)(turns * cap->limit);
    asks = 100.0 * (double)w.asks / (double)w.grant_count;
    print_message("  %u %s, %u nodes%s: %.1f %% used, %.2f asks for 100 grants\n", cap->limit,
                  cap->name, nodes, cap->smooth ? ", smooth" : "", 100 * used, asks);
    world_end(&w);
    if (used < least || asks > asks_most)
        fail_msg("too few grants or too many asks");
}

static void
test_all_is_used(void **state)
{
    static const unsigned nodes[] = {1, 4, 16};

    (void)state;
    for (size_t i = 0; i < COUNT(nodes); i++)
        for (int smooth = 0; smooth < 2; smooth++) {
            struct cap large = {60000, 10000, smooth, "a minute"};
            struct cap hour = {3600000, 10000, smooth, "an hour"};

            saturate(&large, nodes[i], 0.98, 1.0);
            saturate(&hour, nodes[i], 0.98, 1.0);
        }
    saturate(&(struct cap){3600000, 2, true, "an hour"}, 4, 0.98, 10000);
    saturate(&(struct cap){3600000, 50, true, "an hour"}, 4, 0.98, 3000);
    saturate(&(struct cap){60000, 300, false, "a minute"}, 4, 0.98, 3000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_of_it),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_all_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
