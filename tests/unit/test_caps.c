/*
 * Caps: whatever nodes do, no window holds more than its cap.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "tests/unit/caps_world.h"
#include "tests/unit/chance.h"

enum { HISTORIES = 100000 };

static void
random_step(struct world *w)
{
    struct node *node = &w->nodes[chance(w->node_count)];

    world_look_around(w);
    switch (chance(32)) {
    case 0: /* time passes, now and then much of it */
        w->now_ms +=
            (int64_t)chance((uint64_t)w->caps.items[0].window_ms * (chance(4) == 0 ? 2 : 1) / 4);
        break;
    case 1: /* dies, and another process comes */
        if (chance(8) == 0) {
            node->forgot |= node->alone || node->joining;
            node->process = ++w->processes;
            node_start(w, node);
            if (node->alone)
                node_go_alone(w, node);
        }
        break;
    case 2:
        for (uint64_t n = 1 + chance(8); n > 0; n--)
            (chance(2) == 0 ? node_give_back : node_give_back_late)(w, node);
        break;
    case 4:
        if (chance(6) == 0)
            world_lose_store(w);
        break;
    case 5: /* cut off, or not any more; slowed down, as it hears */
        if (chance(4) == 0)
            node->cut = !node->cut;
        else if (w->slows)
            node_scale(w, node, chance(2) == 0 ? 0 : (uint8_t)(1 + chance(99)));
        break;
    case 3: /* the answer is lost, and the ask goes again */
        if (node->meter.asked)
            node_carry_out(w, node);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
        node_talk(w, node);
        break;
    default:
        for (uint64_t n = 1 + chance(chance(2) == 0 ? 8 : 2); n > 0; n--)
            node_spend(w, node);
        w->now_ms +=
            (int64_t)chance(chance(3) == 0 ? (uint64_t)w->caps.items[0].window_ms / 30 : 20);
    }
}

static void
test_never_over(void **state)
{
    static struct spent grants[GRANTS_MAX];
    struct world w;

    (void)state;
    for (uint64_t history = 0; history < HISTORIES; history++) {
        struct caps caps;

        chance_seed(history);
        chance_caps(&caps);
        world_start(&w, &caps, (unsigned)(1 + chance(6)), grants);
        w.slows = history % 2 == 1;
        for (uint64_t steps = 60 + chance(400); steps > 0; steps--)
            random_step(&w);
        world_check_windows(&w);
        world_end(&w);
    }
}

/* A node that is cut off goes on with its share, after the longest window. */
static void
test_alone(void **state)
{
    static struct spent grants[GRANTS_MAX];
    struct caps caps = {{{60000, 400, false, "minute"}, {600000, 2000, true, "10m"}}, 2};
    struct world w;
    int64_t cut_ms, first_ms = 0;
    size_t count = 0;

    (void)state;
    chance_seed(5);
    world_start(&w, &caps, 4, grants);
    w.nodes[0].cut = true;
    cut_ms = w.now_ms;
    for (; w.now_ms < cut_ms + 4 * 600000; w.now_ms += 50) {
        world_look_around(&w);
        for (unsigned i = 0; i < 4; i++) {
            size_t before = w.grant_count;

            node_talk_through(&w, &w.nodes[i]);
            while (node_spend(&w, &w.nodes[i]))
                node_talk_through(&w, &w.nodes[i]);
            if (i == 0 && w.grant_count > before) {
                first_ms = first_ms != 0 ? first_ms : w.now_ms;
                count += w.grant_count - before;
            }
        }
    }
    world_check_windows(&w);
    assert_true(first_ms - cut_ms > 1200000 && first_ms - cut_ms < 1210000);
    assert_in_range(count, 900, 1000); /* a quarter of 2000 in each of two windows */
    world_end(&w);
}

/*
 * One node has a whole cap, for a message with that many recipients, and it
 * cannot be delivered: what was given back comes and goes.  The other one is
 * cut off meanwhile, and goes on with its share.
 */
static void
test_alone_beside_give_backs(void **state)
{
    static struct spent grants[GRANTS_MAX];
    struct caps caps = {{{60000, 200, false, "a minute"}}, 1};
    struct world w;
    struct node *node = &w.nodes[0];
    int64_t end_ms;

    (void)state;
    chance_seed(5);
    world_start(&w, &caps, 2, grants);
    node->meter.lacking = 200;
    node_talk_through(&w, node);
    w.nodes[1].cut = true;
    for (end_ms = w.now_ms + 130000; w.now_ms < end_ms; w.now_ms += 1000) {
        size_t before = w.grant_count;

        world_look_around(&w);
        if (meter_state(&node->meter, w.now_ms) == METER_COLD) {
            node->meter.lacking = 100;
            node_talk_through(&w, node);
        }
        while (node_spend(&w, node))
            ;
        if (w.now_ms + 1000 < end_ms)
            while (w.grant_count > before)
                node_give_back(&w, node);
    }
    assert_in_range(w.grant_count, 100, 200);
    for (end_ms = w.now_ms + 50000; w.now_ms < end_ms; w.now_ms += 50) {
        world_look_around(&w);
        node_spend(&w, &w.nodes[1]);
    }
    world_check_windows(&w);
    world_end(&w);
}

/*
 * Leases that are used slowly are reported several uses at a time: they must
 * count as long as if each had been told of.
 */
static void
test_slow_uses(void **state)
{
    static struct spent grants[GRANTS_MAX];
    static const int64_t pauses[] = {10, 30, 100, 700, 2900};
    struct caps caps = {{{60000, 1000, false, "a minute"}}, 1};
    struct world w;

    (void)state;
    for (size_t i = 0; i < COUNT(pauses); i++) {
        struct node *node = &w.nodes[0];
        int64_t end_ms;

        world_start(&w, &caps, 1, grants);
        for (end_ms = w.now_ms + 55000; w.now_ms < end_ms; w.now_ms += pauses[i]) {
            node_talk_through(&w, node);
            node_spend(&w, node);
        }
        for (end_ms = w.now_ms + 130000; w.now_ms < end_ms; w.now_ms += 7) {
            do
                node_talk_through(&w, node);
            while (node_spend(&w, node));
        }
        world_check_windows(&w);
        world_end(&w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_over),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_alone_beside_give_backs),
        cmocka_unit_test(test_slow_uses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
