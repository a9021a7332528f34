/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_file_inside.h"

#include "engine/tally.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/replies.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static_assert(TALLY_CLASSES == ACCUSED_COUNT + 1, "a class for each that is accused, and one");

enum { APPLICATION_ID = 0x70706669, FILE_VERSION = 3, FILE_OLDEST = 2 };

/* The first three are made from the counters. */
static const char *const texts[STATEMENTS] = {
    [ADD_SUSPENDED] = "INSERT INTO suspended VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                      "ms = ms + excluded.ms",
    [ADD_UNMET] = "INSERT INTO unmet VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                  "messages = messages + excluded.messages",
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
               "accounts UNION ALL SELECT min(hour) FROM suspended UNION ALL SELECT min(hour) FROM "
               "shared_mail UNION ALL SELECT min(hour) FROM shared_accounts UNION ALL SELECT "
               "min(hour) FROM shared_suspended UNION ALL SELECT min(hour) FROM unmet UNION ALL "
               "SELECT min(hour) FROM shared_unmet)",
    [NEWEST] = "SELECT max(h) FROM (SELECT max(hour) h FROM mail UNION ALL SELECT max(hour) FROM "
               "accounts UNION ALL SELECT max(hour) FROM suspended UNION ALL SELECT max(hour) FROM "
               "shared_mail UNION ALL SELECT max(hour) FROM shared_accounts UNION ALL SELECT "
               "max(hour) FROM shared_suspended UNION ALL SELECT max(hour) FROM unmet UNION ALL "
               "SELECT max(hour) FROM shared_unmet)",
    [DROP_MAIL] = "DELETE FROM mail WHERE hour = ?1",
    [DROP_ACCOUNTS] = "DELETE FROM accounts WHERE hour = ?1",
    [DROP_SUSPENDED] = "DELETE FROM suspended WHERE hour = ?1",
    [DROP_UNMET] = "DELETE FROM unmet WHERE hour = ?1",
    [DROP_CHANGES] = "DELETE FROM changes WHERE hour = ?1",
    [DROP_SHARED_MAIL] = "DELETE FROM shared_mail WHERE hour = ?1",
    [DROP_SHARED_ACCOUNTS] = "DELETE FROM shared_accounts WHERE hour = ?1",
    [DROP_SHARED_SUSPENDED] = "DELETE FROM shared_suspended WHERE hour = ?1",
    [DROP_SHARED_UNMET] = "DELETE FROM shared_unmet WHERE hour = ?1",
    [DROP_SHARED_HOURS] = "DELETE FROM shared_hours WHERE hour <= ?1",
    [RAISE_FLOOR] = "UPDATE own SET floor = max(floor, ?1 + 1)",
    [READ_FLOOR] = "SELECT floor FROM own",
    [BUMP] = "UPDATE own SET version = version + 1",
    [TOUCH] = "INSERT INTO changes SELECT ?1, version, 0 FROM own WHERE 1 ON CONFLICT DO UPDATE "
              "SET version = excluded.version",
};

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
    if (counter == TALLY_COMPLAINTS)
        return "complaints";
    if (counter == TALLY_RETURNED)
        return "returned";
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

int
hours_run(struct hours_file *file, const char *sql, struct err *err)
{
    return sqlite3_exec(file->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                      : hours_file_fail(file, err);
}

int
hours_step(struct hours_file *file, enum statement which, struct err *err)
{
    int code = sqlite3_step(file->statements[which]);

    return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : hours_file_fail(file, err);
}

void
hours_done(struct hours_file *file, enum statement which)
{
    sqlite3_reset(file->statements[which]);
    sqlite3_clear_bindings(file->statements[which]);
}

int
hours_carry_out(struct hours_file *file, enum statement which, struct err *err)
{
    int r = hours_step(file, which, err);

    hours_done(file, which);
    return r;
}

int
hours_ask_number(struct hours_file *file, enum statement which, int64_t *ret_number,
                 struct err *err)
{
    sqlite3_stmt *statement = file->statements[which];
    int r = hours_step(file, which, err);

    *ret_number = -1;
    if (r == 0 && sqlite3_data_count(statement) > 0 &&
        sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
        *ret_number = sqlite3_column_int64(statement, 0);
    hours_done(file, which);
    return r;
}

void
hours_bind(struct hours_file *file, enum statement which, int at, const char *text)
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
              sqlite3_column_int(statement, 2) < FILE_OLDEST ||
              sqlite3_column_int(statement, 2) > FILE_VERSION))
        r = err_set(err, -EINVAL,
                    "%s: is the database of another program, or of another version of this one; "
                    "name another figures.path, or move it away",
                    file->path);
    else
        r = 0;
    if (r == 0) {
        file->version = sqlite3_column_int(statement, 2);
        file->page_size = sqlite3_column_int64(statement, 3);
    }
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

/* The sums of all kinds; shared: of other hosts, whose pages they come from. */
static void
add_tables(struct buf *sql, bool shared)
{
    const char *prefix = shared ? "shared_" : "", *id = shared ? "id, " : "";
    const char *columns = shared ? "id TEXT NOT NULL, node TEXT NOT NULL, " : "";

    buf_printf(sql,
               "CREATE TABLE IF NOT EXISTS %smail (hour INTEGER NOT NULL, %sstream TEXT NOT NULL, "
               "pool TEXT NOT NULL, address TEXT NOT NULL, provider TEXT NOT NULL",
               prefix, columns);
    add_counters(sql, ", @ INTEGER NOT NULL");
    buf_printf(sql,
               ", PRIMARY KEY (hour, %sstream, pool, address, provider)) WITHOUT ROWID;"
               "CREATE TABLE IF NOT EXISTS %saccounts (hour INTEGER NOT NULL, %saccount TEXT NOT "
               "NULL, stream TEXT NOT NULL, pool TEXT NOT NULL",
               id, prefix, columns);
    add_counters(sql, ", @ INTEGER NOT NULL");
    buf_printf(sql,
               ", PRIMARY KEY (hour, %saccount, stream, pool)) WITHOUT ROWID;"
               "CREATE TABLE IF NOT EXISTS %ssuspended (hour INTEGER NOT NULL, %saddress TEXT NOT "
               "NULL, provider TEXT NOT NULL, ms INTEGER NOT NULL, "
               "PRIMARY KEY (hour, %saddress, provider)) WITHOUT ROWID;"
               "CREATE TABLE IF NOT EXISTS %sunmet (hour INTEGER NOT NULL, %sstream TEXT NOT NULL, "
               "requirement TEXT NOT NULL, messages INTEGER NOT NULL, "
               "PRIMARY KEY (hour, %sstream, requirement)) WITHOUT ROWID;",
               id, prefix, columns, id, prefix, columns, id);
}

/* Version 2 had no counters behind the delays. */
static void
add_upgrade(struct buf *sql)
{
    static const char *const tables[] = {"mail", "accounts", "shared_mail", "shared_accounts"};

    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        for (int j = TALLY_COMPLAINTS; j < TALLY_COUNTERS; j++)
            buf_printf(sql, "ALTER TABLE %s ADD COLUMN %s INTEGER NOT NULL DEFAULT 0;", tables[i],
                       hours_file_counter(j));
}

static int
make_tables(struct hours_file *file, struct err *err)
{
    struct buf sql = {0};
    int r;

    buf_puts(&sql, "BEGIN IMMEDIATE;");
    add_tables(&sql, false);
    add_tables(&sql, true);
    if (file->version == 2)
        add_upgrade(&sql);
    buf_printf(&sql,
               "CREATE TABLE IF NOT EXISTS queue (id TEXT PRIMARY KEY, sender TEXT NOT NULL, "
               "heard INTEGER NOT NULL, waits TEXT, since_ms INTEGER NOT NULL) WITHOUT ROWID;"
               "CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY, log TEXT NOT NULL, "
               "place TEXT NOT NULL);"
               "CREATE TABLE IF NOT EXISTS own (one INTEGER PRIMARY KEY, id TEXT NOT NULL, "
               "version INTEGER NOT NULL, floor INTEGER NOT NULL);"
               "INSERT OR IGNORE INTO own VALUES (0, lower(hex(randomblob(8))), 1, 0);"
               "CREATE TABLE IF NOT EXISTS changes (hour INTEGER PRIMARY KEY, version INTEGER NOT "
               "NULL, shown INTEGER NOT NULL);"
               "INSERT INTO changes SELECT hour, 1, 0 FROM (SELECT hour FROM mail WHERE NOT EXISTS "
               "(SELECT 1 FROM changes) UNION SELECT hour FROM suspended WHERE NOT EXISTS "
               "(SELECT 1 FROM changes));"
               "CREATE TABLE IF NOT EXISTS shared_hours (id TEXT NOT NULL, hour INTEGER NOT NULL, "
               "version INTEGER NOT NULL, node TEXT NOT NULL, PRIMARY KEY (id, hour)) WITHOUT "
               "ROWID;"
               "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
               APPLICATION_ID, FILE_VERSION);
    r = hours_run(file, buf_text(&sql), err);
    buf_clear(&sql);
    return r;
}

static int
read_id(struct hours_file *file, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db, "SELECT id FROM own", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        snprintf(file->id, sizeof(file->id), "%s", (const char *)sqlite3_column_text(statement, 0));
    code = code == SQLITE_ROW ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
    return code;
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
        r = hours_run(file, "PRAGMA locking_mode = EXCLUSIVE", err);
    if (r == 0)
        r = check(file, err);
    if (r == 0) /* what a power cut takes is taken from sums and place alike */
        r = hours_run(file,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
                      "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 16777216",
                      err);
    if (r == 0)
        r = make_tables(file, err);
    if (r == 0)
        r = prepare_all(file, err);
    if (r == 0)
        r = read_id(file, err);
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
