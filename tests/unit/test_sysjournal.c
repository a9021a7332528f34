/*
 * The systemd journal as a log: every entry of Postfix once, and of nobody else.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/maillog.h"
#include "lib/mem.h"
#include "policyd/sysjournal.h"

#include <dirent.h>
#include <event2/event.h>
#include <sys/time.h>
#include <unistd.h>

#define REMOTE "/lib/systemd/systemd-journal-remote"

#ifdef HAVE_LIBSYSTEMD

static struct event_base *base;
static struct sysjournal *journal;
static char folder[] = "/tmp/postpool-test-XXXXXX";

static struct buf told; /* "ident message" of each entry */
static size_t wanted;   /* entries; 0: until all was told */
static struct maillog_time last_time;
static bool slow; /* each entry takes its time, so that a slice has few of them */

static void
on_entry(void *arg, const struct maillog_frame *frame)
{
    (void)arg;
    buf_add(&told, frame->ident.start, frame->ident.length);
    buf_puts(&told, " ");
    buf_add(&told, frame->message.start, frame->message.length);
    buf_puts(&told, "\n");
    last_time = frame->time;
    if (slow)
        usleep(20);
    if (wanted > 0 && --wanted == 0)
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
begin(const char *cursor)
{
    const struct sysjournal_events events = {on_entry, on_idle, NULL};

    base = event_base_new();
    journal = sysjournal_new(base, folder, cursor, &events);
}

static void
wait_entries(size_t count)
{
    static const struct timeval limit = {60, 0};

    wanted = count;
    event_base_loopexit(base, &limit);
    event_base_dispatch(base);
    assert_false(event_base_got_exit(base)); /* it would not have ended by itself */
}

static void
end(void)
{
    sysjournal_free(journal);
    event_base_free(base);
}

/* ------------------------------------------------------------- writing entries */

static FILE *remote;

/* Entries go to a file of that name, until put(). */
static void
take(const char *name)
{
    char *command = mem_printf(REMOTE " -o %s/%s.journal - >/dev/null 2>&1", folder, name);

    remote = popen(command, "w");
    assert_non_null(remote);
    free(command);
}

static void
add(const char *ident, const char *fields, const char *message)
{
    struct timeval now;

    gettimeofday(&now, NULL);
    fprintf(remote,
            "__REALTIME_TIMESTAMP=%lld%06ld\n__MONOTONIC_TIMESTAMP=%lld%06ld\n"
            "_BOOT_ID=00000000000000000000000000000001\nSYSLOG_IDENTIFIER=%s\n%s\nMESSAGE=%s\n\n",
            (long long)now.tv_sec, (long)now.tv_usec, (long long)now.tv_sec % 1000000,
            (long)now.tv_usec, ident, fields, message);
}

static void
put(void)
{
    assert_int_equal(pclose(remote), 0);
}

static void
put_one(const char *name, const char *message)
{
    take(name);
    add("postfix/smtp", "SYSLOG_FACILITY=2\n_UID=0", message);
    put();
}

static void
remove_file(const char *name)
{
    char *path = mem_printf("%s/%s", folder, name);

    unlink(path);
    free(path);
}

static void
empty_folder(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            remove_file(entry->d_name);
    closedir(dir);
}

/* What sysjournal.c warned of, a line each. */
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

static int
logged(const char *text)
{
    const char *at = buf_text(&said);
    int count = 0;

    for (; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static int
setup(void **state)
{
    (void)state;
    empty_folder();
    buf_clear(&told);
    buf_clear(&said);
    slow = false;
    return 0;
}

/* ---------------------------------------------------------------------- tests */

static void
test_from_the_end(void **state)
{
    time_t now = time(NULL);
    struct tm tm;

    (void)state;
    put_one("a", "zero");
    begin("");
    wait_entries(0);
    assert_string_equal(buf_text(&told), "");
    put_one("a", "one");
    wait_entries(1);
    gmtime_r(&now, &tm);
    assert_in_range(last_time.year, tm.tm_year + 1900, tm.tm_year + 1901);
    assert_true(last_time.has_offset && last_time.offset_s == 0);
    assert_true(maillog_time_ms(&last_time, 0, 0) >= (int64_t)now * 1000);
    assert_true(maillog_time_ms(&last_time, 0, 0) < (int64_t)(now + 600) * 1000);
    wait_entries(0);
    assert_int_equal(sysjournal_lag_ms(journal), 0);
    assert_string_equal(buf_text(&told), "postfix/smtp one\n");
    end();
}

/* The first entries of mail that there are, in a journal that has others; there is a place before
 * them. */
static void
test_no_mail_yet(void **state)
{
    char cursor[SYSJOURNAL_CURSOR_SIZE];

    (void)state;
    take("a");
    add("kernel", "SYSLOG_FACILITY=0\n_TRANSPORT=kernel", "booted");
    put();
    begin("");
    wait_entries(0);
    sysjournal_where(journal, cursor);
    put_one("a", "one");
    put_one("a", "two");
    wait_entries(2);
    end();
    assert_string_equal(buf_text(&told), "postfix/smtp one\npostfix/smtp two\n");
    begin(cursor);
    wait_entries(2);
    end();
    assert_string_equal(buf_text(&told), "postfix/smtp one\npostfix/smtp two\npostfix/smtp one\n"
                                         "postfix/smtp two\n");
    assert_int_equal(logged("has no longer"), 0);
}

/* Whoever has an account can write anything to the journal, but not say who wrote it. */
static void
test_who_is_believed(void **state)
{
    (void)state;
    put_one("a", "zero");
    begin("");
    wait_entries(0);
    take("a");
    add("postfix/smtp", "SYSLOG_FACILITY=2\n_UID=1000\n_SYSTEMD_UNIT=user@1000.service", "1");
    add("postfix/smtp", "SYSLOG_FACILITY=2\n_UID=33\n_SYSTEMD_UNIT=apache2.service", "2");
    add("postfix/smtp", "SYSLOG_FACILITY=2\nUID=0\nSYSTEMD_UNIT=postfix.service", "3");
    add("postfix/smtp", "SYSLOG_FACILITY=2", "4");
    add("postfix/smtp", "SYSLOG_FACILITY=2\n_UID=99999999999", "5");
    add("postfix/smtp", "SYSLOG_FACILITY=1\n_UID=0", "6");
    add("sendmail", "SYSLOG_FACILITY=2\n_UID=0", "7");
    add("postpool/milter", "SYSLOG_FACILITY=2\n_UID=0", "8");
    add("postpool/milter", "SYSLOG_FACILITY=2\n_SYSTEMD_UNIT=apache2.service", "8");
    add("postpool/policyd", "SYSLOG_FACILITY=2\n_SYSTEMD_UNIT=postpool-policyd.service", "9");
    add("postfix/smtp", "SYSLOG_FACILITY=2\n_SYSTEMD_UNIT=postpool-milter.service", "10");
    /* a command of somebody's .forward: Postfix runs it, as that user */
    add("postfix/smtp", "SYSLOG_FACILITY=2\n_UID=1000\n_SYSTEMD_UNIT=postfix@-.service", "11");
    add("postfix/smtp", "SYSLOG_FACILITY=2\n_UID=65534\n_SYSTEMD_UNIT=postfix@-.service", "12");
    add("postpool/milter", "SYSLOG_FACILITY=2\n_SYSTEMD_UNIT=postpool-milter.service", "ok");
    add("postfix/pp-a1/smtp", "SYSLOG_FACILITY=2\n_UID=33\n_SYSTEMD_UNIT=postfix@-.service", "ok");
    add("postfix/qmgr", "SYSLOG_FACILITY=2\n_UID=0\n_SYSTEMD_UNIT=session-1.scope", "ok");
    put();
    wait_entries(3);
    wait_entries(0);
    end();
    assert_string_equal(buf_text(&told),
                        "postpool/milter ok\npostfix/pp-a1/smtp ok\npostfix/qmgr ok\n");
}

/* Stopped at any entry, and begun again behind it: every entry once. */
static void
test_stopped_anywhere(void **state)
{
    char cursor[SYSJOURNAL_CURSOR_SIZE] = "";
    struct buf all = {0};
    int begun = 0;

    (void)state;
    put_one("a", "zero");
    begin("");
    wait_entries(0);
    sysjournal_where(journal, cursor);
    end();
    take("a");
    for (int i = 0; i < 500; i++) {
        char message[32];

        snprintf(message, sizeof(message), "message %d", i);
        add("postfix/smtp", "SYSLOG_FACILITY=2\n_UID=0", message);
        buf_printf(&all, "postfix/smtp %s\n", message);
    }
    put();
    slow = true;
    for (size_t count = 1; told.length < all.length; count = count % 23 + 1) {
        size_t lines = 0;

        for (size_t i = told.length; i < all.length; i++)
            lines += all.data[i] == '\n';
        begin(cursor);
        wait_entries(count < lines ? count : lines);
        /* a slice may have told more than was waited for */
        sysjournal_where(journal, cursor);
        end();
        begun++;
    }
    assert_true(begun > 3);
    assert_string_equal(buf_text(&told), buf_text(&all));
    buf_clear(&all);
}

/* Another file, as when the journal rotates; and what was read last is gone after a restart. */
static void
test_rotated(void **state)
{
    char cursor[SYSJOURNAL_CURSOR_SIZE];

    (void)state;
    put_one("a", "zero");
    begin("");
    wait_entries(0);
    put_one("a", "one");
    put_one("b", "two");
    wait_entries(2);
    wait_entries(0);
    sysjournal_where(journal, cursor);
    remove_file("a.journal");
    put_one("b", "three");
    wait_entries(1);
    end();
    assert_string_equal(buf_text(&told),
                        "postfix/smtp one\npostfix/smtp two\npostfix/smtp three\n");
    assert_int_equal(logged("has no longer"), 0);
    empty_folder();
    put_one("c", "four");
    put_one("c", "five");
    begin(cursor);
    wait_entries(2);
    end();
    assert_string_equal(buf_text(&told), "postfix/smtp one\npostfix/smtp two\npostfix/smtp three\n"
                                         "postfix/smtp four\npostfix/smtp five\n");
    assert_int_equal(logged("has no longer"), 1);
}

/* A folder without a file, or one whose files may not be read: said once, then all is new. */
static void
test_nothing_to_read(void **state)
{
    (void)state;
    begin("");
    while (sysjournal_lag_ms(journal) >= 0 || logged("none may be read") == 0)
        event_base_loop(base, EVLOOP_ONCE);
    event_base_loop(base, EVLOOP_ONCE);
    put_one("a", "one");
    wait_entries(1);
    wait_entries(0);
    end();
    assert_string_equal(buf_text(&told), "postfix/smtp one\n");
    assert_int_equal(logged("none may be read -- no results are seen until it can be read"), 1);
    assert_int_equal(logged("can be read again"), 1);
}

/* A place that no journal wrote is none. */
static void
test_odd_place(void **state)
{
    (void)state;
    put_one("a", "zero");
    begin("nonsense");
    wait_entries(0);
    put_one("a", "one");
    wait_entries(1);
    end();
    assert_string_equal(buf_text(&told), "postfix/smtp one\n");
    assert_int_equal(logged("\"nonsense\" is no place in a journal"), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_from_the_end, setup),
        cmocka_unit_test_setup(test_no_mail_yet, setup),
        cmocka_unit_test_setup(test_who_is_believed, setup),
        cmocka_unit_test_setup(test_stopped_anywhere, setup),
        cmocka_unit_test_setup(test_rotated, setup),
        cmocka_unit_test_setup(test_nothing_to_read, setup),
        cmocka_unit_test_setup(test_odd_place, setup),
    };
    int failed;

    if (access(REMOTE, X_OK) < 0) {
        fputs(REMOTE " is not there: systemd-journal-remote is not installed\n", stderr);
        return 77;
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    empty_folder();
    rmdir(folder);
    buf_clear(&told);
    buf_clear(&said);
    return failed;
}

#else

int
main(void)
{
    fputs("built without libsystemd\n", stderr);
    return 77;
}

#endif
