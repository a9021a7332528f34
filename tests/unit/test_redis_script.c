/*
 * The book in Redis is the book in C: the same asks at the same times have the
 * same answers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/redis_world.h"

#include "tests/unit/chance.h"

#include <errno.h>

enum { HISTORIES = 160, ASKS = 200 };

static size_t asks, leases, tickets, rooms, stale, lapses, shares;

static void
random_caps(struct caps *caps)
{
    static const int64_t lengths[] = {100, 10000, 60000, 900000, 3600000, 86400000, 2678400000};
    static const uint32_t limits[] = {3, 50, 1000, 20000, 1000000, 1000000000};

    *caps = (struct caps){0};
    for (size_t i = 0; i < COUNT(lengths); i++)
        if (chance(3) == 0 && caps->count < CAP_WINDOWS_MAX)
            caps->items[caps->count++] = (struct cap){
                .window_ms = lengths[i],
                .limit = (uint32_t)(1 + chance(limits[chance(COUNT(limits))])),
                .smooth = chance(2) == 0,
            };
    if (caps->count == 0)
        caps->items[caps->count++] = (struct cap){.window_ms = 60000, .limit = 300};
}

static void
world_start(struct redis_world *w, uint64_t history)
{
    *w = (struct redis_world){.node_count = 1 + (size_t)chance(REDIS_WORLD_NODES),
                              .now_ms = 1700000000000};
    snprintf(w->prefix, sizeof(w->prefix), "t%llu", (unsigned long long)history);
    random_caps(&w->caps);
    for (size_t i = 0; i < w->node_count; i++) {
        snprintf(w->nodes[i].name, sizeof(w->nodes[i].name), "mta%zu.x", i);
        redis_world_beat(w, &w->nodes[i], true);
    }
    w->now_ms += 2000;                           /* it learns until then */
    for (size_t i = 0; i < w->node_count; i++) { /* now each hears how many they are */
        struct redis_caller who = redis_world_caller(w, &w->nodes[i]);
        redisReply *reply = redis_world_send_beat(&who, 0, false);
        struct redis_answer answer;

        redis_script_answer(reply, &answer);
        assert_int_equal(answer.count, w->node_count);
        freeReplyObject(reply);
        w->nodes[i].heard_ms = w->now_ms;
    }
}

static int64_t
longest(const struct caps *caps)
{
    return caps->items[caps->count - 1].window_ms;
}

/* Does a node that came back from being away keep its share until it has told what it did? */
static bool
is_untold(const struct redis_world *w, const struct redis_world_node *node,
          const struct book_row *row)
{
    int64_t window_ms = longest(&w->caps);
    int64_t bucket_ms = window_ms > BOOK_BUCKETS ? window_ms / BOOK_BUCKETS : 1;

    return node->back_ms - node->was_ms > window_ms && (row == NULL || row->life < node->first) &&
           (node->back_ms / bucket_ms + 2) * bucket_ms + window_ms > w->now_ms;
}

/* What the script finds out by itself, for the book in C. */
static void
prepare(struct redis_world *w, const struct redis_world_node *me, struct book_ask *ask)
{
    const struct book_row *own = book_row_find(&w->book, me->name);

    ask->node = me->name;
    ask->life = me->life;
    ask->nodes = (uint32_t)w->node_count;
    ask->away = 0;
    ask->lost_share = me->lost && (own == NULL || own->life < me->first) &&
                      me->back_ms - me->was_ms > longest(&w->caps);
    for (size_t i = 0; i < w->node_count; i++) {
        const struct redis_world_node *node = &w->nodes[i];
        struct book_row *row = book_row_find(&w->book, node->name);

        if (node == me)
            continue;
        if (row != NULL && row->held > 0 &&
            (row->life != node->life || redis_world_is_away(w, node))) {
            assert_int_equal(book_row_lapse(row, &w->caps,
                                            row->life == node->life
                                                ? node->heard_ms + REDIS_WORLD_TIMEOUT_MS
                                                : w->now_ms),
                             0);
            lapses++;
        }
        ask->away += redis_world_is_away(w, node) || is_untold(w, node, row);
    }
    shares += ask->away + ask->lost_share;
}

static void
random_ask(const struct redis_world *w, struct redis_world_node *node)
{
    struct book_ask ask = {.seq = node->seq + 1};

    for (uint64_t n = chance(3) == 0 ? chance(BOOK_REPORTS_MAX + 1) : chance(2); n > 0; n--)
        ask.reports[ask.report_count++] = (struct book_report){
            .at_ms =
                w->now_ms -
                (int64_t)chance((uint64_t)w->caps.items[chance(w->caps.count)].window_ms) * 5 / 4,
            .count = chance(6) == 0 ? -(int32_t)chance(20)
                                    : (int32_t)chance(1 + w->caps.items[0].limit / 8),
            .excess = chance(8) == 0,
        };
    if (chance(5) == 0)
        ask.unused = (uint32_t)chance(1 + w->caps.items[0].limit / 16);
    if (chance(6) != 0)
        ask.want = 1 + (uint32_t)chance(1 + w->caps.items[0].limit / (1 + chance(40)));
    if (chance(4) == 0)
        ask.percent = (uint8_t)chance(101);
    if (chance(30) == 0)
        ask.seq += chance(3) - 1;
    if (chance(30) == 0) {
        ask.first = true;
        ask.seq += chance(3) * 100;
    }
    node->ask = ask;
    node->asked = true;
}

static void
compare(struct redis_world *w, const struct redis_world_node *node, const struct book_ask *ask)
{
    struct redis_args args = {0};
    struct redis_caller who = redis_world_caller(w, node);
    struct redis_answer answer;
    struct book_answer wanted = {0};
    redisReply *reply;
    int r;

    redis_script_ask(&args, &who, "address/a1", &w->caps, ask);
    reply = redis_world_run(&args);
    redis_script_answer(reply, &answer);
    r = book_ask(&w->book, &w->caps, ask, w->now_ms, &wanted);
    asks++;
    assert_int_equal(answer.status, r == -ESTALE ? REDIS_STALE : REDIS_OK_THERE);
    if (r == 0 && (wanted.count != answer.book.count || wanted.from_ms != answer.book.from_ms ||
                   wanted.again_ms != answer.book.again_ms ||
                   wanted.room_ms != answer.book.room_ms || wanted.window != answer.book.window ||
                   memcmp(wanted.counted, answer.book.counted, sizeof(wanted.counted)) != 0))
        fail_msg("%s, %s: %u from %lld again %lld room %lld window %u counted %u in C, "
                 "%u from %lld again %lld room %lld window %u counted %u in Lua",
                 w->prefix, node->name, wanted.count, (long long)wanted.from_ms,
                 (long long)wanted.again_ms, (long long)wanted.room_ms, wanted.window,
                 wanted.counted[0], answer.book.count, (long long)answer.book.from_ms,
                 (long long)answer.book.again_ms, (long long)answer.book.room_ms,
                 answer.book.window, answer.book.counted[0]);
    stale += r == -ESTALE;
    leases += wanted.count > 0;
    rooms += wanted.room_ms > wanted.again_ms;
    tickets += wanted.count > 0 && wanted.from_ms > w->now_ms;
    freeReplyObject(reply);
}

static void
random_step(struct redis_world *w)
{
    struct redis_world_node *node = &w->nodes[chance(w->node_count)];
    const struct book_row *row;

    if (chance(3) == 0)
        w->now_ms += (int64_t)chance((uint64_t)longest(&w->caps) / (1 + chance(300)) + 2);
    if (chance(150) == 0)
        random_caps(&w->caps);
    if (redis_world_is_away(w, node) || chance(40) == 0)
        redis_world_beat(w, node, chance(2) == 0);
    if (!node->asked || chance(10) != 0)
        random_ask(w, node);
    prepare(w, node, &node->ask);
    node->heard_ms = w->now_ms;
    compare(w, node, &node->ask);
    row = book_row_find(&w->book, node->name);
    node->seq = row != NULL && row->life == node->life ? row->seq : 0;
}

static void
test_same_answers(void **state)
{
    (void)state;
    for (uint64_t history = 0; history < HISTORIES; history++) {
        struct redis_world w;

        chance_seed(history);
        world_start(&w, history);
        for (int i = 0; i < ASKS; i++)
            random_step(&w);
        book_clear(&w.book);
    }
    print_message("  %zu asks: %zu leases, %zu of them tickets; %zu times room told; %zu stale; "
                  "%zu lapses; %zu shares\n",
                  asks, leases, tickets, rooms, stale, lapses, shares);
    assert_true(asks >= 20000 && leases > asks / 10 && tickets > 500 && rooms > 500 &&
                stale > 100 && lapses > 500 && shares > 100);
}

static int64_t who_earliest_ms; /* what ask_at() takes for the time at the earliest */

/* An ask of one node at that time of the server, which the node takes to be latest_ms at most. */
static struct redis_answer
ask_at(struct redis_world *w, uint64_t seq, int64_t clock_ms, int64_t latest_ms)
{
    struct book_ask ask = {
        .node = w->nodes[0].name, .life = w->nodes[0].life, .seq = seq, .want = 60};
    struct redis_args args = {0};
    struct redis_caller who = redis_world_caller(w, &w->nodes[0]);
    struct redis_answer answer;
    redisReply *reply;

    who.clock_ms = clock_ms;
    who.latest_ms = latest_ms;
    who.earliest_ms = who_earliest_ms;
    redis_script_ask(&args, &who, "address/a1", &w->caps, &ask);
    reply = redis_world_run(&args);
    redis_script_answer(reply, &answer);
    answer.row = NULL;
    freeReplyObject(reply);
    return answer;
}

/* The server's clock is put forward: the window is not over by that. */
static void
test_clock_put_forward(void **state)
{
    struct redis_world w = {.node_count = 1, .now_ms = 1700000000000, .prefix = "clock"};
    struct redis_answer answer;
    int64_t now_ms, step_ms = 59900;

    (void)state;
    w.caps = (struct caps){{{60000, 60, false, "minute"}}, 1};
    strcpy(w.nodes[0].name, "mta1");
    redis_world_beat(&w, &w.nodes[0], true);
    w.now_ms += 2000; /* it learns until then */
    now_ms = w.now_ms;
    answer = ask_at(&w, 1, now_ms, now_ms);
    assert_int_equal(answer.book.count, 60);
    assert_int_equal(answer.stepped_ms, 0);
    answer = ask_at(&w, 2, now_ms + 1000 + step_ms, now_ms + 1000);
    assert_int_equal(answer.status, REDIS_OK_THERE);
    assert_int_equal(answer.book.count, 0);
    assert_int_equal(answer.now_ms, now_ms + 1000);
    assert_int_equal(answer.stepped_ms, step_ms);
    answer = ask_at(&w, 3, now_ms + 2000 + step_ms, now_ms + 2000); /* and stays put right */
    assert_int_equal(answer.now_ms, now_ms + 2000);
    assert_int_equal(answer.stepped_ms, 0);
    answer = ask_at(&w, 4, now_ms + 2300 + step_ms, now_ms + 2100); /* a call that took long */
    assert_int_equal(answer.now_ms, now_ms + 2300);
    answer = ask_at(&w, 5, now_ms + 2400 + step_ms, now_ms - 600); /* a node that is behind */
    assert_int_equal(answer.now_ms, now_ms + 2300);                /* costs no more than this */
    answer = ask_at(&w, 6, now_ms + 2500, now_ms + 2500); /* put back: time goes on where it was */
    assert_int_equal(answer.now_ms, now_ms + 2300);
    answer = ask_at(&w, 7, now_ms + 2600, now_ms + 2600);
    assert_int_equal(answer.now_ms, now_ms + 2400);
    assert_int_equal(answer.book.count, 0);
    answer = ask_at(&w, 8, now_ms + 3602600, now_ms + 2600); /* books may have expired by that */
    assert_int_equal(answer.status, REDIS_RESTATE);
    assert_int_equal(answer.now_ms, now_ms + 2600);
    assert_true(answer.learning);
}

/* The server stood still: the time that passed comes back in, but no window is shorter by it. */
static void
test_clock_stood_still(void **state)
{
    struct redis_world w = {.node_count = 1, .now_ms = 1700000000000, .prefix = "still"};
    struct redis_answer answer;
    int64_t now_ms, end_ms, behind_ms = 300;
    uint64_t seq = 0;

    (void)state;
    w.caps = (struct caps){{{60000, 60, false, "minute"}}, 1};
    strcpy(w.nodes[0].name, "mta1");
    redis_world_beat(&w, &w.nodes[0], true);
    w.now_ms += 2000; /* it learns until then */
    now_ms = w.now_ms;
    end_ms = now_ms + behind_ms * 2200;
    ask_at(&w, ++seq, now_ms, now_ms);
    answer = ask_at(&w, ++seq, now_ms + behind_ms, now_ms);
    assert_int_equal(answer.now_ms, now_ms);
    assert_int_equal(answer.stepped_ms, behind_ms);
    who_earliest_ms = now_ms + 200; /* one knows of a part of it */
    answer = ask_at(&w, ++seq, now_ms + behind_ms, now_ms + 400);
    assert_int_equal(answer.now_ms, now_ms + 1);
    who_earliest_ms = now_ms + 9000; /* another of more than that, but only so far */
    answer = ask_at(&w, ++seq, now_ms + behind_ms + 100, now_ms + 9100);
    assert_int_equal(answer.now_ms, now_ms + 101);
    who_earliest_ms = 0;
    for (int64_t at_ms = now_ms + behind_ms + 100; at_ms < end_ms; at_ms += 64) {
        answer = ask_at(&w, ++seq, at_ms, answer.now_ms + 64);
        assert_true(at_ms - answer.now_ms >= behind_ms - (at_ms - now_ms) / 2048 - 1);
        assert_true(at_ms - answer.now_ms <= behind_ms);
    }
    answer = ask_at(&w, ++seq, end_ms, end_ms);
    assert_int_equal(answer.now_ms, end_ms);
}

/* A link that was cut is mended and brings what was sent long ago: that is no sign of life. */
static void
test_late_call(void **state)
{
    struct redis_world w = {.node_count = 1, .now_ms = 1700000000000, .prefix = "late"};
    struct redis_answer answer;
    int64_t now_ms;

    (void)state;
    w.caps = (struct caps){{{60000, 60, false, "minute"}}, 1};
    strcpy(w.nodes[0].name, "mta1");
    redis_world_beat(&w, &w.nodes[0], true);
    w.now_ms += 2000; /* it learns until then */
    now_ms = w.now_ms;
    answer = ask_at(&w, 1, now_ms + 5000, now_ms + 5000);
    assert_int_equal(answer.status, REDIS_OK_THERE);
    answer = ask_at(&w, 2, now_ms + 5100, now_ms + 5000 - REDIS_CALL_LATE_MS);
    assert_int_equal(answer.status, REDIS_OK_THERE);
    answer = ask_at(&w, 3, now_ms + 5200, now_ms + 5000 - REDIS_CALL_LATE_MS - 1);
    assert_int_equal(answer.status, REDIS_LATE);
    assert_int_equal(answer.stepped_ms, 0);
    answer = ask_at(&w, 3, now_ms + 5300, now_ms + 5300); /* nothing came of it */
    assert_int_equal(answer.status, REDIS_OK_THERE);
    assert_int_equal(answer.now_ms, now_ms + 5200); /* less what the second took */
}

/* What was left out of the time is lost with the data; who knows better comes second. */
static void
test_clock_lost(void **state)
{
    struct redis_world w = {.node_count = 2, .now_ms = 1700000000000, .prefix = "lost"};
    struct redis_answer answer;
    int64_t now_ms;

    (void)state;
    w.caps = (struct caps){{{60000, 60, false, "minute"}}, 1};
    strcpy(w.nodes[0].name, "mta1");
    strcpy(w.nodes[1].name, "mta2");
    redis_world_beat(&w, &w.nodes[0], true);
    w.now_ms += 2000; /* it learns until then */
    now_ms = w.now_ms;
    answer = ask_at(&w, 1, now_ms + 50000, now_ms);
    assert_int_equal(answer.now_ms, now_ms);
    freeReplyObject(redisCommand(redis_world_link, "DEL {lost}:nodes {lost}:address/a1"));
    w.now_ms = now_ms + 50100;
    redis_world_beat(&w, &w.nodes[1], true); /* it knows no time */
    answer = ask_at(&w, 2, now_ms + 50200, now_ms + 200);
    assert_int_equal(answer.now_ms, now_ms + 200);
    assert_int_equal(answer.status, REDIS_HELLO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answers),      cmocka_unit_test(test_clock_put_forward),
        cmocka_unit_test(test_clock_stood_still), cmocka_unit_test(test_late_call),
        cmocka_unit_test(test_clock_lost),        cmocka_unit_test(redis_world_assert_expiry),
    };

    return cmocka_run_group_tests(tests, redis_world_setup, redis_world_teardown);
}
