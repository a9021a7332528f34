/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_pages.h"

#include "lib/err.h"
#include "policyd/hours_file_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where rows of each kind are. */
static const struct {
    const char *table;
    const char *names; /* columns */
    const char *shared;
} kinds[TALLIES_KINDS] = {
    [TALLIES_MAIL] = {"mail", "stream, pool, address, provider", "shared_mail"},
    [TALLIES_ACCOUNTS] = {"accounts", "account, stream, pool", "shared_accounts"},
    [TALLIES_SUSPENDED] = {"suspended", "address, provider", "shared_suspended"},
    [TALLIES_UNMET] = {"unmet", "stream, requirement", "shared_unmet"},
};

const char *
hours_pages_id(const struct hours_file *file)
{
    return file->id;
}

bool
hours_pages_is_id(const char *text, size_t length)
{
    return length == HOURS_ID_SIZE - 1 && strspn(text, "0123456789abcdef") >= HOURS_ID_SIZE - 1;
}

static int
prepare(struct hours_file *file, const char *sql, sqlite3_stmt **ret_statement, struct err *err)
{
    return sqlite3_prepare_v2(file->db, sql, -1, ret_statement, NULL) == SQLITE_OK
               ? 0
               : hours_file_fail(file, err);
}

/* Its last step gave code. */
static int
finish(struct hours_file *file, sqlite3_stmt *statement, int code, struct err *err)
{
    int r = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : hours_file_fail(file, err);

    sqlite3_finalize(statement);
    return r;
}

static void
bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT);
}

/* ---------------------------------------------------------------------- own */

static char *
make_select(enum tallies_kind kind)
{
    struct buf sql = {0};

    buf_printf(&sql, "SELECT %s", kinds[kind].names);
    if (kind == TALLIES_SUSPENDED) {
        buf_puts(&sql, ", ms FROM suspended WHERE hour = ?1 ORDER BY ms DESC");
        return buf_take(&sql);
    }
    if (kind == TALLIES_UNMET) {
        buf_puts(&sql, ", messages FROM unmet WHERE hour = ?1 ORDER BY messages DESC");
        return buf_take(&sql);
    }
    for (int i = 0; i < TALLY_COUNTERS; i++)
        buf_printf(&sql, ", %s", hours_file_counter(i));
    buf_printf(&sql, " FROM %s WHERE hour = ?1 ORDER BY 0", kinds[kind].table);
    for (int i = 0; i < TALLY_DELAY; i++)
        if (i != TALLY_FULL && i != TALLY_RESCUED)
            buf_printf(&sql, " + %s", hours_file_counter(i));
    buf_puts(&sql, " DESC");
    return buf_take(&sql);
}

static int
add_rows(struct hours_file *file, enum tallies_kind kind, int64_t hour, struct hours_page *page,
         struct err *err)
{
    int names = hours_page_names(kind), counters = hours_page_counters(kind), code, r;
    char *sql = make_select(kind);
    sqlite3_stmt *statement;

    r = prepare(file, sql, &statement, err);
    free(sql);
    if (r < 0)
        return r;
    sqlite3_bind_int64(statement, 1, hour);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *texts[TALLIES_NAMES];
        struct tally tally = {{0}};

        for (int i = 0; i < names; i++)
            texts[i] = (const char *)sqlite3_column_text(statement, i);
        for (int i = 0; i < counters; i++)
            tally.counts[i] = (uint64_t)sqlite3_column_int64(statement, names + i);
        hours_page_add(page, kind, texts, &tally);
    }
    return finish(file, statement, code, err);
}

int
hours_pages_next(struct hours_file *file, const char *node, int64_t below,
                 struct hours_version *ret_version, struct hours_page *ret_page, int64_t *ret_left,
                 struct err *err)
{
    struct hours_page page;
    sqlite3_stmt *statement;
    int code;
    int r = prepare(file,
                    "SELECT hour, version, (SELECT count(*) FROM changes WHERE shown <> version) "
                    "FROM changes WHERE shown <> version AND hour < ?1 ORDER BY hour DESC LIMIT 1",
                    &statement, err);

    *ret_left = 0;
    if (r < 0)
        return r;
    sqlite3_bind_int64(statement, 1, below);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        ret_version->hour = sqlite3_column_int64(statement, 0);
        ret_version->version = sqlite3_column_int64(statement, 1);
        *ret_left = sqlite3_column_int64(statement, 2) - 1;
    }
    r = finish(file, statement, code, err);
    if (r < 0 || code != SQLITE_ROW)
        return r;
    hours_page_begin(&page, node);
    for (int kind = 0; kind < TALLIES_KINDS && r == 0; kind++)
        r = add_rows(file, (enum tallies_kind)kind, ret_version->hour, &page, err);
    hours_page_end(&page);
    if (r < 0) {
        hours_page_clear(&page);
        return r;
    }
    *ret_page = page;
    return 1;
}

static int
set_shown(struct hours_file *file, int64_t hour, int64_t version, struct err *err)
{
    sqlite3_stmt *statement;
    int r = prepare(file, "UPDATE changes SET shown = ?2 WHERE hour = ?1", &statement, err);

    if (r < 0)
        return r;
    sqlite3_bind_int64(statement, 1, hour);
    sqlite3_bind_int64(statement, 2, version);
    return finish(file, statement, sqlite3_step(statement), err);
}

int
hours_pages_shown(struct hours_file *file, const struct hours_version *version, struct err *err)
{
    return set_shown(file, version->hour, version->version, err);
}

/* ------------------------------------------------------------------ compare */

static int
by_hour(const void *a, const void *b)
{
    int64_t one = ((const struct hours_version *)a)->hour;
    int64_t other = ((const struct hours_version *)b)->hour;

    return one < other ? 1 : one > other ? -1 : 0; /* the newest first */
}

static struct hours_version *
find(struct hours_version *sorted, size_t count, int64_t hour)
{
    struct hours_version key = {hour, 0};

    return count > 0 ? bsearch(&key, sorted, count, sizeof(key), by_hour) : NULL;
}

static int
read_versions(struct hours_file *file, const char *sql, const char *id,
              struct hours_version **ret_versions, size_t *ret_count, struct err *err)
{
    struct hours_version *versions = mem_array(HOURS_LIST_MAX, sizeof(*versions));
    sqlite3_stmt *statement;
    int code, r = prepare(file, sql, &statement, err);
    size_t count = 0;

    if (r == 0) {
        if (id != NULL)
            bind_text(statement, 1, id);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW && count < HOURS_LIST_MAX)
            versions[count++] = (struct hours_version){sqlite3_column_int64(statement, 0),
                                                       sqlite3_column_int64(statement, 1)};
        r = finish(file, statement, code, err);
    }
    if (r < 0) {
        free(versions);
        return r;
    }
    *ret_versions = versions;
    *ret_count = count;
    return 0;
}

int
hours_pages_compare(struct hours_file *file, struct hours_version *there, size_t count,
                    struct err *err)
{
    struct hours_version *shown;
    size_t shown_count;
    int r = read_versions(file, "SELECT hour, shown FROM changes WHERE shown <> 0", NULL, &shown,
                          &shown_count, err);

    if (r < 0)
        return r;
    qsort(there, count, sizeof(*there), by_hour);
    r = hours_run(file, "BEGIN IMMEDIATE", err);
    for (size_t i = 0; i < shown_count && r == 0; i++) {
        const struct hours_version *found = find(there, count, shown[i].hour);

        if (found == NULL || found->version != shown[i].version)
            r = set_shown(file, shown[i].hour, 0, err);
    }
    free(shown);
    if (r == 0)
        r = hours_run(file,
                      "UPDATE changes SET shown = 0 WHERE hour = (SELECT max(hour) FROM changes);"
                      "COMMIT",
                      err);
    if (r < 0)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int
hours_pages_wanted(struct hours_file *file, const char *id, int64_t oldest,
                   struct hours_version *there, size_t *count, struct err *err)
{
    struct hours_version *known;
    size_t known_count, wanted = 0;
    int64_t floor;
    int r = hours_ask_number(file, READ_FLOOR, &floor, err);

    if (r == 0)
        r = read_versions(file,
                          "SELECT hour, version FROM shared_hours WHERE id = ?1 ORDER BY hour DESC",
                          id, &known, &known_count, err);
    if (r < 0)
        return r;
    if (floor > oldest)
        oldest = floor;
    qsort(there, *count, sizeof(*there), by_hour);
    for (size_t i = 0; i < *count; i++) {
        const struct hours_version *found = find(known, known_count, there[i].hour);

        if (there[i].hour >= oldest && (found == NULL || found->version != there[i].version))
            there[wanted++] = there[i];
    }
    *count = wanted;
    free(known);
    return 0;
}

/* --------------------------------------------------------------------- take */

struct taker {
    struct hours_file *file;
    const char *id;
    char node[HOURS_PAGE_NODE_SIZE]; /* "": not known */
    int64_t hour;
    sqlite3_stmt *adds[TALLIES_KINDS];
    int r;
    struct err *err;
};

/* hour, id, node, the names, the counters */
static int
prepare_adds(struct taker *taker)
{
    int r = 0;

    for (int kind = 0; kind < TALLIES_KINDS && r == 0; kind++) {
        int values = 3 + hours_page_names((enum tallies_kind)kind) +
                     hours_page_counters((enum tallies_kind)kind);
        struct buf sql = {0};

        buf_printf(&sql, "REPLACE INTO %s VALUES (?", kinds[kind].shared);
        for (int i = 1; i < values; i++)
            buf_puts(&sql, ", ?");
        buf_puts(&sql, ")");
        r = prepare(taker->file, buf_text(&sql), &taker->adds[kind], taker->err);
        buf_clear(&sql);
    }
    return r;
}

static void
on_row(void *arg, const struct tallies_cell *cell)
{
    struct taker *taker = arg;
    sqlite3_stmt *add = taker->adds[cell->kind];
    int names = hours_page_names(cell->kind), counters = hours_page_counters(cell->kind);

    if (taker->r < 0)
        return;
    sqlite3_bind_int64(add, 1, taker->hour);
    bind_text(add, 2, taker->id);
    bind_text(add, 3, taker->node);
    for (int i = 0; i < names; i++)
        bind_text(add, 4 + i, cell->names[i]);
    for (int i = 0; i < counters; i++)
        sqlite3_bind_int64(add, 4 + names + i, (int64_t)cell->tally.counts[i]);
    if (sqlite3_step(add) != SQLITE_DONE)
        taker->r = hours_file_fail(taker->file, taker->err);
    sqlite3_reset(add);
}

static int
run_for(struct taker *taker, const char *sql, int64_t version, struct err *err)
{
    sqlite3_stmt *statement;
    int r = prepare(taker->file, sql, &statement, err);

    if (r < 0)
        return r;
    sqlite3_bind_int64(statement, 1, taker->hour);
    bind_text(statement, 2, taker->id);
    if (sqlite3_bind_parameter_count(statement) > 2) {
        sqlite3_bind_int64(statement, 3, version);
        bind_text(statement, 4, taker->node);
    }
    return finish(taker->file, statement, sqlite3_step(statement), err);
}

/* What was known of the hour goes, its rows come. */
static int
replace(struct taker *taker, const char *bytes, size_t length, bool *ret_odd)
{
    int r = prepare_adds(taker);

    for (int kind = 0; kind < TALLIES_KINDS && r == 0; kind++) {
        char *sql = mem_printf("DELETE FROM %s WHERE hour = ?1 AND id = ?2", kinds[kind].shared);

        r = run_for(taker, sql, 0, taker->err);
        free(sql);
    }
    if (r == 0)
        *ret_odd = !hours_page_read(bytes, length, taker->node, on_row, taker);
    for (int kind = 0; kind < TALLIES_KINDS; kind++)
        sqlite3_finalize(taker->adds[kind]);
    return r < 0 ? r : taker->r;
}

static int
note(struct taker *taker, int64_t version)
{
    return run_for(taker,
                   "INSERT INTO shared_hours VALUES (?2, ?1, ?3, ?4) ON CONFLICT DO UPDATE SET "
                   "version = excluded.version, "
                   "node = CASE excluded.node WHEN '' THEN node ELSE excluded.node END",
                   version, taker->err);
}

int
hours_pages_take(struct hours_file *file, const char *id, const struct hours_version *version,
                 const char *bytes, size_t length, bool *ret_odd, struct err *err)
{
    struct taker taker = {.file = file, .id = id, .hour = version->hour, .err = err};
    int r = hours_run(file, "BEGIN IMMEDIATE", err);

    *ret_odd = false;
    if (r < 0)
        return r;
    if (length > 0) {
        r = hours_run(file, "SAVEPOINT page", err);
        if (r == 0)
            r = replace(&taker, bytes, length, ret_odd);
        if (r == 0)
            r = hours_run(file, *ret_odd ? "ROLLBACK TO page" : "RELEASE page", err);
        if (*ret_odd)
            taker.node[0] = '\0';
    }
    if (r == 0)
        r = note(&taker, version->version);
    if (r == 0)
        r = hours_run(file, "COMMIT", err);
    if (r < 0)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int
hours_pages_nodes(struct hours_file *file, int64_t from, int64_t to, hours_nodes_fn *each,
                  void *arg, struct err *err)
{
    sqlite3_stmt *statement;
    int code = SQLITE_DONE;
    int r = prepare(file,
                    "SELECT DISTINCT node FROM shared_hours WHERE hour BETWEEN ?1 AND ?2 AND "
                    "node <> '' ORDER BY node",
                    &statement, err);

    if (r < 0)
        return r;
    sqlite3_bind_int64(statement, 1, from);
    sqlite3_bind_int64(statement, 2, to);
    for (int i = 0; i < HOURS_NODES_MAX && (code = sqlite3_step(statement)) == SQLITE_ROW; i++)
        each(arg, (const char *)sqlite3_column_text(statement, 0));
    return finish(file, statement, code, err);
}
