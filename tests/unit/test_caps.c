/*
 * Caps: whatever nodes do, no window holds more than its cap; and what may be
 * sent is sent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/book.h"
#include "engine/meter.h"
#include "tests/unit/chance.h"

#include <errno.h>

enum { NODES_MAX = 16, HISTORIES = 100000, GRANTS_MAX = 200000 };

/* A grant that was used. */
struct spent {
    int64_t at_ms;
    const struct node *node;
    uint64_t process; /* that used it, and may give it back */
};

/* One node: its process and what it holds. */
struct node {
    char name[16];
    uint64_t life;
    uint64_t process; /* others are when it goes alone, this not */
    struct meter meter;
    struct book_ask ask; /* under way, when meter.asked */
    bool in_store;       /* it was carried out, the answer is not here yet */
    struct book_answer answer;
    int64_t heard_ms;    /* last time that it and the store heard of each other */
    bool cut;            /* it cannot reach the store */
    bool alone;          /* and has given up on what it held */
    bool joining;        /* it can reach the store again, which has yet to hear what it used */
    bool forgot;         /* it died alone: what it used of its share is not known */
    uint8_t percent;     /* of the caps that it works with; 0: all of it */
    struct book journal; /* its own row, as of the last ask that it heard the answer of */
};

struct world {
    struct caps caps;
    struct book book;
    struct node nodes[NODES_MAX];
    unsigned node_count;
    int64_t now_ms;
    int64_t timeout_ms;   /* a node that is not heard of for so long is away */
    struct spent *grants; /* in order of time */
    size_t grant_count;
    uint64_t lives, processes;
    size_t asks;
    bool slows; /* nodes are slowed down now and then */
};

static void
node_start(struct world *w, struct node *node)
{
    node->life = ++w->lives;
    meter_lapse(&node->meter);
    node->in_store = false;
}

/* What it works with; good until the next call. */
static const struct caps *
caps_of(const struct world *w, const struct node *node)
{
    static struct caps left;

    book_left(&w->caps, node->percent, &left);
    return &left;
}

static uint32_t
lease_size(const struct world *w, const struct node *node)
{
    return book_lease_size(caps_of(w, node), w->node_count);
}

static void
go_alone(const struct world *w, struct node *node)
{
    meter_go_alone(&node->meter, caps_of(w, node), w->node_count, false, w->now_ms);
}

/* As meters_scale() does it. */
static void
node_scale(const struct world *w, struct node *node, uint8_t percent)
{
    uint8_t before = node->percent > 0 ? node->percent : 100;

    node->percent = percent;
    meter_set_share(&node->meter, caps_of(w, node));
    if (percent == 0 || percent > before)
        meter_grow(&node->meter, w->now_ms);
}

static void
world_end(struct world *w)
{
    book_clear(&w->book);
    for (unsigned i = 0; i < w->node_count; i++)
        book_clear(&w->nodes[i].journal);
}

static void
world_start(struct world *w, const struct caps *caps, unsigned nodes, struct spent *grants)
{
    *w = (struct world){.caps = *caps,
                        .node_count = nodes,
                        .now_ms = 1700000000000,
                        .timeout_ms = caps->items[0].window_ms / 20,
                        .grants = grants};
    for (unsigned i = 0; i < nodes; i++) {
        snprintf(w->nodes[i].name, sizeof(w->nodes[i].name), "mta%u", i);
        w->nodes[i].heard_ms = w->now_ms;
        node_start(w, &w->nodes[i]);
    }
}

static void
copy_row(const struct book *from, const char *name, struct book *to)
{
    struct book one = *from;
    void *data;
    size_t length;

    one.rows = book_row_find((struct book *)from, name);
    one.row_count = one.rows != NULL ? 1 : 0;
    assert_int_equal(book_pack(&one, &data, &length), 0);
    book_clear(to);
    assert_int_equal(book_unpack(data, length, to), 0);
    free(data);
}

/*
 * The store loses everything, or what came since some moment.  Before it gives
 * leases again every node puts its own row back.
 */
static void
store_loses(struct world *w)
{
    book_clear(&w->book);
    for (unsigned i = 0; i < w->node_count; i++) {
        const struct book *journal = &w->nodes[i].journal;

        if (journal->row_count == 0)
            continue;
        w->book.rows = realloc(w->book.rows, (w->book.row_count + 1) * sizeof(*w->book.rows));
        w->book.rows[w->book.row_count++] = journal->rows[0];
    }
    if (w->book.row_count > 0) { /* rows of their own */
        void *data;
        size_t length;

        assert_int_equal(book_pack(&w->book, &data, &length), 0);
        free(w->book.rows);
        w->book = (struct book){0};
        assert_int_equal(book_unpack(data, length, &w->book), 0);
        free(data);
    }
    for (unsigned i = 0; i < w->node_count; i++)
        w->nodes[i].in_store = false; /* what it was not told of yet is gone */
}

/* What nodes held that are away is counted; and how many those are. */
static uint32_t
away(struct world *w, const struct node *but)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < w->node_count; i++) {
        struct node *node = &w->nodes[i];
        struct book_row *row = book_row_find(&w->book, node->name);

        if (w->now_ms - node->heard_ms <= w->timeout_ms || node == but)
            continue;
        count++;
        if (row != NULL && !node->joining) /* else its new life begins with the next ask */
            assert_int_equal(book_row_lapse(row, &w->caps, node->heard_ms + w->timeout_ms), 0);
    }
    return count;
}

/* Time has passed: who was cut off for too long lets go of what it held. */
static void
look_around(struct world *w)
{
    for (unsigned i = 0; i < w->node_count; i++) {
        struct node *node = &w->nodes[i];

        if (!node->cut && !node->alone && !node->joining)
            node->heard_ms = w->now_ms;
        if (!node->alone && !node->joining && w->now_ms - node->heard_ms >= w->timeout_ms) {
            node_start(w, node);
            node->alone = true;
            go_alone(w, node);
        } else if (node->alone && !node->cut) {
            node->alone = false;
            node->joining = true;
            meter_rejoin(&node->meter);
        } else if (node->joining && node->cut) {
            node->joining = false;
            node->alone = true;
            node->forgot = true; /* whether what it used was heard is not known */
            node_start(w, node);
            go_alone(w, node);
        }
    }
}

/* The store hears the ask; perhaps twice. */
static void
carry_out(struct world *w, struct node *node)
{
    struct book_answer answer;

    if (node->cut)
        return;
    node->ask.node = node->name;
    node->ask.life = node->life;
    if (!node->in_store) {
        node->ask.away = away(w, node);
        node->ask.nodes = w->node_count;
        node->ask.lost_share = node->forgot;
    }
    assert_int_equal(book_ask(&w->book, &w->caps, &node->ask, w->now_ms, &answer), 0);
    if (node->in_store) {
        assert_int_equal(answer.count, node->answer.count);
        assert_true(answer.count == 0 || answer.from_ms == node->answer.from_ms);
    }
    node->answer = answer;
    node->in_store = true;
    w->asks++;
}

static void
node_talk(struct world *w, struct node *node)
{
    uint32_t size = lease_size(w, node);

    if (!node->meter.asked) {
        if (node->percent > 0 && !node->meter.own &&
            node->meter.held + node->meter.next > size + size / 2)
            meter_return(&node->meter);
        if (meter_ask(&node->meter, caps_of(w, node), size, 10000, w->now_ms, &node->ask))
            node->ask.percent = node->percent;
    } else if (node->in_store) {
        copy_row(&w->book, node->name, &node->journal); /* before it is used */
        node->forgot = false;
        if (node->joining) {
            node->joining = false;
            node->heard_ms = w->now_ms;
        }
        meter_answered(&node->meter, &node->answer, w->now_ms);
        node->in_store = false;
    } else {
        carry_out(w, node);
    }
}

static void
talk_through(struct world *w, struct node *node)
{
    for (int i = 0; i < 3; i++)
        node_talk(w, node);
}

/* Somebody wants a grant of node. */
static bool
node_spend(struct world *w, struct node *node)
{
    enum meter_state state = meter_state(&node->meter, w->now_ms);

    if (state != METER_FREE) {
        node->meter.wanted |= state == METER_COLD;
        if (state == METER_COLD && chance(8) == 0)
            node->meter.lacking = (uint8_t)chance(20);
        return false;
    }
    meter_take(&node->meter, caps_of(w, node), w->now_ms);
    if (!node->meter.own && node->meter.next == 0 && node->meter.held <= lease_size(w, node) / 2)
        node->meter.wanted = true;
    if (w->grant_count < GRANTS_MAX)
        w->grants[w->grant_count++] = (struct spent){w->now_ms, node, node->process};
    return true;
}

static void
give_back(struct world *w, struct node *node, size_t which)
{
    int64_t at_ms = w->grants[which].at_ms;

    w->grant_count--;
    memmove(&w->grants[which], &w->grants[which + 1],
            (w->grant_count - which) * sizeof(*w->grants));
    meter_give_back(&node->meter, at_ms);
}

/* One that it spent and has not reported was not used after all. */
static void
node_give_back(struct world *w, struct node *node)
{
    const struct meter *meter = &node->meter;
    const struct meter_use *use =
        meter->use_count > 0 ? &meter->uses[chance(meter->use_count)] : NULL;

    for (size_t i = w->grant_count; use != NULL && use->count > 0 && i > 0; i--)
        if (w->grants[i - 1].at_ms == use->at_ms) {
            give_back(w, node, i - 1);
            return;
        }
}

/* Any one that this process of it spent. */
static void
node_give_back_late(struct world *w, struct node *node)
{
    size_t i = w->grant_count > 0 ? chance(w->grant_count) : 0;

    for (; i < w->grant_count; i++)
        if (w->grants[i].node == node && w->grants[i].process == node->process) {
            give_back(w, node, i);
            return;
        }
}

/* Is any window of any cap over its limit? */
static void
check_windows(const struct world *w)
{
    for (size_t i = 0; i < w->caps.count; i++) {
        size_t first = 0;

        for (size_t j = 0; j < w->grant_count; j++) {
            while (w->grants[first].at_ms <= w->grants[j].at_ms - w->caps.items[i].window_ms)
                first++;
            if (j - first + 1 > w->caps.items[i].limit)
                fail_msg("%zu grants in %s of %u, %u nodes", j - first + 1, w->caps.items[i].name,
                         w->caps.items[i].limit, w->node_count);
        }
    }
}

static void
random_step(struct world *w)
{
    struct node *node = &w->nodes[chance(w->node_count)];

    look_around(w);
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
                go_alone(w, node);
        }
        break;
    case 2:
        for (uint64_t n = 1 + chance(8); n > 0; n--)
            (chance(2) == 0 ? node_give_back : node_give_back_late)(w, node);
        break;
    case 4:
        if (chance(6) == 0)
            store_loses(w);
        break;
    case 5: /* cut off, or not any more; slowed down, as it hears */
        if (chance(4) == 0)
            node->cut = !node->cut;
        else if (w->slows)
            node_scale(w, node, chance(2) == 0 ? 0 : (uint8_t)(1 + chance(99)));
        break;
    case 3: /* the answer is lost, and the ask goes again */
        if (node->meter.asked)
            carry_out(w, node);
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
        check_windows(&w);
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
        look_around(&w);
        for (unsigned i = 0; i < 4; i++) {
            size_t before = w.grant_count;

            talk_through(&w, &w.nodes[i]);
            while (node_spend(&w, &w.nodes[i]))
                talk_through(&w, &w.nodes[i]);
            if (i == 0 && w.grant_count > before) {
                first_ms = first_ms != 0 ? first_ms : w.now_ms;
                count += w.grant_count - before;
            }
        }
    }
    check_windows(&w);
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
    talk_through(&w, node);
    w.nodes[1].cut = true;
    for (end_ms = w.now_ms + 130000; w.now_ms < end_ms; w.now_ms += 1000) {
        size_t before = w.grant_count;

        look_around(&w);
        if (meter_state(&node->meter, w.now_ms) == METER_COLD) {
            node->meter.lacking = 100;
            talk_through(&w, node);
        }
        while (node_spend(&w, node))
            ;
        if (w.now_ms + 1000 < end_ms)
            while (w.grant_count > before)
                node_give_back(&w, node);
    }
    assert_in_range(w.grant_count, 100, 200);
    for (end_ms = w.now_ms + 50000; w.now_ms < end_ms; w.now_ms += 50) {
        look_around(&w);
        node_spend(&w, &w.nodes[1]);
    }
    check_windows(&w);
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
            talk_through(&w, node);
            node_spend(&w, node);
        }
        for (end_ms = w.now_ms + 130000; w.now_ms < end_ms; w.now_ms += 7) {
            do
                talk_through(&w, node);
            while (node_spend(&w, node));
        }
        check_windows(&w);
        world_end(&w);
    }
}

/* All want all that they can get, until end_ms. */
static void
want_all(struct world *w, int64_t end_ms, int64_t step_ms)
{
    for (; w->now_ms < end_ms; w->now_ms += step_ms) {
        look_around(w);
        for (unsigned i = 0; i < w->node_count; i++) {
            struct node *node = &w->nodes[(i + w->now_ms / 10) % w->node_count];

            do
                talk_through(w, node);
            while (node_spend(w, node) && chance(50) != 0);
        }
    }
}

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
    want_all(&w, w.now_ms + 70000, 20);
    sunk_ms = w.now_ms;
    scale_all(&w, 25);
    want_all(&w, w.now_ms + 30000, 20);
    used = spent_since(&w, sunk_ms);
    assert_true(used <= 30 * nodes); /* what was held, and not yet given back */
    want_all(&w, w.now_ms + 60000, 20);
    for (int64_t end_ms = w.now_ms + 120000; w.now_ms < end_ms;) {
        want_all(&w, w.now_ms + 5000, 20);
        assert_true(spent_since(&w, w.now_ms - 59999) <= 300);
    }
    used = spent_since(&w, w.now_ms - 120000);
    print_message("  a quarter of 1200, %u nodes%s: %.1f %% used\n", nodes,
                  smooth ? ", smooth" : "", 100.0 * (double)used / 600);
    assert_true(used >= 580);
    scale_all(&w, 0);
    want_all(&w, w.now_ms + 1000, 20);
    assert_true(spent_since(&w, w.now_ms - 1000) > 10);
    want_all(&w, w.now_ms + 119000, 20);
    used = spent_since(&w, w.now_ms - 60000);
    assert_true(used >= 1150);
    check_windows(&w);
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
    want_all(&w, end_ms, cap->window_ms / 4000 + 1);
    check_windows(&w);
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
        cmocka_unit_test(test_never_over),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_alone_beside_give_backs),
        cmocka_unit_test(test_slow_uses),
        cmocka_unit_test(test_a_part_of_it),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_all_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
