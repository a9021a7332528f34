/*
 * Following a log file that is renamed, or copied and cut: every line once, in order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/follow_world.h"

#include "engine/hash.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "mail.log.7" or the like; the caller's. */
static char *
named(const char *suffix)
{
    return mem_printf("%s%s", follow_world.path, suffix);
}

/* The log becomes the one of that suffix, all of it, and is empty. */
static void
copy_and_cut(const char *suffix)
{
    char *copy = named(suffix), bytes[4096];
    FILE *from = fopen(follow_world.path, "r"), *to = fopen(copy, "w");
    size_t n;

    while ((n = fread(bytes, 1, sizeof(bytes), from)) > 0)
        fwrite(bytes, 1, n, to);
    fclose(from);
    fclose(to);
    assert_int_equal(truncate(follow_world.path, 0), 0);
    free(copy);
}

static void
move(const char *from, const char *to)
{
    char *a = named(from), *b = named(to);

    rename(a, b);
    free(b);
    free(a);
}

static void
forget(const char *suffix)
{
    char *name = named(suffix);

    unlink(name);
    free(name);
}

/* Renamed while nobody looked: first the rest of the old one, then all of the new one. */
static void
test_renamed(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "one\n");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "two\n");
    follow_world_wait(1);
    follow_world_end();
    follow_world_put(follow_world.path, "a", "three\n");
    rename(follow_world.path, follow_world.old_path);
    follow_world_put(follow_world.path, "w", "four\n");
    follow_world_begin(&follow_world.place);
    follow_world_wait(2);
    follow_world_end();
    assert_string_equal(buf_text(&follow_world.told), "two\nthree\nfour\n");
}

/* Renamed while it is followed, and the writer still has it open for a moment. */
static void
test_renamed_meanwhile(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\n");
    rename(follow_world.path, follow_world.old_path);
    follow_world_put(follow_world.path, "w", "three\n");
    follow_world_wait(1);
    follow_world_put(follow_world.old_path, "a", "two\n");
    follow_world_wait(2);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\n");
    follow_world_end();
}

/* Renamed twice in the time that a writer has for the first, and the second is packed at once. */
static void
test_renamed_twice_meanwhile(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\n");
    follow_world_wait(1);
    rename(follow_world.path, follow_world.old_path);
    follow_world_put(follow_world.path, "w", "two\n");
    follow_world_look(3); /* of the ten that it takes */
    unlink(follow_world.path);
    follow_world_put(follow_world.path, "w", "three\n");
    follow_world_wait(2);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\n");
    follow_world_end();
}

/* The second is renamed, too, and nothing is written behind it. */
static void
test_renamed_and_none_there(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\n");
    follow_world_wait(1);
    rename(follow_world.path, follow_world.old_path);
    follow_world_put(follow_world.path, "w", "two\n");
    follow_world_look(3);
    rename(follow_world.path, follow_world.old_path);
    follow_world_wait(1);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\n");
    follow_world_end();
}

/* Cut to nothing, and already longer again than it was. */
static void
test_cut(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\n");
    follow_world_wait(1);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "w", "two\nthree\nfour\n");
    follow_world_wait(3);
    follow_world_put(follow_world.path, "w", "five\n");
    follow_world_wait(1);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\nfour\nfive\n");
    follow_world_end();
}

/* What may not be opened is said once, and the old one is followed until it may. */
static void
test_new_one_cannot_be_opened(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}; /* open() refuses it to root, too */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    rename(follow_world.path, follow_world.old_path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", follow_world.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    while (follow_lag_bytes(follow_world.follow) >= 0)
        follow_world_look(1);
    follow_world_look(25); /* more than two tries */
    follow_world_put(follow_world.old_path, "a", "one\n");
    follow_world_wait(1);
    assert_int_equal(follow_world_logged("no results are seen"), 1);
    assert_int_equal(follow_world_logged("can be read again"), 0);
    unlink(follow_world.path);
    close(fd);
    follow_world_put(follow_world.path, "w", "two\n");
    follow_world_wait(1);
    follow_world_wait(0);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\n");
    assert_int_equal(follow_world_logged("can be read again"), 1);
    assert_int_equal(follow_lag_bytes(follow_world.follow), 0);
    follow_world_end();
}

/* Copied and cut while nobody looked, with lines that end alike at the same places. */
static void
test_copied_and_cut(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "1 sent\n");
    follow_world_wait(1);
    follow_world_end();
    follow_world_put(follow_world.path, "a", "2 sent\n");
    copy_and_cut(".1");
    follow_world_put(follow_world.path, "a", "3 sent\n4 sent\n");
    follow_world_begin(&follow_world.place);
    follow_world_wait(3);
    assert_string_equal(buf_text(&follow_world.told), "1 sent\n2 sent\n3 sent\n4 sent\n");
    copy_and_cut(".1"); /* with nothing in it that was not told */
    follow_world_put(follow_world.path, "a", "5 sent\n");
    follow_world_wait(1);
    assert_int_equal(follow_world_logged("not seen"), 0);
    follow_world_end();
}

/* As above, but what came last is not in the copy: it was told already. */
static void
test_copy_is_shorter(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "one\n");
    follow_world_begin(NULL);
    follow_world_wait(0);
    copy_and_cut(".1");
    follow_world_put(follow_world.path, "w", "one\ntwo\n"); /* what was there, and a line */
    follow_world_wait(1);
    assert_int_equal(truncate(follow_world.path, 0), 0);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "3\n");
    follow_world_wait(1);
    assert_string_equal(buf_text(&follow_world.told), "two\n3\n");
    assert_int_equal(follow_world_logged("not seen"), 0);
    follow_world_end();
}

/* Cut before all was read, and nobody made a copy: said. */
static void
test_cut_too_early(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\nhal");
    follow_world_wait(1);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "w", "2\n");
    follow_world_wait(1);
    assert_int_equal(follow_world_logged("before it was read to its end"), 1);
    follow_world_end();
}

/* Rotated several times while nobody looked, by numbers and by dates: one behind the other. */
static void
test_renamed_often(void **state)
{
    static const char *const suffixes[][4] = {
        {".11", ".10", ".2", ".1"},
        {"-20261124", "-20261125", "-20261125-1", "-20261126"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        char line[16];

        follow_world_put(follow_world.path, "w", "");
        follow_world_begin(NULL);
        follow_world_wait(0);
        follow_world_put(follow_world.path, "a", "0\n");
        follow_world_wait(1);
        follow_world_end();
        for (int j = 0; j < 4; j++) {
            snprintf(line, sizeof(line), "%d\n", j + 1);
            follow_world_put(follow_world.path, j > 0 ? "w" : "a", line);
            move("", suffixes[i][j]);
        }
        follow_world_put(follow_world.path, "w", "5\n");
        move(suffixes[i][3], ".gz"); /* packed: passed over */
        follow_world_begin(&follow_world.place);
        follow_world_wait(4);
        assert_string_equal(buf_text(&follow_world.told), "0\n1\n2\n3\n5\n");
        follow_world_end();
        for (int j = 0; j < 3; j++)
            forget(suffixes[i][j]);
        forget(".gz");
        buf_clear(&follow_world.told);
    }
}

/* Copied and cut again while the first copy may still get a last line. */
static void
test_copied_twice_meanwhile(void **state)
{
    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "one\n");
    follow_world_wait(1);
    follow_world_wait(0);
    copy_and_cut(".1");
    follow_world_put(follow_world.path, "a", "two\n");
    follow_world_look(3); /* it is in the copy, at its end, and has opened the next */
    move(".1", ".2");
    copy_and_cut(".1");
    follow_world_put(follow_world.path, "a", "three\n");
    follow_world_wait(1);
    while (follow_world.told.length < 8 || strstr(buf_text(&follow_world.told), "three") == NULL)
        follow_world_look(1);
    assert_string_equal(buf_text(&follow_world.told), "one\ntwo\nthree\n");
    follow_world_end();
    forget(".2");
}

/* A day in the life of a log, and of who follows it. */
static void
test_anything(void **state)
{
    enum { TURNS = 1000, KEPT = 80 };
    struct buf all = {0};
    uint64_t random = 11;
    size_t lines = 0;
    char suffix[8], older[8];

    (void)state;
    follow_world_put(follow_world.path, "w", "");
    follow_world_begin(NULL);
    follow_world_wait(0);
    follow_world_put(follow_world.path, "a", "first\n");
    buf_puts(&all, "first\n");
    follow_world_wait(1);
    for (int i = 0; i < TURNS; i++) {
        random = hash_mix(random);
        for (uint64_t j = random >> 32 & 7; j > 0; j--) {
            char line[64];

            snprintf(line, sizeof(line), "line %zu %.*s\n", lines, (int)(lines % 5) * 5,
                     ".........................");
            follow_world_put(follow_world.path, "a", line);
            buf_puts(&all, line);
            lines++;
        }
        if (random % 32 < 3) { /* restart */
            follow_where(follow_world.follow, &follow_world.place);
            follow_world_end();
            follow_world_begin(&follow_world.place);
        } else if (random % 32 == 3) {
            for (int j = KEPT; j > 1; j--) {
                snprintf(suffix, sizeof(suffix), ".%d", j);
                snprintf(older, sizeof(older), ".%d", j - 1);
                move(older, suffix);
            }
            if (random & 1024) {
                move("", ".1");
                follow_world_put(follow_world.path, "w", "");
            } else {
                copy_and_cut(".1");
            }
        } else {
            follow_world.wanted = SIZE_MAX;
            event_base_loop(follow_world.base, random & 2048 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
        }
    }
    while (follow_world.told.length < all.length)
        event_base_loop(follow_world.base, EVLOOP_ONCE);
    assert_string_equal(buf_text(&follow_world.told), buf_text(&all));
    assert_int_equal(follow_world_logged("not seen"), 0);
    follow_world_end();
    buf_clear(&all);
    for (int j = 1; j <= KEPT; j++) {
        snprintf(suffix, sizeof(suffix), ".%d", j);
        forget(suffix);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_renamed, follow_world_setup),
        cmocka_unit_test_setup(test_renamed_meanwhile, follow_world_setup),
        cmocka_unit_test_setup(test_renamed_twice_meanwhile, follow_world_setup),
        cmocka_unit_test_setup(test_renamed_and_none_there, follow_world_setup),
        cmocka_unit_test_setup(test_cut, follow_world_setup),
        cmocka_unit_test_setup(test_new_one_cannot_be_opened, follow_world_setup),
        cmocka_unit_test_setup(test_copied_and_cut, follow_world_setup),
        cmocka_unit_test_setup(test_copy_is_shorter, follow_world_setup),
        cmocka_unit_test_setup(test_cut_too_early, follow_world_setup),
        cmocka_unit_test_setup(test_renamed_often, follow_world_setup),
        cmocka_unit_test_setup(test_copied_twice_meanwhile, follow_world_setup),
        cmocka_unit_test_setup(test_anything, follow_world_setup),
    };

    return cmocka_run_group_tests(tests, follow_world_make, follow_world_remove);
}
