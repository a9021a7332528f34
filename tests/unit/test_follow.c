/*
 * Following a log file: every line once, from where it was left, whatever the disk does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/follow_world.h"

#include "engine/hash.h"
#include "lib/maillog.h"

#include <event2/event.h>
#include <sys/stat.h>
#include <unistd.h>

static void
test_from_the_end(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "one\ntwo\n");
    follow_world_begin(NULL);
    follow_world_put(follow_world.path, "a", "three\nfo"); /* before the loop comes to it */
    follow_world_wait(1);
    follow_world_put(follow_world.path, "a", "ur\n");
    follow_world_wait(1);
    assert_string_equal(buf_text(&follow_world.told), "three\nfour\n");
    assert_int_equal(follow_lag_bytes(follow_world.follow), 0);
    follow_world_end();
}

/* A file that is not there yet is read from its beginning; and a place is gone on from. */
static void
test_restarts(void **state)
{
    (void)state;
    follow_world_begin(NULL);
    event_base_loop(follow_world.base, EVLOOP_ONCE);
    follow_world_put(follow_world.path, "w", "one\ntwo\n");
    follow_world_wait(2);
    follow_world_end();
    follow_world_put(follow_world.path, "a", "three\n");
    follow_world_begin(&follow_world.place);
    follow_world_wait(1);
    follow_world_end();
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\n");
}

/* What is not read is told of, also while an old file is gone through first. */
static void
test_lag(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\n");
    follow_world_wait(1);
    follow_world_end();
    follow_world_put(follow_world.path, "a", "two\n");
    rename(follow_world.path, follow_world.old_path);
    follow_world_put(follow_world.path, "w", "three\nfour\n");
    follow_world_begin(&follow_world.place);
    follow_world_look(1); /* it is opened */
    assert_int_equal(follow_lag_bytes(follow_world.follow), 4 + 11);
    follow_world_wait(1);
    assert_int_equal(follow_lag_bytes(follow_world.follow), 11);
    follow_world_wait(2);
    follow_world_wait(0);
    assert_int_equal(follow_lag_bytes(follow_world.follow), 0);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\nfour\n");
    follow_world_end();
}

/* Begun where a line was half written: the rest of it is no line. */
static void
test_half_a_line(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "one\ntw");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "o\nthree\n");
    follow_world_wait(1);
    assert_string_equal(buf_text(&follow_world.told), "three\n");
    follow_world_end();
}

/* Opened, but not to be read: a folder stands for a disk that fails. */
static void
test_cannot_be_read(void **state)
{
    (void)state;
    assert_int_equal(mkdir(follow_world.path, 0700), 0);
    follow_world_begin(NULL);
    follow_world_look(5);
    assert_int_equal(follow_world_logged("Is a directory -- no results are seen"), 1);
    assert_int_equal(follow_lag_bytes(follow_world.follow), -1);
    rmdir(follow_world.path);
    follow_world_put(follow_world.path, "w", "one\n");
    follow_world_wait(1);
    follow_world_wait(0);
    assert_int_equal(follow_world_logged("no results are seen"), 1);
    assert_int_equal(follow_world_logged("can be read again"), 1);
    follow_world_end();
}

/* A disk that fails for a while does not say that the file was cut. */
static void
test_disk_fails(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\ntwo\n");
    follow_world_wait(2);
    follow_world_wait(0);
    follow_world.failing = 5;
    follow_world_look(10);
    assert_int_equal(follow_world.failing, 0);
    follow_world_put(follow_world.path, "a", "three\n");
    follow_world_wait(1);
    follow_world_wait(0);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\n");
    assert_int_equal(follow_world_logged("was cut"), 0);
    assert_int_equal(follow_world_logged("Input/output error -- no results are seen"), 1);
    assert_int_equal(follow_world_logged("can be read again"), 1);
    follow_world_end();
}

/* Renamed, and what was not read of it is not in memory: it is not left behind. */
static void
test_not_in_memory(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\n");
    follow_world_wait(1);
    follow_world_put(follow_world.path, "a", "two\n");
    assert_int_equal(rename(follow_world.path, follow_world.old_path), 0);
    follow_world_put(follow_world.path, "w", "three\n");
    follow_world.blind = 30;
    follow_world_wait(1);
    assert_memory_equal(buf_text(&follow_world.told), "one\ntwo\n", 8);
    while (follow_world.told.length < 14)
        follow_world_look(1);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\n");
    follow_world_end();
    follow_world.blind = 0;
}

static void
test_gone(void **state)
{
    struct follow_place elsewhere = {12345, 100, 1};

    (void)state;
    follow_world_put(follow_world.path, "w", "one\n");
    follow_world_begin(&elsewhere);
    follow_world_wait(1);
    follow_world_end();
    assert_string_equal(buf_text(&follow_world.told), "one\n");
}

/* A place in a file that is gone, and no other there yet: it is waited for. */
static void
test_gone_and_none_there(void **state)
{
    struct follow_place elsewhere = {12345, 100, 1};

    (void)state;
    follow_world_begin(&elsewhere);
    follow_world_look(3);
    follow_world_put(follow_world.path, "w", "one\n");
    follow_world_wait(1);
    follow_world_end();
    assert_int_equal(follow_world_logged("no results are seen"), 1);
    assert_int_equal(follow_world_logged("is another file than before"), 1);
    assert_string_equal(buf_text(&follow_world.told), "one\n");
}

/* Long lines are passed over whole, whatever is in them; bytes that are no text pass through. */
static void
test_odd_lines(void **state)
{
    FILE *file;

    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    file = fopen(follow_world.path, "a");
    for (int i = 0; i < 5 * MAILLOG_LINE_MAX; i++)
        fputc('x', file);
    fputs("\nshort\n", file);
    fwrite("a\0b\n", 4, 1, file);
    fclose(file);
    follow_world_wait(2);
    assert_int_equal(follow_world.told.length, 6 + 4);
    assert_memory_equal(follow_world.told.data, "short\na\0b\n", 10);
    assert_int_equal(follow_lag_bytes(follow_world.follow), 0);
    follow_world_end();
}

/* Stopped at any line, and begun again at the place: every line once. */
static void
test_stopped_anywhere(void **state)
{
    struct buf all = {0};
    uint64_t random = 7;
    size_t lines = 0;

    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "first\n");
    follow_world_wait(1);
    follow_world_end();
    buf_puts(&all, "first\n");
    for (int i = 0; i < 3000; i++) {
        char line[64];

        snprintf(line, sizeof(line), "line %d %.*s\n", i, i % 40,
                 "........................................");
        buf_puts(&all, line);
        lines++;
    }
    follow_world_put(follow_world.path, "a", buf_text(&all) + 6);
    while (lines > 0) {
        size_t count = 1 + (random = hash_mix(random)) % 400;

        if (count > lines)
            count = lines;
        follow_world_begin(&follow_world.place);
        follow_world_wait(count);
        /* one slice may tell more than was waited for: what counts is the place */
        follow_world_end();
        lines = 0;
        for (const char *at = buf_text(&all) + follow_world.place.offset; *at != '\0'; at++)
            lines += *at == '\n';
    }
    assert_string_equal(buf_text(&follow_world.told), buf_text(&all));
    buf_clear(&all);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_from_the_end, follow_world_setup),
        cmocka_unit_test_setup(test_restarts, follow_world_setup),
        cmocka_unit_test_setup(test_lag, follow_world_setup),
        cmocka_unit_test_setup(test_half_a_line, follow_world_setup),
        cmocka_unit_test_setup(test_cannot_be_read, follow_world_setup),
        cmocka_unit_test_setup(test_disk_fails, follow_world_setup),
        cmocka_unit_test_setup(test_not_in_memory, follow_world_setup),
        cmocka_unit_test_setup(test_gone, follow_world_setup),
        cmocka_unit_test_setup(test_gone_and_none_there, follow_world_setup),
        cmocka_unit_test_setup(test_odd_lines, follow_world_setup),
        cmocka_unit_test_setup(test_stopped_anywhere, follow_world_setup),
    };

    return cmocka_run_group_tests(tests, follow_world_make, follow_world_remove);
}
