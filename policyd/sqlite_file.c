/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/sqlite_file.h"

#include "engine/book.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/record.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x70706f6f, FILE_VERSION = 1 };

enum statement {
    LOAD,
    SAVE,
    REMOVE,
    SET,
    WALK,
    RECORD,
    RECORD_SAVE,
    RECORD_REMOVE,
    RECORD_COUNT,
    RECORDS,
    STATEMENTS
};

struct sqlite_file {
    sqlite3 *db;
    char *path;
    int64_t offset_ms; /* of the clock to the boot clock */
    char *walked;      /* owned; the last key that a trim looked at; NULL: it begins */
    sqlite3_stmt *statements[STATEMENTS];
};

static const char *const texts[STATEMENTS] = {
    [LOAD] = "SELECT data FROM book WHERE key = ?1",
    [SAVE] = "INSERT OR REPLACE INTO book (key, data) VALUES (?1, ?2)",
    [REMOVE] = "DELETE FROM book WHERE key = ?1",
    [WALK] = "SELECT key, data FROM book WHERE key > ?1 ORDER BY key LIMIT ?2",
    [SET] = "INSERT OR REPLACE INTO clock (name, value) VALUES (?1, ?2)",
    [RECORD] = "SELECT key, version, data FROM record WHERE key = ?1",
    [RECORD_SAVE] = "INSERT OR REPLACE INTO record (key, version, data) VALUES (?1, ?2, ?3)",
    [RECORD_REMOVE] = "DELETE FROM record WHERE key = ?1",
    [RECORD_COUNT] = "SELECT count(*) FROM record",
    [RECORDS] = "SELECT key, version, data FROM record",
};

static int
fail(const struct sqlite_file *file, struct err *err)
{
    int code = sqlite3_errcode(file->db) & 0xff;

    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return err_set(err, -EBUSY,
                       "%s: another process has it; does another postpool-policyd run?",
                       file->path);
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        return err_set(err, -EINVAL,
                       "%s: %s; it is left as it is. What it counted is lost when you put it "
                       "aside: postpool store set-aside",
                       file->path, sqlite3_errmsg(file->db));
    return err_set(err, -EIO, "%s: %s", file->path, sqlite3_errmsg(file->db));
}

static int
run(struct sqlite_file *file, const char *sql, struct err *err)
{
    return sqlite3_exec(file->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(file, err);
}

/* The first column of the first row, as a text; the caller frees it.  NULL: no row. */
static int
ask_text(struct sqlite_file *file, const char *sql, char **ret_text, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int r = sqlite3_prepare_v2(file->db, sql, -1, &statement, NULL);

    *ret_text = NULL;
    if (r == SQLITE_OK)
        r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        *ret_text = mem_strdup(text != NULL ? text : "");
    }
    r = r == SQLITE_ROW || r == SQLITE_DONE ? 0 : fail(file, err);
    sqlite3_finalize(statement);
    return r;
}

/* Whose file is it?  A new one becomes ours; one that is damaged or another's is refused. */
static int
check(struct sqlite_file *file, struct err *err)
{
    char *text = NULL;
    int r = ask_text(file, "PRAGMA application_id", &text, err);
    long id = text != NULL ? strtol(text, NULL, 10) : 0;

    free(text);
    text = NULL;
    if (r == 0)
        r = ask_text(file, "SELECT count(*) FROM sqlite_master", &text, err);
    if (r == 0 && id != APPLICATION_ID && strcmp(text, "0") != 0)
        r = err_set(err, -EINVAL, "%s: is the database of another program, name another store.path",
                    file->path);
    free(text);
    text = NULL;
    if (r == 0)
        r = ask_text(file, "PRAGMA quick_check(1)", &text, err);
    if (r == 0 && (text == NULL || strcmp(text, "ok") != 0))
        r = err_set(err, -EINVAL,
                    "%s: is damaged (%.200s); it is left as it is. What it counted is lost when "
                    "you put it aside: postpool store set-aside",
                    file->path, text != NULL ? text : "no answer");
    free(text);
    return r;
}

static int
make_tables(struct sqlite_file *file, struct err *err)
{
    char sql[600];

    snprintf(sql, sizeof(sql),
             "BEGIN IMMEDIATE;"
             "CREATE TABLE IF NOT EXISTS book (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT "
             "ROWID;"
             "CREATE TABLE IF NOT EXISTS clock (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
             "CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, version INTEGER NOT NULL, "
             "data BLOB NOT NULL);"
             "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             APPLICATION_ID, FILE_VERSION);
    return run(file, sql, err);
}

int
sqlite_file_open(const char *path, struct sqlite_file **ret_file, struct err *err)
{
    struct sqlite_file *file = mem_new(sizeof(*file));
    mode_t before = umask(0077);
    int code = sqlite3_open_v2(
        path, &file->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    int r = 0;

    file->path = mem_strdup(path);
    if (code != SQLITE_OK)
        r = err_set(err, -EIO, "%s: %s", path,
                    file->db != NULL ? sqlite3_errmsg(file->db) : "no memory");
    if (r == 0 && sqlite3_db_readonly(file->db, "main") == 1) /* later it is "disk I/O error" */
        r = err_set(err, -EROFS, "%s: cannot be written: %s", path,
                    access(path, W_OK) < 0 ? strerror(errno) : "read-only");
    if (r == 0)
        r = run(file, "PRAGMA locking_mode = EXCLUSIVE", err);
    if (r == 0)
        r = check(file, err);
    if (r == 0)
        r = run(file, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", err);
    if (r == 0)
        r = make_tables(file, err);
    for (int i = 0; i < STATEMENTS && r == 0; i++)
        if (sqlite3_prepare_v2(file->db, texts[i], -1, &file->statements[i], NULL) != SQLITE_OK)
            r = fail(file, err);
    umask(before);
    if (r < 0) {
        sqlite_file_close(file);
        return r;
    }
    *ret_file = file;
    return 0;
}

void
sqlite_file_close(struct sqlite_file *file)
{
    if (file == NULL)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(file->statements[i]);
    sqlite3_close(file->db);
    free(file->walked);
    free(file->path);
    free(file);
}

/* Run a statement that gives no rows, and make it ready for the next time. */
static int
step(struct sqlite_file *file, sqlite3_stmt *statement, struct err *err)
{
    int r = sqlite3_step(statement) == SQLITE_DONE ? 0 : fail(file, err);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return r;
}

static int
set(struct sqlite_file *file, const char *name, const char *value, struct err *err)
{
    sqlite3_stmt *statement = file->statements[SET];

    sqlite3_bind_text(statement, 1, name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(statement, 2, value, -1, SQLITE_TRANSIENT);
    return step(file, statement, err);
}

static int
set_number(struct sqlite_file *file, const char *name, int64_t value, struct err *err)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)value);
    return set(file, name, text, err);
}

/* Which boot this is; "" where the system does not tell. */
static void
boot_id(char id[static 64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, id, 63) : 0;

    if (fd >= 0)
        close(fd);
    id[length > 0 ? length : 0] = '\0';
    id[strcspn(id, "\n")] = '\0';
}

int
sqlite_file_clock(struct sqlite_file *file, int64_t boot_ms, int64_t *ret_offset_ms,
                  struct err *err)
{
    char *boot = NULL, *offset = NULL, *last = NULL, *uptime = NULL;
    char this_boot[64];
    bool same;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    int r = ask_text(file, "SELECT value FROM clock WHERE name = 'boot'", &boot, err);

    if (r == 0)
        r = ask_text(file, "SELECT value FROM clock WHERE name = 'offset'", &offset, err);
    if (r == 0)
        r = ask_text(file, "SELECT value FROM clock WHERE name = 'last'", &last, err);
    if (r == 0)
        r = ask_text(file, "SELECT value FROM clock WHERE name = 'uptime'", &uptime, err);
    if (r < 0)
        goto out;
    boot_id(this_boot);
    if (this_boot[0] != '\0')
        same = boot != NULL && strcmp(boot, this_boot) == 0;
    else /* a sandbox hides it; a boot clock that went on is as good: time only gets longer */
        same = uptime != NULL && strtoll(uptime, NULL, 10) <= boot_ms;
    if (last != NULL && strtoll(last, NULL, 10) > now_ms)
        now_ms = strtoll(last, NULL, 10);
    *ret_offset_ms = now_ms - boot_ms;
    if (same && offset != NULL)
        *ret_offset_ms = strtoll(offset, NULL, 10);
    r = set(file, "boot", this_boot, err);
    if (r == 0)
        r = set_number(file, "offset", *ret_offset_ms, err);
    file->offset_ms = *ret_offset_ms;
out:
    free(uptime);
    free(boot);
    free(offset);
    free(last);
    return r;
}

int
sqlite_file_begin(struct sqlite_file *file, struct err *err)
{
    return run(file, "BEGIN IMMEDIATE", err);
}

int
sqlite_file_commit(struct sqlite_file *file, int64_t now_ms, struct err *err)
{
    int r = set_number(file, "last", now_ms, err);

    if (r == 0)
        r = set_number(file, "uptime", now_ms - file->offset_ms, err);
    return r < 0 ? r : run(file, "COMMIT", err);
}

void
sqlite_file_rollback(struct sqlite_file *file)
{
    sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
}

int
sqlite_file_load(struct sqlite_file *file, const char *key, struct book *ret_book, struct err *err)
{
    sqlite3_stmt *statement = file->statements[LOAD];
    int code, r = 0;

    sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        r = book_unpack(sqlite3_column_blob(statement, 0),
                        (size_t)sqlite3_column_bytes(statement, 0), ret_book);
        if (r == -EINVAL)
            r = err_set(err, -EILSEQ,
                        "%s: the entry of %s is damaged; forget it with: postpool reset %s",
                        file->path, key, key);
    } else if (code == SQLITE_DONE) {
        *ret_book = (struct book){0};
    } else {
        r = fail(file, err);
    }
    sqlite3_reset(statement);
    return r;
}

int
sqlite_file_save(struct sqlite_file *file, const char *key, const struct book *book,
                 struct err *err)
{
    sqlite3_stmt *statement = file->statements[SAVE];
    void *data;
    size_t length;
    int r = book_pack(book, &data, &length);

    if (r < 0)
        return err_set(err, r, "%s: no memory", file->path);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
    sqlite3_bind_blob(statement, 2, data, (int)length, free);
    return step(file, statement, err);
}

int
sqlite_file_remove(struct sqlite_file *file, const char *key, struct err *err)
{
    sqlite3_stmt *statement = file->statements[REMOVE];

    sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
    return step(file, statement, err);
}

/* The row that a statement is at; its bytes are the statement's. */
static struct record
record_at(sqlite3_stmt *row)
{
    return (struct record){(uint64_t)sqlite3_column_int64(row, 1),
                           (void *)sqlite3_column_blob(row, 2),
                           (size_t)sqlite3_column_bytes(row, 2)};
}

int
sqlite_file_record(struct sqlite_file *file, const char *key, struct record *record,
                   struct err *err)
{
    sqlite3_stmt *statement = file->statements[RECORD];
    int code, r = 0;

    sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
    code = sqlite3_step(statement);
    record_clear(record);
    if (code == SQLITE_ROW) {
        struct record row = record_at(statement);

        record_set(record, row.version, row.bytes, row.length);
    } else if (code != SQLITE_DONE) {
        r = fail(file, err);
    }
    sqlite3_reset(statement);
    return r;
}

int
sqlite_file_record_save(struct sqlite_file *file, const char *key, const struct record *record,
                        struct err *err)
{
    sqlite3_stmt *statement = file->statements[RECORD_SAVE];

    sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)record->version);
    sqlite3_bind_blob(statement, 3, record->bytes, (int)record->length, SQLITE_TRANSIENT);
    return step(file, statement, err);
}

int
sqlite_file_record_remove(struct sqlite_file *file, const char *key, struct err *err)
{
    sqlite3_stmt *statement = file->statements[RECORD_REMOVE];

    sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
    return step(file, statement, err);
}

int
sqlite_file_record_count(struct sqlite_file *file, size_t *ret_count, struct err *err)
{
    sqlite3_stmt *statement = file->statements[RECORD_COUNT];
    int r = sqlite3_step(statement) == SQLITE_ROW ? 0 : fail(file, err);

    if (r == 0)
        *ret_count = (size_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return r;
}

int
sqlite_file_records(struct sqlite_file *file,
                    bool (*each)(void *arg, const char *key, const struct record *record),
                    void *arg, struct err *err)
{
    sqlite3_stmt *statement = file->statements[RECORDS];
    bool more = true;
    int code = SQLITE_DONE, r = 0;

    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct record record = record_at(statement);

        more = each(arg, (const char *)sqlite3_column_text(statement, 0), &record);
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        r = fail(file, err);
    sqlite3_reset(statement);
    return r;
}

static bool
is_over(sqlite3_stmt *row, uint64_t life, int64_t since_ms, int64_t now_ms)
{
    struct book book;
    bool over;

    if (book_unpack(sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1), &book) < 0)
        return false;
    over = book_is_over(&book, life, since_ms, now_ms);
    book_clear(&book);
    return over;
}

/* The keys of what is over among the next most entries; the caller frees them. */
static int
find_over(struct sqlite_file *file, int most, uint64_t life, int64_t since_ms, int64_t now_ms,
          char **keys, int *ret_count, struct err *err)
{
    sqlite3_stmt *walk = file->statements[WALK];
    char *last = NULL;
    int code, looked = 0, r = 0;

    sqlite3_bind_text(walk, 1, file->walked != NULL ? file->walked : "", -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(walk, 2, most);
    *ret_count = 0;
    while ((code = sqlite3_step(walk)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(walk, 0);

        if (is_over(walk, life, since_ms, now_ms))
            keys[(*ret_count)++] = mem_strdup(key);
        if (++looked == most)
            last = mem_strdup(key);
    }
    if (code != SQLITE_DONE)
        r = fail(file, err);
    sqlite3_reset(walk);
    sqlite3_clear_bindings(walk);
    free(file->walked);
    file->walked = last;
    return r;
}

int
sqlite_file_trim(struct sqlite_file *file, int most, uint64_t life, int64_t since_ms,
                 int64_t now_ms, struct err *err)
{
    char **keys = mem_array((size_t)most, sizeof(*keys));
    int count, r = find_over(file, most, life, since_ms, now_ms, keys, &count, err);

    if (r == 0 && count > 0) {
        r = sqlite_file_begin(file, err);
        for (int i = 0; i < count && r == 0; i++)
            r = sqlite_file_remove(file, keys[i], err);
        if (r == 0)
            r = sqlite_file_commit(file, now_ms, err);
        if (r < 0)
            sqlite_file_rollback(file);
    }
    for (int i = 0; i < count; i++)
        free(keys[i]);
    free(keys);
    return r < 0 ? r : count;
}
