/*
 * Lines that are handed in: each batch once, in its order, whatever is sent again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/maillog.h"
#include "lib/mem.h"
#include "policyd/feeds.h"

#include <event2/event.h>
#include <unistd.h>

static struct event_base *base;
static struct feeds *feeds;
static struct buf told;
static struct buf answers; /* a line each */
static size_t stop_at;     /* break the loop at so many bytes of told; 0: not */
static bool slow;          /* each line takes its time, so that a slice has few of them */
static size_t idle;

static struct buf said; /* of batches that are gone */

void __wrap_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

void
__wrap_log_warn(const char *format, ...)
{
    va_list ap;

    (void)format;
    va_start(ap, format);
    buf_printf(&said, "%lu batches\n", va_arg(ap, uint64_t));
    va_end(ap);
}

static void
on_line(void *arg, const char *line, size_t length)
{
    (void)arg;
    buf_add(&told, line, length);
    buf_puts(&told, "\n");
    if (slow)
        usleep(20);
    if (stop_at > 0 && told.length >= stop_at)
        event_base_loopbreak(base);
}

static void
on_idle(void *arg)
{
    (void)arg;
    idle++;
}

static void
on_done(void *arg, const char *answer)
{
    (void)arg;
    buf_printf(&answers, "%s\n", answer);
}

static void
begin(const char *from)
{
    const struct feeds_events events = {on_line, on_idle, NULL};
    struct place place;

    base = event_base_new();
    assert_true(place_parse(from, &place));
    feeds = feeds_new(base, &place, &events);
}

static void
take(uint64_t id, uint64_t batch, uint64_t oldest, const char *lines)
{
    const struct feed_head head = {id, batch, oldest, strlen(lines)};

    feeds_take(feeds, &head, lines, on_done, NULL);
}

/* Until nothing waits. */
static void
run(void)
{
    for (idle = 0; idle == 0;)
        event_base_loop(base, EVLOOP_ONCE);
}

static void
assert_place(const char *text)
{
    struct place place;
    char found[PLACE_TEXT_SIZE];

    feeds_where(feeds, &place);
    place_print(&place, found);
    assert_string_equal(found, text);
}

static void
end(void)
{
    feeds_free(feeds);
    event_base_free(base);
}

static int
setup(void **state)
{
    (void)state;
    buf_clear(&told);
    buf_clear(&answers);
    buf_clear(&said);
    stop_at = 0;
    slow = false;
    return 0;
}

/* ---------------------------------------------------------------------- tests */

static void
test_head(void **state)
{
    static const char *const odd[] = {
        "feed",       "feed 0 1 1 5", "feed 1 0 1 5",  "feed 1 1 0 5",     "feed 1 1 2 5",
        "feed 1 2 2", "feed 1 1 1 x", "feed 1 1 1 5 ", "feed 1 1 1 32769", "feed 1 1 1 -5",
    };
    struct feed_head head = {0xfedcba9876543210, 7, 3, FEED_BYTES_MAX}, read = {0};
    char text[FEED_HEAD_SIZE];
    uint64_t batch = 0;

    (void)state;
    feed_print(&head, text);
    assert_string_equal(text, "feed fedcba9876543210 7 3 32768");
    assert_true(feed_parse(text, &read));
    assert_memory_equal(&read, &head, sizeof(read));
    for (size_t i = 0; i < COUNT(odd); i++)
        assert_false(feed_parse(odd[i], &read));
    assert_memory_equal(&read, &head, sizeof(read));
    assert_int_equal(feed_read_answer("taken 12\n", &batch), FEED_TAKEN);
    assert_int_equal(batch, 12);
    assert_int_equal(feed_read_answer("resend 3\n", &batch), FEED_RESEND);
    assert_int_equal(batch, 3);
    assert_int_equal(feed_read_answer("error: x\n", &batch), FEED_ODD);
}

static void
test_in_order(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(feeds_count(feeds), 0);
    take(1, 1, 1, "one\ntwo\n");
    run();
    take(1, 2, 1, "three\n");
    run();
    take(1, 2, 1, "three\n"); /* again, because the answer was lost */
    take(1, 1, 1, "");        /* a sign of life */
    run();
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\n");
    assert_string_equal(buf_text(&answers), "taken 1\ntaken 2\ntaken 2\ntaken 2\n");
    assert_place("pipe 1:2:0");
    assert_int_equal(feeds_count(feeds), 1);
    end();
}

/* The daemon was started anew, and what it had kept is older than what the feeder goes on with. */
static void
test_resend(void **state)
{
    (void)state;
    begin("pipe 1:2:0");
    take(1, 5, 1, "five\n");
    take(1, 3, 1, "three\n");
    run();
    take(1, 4, 1, "four\n");
    run();
    take(1, 5, 1, "five\n");
    run();
    take(1, 9, 8, "nine\n"); /* the feeder has no longer what is wanted */
    take(1, 8, 8, "eight\n");
    run();
    assert_string_equal(buf_text(&told), "three\nfour\nfive\neight\n");
    assert_string_equal(buf_text(&answers),
                        "resend 3\ntaken 3\ntaken 4\ntaken 5\nresend 8\ntaken 8\n");
    assert_string_equal(buf_text(&said), "2 batches\n");
    end();
}

/* One that was never heard of begins where it is: what it had was told to an earlier daemon. */
static void
test_unknown(void **state)
{
    (void)state;
    begin("");
    take(1, 9, 1, "nine\n");
    run();
    assert_string_equal(buf_text(&told), "nine\n");
    end();
}

/* Stopped in the midst of a batch: the rest of it is told, and nothing twice. */
static void
test_midst(void **state)
{
    struct place place;
    char text[PLACE_TEXT_SIZE];
    const char *lines;
    struct buf all = {0};
    int begun = 0;

    (void)state;
    for (int i = 0; i < 2000; i++)
        buf_printf(&all, "line %d\n", i);
    lines = buf_text(&all);
    begin("");
    take(1, 1, 1, "first\n");
    run();
    slow = true;
    for (size_t at = 1000; told.length < all.length; at += 3000) {
        take(1, 2, 1, lines);
        stop_at = at;
        event_base_loop(base, EVLOOP_ONCE);
        while (told.length < at && told.length < all.length + 6)
            event_base_loop(base, EVLOOP_ONCE);
        feeds_where(feeds, &place);
        place_print(&place, text);
        end();
        begin(text);
        begun++;
    }
    assert_true(begun > 3);
    assert_string_equal(buf_text(&told) + strlen("first\n"), lines);
    end();
    buf_clear(&all);
}

/* Feeders beside each other; one more than there is room for puts out who was silent longest. */
static void
test_many(void **state)
{
    (void)state;
    begin("");
    for (uint64_t id = 1; id <= PLACE_FEEDERS; id++)
        take(id, 1, 1, "x\n");
    run();
    take(1, 2, 1, "y\n");
    run();
    assert_place("pipe 1:2:0 4:1:0 3:1:0 2:1:0");
    take(5, 1, 1, "z\n");
    run();
    assert_place("pipe 5:1:0 1:2:0 4:1:0 3:1:0");
    assert_int_equal(feeds_count(feeds), PLACE_FEEDERS);
    end();
}

/* Who waits hears of it when the log changes; a second batch of one feeder does not wait. */
static void
test_ended(void **state)
{
    (void)state;
    begin("");
    take(1, 1, 1, "x\n");
    take(1, 2, 1, "y\n");
    end();
    assert_string_equal(buf_text(&answers), "error: a batch of yours is under way\n"
                                            "error: the log that is followed has changed\n");
    assert_string_equal(buf_text(&told), "");
}

static void
test_odd_lines(void **state)
{
    char *lines = mem_new(MAILLOG_LINE_MAX + 100);
    const struct feed_head head = {1, 1, 1, MAILLOG_LINE_MAX + 8};

    (void)state;
    memset(lines, 'x', MAILLOG_LINE_MAX);
    memcpy(lines + MAILLOG_LINE_MAX, "\na\0b\nend", 8);
    begin("");
    feeds_take(feeds, &head, lines, on_done, NULL);
    run();
    assert_int_equal(told.length, 8);
    assert_memory_equal(told.data, "a\0b\nend\n", 8);
    assert_string_equal(buf_text(&answers), "taken 1\n");
    end();
    free(lines);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test_setup(test_in_order, setup),
        cmocka_unit_test_setup(test_resend, setup),
        cmocka_unit_test_setup(test_unknown, setup),
        cmocka_unit_test_setup(test_midst, setup),
        cmocka_unit_test_setup(test_many, setup),
        cmocka_unit_test_setup(test_ended, setup),
        cmocka_unit_test_setup(test_odd_lines, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    buf_clear(&told);
    buf_clear(&answers);
    buf_clear(&said);
    return failed;
}
