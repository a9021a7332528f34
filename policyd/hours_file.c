/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_file_inside.h"

#include "engine/tallies.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* ------------------------------------------------------------------------- load */

static int
load_place(struct hours_file *file, struct hours_saved *saved, struct err *err)
{
    sqlite3_stmt *statement = file->statements[READ_PLACE];
    int r = hours_step(file, READ_PLACE, err);

    if (r == 0 && sqlite3_data_count(statement) > 0 &&
        place_parse((const char *)sqlite3_column_text(statement, 1), &saved->place))
        saved->log = mem_strdup((const char *)sqlite3_column_text(statement, 0));
    hours_done(file, READ_PLACE);
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
    hours_done(file, READ_QUEUED);
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
        hours_bind(file, HAS_ACCOUNT, 2 + i, cell->names[i]);
    r = hours_ask_number(file, HAS_ACCOUNT, &number, err);
    *ret_room = number == 1 || strcmp(cell->names[0], TALLIES_OTHERS) == 0;
    if (r < 0 || *ret_room)
        return r;
    if (file->counted_hour != cell->hour) { /* once for many: there may be 100,000 */
        sqlite3_bind_int64(file->statements[COUNT_ACCOUNTS], 1, cell->hour);
        r = hours_ask_number(file, COUNT_ACCOUNTS, &file->accounts, err);
        file->counted_hour = r == 0 ? cell->hour : -1;
    }
    *ret_room = file->accounts < accounts;
    file->accounts += *ret_room;
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
        [TALLIES_UNMET] = {ADD_UNMET, 2, 1},
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
        hours_bind(file, which, 2 + i, i == 0 && !room ? TALLIES_OTHERS : cell->names[i]);
    for (int i = 0; i < kinds[cell->kind].counters; i++)
        sqlite3_bind_int64(file->statements[which], 2 + names + i, (int64_t)cell->tally.counts[i]);
    return hours_carry_out(file, which, err);
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
    return hours_carry_out(file, which, err);
}

static int
put_place(struct hours_file *file, const struct hours_batch *batch, struct err *err)
{
    char text[PLACE_TEXT_SIZE];

    place_print(&batch->place, text);
    hours_bind(file, PUT_PLACE, 1, batch->log != NULL ? batch->log : "");
    hours_bind(file, PUT_PLACE, 2, text);
    return hours_carry_out(file, PUT_PLACE, err);
}

/* Returns 1, or 0 when there is none but the newest, or older than before. */
static int
drop_oldest(struct hours_file *file, int64_t before, struct err *err)
{
    int64_t oldest, newest;
    int r = hours_ask_number(file, OLDEST, &oldest, err);

    if (r == 0)
        r = hours_ask_number(file, NEWEST, &newest, err);
    if (r < 0 || oldest == newest || oldest >= before)
        return r;
    for (int i = DROP_MAIL; i <= RAISE_FLOOR && r == 0; i++) {
        sqlite3_bind_int64(file->statements[i], 1, oldest);
        r = hours_carry_out(file, (enum statement)i, err);
    }
    return r < 0 ? r : 1;
}

int64_t
hours_file_bytes(struct hours_file *file)
{
    int64_t pages, free_pages;

    if (hours_ask_number(file, PAGES, &pages, NULL) < 0 ||
        hours_ask_number(file, FREE_PAGES, &free_pages, NULL) < 0)
        return -1;
    return (pages - free_pages) * file->page_size;
}

/* These hours are others than those that were shown to other hosts. */
static int
touch_hours(struct hours_file *file, const struct tallies *tallies, struct err *err)
{
    int64_t last = -1;
    int r = tallies_count(tallies) > 0 ? hours_carry_out(file, BUMP, err) : 0;

    for (size_t i = 0; i < tallies_count(tallies) && r == 0; i++) {
        int64_t hour = tallies_get(tallies, i)->hour;

        if (hour == last)
            continue;
        sqlite3_bind_int64(file->statements[TOUCH], 1, hour);
        r = hours_carry_out(file, TOUCH, err);
        last = hour;
    }
    return r;
}

static int
write_batch(struct hours_file *file, const struct hours_batch *batch,
            const struct hours_limits *limits, struct err *err)
{
    const struct queued_change *change;
    int r = 0;

    for (size_t i = 0; i < tallies_count(batch->tallies) && r == 0; i++)
        r = add_cell(file, tallies_get(batch->tallies, i), limits->accounts, err);
    if (r == 0)
        r = touch_hours(file, batch->tallies, err);
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
    int r = hours_run(file, "BEGIN IMMEDIATE", err);

    file->counted_hour = -1;
    if (r < 0)
        return r;
    r = write_batch(file, batch, limits, err);
    if (r == 0)
        r = hours_run(file, "COMMIT", err);
    if (r < 0)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

/* ------------------------------------------------------------------------- trim */

static int
count_rows(struct hours_file *file, int64_t *ret_rows, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(file->db,
                           "SELECT (SELECT count(*) FROM mail) + (SELECT count(*) FROM "
                           "accounts) + (SELECT count(*) FROM suspended) + (SELECT "
                           "count(*) FROM shared_mail) + (SELECT count(*) FROM "
                           "shared_accounts) + (SELECT count(*) FROM shared_suspended) + (SELECT "
                           "count(*) FROM unmet) + (SELECT count(*) FROM shared_unmet)",
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
    int r = hours_run(file, "BEGIN IMMEDIATE", err);

    if (r < 0)
        return r;
    r = drop_oldest(file, before, err);
    if (r == 0) {
        r = count_rows(file, &rows, err);
        if (r == 0 && rows > limits->rows)
            r = drop_oldest(file, INT64_MAX, err);
    }
    if (r >= 0 && hours_run(file, "COMMIT", err) < 0)
        r = -EIO;
    if (r < 0)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}
