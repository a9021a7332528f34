/*
 * Following a log file: every line once, whatever becomes of the file, and of who follows it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/hash.h"
#include "lib/maillog.h"
#include "lib/mem.h"
#include "policyd/follow.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static struct event_base *base;
static struct follow *follow;
static char folder[] = "/tmp/postpool-test-XXXXXX";
static char *path, *old_path;

/* What was told: the lines one behind the other, and the place behind the last. */
static struct buf told;
static struct follow_place place;
static size_t wanted; /* lines */

static void
on_line(void *arg, const char *line, size_t length)
{
    (void)arg;
    buf_add(&told, line, length);
    buf_puts(&told, "\n");
    follow_where(follow, &place);
    if (--wanted == 0)
        event_base_loopbreak(base);
}

static void
on_idle(void *arg)
{
    (void)arg;
    if (wanted == 0)
        event_base_loopbreak(base);
}

static void
begin(const struct follow_place *from)
{
    const struct follow_events events = {on_line, on_idle, NULL};

    base = event_base_new();
    follow = follow_new(base, path, from, &events);
}

/* Wait for so many more lines; 0: until it is at the end. */
static void
wait_lines(size_t count)
{
    wanted = count;
    event_base_dispatch(base);
}

static void
end(void)
{
    follow_free(follow);
    event_base_free(base);
}

static void
put(const char *name, const char *mode, const char *text)
{
    FILE *file = fopen(name, mode);

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Time passes quickly here: all waits are of this module. */
int __real_event_add(struct event *event, const struct timeval *time);
int __wrap_event_add(struct event *event, const struct timeval *time);

int
__wrap_event_add(struct event *event, const struct timeval *time)
{
    enum { FASTER = 50 };
    struct timeval quick = {0, (time->tv_sec * 1000000 + time->tv_usec) / FASTER};

    return __real_event_add(event, &quick);
}

/* So many reads fail, as of a disk; so many find no more, as those without waiting of Linux 5.9 and
 * 5.10 do of what is not in memory (preadv2(2), BUGS). */
static int failing, blind;

ssize_t __real_pread64(int fd, void *bytes, size_t size, off64_t at);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off64_t at);
ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int count, off64_t at, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int count, off64_t at, int flags);

ssize_t
__wrap_pread64(int fd, void *bytes, size_t size, off64_t at)
{
    if (failing > 0) {
        failing--;
        errno = EIO;
        return -1;
    }
    return __real_pread64(fd, bytes, size, at);
}

ssize_t
__wrap_preadv64v2(int fd, const struct iovec *iov, int count, off64_t at, int flags)
{
    if (blind > 0) {
        blind--;
        return 0;
    }
    return __real_preadv64v2(fd, iov, count, at, flags);
}

/* What follow.c logged, a line each. */
static struct buf said;

void __wrap_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *format, va_list ap)
{
    char *line = mem_vprintf(format, ap);

    buf_printf(&said, "%s\n", line);
    free(line);
}

void
__wrap_log_warn(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say(format, ap);
    va_end(ap);
}

void
__wrap_log_info(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say(format, ap);
    va_end(ap);
}

/* How many lines have text? */
static int
logged(const char *text)
{
    const char *at = buf_text(&said);
    int count = 0;

    for (; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void
look(int times)
{
    while (times-- > 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static int
setup(void **state)
{
    (void)state;
    unlink(path);
    unlink(old_path);
    buf_clear(&said);
    buf_clear(&told);
    place = (struct follow_place){0};
    return 0;
}

static void
test_from_the_end(void **state)
{
    (void)state;
    put(path, "w", "one\ntwo\n");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "three\nfo");
    wait_lines(1);
    put(path, "a", "ur\n");
    wait_lines(1);
    assert_string_equal(buf_text(&told), "three\nfour\n");
    assert_int_equal(follow_lag_bytes(follow), 0);
    end();
}

/* A file that is not there yet is read from its beginning; and a place is gone on from. */
static void
test_restarts(void **state)
{
    (void)state;
    begin(NULL);
    event_base_loop(base, EVLOOP_ONCE);
    put(path, "w", "one\ntwo\n");
    wait_lines(2);
    end();
    put(path, "a", "three\n");
    begin(&place);
    wait_lines(1);
    end();
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\n");
}

/* Renamed while nobody looked: first the rest of the old one, then all of the new one. */
static void
test_renamed(void **state)
{
    (void)state;
    put(path, "w", "one\n");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "two\n");
    wait_lines(1);
    end();
    put(path, "a", "three\n");
    rename(path, old_path);
    put(path, "w", "four\n");
    begin(&place);
    wait_lines(2);
    end();
    assert_string_equal(buf_text(&told), "two\nthree\nfour\n");
}

/* Renamed while it is followed, and the writer still has it open for a moment. */
static void
test_renamed_meanwhile(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\n");
    rename(path, old_path);
    put(path, "w", "three\n");
    wait_lines(1);
    put(old_path, "a", "two\n");
    wait_lines(2);
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\n");
    end();
}

/* What is not read is told of, also while an old file is gone through first. */
static void
test_lag(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\n");
    wait_lines(1);
    end();
    put(path, "a", "two\n");
    rename(path, old_path);
    put(path, "w", "three\nfour\n");
    begin(&place);
    look(1); /* it is opened */
    assert_int_equal(follow_lag_bytes(follow), 4 + 11);
    wait_lines(1);
    assert_int_equal(follow_lag_bytes(follow), 11);
    wait_lines(2);
    wait_lines(0);
    assert_int_equal(follow_lag_bytes(follow), 0);
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\nfour\n");
    end();
}

/* Renamed twice in the time that a writer has for the first, and the second is packed at once. */
static void
test_renamed_twice_meanwhile(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\n");
    wait_lines(1);
    rename(path, old_path);
    put(path, "w", "two\n");
    look(3); /* of the ten that it takes */
    unlink(path);
    put(path, "w", "three\n");
    wait_lines(2);
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\n");
    end();
}

/* The second is renamed, too, and nothing is written behind it. */
static void
test_renamed_and_none_there(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\n");
    wait_lines(1);
    rename(path, old_path);
    put(path, "w", "two\n");
    look(3);
    rename(path, old_path);
    wait_lines(1);
    assert_string_equal(buf_text(&told), "one\ntwo\n");
    end();
}

/* Cut to nothing, and already longer again than it was. */
static void
test_cut(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\n");
    wait_lines(1);
    wait_lines(0);
    put(path, "w", "two\nthree\nfour\n");
    wait_lines(3);
    put(path, "w", "five\n");
    wait_lines(1);
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\nfour\nfive\n");
    end();
}

/* Begun where a line was half written: the rest of it is no line. */
static void
test_half_a_line(void **state)
{
    (void)state;
    put(path, "w", "one\ntw");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "o\nthree\n");
    wait_lines(1);
    assert_string_equal(buf_text(&told), "three\n");
    end();
}

/* What may not be opened is said once, and the old one is followed until it may. */
static void
test_new_one_cannot_be_opened(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}; /* open() refuses it to root, too */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    rename(path, old_path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    while (follow_lag_bytes(follow) >= 0)
        look(1);
    look(25); /* more than two tries */
    put(old_path, "a", "one\n");
    wait_lines(1);
    assert_int_equal(logged("no results are seen"), 1);
    assert_int_equal(logged("can be read again"), 0);
    unlink(path);
    close(fd);
    put(path, "w", "two\n");
    wait_lines(1);
    wait_lines(0);
    assert_string_equal(buf_text(&told), "one\ntwo\n");
    assert_int_equal(logged("can be read again"), 1);
    assert_int_equal(follow_lag_bytes(follow), 0);
    end();
}

/* Opened, but not to be read: a folder stands for a disk that fails. */
static void
test_cannot_be_read(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    begin(NULL);
    look(5);
    assert_int_equal(logged("Is a directory -- no results are seen"), 1);
    assert_int_equal(follow_lag_bytes(follow), -1);
    rmdir(path);
    put(path, "w", "one\n");
    wait_lines(1);
    wait_lines(0);
    assert_int_equal(logged("no results are seen"), 1);
    assert_int_equal(logged("can be read again"), 1);
    end();
}

/* A disk that fails for a while does not say that the file was cut. */
static void
test_disk_fails(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\ntwo\n");
    wait_lines(2);
    wait_lines(0);
    failing = 5;
    look(10);
    assert_int_equal(failing, 0);
    put(path, "a", "three\n");
    wait_lines(1);
    wait_lines(0);
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\n");
    assert_int_equal(logged("was cut"), 0);
    assert_int_equal(logged("Input/output error -- no results are seen"), 1);
    assert_int_equal(logged("can be read again"), 1);
    end();
}

/* Renamed, and what was not read of it is not in memory: it is not left behind. */
static void
test_not_in_memory(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\n");
    wait_lines(1);
    put(path, "a", "two\n");
    assert_int_equal(rename(path, old_path), 0);
    put(path, "w", "three\n");
    blind = 30;
    wait_lines(1);
    assert_memory_equal(buf_text(&told), "one\ntwo\n", 8);
    while (told.length < 14)
        look(1);
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\n");
    end();
    blind = 0;
}

/* A place in a file that is gone, and no other there yet: it is waited for. */
static void
test_gone_and_none_there(void **state)
{
    struct follow_place elsewhere = {12345, 100, 1};

    (void)state;
    begin(&elsewhere);
    look(3);
    put(path, "w", "one\n");
    wait_lines(1);
    end();
    assert_int_equal(logged("no results are seen"), 1);
    assert_int_equal(logged("is another file than before"), 1);
    assert_string_equal(buf_text(&told), "one\n");
}

static void
test_gone(void **state)
{
    struct follow_place elsewhere = {12345, 100, 1};

    (void)state;
    put(path, "w", "one\n");
    begin(&elsewhere);
    wait_lines(1);
    end();
    assert_string_equal(buf_text(&told), "one\n");
}

/* Long lines are passed over whole, whatever is in them; bytes that are no text pass through. */
static void
test_odd_lines(void **state)
{
    FILE *file;

    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    file = fopen(path, "a");
    for (int i = 0; i < 5 * MAILLOG_LINE_MAX; i++)
        fputc('x', file);
    fputs("\nshort\n", file);
    fwrite("a\0b\n", 4, 1, file);
    fclose(file);
    wait_lines(2);
    assert_int_equal(told.length, 6 + 4);
    assert_memory_equal(told.data, "short\na\0b\n", 10);
    assert_int_equal(follow_lag_bytes(follow), 0);
    end();
}

/* Stopped at any line, and begun again at the place: every line once. */
static void
test_stopped_anywhere(void **state)
{
    struct buf all = {0};
    uint64_t random = 7;
    size_t lines = 0;

    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "first\n");
    wait_lines(1);
    end();
    buf_puts(&all, "first\n");
    for (int i = 0; i < 3000; i++) {
        char line[64];

        snprintf(line, sizeof(line), "line %d %.*s\n", i, i % 40,
                 "........................................");
        buf_puts(&all, line);
        lines++;
    }
    put(path, "a", buf_text(&all) + 6);
    while (lines > 0) {
        size_t count = 1 + (random = hash_mix(random)) % 400;

        if (count > lines)
            count = lines;
        begin(&place);
        wait_lines(count);
        /* one slice may tell more than was waited for: what counts is the place */
        end();
        lines = 0;
        for (const char *at = buf_text(&all) + place.offset; *at != '\0'; at++)
            lines += *at == '\n';
    }
    assert_string_equal(buf_text(&told), buf_text(&all));
    buf_clear(&all);
}

/* "mail.log.7" or the like; the caller's. */
static char *
named(const char *suffix)
{
    return mem_printf("%s%s", path, suffix);
}

/* The log becomes the one of that suffix, all of it, and is empty. */
static void
copy_and_cut(const char *suffix)
{
    char *copy = named(suffix), bytes[4096];
    FILE *from = fopen(path, "r"), *to = fopen(copy, "w");
    size_t n;

    while ((n = fread(bytes, 1, sizeof(bytes), from)) > 0)
        fwrite(bytes, 1, n, to);
    fclose(from);
    fclose(to);
    assert_int_equal(truncate(path, 0), 0);
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

/* Copied and cut while nobody looked, with lines that end alike at the same places. */
static void
test_copied_and_cut(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "1 sent\n");
    wait_lines(1);
    end();
    put(path, "a", "2 sent\n");
    copy_and_cut(".1");
    put(path, "a", "3 sent\n4 sent\n");
    begin(&place);
    wait_lines(3);
    assert_string_equal(buf_text(&told), "1 sent\n2 sent\n3 sent\n4 sent\n");
    copy_and_cut(".1"); /* with nothing in it that was not told */
    put(path, "a", "5 sent\n");
    wait_lines(1);
    assert_int_equal(logged("not seen"), 0);
    end();
}

/* As above, but what came last is not in the copy: it was told already. */
static void
test_copy_is_shorter(void **state)
{
    (void)state;
    put(path, "w", "one\n");
    begin(NULL);
    wait_lines(0);
    copy_and_cut(".1");
    put(path, "w", "one\ntwo\n"); /* what was there, and a line */
    wait_lines(1);
    assert_int_equal(truncate(path, 0), 0);
    wait_lines(0);
    put(path, "a", "3\n");
    wait_lines(1);
    assert_string_equal(buf_text(&told), "two\n3\n");
    assert_int_equal(logged("not seen"), 0);
    end();
}

/* Cut before all was read, and nobody made a copy: said. */
static void
test_cut_too_early(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\nhal");
    wait_lines(1);
    wait_lines(0);
    put(path, "w", "2\n");
    wait_lines(1);
    assert_int_equal(logged("before it was read to its end"), 1);
    end();
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

        put(path, "w", "");
        begin(NULL);
        wait_lines(0);
        put(path, "a", "0\n");
        wait_lines(1);
        end();
        for (int j = 0; j < 4; j++) {
            snprintf(line, sizeof(line), "%d\n", j + 1);
            put(path, j > 0 ? "w" : "a", line);
            move("", suffixes[i][j]);
        }
        put(path, "w", "5\n");
        move(suffixes[i][3], ".gz"); /* packed: passed over */
        begin(&place);
        wait_lines(4);
        assert_string_equal(buf_text(&told), "0\n1\n2\n3\n5\n");
        end();
        for (int j = 0; j < 3; j++)
            forget(suffixes[i][j]);
        forget(".gz");
        buf_clear(&told);
    }
}

/* Copied and cut again while the first copy may still get a last line. */
static void
test_copied_twice_meanwhile(void **state)
{
    (void)state;
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "one\n");
    wait_lines(1);
    wait_lines(0);
    copy_and_cut(".1");
    put(path, "a", "two\n");
    look(3); /* it is in the copy, at its end, and has opened the next */
    move(".1", ".2");
    copy_and_cut(".1");
    put(path, "a", "three\n");
    wait_lines(1);
    while (told.length < 8 || strstr(buf_text(&told), "three") == NULL)
        look(1);
    assert_string_equal(buf_text(&told), "one\ntwo\nthree\n");
    end();
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
    put(path, "w", "");
    begin(NULL);
    wait_lines(0);
    put(path, "a", "first\n");
    buf_puts(&all, "first\n");
    wait_lines(1);
    for (int i = 0; i < TURNS; i++) {
        random = hash_mix(random);
        for (uint64_t j = random >> 32 & 7; j > 0; j--) {
            char line[64];

            snprintf(line, sizeof(line), "line %zu %.*s\n", lines, (int)(lines % 5) * 5,
                     ".........................");
            put(path, "a", line);
            buf_puts(&all, line);
            lines++;
        }
        if (random % 32 < 3) { /* restart */
            follow_where(follow, &place);
            end();
            begin(&place);
        } else if (random % 32 == 3) {
            for (int j = KEPT; j > 1; j--) {
                snprintf(suffix, sizeof(suffix), ".%d", j);
                snprintf(older, sizeof(older), ".%d", j - 1);
                move(older, suffix);
            }
            if (random & 1024) {
                move("", ".1");
                put(path, "w", "");
            } else {
                copy_and_cut(".1");
            }
        } else {
            wanted = SIZE_MAX;
            event_base_loop(base, random & 2048 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
        }
    }
    while (told.length < all.length)
        event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(buf_text(&told), buf_text(&all));
    assert_int_equal(logged("not seen"), 0);
    end();
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
        cmocka_unit_test_setup(test_from_the_end, setup),
        cmocka_unit_test_setup(test_restarts, setup),
        cmocka_unit_test_setup(test_renamed, setup),
        cmocka_unit_test_setup(test_renamed_meanwhile, setup),
        cmocka_unit_test_setup(test_renamed_twice_meanwhile, setup),
        cmocka_unit_test_setup(test_lag, setup),
        cmocka_unit_test_setup(test_renamed_and_none_there, setup),
        cmocka_unit_test_setup(test_cut, setup),
        cmocka_unit_test_setup(test_half_a_line, setup),
        cmocka_unit_test_setup(test_new_one_cannot_be_opened, setup),
        cmocka_unit_test_setup(test_cannot_be_read, setup),
        cmocka_unit_test_setup(test_disk_fails, setup),
        cmocka_unit_test_setup(test_not_in_memory, setup),
        cmocka_unit_test_setup(test_gone, setup),
        cmocka_unit_test_setup(test_gone_and_none_there, setup),
        cmocka_unit_test_setup(test_odd_lines, setup),
        cmocka_unit_test_setup(test_stopped_anywhere, setup),
        cmocka_unit_test_setup(test_copied_and_cut, setup),
        cmocka_unit_test_setup(test_copy_is_shorter, setup),
        cmocka_unit_test_setup(test_cut_too_early, setup),
        cmocka_unit_test_setup(test_renamed_often, setup),
        cmocka_unit_test_setup(test_copied_twice_meanwhile, setup),
        cmocka_unit_test_setup(test_anything, setup),
    };
    int failed;

    if (mkdtemp(folder) == NULL)
        return 1;
    path = mem_printf("%s/mail.log", folder);
    old_path = mem_printf("%s/mail.log.1", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(old_path);
    rmdir(folder);
    free(path);
    free(old_path);
    buf_clear(&told);
    buf_clear(&said);
    return failed;
}
