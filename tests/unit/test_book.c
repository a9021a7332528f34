/*
 * What a book answers: room is there when people are told so, and one that is
 * over may be forgotten.  That no window holds too much is in test_caps.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/book.h"
#include "tests/unit/chance.h"

enum { ROOM_HISTORIES = 1000, OVER_HISTORIES = 5000 };

static void
book_copy(const struct book *from, struct book *to)
{
    void *data;
    size_t length;

    assert_int_equal(book_pack(from, &data, &length), 0);
    assert_int_equal(book_unpack(data, length, to), 0);
    free(data);
}

/* One more ask of the row that asked last, on a copy: what is answered. */
static struct book_answer
ask_aside(const struct book *book, const struct caps *caps, const struct book_ask *last,
          uint32_t want, int64_t at_ms)
{
    struct book copy = {0};
    struct book_ask ask = {
        .node = last->node, .life = last->life, .seq = last->seq + 1, .want = want};
    struct book_answer answer;

    book_copy(book, &copy);
    assert_int_equal(book_ask(&copy, caps, &ask, at_ms, &answer), 0);
    book_clear(&copy);
    return answer;
}

/*
 * One was refused.  From now on nobody else comes: at the time that was told
 * there is a grant, before it there is none, and whoever asks again when it is
 * said to be worth it is given none that begins before.
 */
static void
check_room(const struct book *from, const struct caps *caps, const struct book_ask *refused,
           const struct book_answer *told)
{
    struct book book = {0};
    struct book_ask ask = {.node = refused->node, .life = refused->life, .seq = refused->seq};
    struct book_answer answer = *told, one;
    uint64_t held = 0;
    bool all_held = false;

    for (size_t i = 0; i < from->row_count; i++)
        held += from->rows[i].held;
    for (size_t i = 0; i < caps->count; i++)
        all_held = all_held || held + 1 > caps->items[i].limit;
    assert_true(told->room_ms >= told->again_ms);
    if (all_held) { /* nobody knows */
        assert_int_equal(told->room_ms, told->again_ms);
        return;
    }
    one = ask_aside(from, caps, refused, 1, told->room_ms);
    assert_true(one.count == 1 && one.from_ms <= told->room_ms);
    if (told->room_ms > told->again_ms) {
        one = ask_aside(from, caps, refused, 1, told->room_ms - 1);
        assert_true(one.count == 0 || one.from_ms >= told->room_ms);
    }
    book_copy(from, &book);
    while (answer.count == 0 && answer.again_ms < told->room_ms) {
        int64_t at_ms = answer.again_ms + (told->room_ms - answer.again_ms) / 100;

        ask.seq++;
        ask.want = refused->want;
        assert_int_equal(book_ask(&book, caps, &ask, at_ms, &answer), 0);
    }
    assert_true(answer.count == 0 || answer.from_ms >= told->room_ms);
    book_clear(&book);
}

/* What people are told about room is true. */
static void
test_room(void **state)
{
    size_t later = 0, refused = 0;

    (void)state;
    for (uint64_t history = 0; history < ROOM_HISTORIES; history++) {
        static const char *const names[] = {"mta1", "mta2", "mta3"};
        uint64_t seqs[3] = {0};
        struct book book = {0};
        struct caps caps;
        int64_t now_ms = 1700000000000;

        chance_seed(history);
        chance_caps(&caps);
        for (int i = 0; i < 60; i++) {
            uint64_t n = chance(1 + history % 3);
            const struct book_row *row = book_row_find(&book, names[n]);
            struct book_ask ask = {.node = names[n], .life = 1, .seq = ++seqs[n]};
            struct book_answer answer;

            now_ms += (int64_t)chance((uint64_t)caps.items[chance(caps.count)].window_ms / 20 + 2);
            if (row != NULL && row->from_ms <= now_ms && row->held > 0)
                ask.reports[ask.report_count++] = (struct book_report){
                    .at_ms = now_ms, .count = (int32_t)(row->held - chance(2) * chance(row->held))};
            if (chance(4) == 0)
                ask.reports[ask.report_count++] = (struct book_report){
                    .at_ms = now_ms - (int64_t)chance((uint64_t)caps.items[0].window_ms),
                    .count = -1 - (int32_t)chance(caps.items[0].limit)};
            ask.unused = chance(8) == 0 ? (uint32_t)chance(caps.items[0].limit) : 0;
            ask.want = (uint32_t)(1 + chance(caps.items[0].limit));
            assert_int_equal(book_ask(&book, &caps, &ask, now_ms, &answer), 0);
            if (answer.again_ms == 0)
                continue;
            check_room(&book, &caps, &ask, &answer);
            refused++;
            later += answer.room_ms > answer.again_ms;
        }
        book_clear(&book);
    }
    print_message("  %zu refused, %zu of them are to ask before there can be room\n", refused,
                  later);
    assert_true(refused > 1000 && later > 200);
}

/* A book that is over may be forgotten: an empty one gives the same answers. */
static void
test_over(void **state)
{
    size_t over = 0;

    (void)state;
    for (uint64_t history = 0; history < OVER_HISTORIES; history++) {
        struct book book = {0}, empty = {0};
        struct caps caps;
        int64_t now_ms = 1700000000000, since_ms = 0;

        chance_seed(history);
        chance_caps(&caps);
        for (uint64_t i = 1; i <= 20; i++) {
            struct book_ask ask = {.node = "mta1", .life = 1, .seq = i};
            struct book_answer answer;

            if (chance(2) == 0 && book.row_count > 0)
                ask.reports[ask.report_count++] =
                    (struct book_report){now_ms, (int32_t)chance(1 + book.rows[0].held), false};
            ask.want = chance(4) == 0 ? 0 : (uint32_t)chance(caps.items[0].limit);
            assert_int_equal(book_ask(&book, &caps, &ask, now_ms, &answer), 0);
            since_ms = now_ms;
            now_ms += (int64_t)chance((uint64_t)caps.items[chance(caps.count)].window_ms / 4);
        }
        for (int i = 0; i < 200; i++) {
            struct book_ask ask = {.node = "mta1", .life = 2, .seq = 1};
            struct book_answer here, there;

            now_ms += (int64_t)chance((uint64_t)caps.items[caps.count - 1].window_ms / 40);
            if (!book_is_over(&book, 2, since_ms, now_ms))
                continue;
            over++;
            ask.want = 1 + (uint32_t)chance(caps.items[0].limit);
            book_clear(&empty);
            book_row_find(&book, "mta1")->held = 0; /* of the life before, and long ago */
            assert_int_equal(book_ask(&book, &caps, &ask, now_ms, &here), 0);
            assert_int_equal(book_ask(&empty, &caps, &ask, now_ms, &there), 0);
            if (memcmp(&here, &there, sizeof(here)) != 0)
                fail_msg("%llu: %u from %lld, and %u from %lld of an empty one",
                         (unsigned long long)history, here.count, (long long)here.from_ms,
                         there.count, (long long)there.from_ms);
            break;
        }
        book_clear(&book);
        book_clear(&empty);
    }
    assert_true(over > OVER_HISTORIES / 2);
}

/* Given back when it counts no more: what others use since then stays counted. */
static void
test_given_back_too_late(void **state)
{
    static const struct caps caps = {{{60000, 10, false, "a minute"}}, 1};
    struct book book = {0};
    struct book_answer answer;
    struct book_ask ask = {.node = "mta1", .life = 1, .seq = 1, .want = 10};

    (void)state;
    assert_int_equal(book_ask(&book, &caps, &ask, 100000, &answer), 0);
    ask = (struct book_ask){.node = "mta1",
                            .life = 1,
                            .seq = 2,
                            .reports = {{100000, 1, false}, {103000, 9, false}},
                            .report_count = 2};
    assert_int_equal(book_ask(&book, &caps, &ask, 103000, &answer), 0);
    assert_int_equal(answer.counted[0], 10);
    ask = (struct book_ask){
        .node = "mta1", .life = 1, .seq = 3, .reports = {{100000, -1, false}}, .report_count = 1};
    assert_int_equal(book_ask(&book, &caps, &ask, 161000, &answer), 0);
    assert_int_equal(answer.counted[0], 9);
    ask.seq = 4;
    ask.reports[0].at_ms = 103000;
    assert_int_equal(book_ask(&book, &caps, &ask, 161000, &answer), 0);
    assert_int_equal(answer.counted[0], 8);
    book_clear(&book);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_over),
        cmocka_unit_test(test_given_back_too_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
