/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/sysjournal.h"

#ifdef HAVE_LIBSYSTEMD

#include "lib/clock.h"
#include "lib/cursor.h"
#include "lib/log.h"
#include "lib/maillog.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>

enum {
    TELL_US = 500,       /* so long entries are told, then the loop's other work has its turn */
    SLICES = 8,          /* one behind the other, each a round of the loop */
    REST_MS = 1,         /* after that */
    LOOK_MS = 100,       /* how often it is looked at when all was told */
    RETRY_MS = 1000,     /* one that cannot be read */
    UID_OF_USERS = 1000, /* from there on accounts are people's (login.defs(5)), or nobody's */
};

struct sysjournal {
    struct event *timer;
    sd_journal *journal; /* NULL: not open */
    char *folder;        /* NULL: this host's */
    struct sysjournal_events events;
    char cursor[SYSJOURNAL_CURSOR_SIZE]; /* of the last entry that was told, or passed over */
    bool telling;                        /* the journal stands at a later one */
    bool said;                           /* that it cannot be read */
    bool idle;                           /* all was told when it was looked at last */
    int slices;                          /* since the last rest */
    int64_t entry_us;                    /* when the last one was logged */
    int64_t began_us;                    /* when following began, by the time of day */
    bool was_away;                       /* it could not be read then: what came since is new */
    uint64_t postfix_uid;                /* 0: there is no such user */
};

/* -------------------------------------------------------------------- fields */

/* A field's value, in the journal's memory until the next call for data. */
static bool
get(sd_journal *journal, const char *name, struct span *ret_value)
{
    const void *data;
    size_t length, skip = strlen(name) + 1; /* "NAME=" */

    if (sd_journal_get_data(journal, name, &data, &length) < 0 || length < skip)
        return false;
    *ret_value = (struct span){(const char *)data + skip, length - skip};
    return true;
}

static bool
begins(struct span span, const char *text)
{
    return span.length >= strlen(text) && memcmp(span.start, text, strlen(text)) == 0;
}

static bool
read_number(struct span span, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (span.length == 0 || span.length > 10)
        return false;
    for (size_t i = 0; i < span.length; i++) {
        if (!cursor_is_digit(span.start[i]))
            return false;
        number = number * 10 + (uint64_t)(span.start[i] - '0');
    }
    *ret_number = number;
    return true;
}

/*
 * Did Postfix write it, or our milter?  The fields with "_" are the journal's
 * own, of who sent it.  Postfix' unit also runs commands for users, out of their
 * .forward, as those.
 */
static bool
is_believed(const struct sysjournal *journal, struct span ident)
{
    struct span value;
    uint64_t uid;

    if (!begins(ident, "postfix"))
        return get(journal->journal, "_SYSTEMD_UNIT", &value) && begins(value, "postpool-milter");
    if (!get(journal->journal, "_UID", &value) || !read_number(value, &uid))
        return false;
    return uid == 0 || uid == journal->postfix_uid ||
           (uid < UID_OF_USERS && get(journal->journal, "_SYSTEMD_UNIT", &value) &&
            begins(value, "postfix"));
}

static struct maillog_time
time_of(int64_t us)
{
    time_t s = (time_t)(us / 1000000);
    struct tm tm;

    gmtime_r(&s, &tm);
    return (struct maillog_time){.year = tm.tm_year + 1900,
                                 .month = tm.tm_mon + 1,
                                 .day = tm.tm_mday,
                                 .hour = tm.tm_hour,
                                 .minute = tm.tm_min,
                                 .second = tm.tm_sec,
                                 .millisecond = (int)(us / 1000 % 1000),
                                 .has_offset = true};
}

/* Tell the entry that the journal stands at, if it is one of Postfix. */
static void
tell(struct sysjournal *journal)
{
    struct maillog_frame frame;
    char ident[128];
    struct span value;
    uint64_t us;

    if (sd_journal_get_realtime_usec(journal->journal, &us) >= 0)
        journal->entry_us = (int64_t)us;
    if (!get(journal->journal, "SYSLOG_IDENTIFIER", &value) || value.length >= sizeof(ident) ||
        (!begins(value, "postfix") && !begins(value, "postpool/milter")))
        return;
    memcpy(ident, value.start, value.length); /* the next value may lie where this one does */
    frame.ident = (struct span){ident, value.length};
    if (!is_believed(journal, frame.ident) || !get(journal->journal, "MESSAGE", &frame.message))
        return;
    if (frame.message.length > MAILLOG_LINE_MAX)
        frame.message.length = MAILLOG_LINE_MAX;
    frame.time = time_of(journal->entry_us);
    journal->events.on_entry(journal->events.arg, &frame);
}

/* ------------------------------------------------------------------- opening */

static const char *
name_of(const struct sysjournal *journal)
{
    return journal->folder != NULL ? journal->folder : "journal";
}

static void
say_unreadable(struct sysjournal *journal, const char *why)
{
    if (!journal->said)
        log_warn("feedback: %s: %s -- no results are seen until it can be read", name_of(journal),
                 why);
    journal->said = true;
    journal->was_away = true;
}

static void
shut(struct sysjournal *journal)
{
    if (journal->journal != NULL)
        sd_journal_close(journal->journal);
    journal->journal = NULL;
    journal->idle = false;
}

/* Is there anything that we may read?  Files that we may not are left out without a word. */
static bool
has_entries(struct sysjournal *journal)
{
    return sd_journal_seek_head(journal->journal) >= 0 && sd_journal_next(journal->journal) > 0;
}

static void
save_cursor(struct sysjournal *journal)
{
    char *cursor = NULL;

    if (sd_journal_get_cursor(journal->journal, &cursor) >= 0 &&
        strlen(cursor) < sizeof(journal->cursor))
        strcpy(journal->cursor, cursor);
    free(cursor);
}

/* Stand at the end, or where it was when following began. */
static int
seek_end(struct sysjournal *journal)
{
    int r;

    if (journal->was_away)
        return sd_journal_seek_realtime_usec(journal->journal, (uint64_t)journal->began_us);
    r = sd_journal_seek_tail(journal->journal);
    if (r >= 0)
        r = sd_journal_previous(journal->journal);
    if (r > 0)
        save_cursor(journal);
    return r;
}

/* Stand at the last entry that was told, or at the end. */
static int
seek(struct sysjournal *journal)
{
    int r = 0;

    if (journal->cursor[0] != '\0')
        r = sd_journal_seek_cursor(journal->journal, journal->cursor);
    if (r == -EINVAL) {
        log_warn("feedback: %s: \"%s\" is no place in a journal -- followed from its end",
                 name_of(journal), journal->cursor);
        journal->cursor[0] = '\0';
    }
    if (journal->cursor[0] == '\0')
        return seek_end(journal);
    if (r >= 0)
        r = sd_journal_next(journal->journal);
    if (r <= 0)
        return r; /* 0: nothing is there, what comes is behind it */
    r = sd_journal_test_cursor(journal->journal, journal->cursor);
    if (r != 0)
        return r;
    log_warn("feedback: %s has no longer what was read last -- results behind it may be missing",
             name_of(journal));
    r = sd_journal_previous(journal->journal);
    return r != 0 ? r : sd_journal_seek_head(journal->journal);
}

static int
open_files(struct sysjournal *journal)
{
    return journal->folder != NULL
               ? sd_journal_open_directory(&journal->journal, journal->folder, 0)
               : sd_journal_open(&journal->journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
}

static void
start(struct sysjournal *journal)
{
    int r = open_files(journal);

    if (r < 0)
        journal->journal = NULL;
    if (r >= 0)
        r = sd_journal_get_fd(journal->journal); /* from now on it hears of new files */
    if (r >= 0 && !has_entries(journal)) {
        say_unreadable(journal, "there is no entry, or none may be read");
        shut(journal);
        return;
    }
    if (r >= 0)
        r = sd_journal_set_data_threshold(journal->journal, MAILLOG_LINE_MAX + 64);
    if (r >= 0)
        r = seek(journal);
    if (r >= 0) /* not before: the last entry that there is, is a place, whoever wrote it */
        r = sd_journal_add_match(journal->journal, "SYSLOG_FACILITY=2", 0); /* mail */
    if (r < 0) {
        say_unreadable(journal, strerror(-r));
        shut(journal);
        return;
    }
    if (journal->said)
        log_info("feedback: %s can be read again", name_of(journal));
    journal->said = false;
}

/* ------------------------------------------------------------------- reading */

/* Tell entries for a while.  Returns what sd_journal_next() does: 0, all was told; below 0, why it
 * failed. */
static int
tell_some(struct sysjournal *journal)
{
    int64_t began_us = clock_us(CLOCK_MONOTONIC);
    bool any = false;
    int r;

    journal->telling = true;
    while ((r = sd_journal_next(journal->journal)) > 0) {
        any = true;
        tell(journal);
        if (clock_us(CLOCK_MONOTONIC) - began_us > TELL_US)
            break;
    }
    journal->telling = false;
    if (any)
        save_cursor(journal);
    return r;
}

static void
again(struct sysjournal *journal, int ms)
{
    struct timeval time = {ms / 1000, ms % 1000 * 1000};

    event_add(journal->timer, &time);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct sysjournal *journal = arg;
    int r;

    (void)fd;
    (void)what;
    if (journal->journal == NULL)
        start(journal);
    if (journal->journal == NULL) {
        again(journal, RETRY_MS);
        return;
    }
    r = journal->idle ? sd_journal_process(journal->journal) : 0;
    journal->idle = false;
    if (r >= 0)
        r = tell_some(journal);
    if (r > 0) {
        journal->slices = (journal->slices + 1) % SLICES;
        again(journal, journal->slices == 0 ? REST_MS : 0);
        return;
    }
    if (r < 0) {
        say_unreadable(journal, strerror(-r));
        shut(journal); /* start() goes on at the cursor */
        again(journal, RETRY_MS);
        return;
    }
    journal->idle = true;
    journal->events.on_idle(journal->events.arg);
    again(journal, LOOK_MS);
}

/* --------------------------------------------------------------- the interface */

struct sysjournal *
sysjournal_new(struct event_base *base, const char *folder, const char *cursor,
               const struct sysjournal_events *events)
{
    struct sysjournal *journal = mem_new(sizeof(*journal));
    const struct passwd *postfix = getpwnam("postfix");

    journal->folder = folder != NULL ? mem_strdup(folder) : NULL;
    journal->events = *events;
    journal->began_us = clock_us(CLOCK_REALTIME);
    journal->postfix_uid = postfix != NULL ? postfix->pw_uid : 0;
    if (strlen(cursor) < sizeof(journal->cursor))
        strcpy(journal->cursor, cursor);
    journal->timer = event_new(base, -1, 0, on_timer, journal);
    if (journal->timer == NULL)
        abort(); /* as mem_new() does */
    again(journal, 0);
    return journal;
}

void
sysjournal_free(struct sysjournal *journal)
{
    if (journal == NULL)
        return;
    event_free(journal->timer);
    shut(journal);
    free(journal->folder);
    free(journal);
}

void
sysjournal_where(const struct sysjournal *journal, char ret_cursor[SYSJOURNAL_CURSOR_SIZE])
{
    char *cursor = NULL;

    strcpy(ret_cursor, journal->cursor);
    if (journal->telling && sd_journal_get_cursor(journal->journal, &cursor) >= 0 &&
        strlen(cursor) < SYSJOURNAL_CURSOR_SIZE)
        strcpy(ret_cursor, cursor);
    free(cursor);
}

int64_t
sysjournal_lag_ms(const struct sysjournal *journal)
{
    int64_t lag_ms;

    if (journal->journal == NULL)
        return -1;
    if (journal->idle || journal->entry_us == 0)
        return 0;
    lag_ms = clock_ms(CLOCK_REALTIME_COARSE) - journal->entry_us / 1000;
    return lag_ms > 0 ? lag_ms : 0;
}

#else

/* ISO C wants something in each file. */
extern const char sysjournal_is_not_built[];
const char sysjournal_is_not_built[] = "";

#endif
