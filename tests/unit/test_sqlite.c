/*
 * The file of books: what it keeps, whose it is, and its clock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/book.h"
#include "lib/err.h"
#include "policyd/sqlite_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/postpool-test-XXXXXX";
static char path[64];

static const struct caps caps = {{{3600000, 100, false, "hour"}}, 1};

static struct sqlite_file *
open_file(void)
{
    struct sqlite_file *file;
    struct err err;

    if (sqlite_file_open(path, &file, &err) < 0)
        fail_msg("%s", err.msg);
    return file;
}

static void
lease(struct sqlite_file *file, const char *key, uint64_t seq, uint32_t want, uint32_t expected)
{
    struct book_ask ask = {.node = "mta1", .life = 7, .seq = seq, .want = want};
    struct book_answer answer;
    struct book book;

    assert_int_equal(sqlite_file_begin(file, NULL), 0);
    assert_int_equal(sqlite_file_load(file, key, &book, NULL), 0);
    assert_int_equal(book_ask(&book, &caps, &ask, 1000000, &answer), 0);
    assert_int_equal(answer.count, expected);
    assert_int_equal(sqlite_file_save(file, key, &book, NULL), 0);
    assert_int_equal(sqlite_file_commit(file, 1000000, NULL), 0);
    book_clear(&book);
}

static void
test_keeps(void **state)
{
    struct sqlite_file *file = open_file();
    struct stat status;

    (void)state;
    lease(file, "address/a1", 1, 60, 60);
    assert_int_equal(sqlite_file_begin(file, NULL), 0);
    sqlite_file_rollback(file);
    sqlite_file_close(file);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    file = open_file();
    lease(file, "address/a1", 2, 60, 40);
    lease(file, "address/a2", 1, 60, 60);
    assert_int_equal(sqlite_file_remove(file, "address/a1", NULL), 0);
    lease(file, "address/a1", 1, 60, 60);
    sqlite_file_close(file);
}

static void
test_one_process(void **state)
{
    struct sqlite_file *file = open_file(), *other;
    struct err err;

    (void)state;
    assert_int_equal(sqlite_file_open(path, &other, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "does another postpool-policyd run?"));
    sqlite_file_close(file);
}

static void
spoil(const char *text, size_t length, long at)
{
    FILE *out = fopen(path, "r+");

    assert_non_null(out);
    fseek(out, at, SEEK_SET);
    assert_int_equal(fwrite(text, 1, length, out), length);
    fclose(out);
}

static void
test_damage(void **state)
{
    static char garbage[6000];
    struct sqlite_file *file = open_file();
    struct err err;

    (void)state;
    for (int i = 0; i < 200; i++) {
        char key[32];

        snprintf(key, sizeof(key), "address/x%d", i);
        lease(file, key, 1, 1, 1);
    }
    sqlite_file_close(file);
    memset(garbage, 0x5a, sizeof(garbage));
    spoil(garbage, sizeof(garbage), 4096);
    assert_int_equal(sqlite_file_open(path, &file, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "postpool store set-aside"));
    spoil("no database at all", 18, 0);
    assert_int_equal(sqlite_file_open(path, &file, &err), -EINVAL);
    unlink(path);
}

/* One entry: its node, of that life, held so many of an hour's cap and used some of them at at_ms.
 */
static void
put(struct sqlite_file *file, const char *key, uint64_t life, uint32_t held, int32_t used,
    int64_t at_ms)
{
    struct book_ask ask = {.node = "mta1", .life = life, .seq = 1, .want = held + (uint32_t)used};
    struct book_answer answer;
    struct book book = {0};

    assert_int_equal(book_ask(&book, &caps, &ask, at_ms, &answer), 0);
    ask.seq++;
    ask.want = 0;
    ask.report_count = used > 0;
    ask.reports[0] = (struct book_report){at_ms, used, false};
    assert_int_equal(book_ask(&book, &caps, &ask, at_ms, &answer), 0);
    assert_int_equal(book.rows[0].held, held);
    assert_int_equal(sqlite_file_save(file, key, &book, NULL), 0);
    book_clear(&book);
}

static bool
is_there(struct sqlite_file *file, const char *key)
{
    struct book book = {0};
    bool there;

    assert_int_equal(sqlite_file_load(file, key, &book, NULL), 0);
    there = book.row_count > 0;
    book_clear(&book);
    return there;
}

/* Entries whose windows have all passed go, a few at a time; nothing else does. */
static void
test_trim(void **state)
{
    enum { LIFE = 7, FORMER = 6 };
    static const int64_t hour_ms = 3600000, start_ms = 1700000000000;
    int64_t now_ms = start_ms + 3 * hour_ms;
    struct sqlite_file *file = open_file();
    char key[32];

    (void)state;
    put(file, "b/before", FORMER, 0, 20, start_ms);
    put(file, "c/counts", FORMER, 0, 20, now_ms - hour_ms);
    put(file, "d/lost", FORMER, 10, 0, start_ms);
    put(file, "e/held", LIFE, 10, 0, start_ms);
    put(file, "f/mine", LIFE, 0, 20, start_ms);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof(key), "m/%d", i);
        put(file, key, FORMER, 0, 1, start_ms);
    }
    /* the life before ended half an hour ago: what it held may have been used then */
    assert_int_equal(sqlite_file_trim(file, 4, LIFE, now_ms - hour_ms / 2, now_ms, NULL), 1);
    assert_false(is_there(file, "b/before"));
    assert_true(is_there(file, "c/counts") && is_there(file, "d/lost") && is_there(file, "e/held"));
    assert_true(is_there(file, "f/mine") && is_there(file, "m/0")); /* not in this step */
    assert_int_equal(sqlite_file_trim(file, 4, LIFE, now_ms - hour_ms / 2, now_ms, NULL), 4);
    assert_int_equal(sqlite_file_trim(file, 4, LIFE, now_ms - hour_ms / 2, now_ms, NULL), 2);
    now_ms += hour_ms; /* from the first again */
    assert_int_equal(sqlite_file_trim(file, 4, LIFE, now_ms - 3 * hour_ms / 2, now_ms, NULL), 2);
    assert_false(is_there(file, "c/counts") || is_there(file, "d/lost"));
    assert_true(is_there(file, "e/held"));
    sqlite_file_close(file);
    unlink(path);
}

static void
test_clock(void **state)
{
    struct sqlite_file *file = open_file();
    int64_t first, again, now_ms = (int64_t)time(NULL) * 1000;

    (void)state;
    assert_int_equal(sqlite_file_clock(file, 5000, &first, NULL), 0);
    assert_true(first + 5000 - now_ms < 2000 && now_ms - first - 5000 < 2000);
    assert_int_equal(sqlite_file_begin(file, NULL), 0);
    assert_int_equal(sqlite_file_commit(file, first + 9000000000, NULL), 0);
    sqlite_file_close(file);
    file = open_file();
    assert_int_equal(sqlite_file_clock(file, 7000, &again, NULL), 0);
    assert_true(again == first); /* the same boot, whatever the time of day is */
    sqlite_file_close(file);
}

static int
set_up(void **state)
{
    (void)state;
    if (path[0] == '\0' && mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/state.db", folder);
    return 0;
}

static int
tear_down(void **state)
{
    char name[80];

    (void)state;
    unlink(path);
    snprintf(name, sizeof(name), "%s-wal", path);
    unlink(name);
    rmdir(folder);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps),  cmocka_unit_test(test_one_process),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_trim),
        cmocka_unit_test(test_clock),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
