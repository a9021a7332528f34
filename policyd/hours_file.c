/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_file.h"

#include "engine/tallies.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/replies.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static_assert(TALLY_CLASSES == ACCUSED_COUNT + 1, "a class for each that is accused, and one");

enum { APPLICATION_ID = 0x70706669, FILE_VERSION = 2 };

enum statement {
    ADD_MAIL,
    ADD_ACCOUNTS,
    ADD_SUSPENDED,
    HAS_ACCOUNT,
    COUNT_ACCOUNTS,
    PUT_QUEUED,
    DROP_QUEUED,
    READ_QUEUED,
    PUT_PLACE,
    READ_PLACE,
    PAGES,
    FREE_PAGES,
    OLDEST,
    NEWEST,
    DROP_MAIL,
    DROP_ACCOUNTS,
    DROP_SUSPENDED,
    STATEMENTS,
};

/* The first three are made from the counters. */
static const char *const texts[STATEMENTS] = {
    [ADD_SUSPENDED] = "INSERT INTO suspended VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                      "ms = ms + excluded.ms",
    [HAS_ACCOUNT] = "SELECT 1 FROM accounts WHERE hour = ?1 AND account = ?2 AND stream = ?3 AND "
                    "pool = ?4",
    [COUNT_ACCOUNTS] = "SELECT count(*) FROM accounts WHERE hour = ?1",
    [PUT_QUEUED] = "REPLACE INTO queue VALUES (?1, ?2, ?3, ?4, ?5)",
    [DROP_QUEUED] = "DELETE FROM queue WHERE id = ?1",
    [READ_QUEUED] = "SELECT id, sender, heard, waits, since_ms FROM queue",
    [PUT_PLACE] = "REPLACE INTO place VALUES (0, ?1, ?2)",
    [READ_PLACE] = "SELECT log, place FROM place WHERE one = 0",
    [PAGES] = "PRAGMA page_count",
    [FREE_PAGES] = "PRAGMA freelist_count",
    [OLDEST] = "SELECT min(h) FROM (SELECT min(hour) h FROM mail UNION ALL SELECT min(hour) FROM "
               "accounts UNION ALL SELECT min(hour) FROM suspended)",
    [NEWEST] = "SELECT max(h) FROM (SELECT max(hour) h FROM mail UNION ALL SELECT max(hour) FROM "
               "accounts UNION ALL SELECT max(hour) FROM suspended)",
    [DROP_MAIL] = "DELETE FROM mail WHERE hour = ?1",
    [DROP_ACCOUNTS] = "DELETE FROM accounts WHERE hour = ?1",
    [DROP_SUSPENDED] = "DELETE FROM suspended WHERE hour = ?1",
};

struct hours_file {
    sqlite3 *db;
    char *path;
    int64_t page_size;
    sqlite3_stmt *statements[STATEMENTS];
};

void
hours_batch_free(struct hours_batch *batch)
{
    if (batch == NULL)
        return;
    tallies_free(batch->tallies);
    queued_changes_free(&batch->queue);
    free(batch->log);
    free(batch);
}

const char *
hours_file_counter(int counter)
{
    static char names[TALLY_COUNTERS][32];
    char *name = names[counter];
    int class = counter - (counter < TALLY_BOUNCED ? TALLY_DEFERRED : TALLY_BOUNCED);

    if (counter == TALLY_SENT)
        return "sent";
    if (counter == TALLY_FULL)
        return "no_room";
    if (counter == TALLY_RESCUED)
        return "rescued";
    if (counter >= TALLY_DELAY)
        snprintf(name, sizeof(names[0]), "delay_%d", counter - TALLY_DELAY);
    else
        snprintf(name, sizeof(names[0]), "%s_%s", counter < TALLY_BOUNCED ? "deferred" : "bounced",
                 class < ACCUSED_COUNT ? accused_text((enum accused) class) : "unknown");
    return name;
}

/* ----------------------------------------------------------------------- SQLite */

int
hours_file_fail(const struct hours_file *file, struct err *err)
{
    int code = sqlite3_errcode(file->db) & 0xff;

    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return err_set(err, -EBUSY, "%s: another process has it open", file->path);
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        return err_set(err, -EINVAL, "%s: is damaged (%s); it is left as it is, move it away",
                       file->path, sqlite3_errmsg(file->db));
    return err_set(err, -EIO, "%s: %s", file->path, sqlite3_errmsg(file->db));
}

static int
run(struct hours_file *file, const char *sql, struct err *err)
{
    return sqlite3_exec(file->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                      : hours_file_fail(file, err);
}

/* Carry out a statement that gives no rows, or whose first row is looked at before done(). */
static int
step(struct hours_file *file, enum statement which, struct err *err)
{
    int code = sqlite3_step(file->statements[which]);

    return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : hours_file_fail(file, err);
}

static void
done(struct hours_file *file, enum statement which)
{
    sqlite3_reset(file->statements[which]);
    sqlite3_clear_bindings(file->statements[which]);
}

static int
carry_out(struct hours_file *file, enum statement which, struct err *err)
{
    int r = step(file, which, err);

    done(file, which);
    return r;
}

/* A number, or -1: there is none. */
static int
ask(struct hours_file *file, enum statement which, int64_t *ret_number, struct err *err)
{
    sqlite3_stmt *statement = file->statements[which];
    int r = step(file, which, err);

    *ret_number = -1;
    if (r == 0 && sqlite3_data_count(statement) > 0 &&
        sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
        *ret_number = sqlite3_column_int64(statement, 0);
    done(file, which);
    return r;
}

static void
bind(struct hours_file *file, enum statement which, int at, const char *text)
{
    sqlite3_bind_text(file->statements[which], at, text, -1, SQLITE_TRANSIENT);
}

struct sqlite3 *
hours_file_db(struct hours_file *file)
{
    return file->db;
}

/* ------------------------------------------------------------------------- open */

static int
check(struct hours_file *file, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int r = sqlite3_prepare_v2(file->db,
                               "SELECT (SELECT count(*) FROM sqlite_master), a.application_id, "
                               "v.user_version, s.page_size FROM pragma_application_id a, "
                               "pragma_user_version v, pragma_page_size s",
                               -1, &statement, NULL);

    if (r == SQLITE_OK)
        r = sqlite3_step(statement);
    if (r != SQLITE_ROW)
        r = hours_file_fail(file, err);
    else if (sqlite3_column_int(statement, 0) > 0 &&
             (sqlite3_column_int(statement, 1) != APPLICATION_ID ||
              sqlite3_column_int(statement, 2) != FILE_VERSION))
        r = err_set(err, -EINVAL,
                    "%s: is the database of another program, or of another version of this one; "
                    "name another figures.path, or move it away",
                    file->path);
    else
        r = 0;
    if (r == 0)
        file->page_size = sqlite3_column_int64(statement, 3);
    sqlite3_finalize(statement);
    return r;
}

/* "sent INTEGER NOT NULL, ..." or what form makes of each counter's name. */
static void
add_counters(struct buf *sql, const char *form)
{
    for (int i = 0; i < TALLY_COUNTERS; i++) {
        const char *name = hours_file_counter(i);

        for (const char *at = form; *at != '\0'; at++)
            if (*at == '@')
                buf_puts(sql, name);
            else
                buf_add(sql, at, 1);
    }
}

static int
make_tables(struct hours_file *file, struct err *err)
{
    struct buf sql = {0};
    int r;

    buf_puts(&sql, "BEGIN IMMEDIATE;"
                   "CREATE TABLE IF NOT EXISTS mail (hour INTEGER NOT NULL, stream TEXT NOT NULL, "
                   "pool TEXT NOT NULL, address TEXT NOT NULL, provider TEXT NOT NULL");
    add_counters(&sql, ", @ INTEGER NOT NULL");
    buf_puts(&sql,
             ", PRIMARY KEY (hour, stream, pool, address, provider)) WITHOUT ROWID;"
             "CREATE TABLE IF NOT EXISTS accounts (hour INTEGER NOT NULL, account TEXT NOT NULL, "
             "stream TEXT NOT NULL, pool TEXT NOT NULL");
    add_counters(&sql, ", @ INTEGER NOT NULL");
    buf_printf(&sql,
               ", PRIMARY KEY (hour, account, stream, pool)) WITHOUT ROWID;"
               "CREATE TABLE IF NOT EXISTS suspended (hour INTEGER NOT NULL, address TEXT NOT "
               "NULL, provider TEXT NOT NULL, ms INTEGER NOT NULL, "
               "PRIMARY KEY (hour, address, provider)) WITHOUT ROWID;"
               "CREATE TABLE IF NOT EXISTS queue (id TEXT PRIMARY KEY, sender TEXT NOT NULL, "
               "heard INTEGER NOT NULL, waits TEXT, since_ms INTEGER NOT NULL) WITHOUT ROWID;"
               "CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY, log TEXT NOT NULL, "
               "place TEXT NOT NULL);"
               "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
               APPLICATION_ID, FILE_VERSION);
    r = run(file, buf_text(&sql), err);
    buf_clear(&sql);
    return r;
}

static int
prepare(struct hours_file *file, enum statement which, const char *sql, struct err *err)
{
    return sqlite3_prepare_v2(file->db, sql, -1, &file->statements[which], NULL) == SQLITE_OK
               ? 0
               : hours_file_fail(file, err);
}

/* Add to the sums of one hour and some names, places 1 to 1 + names; then the counters follow. */
static int
prepare_add(struct hours_file *file, enum statement which, const char *table, int names,
            struct err *err)
{
    struct buf sql = {0};
    int r;

    buf_printf(&sql, "INSERT INTO %s VALUES (?", table);
    for (int i = 0; i < names + TALLY_COUNTERS; i++)
        buf_puts(&sql, ", ?");
    buf_puts(&sql, ") ON CONFLICT DO UPDATE SET hour = hour");
    add_counters(&sql, ", @ = @ + excluded.@");
    r = prepare(file, which, buf_text(&sql), err);
    buf_clear(&sql);
    return r;
}

static int
prepare_all(struct hours_file *file, struct err *err)
{
    int r = prepare_add(file, ADD_MAIL, "mail", 4, err);

    if (r == 0)
        r = prepare_add(file, ADD_ACCOUNTS, "accounts", 3, err);
    for (int i = ADD_SUSPENDED; i < STATEMENTS && r == 0; i++)
        r = prepare(file, (enum statement)i, texts[i], err);
    return r;
}

/* It has senders' addresses.  What SQLite makes beside it gets the same mode. */
static void
make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);

    if (fd >= 0)
        close(fd);
}

int
hours_file_open(const char *path, struct hours_file **ret_file, struct err *err)
{
    struct hours_file *file = mem_new(sizeof(*file));
    int code, r;

    file->path = mem_strdup(path);
    make_private(path);
    code = sqlite3_open_v2(path, &file->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        r = err_set(err, -EIO, "%s: %s", path,
                    file->db != NULL ? sqlite3_errmsg(file->db) : "no memory");
    else if (sqlite3_db_readonly(file->db, "main") == 1)
        r = err_set(err, -EROFS, "%s: cannot be written: %s", path,
                    access(path, W_OK) < 0 ? strerror(errno) : "read-only");
    else
        r = run(file, "PRAGMA locking_mode = EXCLUSIVE", err);
    if (r == 0)
        r = check(file, err);
    if (r == 0) /* what a power cut takes is taken from sums and place alike */
        r = run(file,
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
                "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 16777216",
                err);
    if (r == 0)
        r = make_tables(file, err);
    if (r == 0)
        r = prepare_all(file, err);
    if (r < 0) {
        hours_file_close(file);
        return r;
    }
    *ret_file = file;
    return 0;
}

void
hours_file_close(struct hours_file *file)
{
    if (file == NULL)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(file->statements[i]);
    sqlite3_close(file->db);
    free(file->path);
    free(file);
}

/* ------------------------------------------------------------------------- load */

static int
load_place(struct hours_file *file, struct hours_saved *saved, struct err *err)
{
    sqlite3_stmt *statement = file->statements[READ_PLACE];
    int r = step(file, READ_PLACE, err);

    if (r == 0 && sqlite3_data_count(statement) > 0 &&
        place_parse((const char *)sqlite3_column_text(statement, 1), &saved->place))
        saved->log = mem_strdup((const char *)sqlite3_column_text(statement, 0));
    done(file, READ_PLACE);
    return r;
}

static struct span
column(sqlite3_stmt *statement, int i)
{
    const char *text = (const char *)sqlite3_column_text(statement, i);

    return (struct span){text, (size_t)sqlite3_column_bytes(statement, i)};
}

static int
load_queue(struct hours_file *file, struct hours_saved *saved, struct err *err)
{
    sqlite3_stmt *statement = file->statements[READ_QUEUED];
    int code;

    saved->queued = queued_new();
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        queued_restore(saved->queued, column(statement, 0), column(statement, 1),
                       sqlite3_column_int(statement, 2) != 0,
                       (const char *)sqlite3_column_text(statement, 3),
                       sqlite3_column_int64(statement, 4));
    queued_track(saved->queued);
    done(file, READ_QUEUED);
    return code == SQLITE_DONE ? 0 : hours_file_fail(file, err);
}

int
hours_file_load(struct hours_file *file, struct hours_saved *ret_saved, struct err *err)
{
    struct hours_saved saved = {0};
    int r = load_place(file, &saved, err);

    if (r == 0)
        r = load_queue(file, &saved, err);
    if (r < 0) {
        queued_free(saved.queued);
        free(saved.log);
        return r;
    }
    *ret_saved = saved;
    return 0;
}

/* ----------------------------------------------------------------------- commit */

/* Does this account get a row of its own in this hour? */
static int
has_room(struct hours_file *file, const struct tallies_cell *cell, int accounts, bool *ret_room,
         struct err *err)
{
    int64_t number;
    int r;

    sqlite3_bind_int64(file->statements[HAS_ACCOUNT], 1, cell->hour);
    for (int i = 0; i < 3; i++)
        bind(file, HAS_ACCOUNT, 2 + i, cell->names[i]);
    r = ask(file, HAS_ACCOUNT, &number, err);
    *ret_room = number == 1 || strcmp(cell->names[0], TALLIES_OTHERS) == 0;
    if (r < 0 || *ret_room)
        return r;
    sqlite3_bind_int64(file->statements[COUNT_ACCOUNTS], 1, cell->hour);
    r = ask(file, COUNT_ACCOUNTS, &number, err);
    *ret_room = number < accounts;
    return r;
}

static int
add_cell(struct hours_file *file, const struct tallies_cell *cell, int accounts, struct err *err)
{
    static const struct {
        enum statement which;
        int names, counters;
    } kinds[TALLIES_KINDS] = {
        [TALLIES_MAIL] = {ADD_MAIL, 4, TALLY_COUNTERS},
        [TALLIES_ACCOUNTS] = {ADD_ACCOUNTS, 3, TALLY_COUNTERS},
        [TALLIES_SUSPENDED] = {ADD_SUSPENDED, 2, 1},
    };
    enum statement which = kinds[cell->kind].which;
    int names = kinds[cell->kind].names, r;
    bool room = true;

    if (cell->kind == TALLIES_ACCOUNTS) {
        r = has_room(file, cell, accounts, &room, err);
        if (r < 0)
            return r;
    }
    sqlite3_bind_int64(file->statements[which], 1, cell->hour);
    for (int i = 0; i < names; i++)
        bind(file, which, 2 + i, i == 0 && !room ? TALLIES_OTHERS : cell->names[i]);
    for (int i = 0; i < kinds[cell->kind].counters; i++)
        sqlite3_bind_int64(file->statements[which], 2 + names + i, (int64_t)cell->tally.counts[i]);
    return carry_out(file, which, err);
}

static int
put_queued(struct hours_file *file, const struct queued_change *change, struct err *err)
{
    enum statement which = change->gone ? DROP_QUEUED : PUT_QUEUED;
    sqlite3_stmt *statement = file->statements[which];

    sqlite3_bind_text(statement, 1, change->text, (int)change->id_length, SQLITE_STATIC);
    if (!change->gone) {
        sqlite3_bind_text(statement, 2, change->sender, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 3, change->heard);
        sqlite3_bind_text(statement, 4, change->waits, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 5, change->since_ms);
    }
    return carry_out(file, which, err);
}

static int
put_place(struct hours_file *file, const struct hours_batch *batch, struct err *err)
{
    char text[PLACE_TEXT_SIZE];

    place_print(&batch->place, text);
    bind(file, PUT_PLACE, 1, batch->log != NULL ? batch->log : "");
    bind(file, PUT_PLACE, 2, text);
    return carry_out(file, PUT_PLACE, err);
}

/* Returns 1, or 0 when there is none but the newest, or older than before. */
static int
drop_oldest(struct hours_file *file, int64_t before, struct err *err)
{
    int64_t oldest, newest;
    int r = ask(file, OLDEST, &oldest, err);

    if (r == 0)
        r = ask(file, NEWEST, &newest, err);
    if (r < 0 || oldest == newest || oldest >= before)
        return r;
    for (int i = DROP_MAIL; i <= DROP_SUSPENDED && r == 0; i++) {
        sqlite3_bind_int64(file->statements[i], 1, oldest);
        r = carry_out(file, (enum statement)i, err);
    }
    return r < 0 ? r : 1;
}

int64_t
hours_file_bytes(struct hours_file *file)
{
    int64_t pages, free_pages;

    if (ask(file, PAGES, &pages, NULL) < 0 || ask(file, FREE_PAGES, &free_pages, NULL) < 0)
        return -1;
    return (pages - free_pages) * file->page_size;
}

static int
write_batch(struct hours_file *file, const struct hours_batch *batch,
            const struct hours_limits *limits, struct err *err)
{
    const struct queued_change *change;
    int r = 0;

    for (size_t i = 0; i < tallies_count(batch->tallies) && r == 0; i++)
        r = add_cell(file, tallies_get(batch->tallies, i), limits->accounts, err);
    TAILQ_FOREACH(change, &batch->queue, next)
    if (r == 0)
        r = put_queued(file, change, err);
    if (r == 0)
        r = put_place(file, batch, err);
    while (r == 0 && hours_file_bytes(file) > limits->bytes) {
        r = drop_oldest(file, INT64_MAX, err);
        if (r == 0)
            break;
        r = r < 0 ? r : 0;
    }
    return r;
}

int
hours_file_commit(struct hours_file *file, const struct hours_batch *batch,
                  const struct hours_limits *limits, struct err *err)
{
    int r = run(file, "BEGIN IMMEDIATE", err);

    if (r < 0)
        return r;
    r = write_batch(file, batch, limits, err);
    if (r == 0)
        r = run(file, "COMMIT", err);
    if (r < 0)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

/* ------------------------------------------------------------------------- trim */

static int
count_rows(struct hours_file *file, int64_t *ret_rows, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db,
                                  "SELECT (SELECT count(*) FROM mail) + (SELECT count(*) FROM "
                                  "accounts) + (SELECT count(*) FROM suspended)",
                                  -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *ret_rows = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    code = code == SQLITE_ROW ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
    return code;
}

int
hours_file_trim(struct hours_file *file, const struct hours_limits *limits, int64_t now_ms,
                struct err *err)
{
    int64_t before = (now_ms - limits->keep_ms) / TALLIES_HOUR_MS, rows;
    int r = run(file, "BEGIN IMMEDIATE", err);

    if (r < 0)
        return r;
    r = drop_oldest(file, before, err);
    if (r == 0) {
        r = count_rows(file, &rows, err);
        if (r == 0 && rows > limits->rows)
            r = drop_oldest(file, INT64_MAX, err);
    }
    if (r >= 0 && run(file, "COMMIT", err) < 0)
        r = -EIO;
    if (r < 0)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}
