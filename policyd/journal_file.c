/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/journal_file.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/sqlite_file.h"

#include <errno.h>
#include <event2/util.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { LIFE_BITS = 53 }; /* what a number in Lua can hold */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS redis_self (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS redis_nodes (name TEXT PRIMARY KEY, heard INTEGER, gone INTEGER) "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS redis_rows (key TEXT PRIMARY KEY, row BLOB, until INTEGER)"
    " WITHOUT ROWID;";

enum statement {
    PUT_ROW,
    PUT_LIFE,
    DROP_NODES,
    PUT_NODE,
    READ_ROWS,
    FIND_ROW,
    TRIM_ROWS,
    STATEMENTS,
};

static const char *const texts[STATEMENTS] = {
    [PUT_ROW] = "REPLACE INTO redis_rows VALUES (?1, ?2, ?3)",
    [PUT_LIFE] = "REPLACE INTO redis_self VALUES ('life', ?1)",
    [DROP_NODES] = "DELETE FROM redis_nodes",
    [PUT_NODE] = "REPLACE INTO redis_nodes VALUES (?1, ?2, ?3)",
    [READ_ROWS] = "SELECT key, row, until FROM redis_rows WHERE key > ?1 ORDER BY key LIMIT ?2",
    [FIND_ROW] = "SELECT key, row, until FROM redis_rows WHERE key = ?1",
    [TRIM_ROWS] = "DELETE FROM redis_rows WHERE until < ?1",
};

struct journal_file {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

void
journal_nodes_free(struct journal_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(nodes[i].name);
    free(nodes);
}

void
journal_rows_clear(struct journal_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->items[i].key);
        free(rows->items[i].row);
    }
    free(rows->items);
    *rows = (struct journal_rows){0};
}

static int
run(sqlite3_stmt *statement)
{
    int r = sqlite3_step(statement);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : r;
}

int
journal_file_begin(struct journal_file *file)
{
    return sqlite3_exec(file->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

int
journal_file_commit(struct journal_file *file)
{
    return sqlite3_exec(file->db, "COMMIT", NULL, NULL, NULL);
}

void
journal_file_rollback(struct journal_file *file)
{
    sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
}

int
journal_file_put_row(struct journal_file *file, const struct journal_row *row)
{
    sqlite3_stmt *statement = file->statements[PUT_ROW];

    sqlite3_bind_text(statement, 1, row->key, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, row->row, (int)row->length, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, row->until_ms);
    return run(statement);
}

int
journal_file_put_life(struct journal_file *file, uint64_t life)
{
    sqlite3_bind_int64(file->statements[PUT_LIFE], 1, (int64_t)life);
    return run(file->statements[PUT_LIFE]);
}

int
journal_file_put_nodes(struct journal_file *file, const struct journal_node *nodes, size_t count)
{
    int r = run(file->statements[DROP_NODES]);

    for (size_t i = 0; r == SQLITE_OK && i < count; i++) {
        sqlite3_stmt *put = file->statements[PUT_NODE];

        sqlite3_bind_text(put, 1, nodes[i].name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(put, 2, nodes[i].heard_ms);
        sqlite3_bind_int(put, 3, nodes[i].gone);
        r = run(put);
    }
    return r;
}

static int
read_rows(sqlite3_stmt *statement, struct journal_rows *rows)
{
    size_t room = 0;
    int r;

    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        struct journal_row *row;

        if (rows->count == room) {
            room = room > 0 ? 2 * room : 16;
            rows->items = mem_resize(rows->items, room, sizeof(*rows->items));
        }
        row = &rows->items[rows->count++];
        row->key = mem_strdup((const char *)sqlite3_column_text(statement, 0));
        row->length = (size_t)sqlite3_column_bytes(statement, 1);
        row->row = mem_array(row->length + 1, 1);
        if (row->length > 0)
            memcpy(row->row, sqlite3_column_blob(statement, 1), row->length);
        row->until_ms = sqlite3_column_int64(statement, 2);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

int
journal_file_read(struct journal_file *file, const char *after, int most,
                  struct journal_rows *ret_rows)
{
    sqlite3_stmt *statement = file->statements[READ_ROWS];

    sqlite3_bind_text(statement, 1, after, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 2, most);
    return read_rows(statement, ret_rows);
}

int
journal_file_find(struct journal_file *file, const char *key, struct journal_rows *ret_rows)
{
    sqlite3_bind_text(file->statements[FIND_ROW], 1, key, -1, SQLITE_STATIC);
    return read_rows(file->statements[FIND_ROW], ret_rows);
}

int
journal_file_trim(struct journal_file *file, int64_t now_ms)
{
    sqlite3_bind_int64(file->statements[TRIM_ROWS], 1, now_ms);
    return run(file->statements[TRIM_ROWS]);
}

const char *
journal_file_path(const struct journal_file *file)
{
    return sqlite3_db_filename(file->db, "main");
}

const char *
journal_file_why(const struct journal_file *file)
{
    return sqlite3_errmsg(file->db);
}

/* ------------------------------------------------------------------- open */

uint64_t
journal_file_life_after(uint64_t life)
{
    struct timespec now;
    uint64_t us;

    clock_gettime(CLOCK_REALTIME, &now);
    us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    return us > life && us < (uint64_t)1 << LIFE_BITS ? us : life + 1;
}

static int
fail(struct journal_file *file, const char *path, struct err *err)
{
    int code = sqlite3_errcode(file->db) & 0xff;
    int r = code == SQLITE_BUSY || code == SQLITE_LOCKED      ? -EBUSY
            : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? -EINVAL
                                                              : -EIO;

    if (r == -EBUSY)
        return err_set(err, r, "%s: another process has it open", path);
    return err_set(err, r, "%s: %s", path, sqlite3_errmsg(file->db));
}

static int
read_self(struct journal_file *file, struct journal_self *self)
{
    sqlite3_stmt *statement;
    int r =
        sqlite3_prepare_v2(file->db, "SELECT name, value FROM redis_self", -1, &statement, NULL);

    if (r != SQLITE_OK)
        return r;
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        uint64_t value = (uint64_t)sqlite3_column_int64(statement, 1);

        if (strcmp(name, "id") == 0)
            self->id = value;
        if (strcmp(name, "life") == 0)
            self->life = value;
    }
    sqlite3_finalize(statement);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int
write_self(struct journal_file *file, struct journal_self *self)
{
    char text[200];

    while (self->id == 0) {
        evutil_secure_rng_get_bytes(&self->id, sizeof(self->id));
        self->id >>= 64 - LIFE_BITS;
    }
    self->life = journal_file_life_after(self->life);
    snprintf(text, sizeof(text), "REPLACE INTO redis_self VALUES ('id', %llu), ('life', %llu)",
             (unsigned long long)self->id, (unsigned long long)self->life);
    return sqlite3_exec(file->db, text, NULL, NULL, NULL);
}

static int
read_nodes(struct journal_file *file, struct journal_self *self)
{
    sqlite3_stmt *statement;
    size_t room = 0;
    int r = sqlite3_prepare_v2(file->db, "SELECT name, heard, gone FROM redis_nodes", -1,
                               &statement, NULL);

    if (r != SQLITE_OK)
        return r;
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        if (self->node_count == room) {
            room = room > 0 ? 2 * room : 16;
            self->nodes = mem_resize(self->nodes, room, sizeof(*self->nodes));
        }
        self->nodes[self->node_count++] = (struct journal_node){
            mem_strdup((const char *)sqlite3_column_text(statement, 0)),
            sqlite3_column_int64(statement, 1), sqlite3_column_int(statement, 2) != 0};
    }
    sqlite3_finalize(statement);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

/* The file is checked, or made, as that of the other kind of store. */
static int
prepare(const char *path, struct err *err)
{
    struct sqlite_file *file;
    int r = sqlite_file_open(path, &file, err);

    if (r == 0)
        sqlite_file_close(file);
    return r;
}

static int
open_db(struct journal_file *file, const char *path, struct journal_self *self, struct err *err)
{
    mode_t before = umask(0077);
    int r = sqlite3_open_v2(path, &file->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL);

    if (r == SQLITE_OK)
        r = sqlite3_exec(file->db,
                         "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                         "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE;",
                         NULL, NULL, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_exec(file->db, schema, NULL, NULL, NULL);
    if (r == SQLITE_OK)
        r = read_self(file, self);
    if (r == SQLITE_OK)
        r = read_nodes(file, self);
    if (r == SQLITE_OK)
        r = write_self(file, self);
    if (r == SQLITE_OK)
        r = sqlite3_exec(file->db, "COMMIT", NULL, NULL, NULL);
    for (int i = 0; r == SQLITE_OK && i < STATEMENTS; i++)
        r = sqlite3_prepare_v2(file->db, texts[i], -1, &file->statements[i], NULL);
    umask(before);
    return r == SQLITE_OK ? 0 : fail(file, path, err);
}

int
journal_file_open(const char *path, struct journal_file **ret_file, struct journal_self *ret_self,
                  struct err *err)
{
    struct journal_file *file = mem_new(sizeof(*file));
    struct journal_self self = {0};
    int r = prepare(path, err);

    if (r == 0)
        r = open_db(file, path, &self, err);
    if (r < 0) {
        journal_nodes_free(self.nodes, self.node_count);
        journal_file_close(file);
        return r;
    }
    *ret_file = file;
    *ret_self = self;
    return 0;
}

void
journal_file_close(struct journal_file *file)
{
    if (file == NULL)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(file->statements[i]);
    sqlite3_close(file->db);
    free(file);
}
