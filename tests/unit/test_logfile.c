/*
 * Files of a log: plain, compressed, cut, and with lines that are no lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "ctl/logfile.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char folder[64], path[128];

static int
set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/postpool-logfile-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/mail.log", folder);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    unlink(path);
    rmdir(folder);
    return 0;
}

static void
put(const void *bytes, size_t length, bool compressed)
{
    gzFile gz = gzopen(path, compressed ? "w" : "wT");

    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, bytes, (unsigned)length), length);
    assert_int_equal(gzclose(gz), Z_OK);
}

static void
expect(struct logfile *file, const char *line)
{
    struct span span;
    struct err err;

    assert_int_equal(logfile_next(file, &span, &err), 1);
    assert_int_equal(span.length, strlen(line));
    assert_memory_equal(span.start, line, span.length);
}

static void
expect_end(struct logfile *file)
{
    struct span span;
    struct err err;

    assert_int_equal(logfile_next(file, &span, &err), 0);
    assert_int_equal(logfile_next(file, &span, &err), 0);
    logfile_close(file);
}

/* As a system that writes them otherwise hands them on. */
static void
test_line_ends(void **state)
{
    static const char text[] = "one\r\n\r\ntwo\n\r\rthree\r\r\nfour\r";
    struct logfile *file;

    (void)state;
    put(text, strlen(text), false);
    assert_int_equal(logfile_open(path, &file, NULL), 0);
    expect(file, "one");
    expect(file, "");
    expect(file, "two");
    expect(file, "\r\rthree\r");
    expect(file, "four");
    expect_end(file);
}

static void
test_lines(void **state)
{
    static const char text[] = "one\n\ntwo\nthree";
    struct logfile *file;

    (void)state;
    for (int compressed = 0; compressed < 2; compressed++) {
        put(text, strlen(text), compressed);
        assert_int_equal(logfile_open(path, &file, NULL), 0);
        expect(file, "one");
        expect(file, "");
        expect(file, "two");
        expect(file, "three");
        expect_end(file);
    }
    put("", 0, false);
    assert_int_equal(logfile_open(path, &file, NULL), 0);
    expect_end(file);
}

/* More than the buffer has room for, in lines of all lengths. */
static void
test_many_lines(void **state)
{
    struct buf text = {0};
    struct logfile *file;
    const char *at;

    (void)state;
    for (int i = 0; i < 40000; i++)
        buf_printf(&text, "%d %.*s\n", i, i % 97, "...........................................");
    for (int compressed = 0; compressed < 2; compressed++) {
        put(text.data, text.length, compressed);
        assert_int_equal(logfile_open(path, &file, NULL), 0);
        at = text.data;
        assert_int_equal(logfile_percent(file), 0);
        for (int i = 0; i < 40000; i++) {
            size_t length = strcspn(at, "\n");
            struct span span;

            assert_in_range(logfile_percent(file), 0, 100);
            assert_int_equal(logfile_next(file, &span, NULL), 1);
            assert_int_equal(span.length, length);
            assert_memory_equal(span.start, at, length);
            at += length + 1;
        }
        assert_int_equal(logfile_percent(file), 100);
        expect_end(file);
    }
    buf_clear(&text);
}

/* What is too long is one line that says nothing, wherever it stands. */
static void
test_long_lines(void **state)
{
    size_t length = 3 * (size_t)LOGFILE_LINE_MAX;
    char *text = mem_new(length + 16);
    struct logfile *file;

    (void)state;
    memcpy(text, "one\n", 4);
    memset(text + 4, 'x', length);
    for (int ends = 0; ends < 2; ends++) {
        memcpy(text + 4 + length, "\ntwo\n", 5);
        put(text, 4 + length + (ends ? 5 : 0), false);
        assert_int_equal(logfile_open(path, &file, NULL), 0);
        expect(file, "one");
        assert_false(logfile_was_long(file));
        expect(file, "");
        assert_true(logfile_was_long(file));
        if (ends) {
            expect(file, "two");
            assert_false(logfile_was_long(file));
        }
        expect_end(file);
    }
    free(text);
}

static void
test_trouble(void **state)
{
    struct logfile *file;
    char *text = mem_new(100000);
    struct span span;
    struct stat about;
    struct err err;
    char words[256];
    FILE *out;
    int r;

    (void)state;
    assert_int_equal(logfile_open(path, &file, &err), -ENOENT);
    snprintf(words, sizeof(words), "%s: No such file or directory", path);
    assert_string_equal(err.msg, words);
    assert_int_equal(logfile_open(folder, &file, &err), -EISDIR);
    snprintf(words, sizeof(words), "%s: Is a directory", folder);
    assert_string_equal(err.msg, words);

    for (int i = 0; i < 100000; i++) /* that does not compress well */
        text[i] = (char)(i % 61 == 0 ? '\n' : 'a' + (i * 7919 % 1009) % 26);
    put(text, 100000, true);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(truncate(path, about.st_size / 2), 0);
    assert_int_equal(logfile_open(path, &file, NULL), 0);
    while ((r = logfile_next(file, &span, &err)) == 1)
        ;
    assert_int_equal(r, -EBADMSG);
    snprintf(words, sizeof(words), "%s: it is compressed, and damaged or cut", path);
    assert_string_equal(err.msg, words);
    logfile_close(file);

    put(text, 100000, true);
    out = fopen(path, "r+");
    assert_non_null(out);
    assert_int_equal(fseek(out, about.st_size / 2, SEEK_SET), 0);
    assert_int_equal(fwrite("damaged", 1, 7, out), 7);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(logfile_open(path, &file, NULL), 0);
    while ((r = logfile_next(file, &span, &err)) == 1)
        ;
    assert_int_equal(r, -EBADMSG);
    logfile_close(file);
    free(text);
}

/* What no line of is read is told with what reads it. */
static void
test_compressed_otherwise(void **state)
{
    static const struct {
        const char *bytes, *cat;
    } cases[] = {{"BZh91AY&SY", "bzcat"},
                 {"\xfd"
                  "7zXZ",
                  "xzcat"},
                 {"\x28\xb5\x2f\xfd\x04", "zstdcat"},
                 {"BZ", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char expected[256];
        struct logfile *file;
        struct span line;
        struct err err;

        put(cases[i].bytes, strlen(cases[i].bytes), false);
        assert_int_equal(logfile_open(path, &file, &err), 0);
        if (cases[i].cat == NULL) {
            expect(file, cases[i].bytes);
            expect_end(file);
            continue;
        }
        assert_int_equal(logfile_next(file, &line, &err), -EBADMSG);
        snprintf(expected, sizeof(expected),
                 "%s: it is compressed, and not by gzip; read it with %s, and \"-\" for the file",
                 path, cases[i].cat);
        assert_string_equal(err.msg, expected);
        logfile_close(file);
    }
}

static void
test_written(void **state)
{
    struct timespec times[2] = {{1793872800, 0}, {1793872800, 0}};
    struct logfile *file;

    (void)state;
    put("x", 1, false);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(logfile_open(path, &file, NULL), 0);
    assert_int_equal(logfile_written_ms(file), 1793872800000);
    logfile_close(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_line_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trouble, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compressed_otherwise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_written, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
