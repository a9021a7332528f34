/*
 * Lines of deferred recipients, by message.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/maillog.h"
#include "lib/mem.h"
#include "policyd/deferred.h"

#include <stdlib.h>

static struct span
span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void
add(struct deferred *deferred, const char *queue_id, const char *message)
{
    char *copy = mem_strdup(message); /* gone, as the line is */
    struct maillog_frame frame = {.time = {.second = 7}, .ident = span("postfix/smtp")};

    frame.message = span(copy);
    deferred_add(deferred, span(queue_id), &frame);
    free(copy);
}

static void
on_line(void *arg, const struct maillog_frame *frame)
{
    struct buf *out = arg;

    assert_int_equal(frame->time.second, 7);
    assert_int_equal(frame->ident.length, strlen("postfix/smtp"));
    assert_memory_equal(frame->ident.start, "postfix/smtp", frame->ident.length);
    buf_add(out, frame->message.start, frame->message.length);
    buf_puts(out, ";");
}

static void
assert_lines(const struct deferred *deferred, const char *queue_id, const char *lines)
{
    struct buf out = {0};

    deferred_each(deferred, span(queue_id), on_line, &out);
    assert_string_equal(buf_text(&out), lines);
    buf_clear(&out);
}

static void
test_by_message(void **state)
{
    struct deferred *deferred = deferred_new();

    (void)state;
    assert_lines(deferred, "4A", "");
    add(deferred, "4A", "one");
    add(deferred, "4AB", "other");
    add(deferred, "4A", "two");
    assert_lines(deferred, "4A", "one;two;");
    assert_lines(deferred, "4A", "one;two;"); /* looking takes nothing */
    deferred_drop(deferred, span("4A"));
    deferred_drop(deferred, span("4A"));
    assert_lines(deferred, "4A", "");
    assert_lines(deferred, "4AB", "other;");
    deferred_free(deferred);
    deferred_free(NULL);
}

/* The oldest go, whosever they are. */
static void
test_bounded(void **state)
{
    enum { LINE = 2000 };
    struct deferred *deferred = deferred_new();
    char line[LINE + 1], id[16];

    (void)state;
    memset(line, 'x', LINE);
    line[LINE] = '\0';
    add(deferred, "FIRST", "x");
    for (int i = 0; i <= DEFERRED_BYTES_MAX / LINE; i++) {
        snprintf(id, sizeof(id), "%d", i);
        add(deferred, id, line);
    }
    add(deferred, "LAST", "x");
    assert_lines(deferred, "FIRST", "");
    assert_lines(deferred, "0", "");
    assert_lines(deferred, "LAST", "x;");
    deferred_free(deferred);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_message),
        cmocka_unit_test(test_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
