/*
 * The newest events: what is kept, what goes, and in which order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/hash.h"
#include "lib/mem.h"
#include "policyd/ring.h"

#include <stdlib.h>

static struct ring *ring;

static int
setup(void **state)
{
    (void)state;
    ring = ring_new();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    ring_free(ring);
    return 0;
}

struct seen {
    uint64_t first, last, count;
    uint64_t stop_at;
};

/* One by one, each with the text that was made of its number. */
static bool
see(void *arg, const struct ring_event *event)
{
    struct seen *seen = arg;
    size_t length = hash_mix(event->number) % RING_TEXT_MAX;

    if (seen->count++ == 0)
        seen->first = event->number;
    else
        assert_int_equal(event->number, seen->last + 1);
    seen->last = event->number;
    assert_int_equal(event->at_ms, (int64_t)event->number * 2);
    assert_int_equal(strlen(event->text), length);
    assert_int_equal(strspn(event->text, "x"), length);
    assert_string_equal(event->rule, "");
    return seen->last != seen->stop_at;
}

static void
add(uint64_t number)
{
    char text[RING_TEXT_MAX + 1];

    memset(text, 'x', sizeof(text));
    text[hash_mix(number) % RING_TEXT_MAX] = '\0';
    ring_add(ring, &(struct ring_event){.at_ms = (int64_t)number * 2, .text = text});
}

static void
test_empty(void **state)
{
    struct seen seen = {0};

    (void)state;
    ring_each(ring, 0, see, &seen);
    assert_int_equal(seen.count, 0);
    assert_int_equal(ring_newest(ring), 0);
}

static bool
compare(void *arg, const struct ring_event *event)
{
    const struct ring_event *expected = arg;

    assert_int_equal(event->number, 1);
    assert_int_equal(event->kind, expected->kind);
    assert_int_equal(event->at_ms, expected->at_ms);
    assert_int_equal(event->delay_ms, expected->delay_ms);
    assert_string_equal(event->message_id, expected->message_id);
    assert_string_equal(event->queue_id, expected->queue_id);
    assert_string_equal(event->recipient, expected->recipient);
    assert_string_equal(event->stream, expected->stream);
    assert_string_equal(event->address, expected->address);
    assert_string_equal(event->result, expected->result);
    assert_string_equal(event->rule, expected->rule);
    assert_string_equal(event->text, expected->text);
    return true;
}

static void
test_all_members(void **state)
{
    struct ring_event event = {0,      RING_RESULT, 5,      "id", "4A",     "x@a.test",
                               "bulk", "b1",        "sent", "r",  "250 Ok", -1};

    (void)state;
    ring_add(ring, &event);
    ring_each(ring, 0, compare, &event);
    assert_int_equal(ring_newest(ring), 1);
}

static void
test_around(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 200000; number++) {
        struct seen seen = {0};

        add(number);
        if (number % 9973 != 0 && number > 3)
            continue;
        ring_each(ring, 0, see, &seen);
        assert_int_equal(seen.last, number);
        assert_true(seen.count == number || seen.count > RING_BYTES / (RING_TEXT_MAX + 64));
        seen = (struct seen){.stop_at = number - 1};
        ring_each(ring, number - 3, see, &seen);
        if (number > 3)
            assert_int_equal(seen.count, 2);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_around, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
