/*
 * The file with what happened to mail: what it keeps, its bounds, and what is told of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/tallies.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/replies.h"
#include "policyd/hours_advice.h"
#include "policyd/hours_file.h"
#include "policyd/hours_report.h"
#include "policyd/hours_sums.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOUR = 480000, MB = 1024 * 1024 };

static char folder[] = "/tmp/postpool-test-XXXXXX";
static char path[64];
static struct hours_file *file;
static struct tallies *tallies;
static struct hours_batch *batch;
static struct hours_limits limits;

static struct hours_batch *
batch_new(void)
{
    struct hours_batch *made = mem_new(sizeof(*made));

    made->tallies = tallies_new(1000);
    TAILQ_INIT(&made->queue);
    made->place = (struct place){.kind = PLACE_FILE, .file = {1, 100, 2}};
    made->log = mem_strdup("/var/log/mail.log");
    return made;
}

static void
begin(void)
{
    batch = batch_new();
    tallies = batch->tallies;
}

static void
commit(void)
{
    struct err err;

    if (hours_file_commit(file, batch, &limits, &err) < 0)
        fail_msg("%s", err.msg);
    hours_batch_free(batch);
    batch = NULL;
}

static void
reopen(void)
{
    struct err err;

    hours_file_close(file);
    if (hours_file_open(path, &file, &err) < 0)
        fail_msg("%s", err.msg);
}

static int
setup(void **state)
{
    (void)state;
    unlink(path);
    limits = (struct hours_limits){1000, INT64_C(90) * 24 * 3600 * 1000, 100 * MB, 1000 * 1000};
    file = NULL;
    reopen();
    begin();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    hours_batch_free(batch);
    hours_file_close(file);
    return 0;
}

static struct tally *
mail(int64_t hour, const char *stream, const char *pool, const char *address, const char *provider)
{
    return tallies_at(tallies, TALLIES_MAIL, hour,
                      (const char *const[TALLIES_NAMES]){stream, pool, address, provider});
}

static struct tally *
account(int64_t hour, const char *name, const char *stream, const char *pool)
{
    return tallies_at(tallies, TALLIES_ACCOUNTS, hour,
                      (const char *const[TALLIES_NAMES]){name, stream, pool});
}

static struct tally *
suspended(int64_t hour, const char *address, const char *provider)
{
    return tallies_at(tallies, TALLIES_SUSPENDED, hour,
                      (const char *const[TALLIES_NAMES]){address, provider});
}

static struct hours_sums
sums_of(enum hours_by by, int64_t from, int64_t to)
{
    struct hours_sums sums;
    struct err err;

    if (hours_sums_read(file, by, from, to, &sums, &err) < 0)
        fail_msg("%s", err.msg);
    return sums;
}

/* "a=5 b=3": what was sent, in the order of the rows. */
static void
assert_sent(enum hours_by by, const char *expected)
{
    struct hours_sums sums = sums_of(by, 0, INT64_MAX);
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
    struct stat status;

    (void)state;
    assert_int_equal(hours_file_load(file, &saved, NULL), 0);
    assert_int_equal(saved.place.kind, PLACE_NONE);
    assert_null(saved.log);
    assert_int_equal(queued_count(saved.queued), 0);
    queued_free(saved.queued);

    queued_track(queued);
    queued_note(queued, (struct span){"4A", 2}, (struct span){"a@b.test", 8});
    queued_note(queued, (struct span){"4B", 2}, (struct span){"", 0});
    queued_set_heard(queued, (struct span){"4B", 2});
    queued_take_changes(queued, &batch->queue);
    for (int i = 0; i < TALLY_COUNTERS; i++)
        mail(HOUR, "bulk", "p", "b1", "google")->counts[i] = (uint64_t)i + 1;
    commit();
    reopen();
    begin();
    queued_remove(queued, (struct span){"4A", 2});
    queued_take_changes(queued, &batch->queue);
    for (int i = 0; i < TALLY_COUNTERS; i++)
        mail(HOUR, "bulk", "p", "b1", "google")->counts[i] = 100;
    batch->place.file.offset = 200;
    commit();
    reopen();

    assert_int_equal(hours_file_load(file, &saved, NULL), 0);
    assert_int_equal(saved.place.file.inode, 1);
    assert_int_equal(saved.place.file.offset, 200);
    assert_int_equal(saved.place.file.mark, 2);
    assert_string_equal(saved.log, "/var/log/mail.log");
    assert_int_equal(queued_count(saved.queued), 1);
    assert_string_equal(queued_sender(saved.queued, (struct span){"4B", 2}), "");
    assert_true(queued_is_heard(saved.queued, (struct span){"4B", 2}));
    assert_int_equal(queued_change_count(saved.queued), 0);
    queued_free(saved.queued);
    free(saved.log);
    queued_free(queued);
    {
        struct hours_sums sums = sums_of(HOURS_BY_STREAM, HOUR, HOUR);

        assert_int_equal(sums.count, 1);
        for (int i = 0; i < TALLY_COUNTERS; i++)
            assert_int_equal(sums.items[0].tally.counts[i], 101 + i);
        hours_sums_clear(&sums);
    }
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    begin();
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
}

/* A transaction that fails changes nothing: here the file is open to be read alone. */
static void
test_all_or_nothing(void **state)
{
    struct hours_saved saved;
    struct err err;

    (void)state;
    mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
    commit();
    begin();
    mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 5;
    batch->place.file.offset = 300;
    assert_int_equal(sqlite3_exec(hours_file_db(file),
                                  "CREATE TRIGGER t BEFORE INSERT ON place BEGIN SELECT "
                                  "raise(ABORT, 'no'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(hours_file_commit(file, batch, &limits, &err), -EIO);
    assert_non_null(strstr(err.msg, "no"));
    assert_sent(HOURS_BY_ADDRESS, "b1=1 ");
    assert_int_equal(hours_file_load(file, &saved, NULL), 0);
    assert_int_equal(saved.place.file.offset, 100);
    queued_free(saved.queued);
    free(saved.log);
    sqlite3_exec(hours_file_db(file), "DROP TRIGGER t", NULL, NULL, NULL);
    commit();
    assert_sent(HOURS_BY_ADDRESS, "b1=6 ");
    begin();
}

/* What each question adds up. */
static void
test_sums(void **state)
{
    struct hours_sums sums;

    (void)state;
    mail(HOUR, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
    mail(HOUR, "bulk", "p", "b2", "google")->counts[TALLY_SENT] = 2;
    mail(HOUR + 1, "bulk", "p", "b2", "other")->counts[TALLY_SENT] = 4;
    mail(HOUR + 1, "tx", "q", "", "google")->counts[TALLY_DEFERRED] = 8;
    account(HOUR, "a.test", "bulk", "p")->counts[TALLY_SENT] = 3;
    account(HOUR, "a.test", "tx", "q")->counts[TALLY_SENT] = 4;
    suspended(HOUR, "b1", "")->counts[0] = 1000;
    suspended(HOUR, "b1", "google")->counts[0] = 2000;
    suspended(HOUR, "b3", "")->counts[0] = 4000;
    commit();
    assert_sent(HOURS_BY_ADDRESS, "=0 b2=6 b1=1 b3=0 ");
    assert_sent(HOURS_BY_STREAM, "tx=0 bulk=7 ");
    assert_sent(HOURS_BY_POOL, "q=0 p=7 ");
    assert_sent(HOURS_BY_PROVIDER, "google=3 other=4 ");
    assert_sent(HOURS_BY_ACCOUNT, "a.test=7 ");
    assert_sent(HOURS_BY_HOUR, "480000=3 480001=4 ");
    sums = sums_of(HOURS_BY_ADDRESS, HOUR + 1, HOUR + 1);
    assert_int_equal(sums.count, 2); /* the other hour is not asked for */
    hours_sums_clear(&sums);
    sums = sums_of(HOURS_BY_ADDRESS, HOUR, HOUR);
    assert_int_equal(sums.total.suspended_ms, 5000);
    hours_sums_clear(&sums);
    sums = sums_of(HOURS_BY_PROVIDER, HOUR, HOUR);
    assert_int_equal(sums.items[0].suspended_ms, 2000);
    hours_sums_clear(&sums);
    sums = sums_of(HOURS_BY_HOUR, HOUR, HOUR);
    assert_int_equal(sums.items[0].suspended_ms, 7000);
    hours_sums_clear(&sums);
    begin();
}

/* More rows than are told are added up. */
static void
test_omitted(void **state)
{
    struct hours_sums sums;
    char name[16];

    (void)state;
    limits.accounts = 10000;
    tallies_free(batch->tallies);
    tallies = batch->tallies = tallies_new(10000);
    for (int i = 0; i < HOURS_SUMS_MAX + 10; i++) {
        snprintf(name, sizeof(name), "%d.test", i);
        account(HOUR, name, "bulk", "p")->counts[TALLY_SENT] = i < 10 ? 1 : 2;
    }
    commit();
    sums = sums_of(HOURS_BY_ACCOUNT, HOUR, HOUR);
    assert_int_equal(sums.count, HOURS_SUMS_MAX);
    assert_int_equal(sums.omitted, 10);
    assert_int_equal(sums.remainder.tally.counts[TALLY_SENT], 10);
    assert_int_equal(sums.total.tally.counts[TALLY_SENT], 2 * HOURS_SUMS_MAX + 10);
    hours_sums_clear(&sums);
    begin();
}

/* So many accounts an hour, over all transactions. */
static void
test_accounts(void **state)
{
    (void)state;
    limits.accounts = 2;
    account(HOUR, "a.test", "bulk", "p")->counts[TALLY_SENT] = 1;
    commit();
    begin();
    account(HOUR, "b.test", "bulk", "p")->counts[TALLY_SENT] = 2;
    account(HOUR, "c.test", "bulk", "p")->counts[TALLY_SENT] = 4;
    account(HOUR, "d.test", "bulk", "p")->counts[TALLY_SENT] = 8;
    account(HOUR, "a.test", "bulk", "p")->counts[TALLY_SENT] = 16;
    account(HOUR + 1, "e.test", "bulk", "p")->counts[TALLY_SENT] = 5;
    commit();
    assert_sent(HOURS_BY_ACCOUNT, "a.test=17 *=12 e.test=5 b.test=2 ");
    begin();
}

static int
trim(int64_t now_hour)
{
    struct err err;
    int r, count = 0;

    while ((r = hours_file_trim(file, &limits, now_hour * TALLIES_HOUR_MS, &err)) > 0)
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
        mail(HOUR + i, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
        account(HOUR + i, "a.test", "bulk", "p")->counts[TALLY_SENT] = 1;
        suspended(HOUR + i, "b1", "")->counts[0] = 1;
    }
    commit();
    limits.keep_ms = 24 * (int64_t)TALLIES_HOUR_MS;
    assert_int_equal(trim(HOUR + 24), 0);
    assert_int_equal(trim(HOUR + 26), 2);
    assert_sent(HOURS_BY_HOUR, "480002=1 480003=1 480004=1 ");
    assert_sent(HOURS_BY_ACCOUNT, "a.test=3 ");
    assert_int_equal(trim(HOUR + 1000), 2); /* never the newest */
    assert_sent(HOURS_BY_HOUR, "480004=1 ");
    begin();
}

/* Too many rows: the oldest hours go. */
static void
test_rows(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        mail(HOUR + i, "bulk", "p", "b1", "google")->counts[TALLY_SENT] = 1;
    commit();
    limits.rows = 3;
    assert_int_equal(trim(HOUR + 10), 7);
    assert_sent(HOURS_BY_HOUR, "480007=1 480008=1 480009=1 ");
    begin();
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
    limits.bytes = MB / 2;
    for (int hour = 0; hour < HOURS; hour++) {
        for (int i = 0; i < ROWS; i++) {
            snprintf(name, sizeof(name), "b%d", i);
            mail(HOUR + hour, "bulk", "p", name, "google")->counts[TALLY_SENT] = 1000;
        }
        commit();
        assert_in_range(hours_file_bytes(file), 1, MB / 2);
        begin();
    }
    assert_int_equal(stat(path, &status), 0);
    assert_in_range(status.st_size, 1, MB);
    sums = sums_of(HOURS_BY_HOUR, 0, INT64_MAX);
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
    assert_int_equal(hours_file_open(path, &other, &err), -EBUSY);
    sqlite3_exec(hours_file_db(file), "PRAGMA user_version = 99", NULL, NULL, NULL);
    hours_file_close(file);
    assert_int_equal(hours_file_open(path, &file, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "of another version"));
    fd = open(path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "this is no database, but long enough to be read as one", 54), 54);
    close(fd);
    assert_int_equal(hours_file_open(path, &file, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "is damaged"));
    assert_int_equal(hours_file_open("/nowhere/figures.db", &file, &err), -EIO);
    file = NULL;
}

/* ------------------------------------------------------------------- reports */

static void
test_questions(void **state)
{
    static const struct {
        const char *text;
        const char *why; /* NULL: it is good */
    } cases[] = {
        {"address 7d", NULL},
        {"hour 36h json", NULL},
        {"address", "behind report stand what to report by and for how long, such as \"address "
                    "7d\", and nothing else but json"},
        {"address 7d yaml", "behind report stand what to report by and for how long, such as "
                            "\"address 7d\", and nothing else but json"},
        {"address 7d json x", "behind report stand what to report by and for how long, such as "
                              "\"address 7d\", and nothing else but json"},
        {"moon 7d", "\"moon\" is nothing to report by, write address, stream, provider, account, "
                    "pool or hour"},
        {"address 7", "\"7\" has no unit that is known, write ms, s, m, h or d"},
    };
    struct hours_question question = {HOURS_BY_POOL, 5, false};
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int r = hours_question_parse(cases[i].text, &question, &err);

        print_message("%s\n", cases[i].text);
        assert_int_equal(r, cases[i].why == NULL ? 0 : -EINVAL);
        if (cases[i].why != NULL)
            assert_string_equal(err.msg, cases[i].why);
    }
    assert_int_equal(question.by, HOURS_BY_HOUR); /* of the last that was good */
    assert_int_equal(question.since_ms, 36 * 3600 * 1000);
    assert_true(question.json);
}

static char *
report(enum hours_by by, bool json, const struct hours_advice *advice)
{
    struct hours_report report = {
        .question = {by, 3600 * 1000, json},
        .node = "mta1",
        .from_ms = (int64_t)HOUR * TALLIES_HOUR_MS,
        .to_ms = (int64_t)HOUR * TALLIES_HOUR_MS + 61000,
        .advice = advice,
    };
    struct buf text = {0};

    report.sums = sums_of(by, HOUR, HOUR);
    (json ? hours_report_json : hours_report_print)(&report, &text);
    hours_sums_clear(&report.sums);
    return buf_take(&text);
}

static void
some_mail(void)
{
    struct tally *b1 = mail(HOUR, "bulk", "p", "b1", "google");
    struct tally *none = mail(HOUR, "bulk", "p", "", "google");

    b1->counts[TALLY_SENT] = 900;
    b1->counts[TALLY_DELAY + 4] = 450; /* 0.8 s to 1.6 s */
    b1->counts[TALLY_DELAY + 10] = 450;
    b1->counts[TALLY_BOUNCED + ACCUSED_RECIPIENT] = 99;
    b1->counts[TALLY_BOUNCED + ACCUSED_COUNT] = 1;
    b1->counts[TALLY_DEFERRED + ACCUSED_ADDRESS] = 7;
    b1->counts[TALLY_RESCUED] = 7;
    none->counts[TALLY_DEFERRED + ACCUSED_COUNT] = 30;
    none->counts[TALLY_FULL] = 30;
    suspended(HOUR, "b1", "")->counts[0] = 90 * 1000;
    account(HOUR, "", "bulk", "p")->counts[TALLY_SENT] = 1;
    account(HOUR, TALLIES_OTHERS, "bulk", "p")->counts[TALLY_SENT] = 2;
    commit();
    begin();
}

static void
test_table(void **state)
{
    char *text;

    (void)state;
    some_mail();
    text = report(HOURS_BY_ADDRESS, false, NULL);
    assert_string_equal(
        text,
        "recipients on mta1 from 2024-10-04 00:00 to 2024-10-04 00:01\n"
        "\n"
        "address        sent   deferrals    bounced   bounces  rescued  suspended       p50       "
        "p95       p99\n"
        "b1              900           7        100   10.00 %        7       90 s     1.6 s      "
        "96 s     101 s\n"
        "(none)            0          30          0    0.00 %        0          -         -       "
        "  -         -\n"
        "total           900          37        100   10.00 %        7       90 s     1.6 s      "
        "96 s     101 s\n"
        "\n"
        "bounced by what replies accuse: recipient 99, unknown 1\n"
        "deferrals likewise: address 7, unknown 30; of these for want of room under caps: 30\n");
    free(text);
    text = report(HOURS_BY_ACCOUNT, false, NULL);
    assert_non_null(strstr(text, "\n<>                 1  "));
    assert_non_null(strstr(text, "\n(others)           2  "));
    assert_null(strstr(text, "suspended"));
    free(text);
}

static void
test_json(void **state)
{
    char *text;

    (void)state;
    some_mail();
    text = report(HOURS_BY_ADDRESS, true, NULL);
    assert_non_null(strstr(
        text,
        "{\"node\":\"mta1\",\"by\":\"address\",\"from\":1728000000,\"to\":1728000061,"
        "\"rows\":[{\"address\":\"b1\",\"sent\":900,\"deferred\":7,\"bounced\":100,"
        "\"bounce_share\":0.10000000000000001,\"rescued\":7,\"no_room\":0,\"suspended_ms\":90000,"
        "\"deferred_by\":{\"address\":7},\"bounced_by\":{\"recipient\":99,"
        "\"unknown\":1},\"delay_p50_ms\":1600,"));
    assert_non_null(strstr(text, "\"warnings\":[]}\n"));
    free(text);
    text = report(HOURS_BY_HOUR, true, NULL);
    assert_non_null(strstr(text, "\"rows\":[{\"hour\":1728000000,\"sent\":900,"));
    free(text);
}

/* ------------------------------------------------------------------ warnings */

static char *
warnings(struct conf *conf)
{
    struct hours_advice *advice = NULL;
    struct buf text = {0};
    struct err err;

    if (hours_advice_make(file, conf, HOUR, &advice, &err) < 0)
        fail_msg("%s", err.msg);
    hours_advice_print(advice, &text);
    hours_advice_free(advice);
    buf_puts(&text, "");
    return buf_take(&text);
}

/* Streams that meet in one pool, and are of one kind when they say so. */
static void
test_mixed(void **state)
{
    struct conf *conf = unit_conf_with("");
    char *text;

    (void)state;
    mail(HOUR - 1, "tx", "fast", "a1", "other")->counts[TALLY_SENT] = 300;
    mail(HOUR - 2, "default", "fast", "a1", "other")->counts[TALLY_SENT] = 100;
    mail(HOUR - 1, "tx", "fast", "a2", "other")->counts[TALLY_SENT] = 600;
    mail(HOUR - 1, "default", "fast", "a2", "other")->counts[TALLY_SENT] = 1400;
    mail(HOUR - 1, "bulk", "bulk", "b1", "other")->counts[TALLY_SENT] = 500;
    mail(HOUR - 1, "tx", "fast", "gone", "other")->counts[TALLY_SENT] = 500;
    mail(HOUR - 1, "bulk", "fast", "gone", "other")->counts[TALLY_SENT] = 500;
    mail(HOUR - 31 * 24, "client", "bulk", "b1", "other")->counts[TALLY_SENT] = 500; /* long ago */
    commit();
    begin();
    text = warnings(conf);
    assert_string_equal(
        text, "warning: address a2 and 1 more send different kinds of mail: 70 % default, 30 % tx "
              "of 2000 in 30 days; what harms one harms the others: give each kind addresses of "
              "its own, or say with streams.kind that they are of one kind\n");
    free(text);
    free(conf->snapshot->streams[3].kind);
    conf->snapshot->streams[3].kind = mem_strdup("tx");
    text = warnings(conf);
    assert_string_equal(text, "");
    free(text);
    conf_unref(conf);
}

static void
test_thin_and_most(void **state)
{
    struct conf *conf = unit_conf_with(
        "providers: { google = { domains = ( \"gmail.com\" ); }; }; figures: { thin = 1000; };");
    char *text;

    (void)state;
    mail(HOUR - 9 * 24, "tx", "fast", "a1", "google")->counts[TALLY_SENT] = 200;
    mail(HOUR - 1, "tx", "fast", "a2", "google")->counts[TALLY_SENT] = 300;
    account(HOUR - 1, "big.test", "bulk", "bulk")->counts[TALLY_SENT] = 900;
    account(HOUR - 1, "one.test", "bulk", "bulk")->counts[TALLY_SENT] = 200;
    account(HOUR - 1, "two.test", "client", "bulk")->counts[TALLY_SENT] = 200;
    account(HOUR - 1, TALLIES_OTHERS, "bulk", "bulk")->counts[TALLY_SENT] = 100;
    commit();
    begin();
    text = warnings(conf);
    assert_string_equal(
        text,
        "warning: pool fast has 2 addresses for 1500 messages a month to google, 750 each; with "
        "fewer than 1000 an address gets no reputation there: use 1\n"
        "warning: account big.test is 64 % of pool bulk (900 of 1400 in 10 days), which 2 others "
        "share; its reputation is theirs: give it a stream and a pool of its own\n");
    free(text);
    conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keeps, setup, teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_omitted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accounts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test(test_questions),
        cmocka_unit_test_setup_teardown(test_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mixed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thin_and_most, setup, teardown),
    };
    int failed;

    setenv("TZ", "UTC", 1);
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/figures.db", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed;
}
