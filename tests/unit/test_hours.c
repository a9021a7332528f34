/*
 * The file with what happened to mail: what it keeps, and its bounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/replies.h"
#include "tests/unit/hours_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MB = 1024 * 1024 };

/* "a=5 b=3": what was sent, in the order of the rows. */
static void
assert_sent(enum hours_by by, const char *expected)
{
    struct hours_sums sums = hours_world_sums_of(by, 0, INT64_MAX);
    struct buf text = {0};

    for (size_t i = 0; i < sums.count; i++)
        if (by == HOURS_BY_HOUR)
            buf_printf(&text, "%lld=%d ", (long long)sums.items[i].hour,
                       (int)sums.items[i].tally.counts[TALLY_SENT]);
        else
            buf_printf(&text, "%s=%d ", sums.items[i].name,
                       (int)sums.items[i].tally.counts[TALLY_SENT]);
    assert_string_equal(buf_text(&text), expected);
    buf_clear(&text);
    hours_sums_clear(&sums);
}

/* Sums, place and queue are there again, and what comes is added. */
static void
test_keeps(void **state)
{
    struct queued *queued = queued_new();
    struct hours_saved saved;
    struct queued_wait wait;
    struct stat status;

    (void)state;
    assert_int_equal(hours_file_load(hours_world.file, &saved, NULL), 0);
    assert_int_equal(saved.place.kind, PLACE_NONE);
    assert_null(saved.log);
    assert_int_equal(queued_count(saved.queued), 0);
    queued_free(saved.queued);

    queued_track(queued);
    queued_note(queued, (struct span){"4A", 2}, (struct span){"a@b.test", 8});
    queued_note(queued, (struct span){"4B", 2}, (struct span){"", 0});
    queued_set_heard(queued, (struct span){"4B", 2});
    queued_set_waits(queued, (struct span){"4B", 2}, "x@one.test", 123456789012345);
    queued_take_changes(queued, &hours_world.batch->queue);
    for (int i = 0; i < TALLY_COUNTERS; i++)
        hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[i] = (uint64_t)i + 1;
    hours_world_commit();
    hours_world_reopen();
    hours_world_begin();
    queued_remove(queued, (struct span){"4A", 2});
    queued_take_changes(queued, &hours_world.batch->queue);
    for (int i = 0; i < TALLY_COUNTERS; i++)
        hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[i] = 100;
    hours_world.batch->place.file.offset = 200;
    hours_world_commit();
    hours_world_reopen();

    assert_int_equal(hours_file_load(hours_world.file, &saved, NULL), 0);
    assert_int_equal(saved.place.file.inode, 1);
    assert_int_equal(saved.place.file.offset, 200);
    assert_int_equal(saved.place.file.mark, 2);
    assert_string_equal(saved.log, "/var/log/mail.log");
    assert_int_equal(queued_count(saved.queued), 1);
    assert_string_equal(queued_sender(saved.queued, (struct span){"4B", 2}), "");
    assert_true(queued_is_heard(saved.queued, (struct span){"4B", 2}));
    assert_int_equal(queued_change_count(saved.queued), 0);
    assert_true(queued_next_waiting(saved.queued, &wait));
    assert_string_equal(wait.recipient, "x@one.test");
    assert_int_equal(wait.since_ms, 123456789012345);
    assert_false(queued_next_waiting(saved.queued, &wait));
    queued_free(saved.queued);
    free(saved.log);
    queued_free(queued);
    {
        struct hours_sums sums = hours_world_sums_of(HOURS_BY_STREAM, HOUR, HOUR);

        assert_int_equal(sums.count, 1);
        for (int i = 0; i < TALLY_COUNTERS; i++)
            assert_int_equal(sums.items[0].tally.counts[i], 101 + i);
        hours_sums_clear(&sums);
    }
    assert_int_equal(stat(hours_world.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    hours_world_begin();
}

/* A column for each class that a rule can have, whatever it is called. */
static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(hours_file_counter(TALLY_SENT), "sent");
    assert_string_equal(hours_file_counter(TALLY_DEFERRED + ACCUSED_GREYLIST), "deferred_greylist");
    assert_string_equal(hours_file_counter(TALLY_BOUNCED + ACCUSED_COUNT), "bounced_unknown");
    assert_string_equal(hours_file_counter(TALLY_DELAY + 23), "delay_23");
    assert_string_equal(hours_file_counter(TALLY_COMPLAINTS), "complaints");
    assert_string_equal(hours_file_counter(TALLY_RETURNED), "returned");
}

/* A file of before complaints were counted has what it had, and counts on. */
static void
test_upgrade(void **state)
{
    static const char *const tables[] = {"mail", "accounts", "shared_mail", "shared_accounts"};
    struct hours_sums sums;

    (void)state;
    hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_DELAY + 23] = 7;
    hours_world_account(HOUR, "a.test", "bulk", "p")->counts[TALLY_SENT] = 8;
    hours_world_commit();
    for (size_t i = 0; i < COUNT(tables); i++) {
        char *sql = mem_printf("ALTER TABLE %s DROP COLUMN complaints; ALTER TABLE %s DROP COLUMN "
                               "returned; PRAGMA user_version = 2",
                               tables[i], tables[i]);

        assert_int_equal(sqlite3_exec(hours_file_db(hours_world.file), sql, NULL, NULL, NULL),
                         SQLITE_OK);
        free(sql);
    }
    for (int i = 1; i < 3; i++) {
        hours_world_reopen();
        hours_world_begin();
        hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_COMPLAINTS] = 2;
        hours_world_account(HOUR, "a.test", "bulk", "p")->counts[TALLY_RETURNED] = 3;
        hours_world_commit();
        sums = hours_world_sums_of(HOURS_BY_STREAM, HOUR, HOUR);
        assert_int_equal(sums.total.tally.counts[TALLY_DELAY + 23], 7);
        assert_int_equal(sums.total.tally.counts[TALLY_COMPLAINTS], 2 * i);
        hours_sums_clear(&sums);
        sums = hours_world_sums_of(HOURS_BY_ACCOUNT, HOUR, HOUR);
        assert_int_equal(sums.total.tally.counts[TALLY_SENT], 8);
        assert_int_equal(sums.total.tally.counts[TALLY_RETURNED], 3 * i);
        hours_sums_clear(&sums);
    }
    hours_world_begin();
}

/* A transaction that fails changes nothing: here the file is open to be read alone. */
static void
test_all_or_nothing(void **state)
{
    struct hours_saved saved;
    struct err err;

    (void)state;
    hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
    hours_world_commit();
    hours_world_begin();
    hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 5;
    hours_world.batch->place.file.offset = 300;
    assert_int_equal(sqlite3_exec(hours_file_db(hours_world.file),
                                  "CREATE TRIGGER t BEFORE INSERT ON place BEGIN SELECT "
                                  "raise(ABORT, 'no'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(
        hours_file_commit(hours_world.file, hours_world.batch, &hours_world.limits, &err), -EIO);
    assert_non_null(strstr(err.msg, "no"));
    assert_sent(HOURS_BY_ADDRESS, "b1=1 ");
    assert_int_equal(hours_file_load(hours_world.file, &saved, NULL), 0);
    assert_int_equal(saved.place.file.offset, 100);
    queued_free(saved.queued);
    free(saved.log);
    sqlite3_exec(hours_file_db(hours_world.file), "DROP TRIGGER t", NULL, NULL, NULL);
    hours_world_commit();
    assert_sent(HOURS_BY_ADDRESS, "b1=6 ");
    hours_world_begin();
}

/* What each question adds up. */
static void
test_sums(void **state)
{
    struct hours_sums sums;

    (void)state;
    hours_world_mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
    hours_world_mail(HOUR, "bulk", "p", "b2", "google")->counts[TALLY_SENT] = 2;
    hours_world_mail(HOUR + 1, "bulk", "p", "b2", "other")->counts[TALLY_SENT] = 4;
    hours_world_mail(HOUR + 1, "tx", "q", "", "google")->counts[TALLY_DEFERRED] = 8;
    hours_world_account(HOUR, "a.test", "bulk", "p")->counts[TALLY_SENT] = 3;
    hours_world_account(HOUR, "a.test", "tx", "q")->counts[TALLY_SENT] = 4;
    hours_world_suspended(HOUR, "b1", "")->counts[0] = 1000;
    hours_world_suspended(HOUR, "b1", "google")->counts[0] = 2000;
    hours_world_suspended(HOUR, "b3", "")->counts[0] = 4000;
    hours_world_commit();
    assert_sent(HOURS_BY_ADDRESS, "=0 b2=6 b1=1 b3=0 ");
    assert_sent(HOURS_BY_STREAM, "tx=0 bulk=7 ");
    assert_sent(HOURS_BY_POOL, "q=0 p=7 ");
    assert_sent(HOURS_BY_PROVIDER, "google=3 other=4 ");
    assert_sent(HOURS_BY_ACCOUNT, "a.test=7 ");
    assert_sent(HOURS_BY_HOUR, "480000=3 480001=4 ");
    sums = hours_world_sums_of(HOURS_BY_ADDRESS, HOUR + 1, HOUR + 1);
    assert_int_equal(sums.count, 2); /* the other hour is not asked for */
    hours_sums_clear(&sums);
    sums = hours_world_sums_of(HOURS_BY_ADDRESS, HOUR, HOUR);
    assert_int_equal(sums.total.suspended_ms, 5000);
    hours_sums_clear(&sums);
    sums = hours_world_sums_of(HOURS_BY_PROVIDER, HOUR, HOUR);
    assert_int_equal(sums.items[0].suspended_ms, 2000);
    hours_sums_clear(&sums);
    sums = hours_world_sums_of(HOURS_BY_HOUR, HOUR, HOUR);
    assert_int_equal(sums.items[0].suspended_ms, 7000);
    hours_sums_clear(&sums);
    hours_world_begin();
}

/* More rows than are told are added up. */
static void
test_omitted(void **state)
{
    struct hours_sums sums;
    char name[16];

    (void)state;
    hours_world.limits.accounts = 10000;
    tallies_free(hours_world.batch->tallies);
    hours_world.tallies = hours_world.batch->tallies = tallies_new(10000);
    for (int i = 0; i < HOURS_SUMS_MAX + 10; i++) {
        snprintf(name, sizeof(name), "%d.test", i);
        hours_world_account(HOUR, name, "bulk", "p")->counts[TALLY_SENT] = i < 10 ? 1 : 2;
    }
    hours_world_commit();
    sums = hours_world_sums_of(HOURS_BY_ACCOUNT, HOUR, HOUR);
    assert_int_equal(sums.count, HOURS_SUMS_MAX);
    assert_int_equal(sums.omitted, 10);
    assert_int_equal(sums.remainder.tally.counts[TALLY_SENT], 10);
    assert_int_equal(sums.total.tally.counts[TALLY_SENT], 2 * HOURS_SUMS_MAX + 10);
    hours_sums_clear(&sums);
    hours_world_begin();
}

/* Of hours those that are longest ago are added up, the others stand in their order. */
static void
test_omitted_hours(void **state)
{
    struct hours_sums sums;

    (void)state;
    for (int i = 0; i < HOURS_SUMS_MAX + 10; i++)
        hours_world_mail(HOUR - i, "bulk", "p", "b1", "other")->counts[TALLY_SENT] = 1;
    hours_world_commit();
    sums = hours_world_sums_of(HOURS_BY_HOUR, 0, HOUR);
    assert_int_equal(sums.count, HOURS_SUMS_MAX);
    assert_int_equal(sums.omitted, 10);
    for (size_t i = 0; i < sums.count; i++)
        assert_int_equal(sums.items[i].hour, HOUR - HOURS_SUMS_MAX + 1 + (int64_t)i);
    hours_sums_clear(&sums);
    hours_world_begin();
}

/* So many accounts an hour, over all transactions. */
static void
test_accounts(void **state)
{
    (void)state;
    hours_world.limits.accounts = 2;
    hours_world_account(HOUR, "a.test", "bulk", "p")->counts[TALLY_SENT] = 1;
    hours_world_commit();
    hours_world_begin();
    hours_world_account(HOUR, "b.test", "bulk", "p")->counts[TALLY_SENT] = 2;
    hours_world_account(HOUR, "c.test", "bulk", "p")->counts[TALLY_SENT] = 4;
    hours_world_account(HOUR, "d.test", "bulk", "p")->counts[TALLY_SENT] = 8;
    hours_world_account(HOUR, "a.test", "bulk", "p")->counts[TALLY_SENT] = 16;
    hours_world_account(HOUR + 1, "e.test", "bulk", "p")->counts[TALLY_SENT] = 5;
    hours_world_commit();
    assert_sent(HOURS_BY_ACCOUNT, "a.test=17 *=12 e.test=5 b.test=2 ");
    hours_world_begin();
}

static int
trim(int64_t now_hour)
{
    struct err err;
    int r, count = 0;

    while ((r = hours_file_trim(hours_world.file, &hours_world.limits, now_hour * TALLIES_HOUR_MS,
                                &err)) > 0)
        count++;
    if (r < 0)
        fail_msg("%s", err.msg);
    return count;
}

/* What is too old goes, of all kinds. */
static void
test_old(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        hours_world_mail(HOUR + i, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
        hours_world_account(HOUR + i, "a.test", "bulk", "p")->counts[TALLY_SENT] = 1;
        hours_world_suspended(HOUR + i, "b1", "")->counts[0] = 1;
        hours_world_unmet(HOUR + i, "bulk", "one_click")->counts[0] = 1;
    }
    hours_world_commit();
    hours_world.limits.keep_ms = 24 * (int64_t)TALLIES_HOUR_MS;
    assert_int_equal(trim(HOUR + 24), 0);
    assert_int_equal(trim(HOUR + 26), 2);
    assert_sent(HOURS_BY_HOUR, "480002=1 480003=1 480004=1 ");
    assert_sent(HOURS_BY_ACCOUNT, "a.test=3 ");
    assert_int_equal(trim(HOUR + 1000), 2); /* never the newest */
    assert_sent(HOURS_BY_HOUR, "480004=1 ");
    hours_world_begin();
}

/* Too many rows: the oldest hours go. */
static void
test_rows(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        hours_world_mail(HOUR + i, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
    hours_world_commit();
    hours_world.limits.rows = 3;
    assert_int_equal(trim(HOUR + 10), 7);
    assert_sent(HOURS_BY_HOUR, "480007=1 480008=1 480009=1 ");
    hours_world_begin();
}

/* Too many bytes: the oldest hours go in the same transaction, and the file grows no more. */
static void
test_bytes(void **state)
{
    enum { HOURS = 120, ROWS = 100 };
    struct stat status;
    struct hours_sums sums;
    char name[16];

    (void)state;
    hours_world.limits.bytes = MB / 2;
    for (int hour = 0; hour < HOURS; hour++) {
        for (int i = 0; i < ROWS; i++) {
            snprintf(name, sizeof(name), "b%d", i);
            hours_world_mail(HOUR + hour, "bulk", "p", name, "google")->counts[TALLY_SENT] = 1000;
        }
        hours_world_commit();
        assert_in_range(hours_file_bytes(hours_world.file), 1, MB / 2);
        hours_world_begin();
    }
    assert_int_equal(stat(hours_world.path, &status), 0);
    assert_in_range(status.st_size, 1, MB);
    sums = hours_world_sums_of(HOURS_BY_HOUR, 0, INT64_MAX);
    assert_in_range(sums.count, 10, HOURS - 10);
    assert_int_equal(sums.items[sums.count - 1].hour, HOUR + HOURS - 1);
    for (size_t i = 0; i < sums.count; i++) /* none in part */
        assert_int_equal(sums.items[i].tally.counts[TALLY_SENT], 1000 * ROWS);
    hours_sums_clear(&sums);
}

/* What is not ours, damaged, or another's at the moment, is not touched. */
static void
test_not_ours(void **state)
{
    struct hours_file *other;
    struct err err;
    int fd;

    (void)state;
    assert_int_equal(hours_file_open(hours_world.path, &other, &err), -EBUSY);
    sqlite3_exec(hours_file_db(hours_world.file), "PRAGMA user_version = 99", NULL, NULL, NULL);
    hours_file_close(hours_world.file);
    assert_int_equal(hours_file_open(hours_world.path, &hours_world.file, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "of another version"));
    fd = open(hours_world.path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "this is no database, but long enough to be read as one", 54), 54);
    close(fd);
    assert_int_equal(hours_file_open(hours_world.path, &hours_world.file, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "is damaged"));
    assert_int_equal(hours_file_open("/nowhere/figures.db", &hours_world.file, &err), -EIO);
    hours_world.file = NULL;
}

static int
run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keeps, hours_world_setup, hours_world_teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_upgrade, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_all_or_nothing, hours_world_setup,
                                        hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_sums, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_omitted_hours, hours_world_setup,
                                        hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_omitted, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_accounts, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_old, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_rows, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_bytes, hours_world_setup, hours_world_teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, hours_world_setup, hours_world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
    return hours_world_run(run);
}
