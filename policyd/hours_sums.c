/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_sums.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/hours_file.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* Where each is found: the column, the table, and which suspensions belong to it. */
static const struct {
    const char *text;
    const char *table;
    const char *suspended; /* of a condition, with the column to add to; NULL: none */
    const char *where;
} bys[HOURS_BYS] = {
    [HOURS_BY_ADDRESS] = {"address", "mail", "address", "provider = ''"},
    [HOURS_BY_STREAM] = {"stream", "mail", NULL, NULL},
    [HOURS_BY_PROVIDER] = {"provider", "mail", "provider", "provider <> ''"},
    [HOURS_BY_ACCOUNT] = {"account", "accounts", NULL, NULL},
    [HOURS_BY_POOL] = {"pool", "mail", NULL, NULL},
    [HOURS_BY_HOUR] = {"hour", "mail", "hour", "1"},
    [HOURS_BY_NODE] = {"node", "mail", NULL, NULL},
};

/* ?1 to ?4: from, to, the node or NULL, this host's name; behind a WHERE */
#define OWN "hour BETWEEN ?1 AND ?2 AND (?3 IS NULL OR ?3 = ?4)"
#define SHARED "hour BETWEEN ?1 AND ?2 AND (?3 IS NULL OR node = ?3)"

static void
bind_scope(sqlite3_stmt *statement, const struct hours_scope *scope)
{
    sqlite3_bind_int64(statement, 1, scope->from);
    sqlite3_bind_int64(statement, 2, scope->to);
    sqlite3_bind_text(statement, 3, scope->node, -1, SQLITE_TRANSIENT); /* NULL is NULL there */
    sqlite3_bind_text(statement, 4, scope->me, -1, SQLITE_TRANSIENT);
}

const char *
hours_by_text(enum hours_by by)
{
    return by < HOURS_BYS ? bys[by].text : NULL;
}

bool
hours_by_parse(const char *text, enum hours_by *ret_by)
{
    for (int i = 0; i < HOURS_BYS; i++)
        if (strcmp(bys[i].text, text) == 0) {
            *ret_by = (enum hours_by)i;
            return true;
        }
    return false;
}

static void
add_select(struct buf *sql, enum hours_by by, bool shared)
{
    const char *name = by == HOURS_BY_NODE && !shared ? "?4" : bys[by].text;

    buf_printf(sql, "SELECT %s AS name", name);
    for (int i = 0; i < TALLY_COUNTERS; i++)
        buf_printf(sql, ", %s", hours_file_counter(i));
    buf_printf(sql, ", 0 AS suspended_ms FROM %s%s WHERE %s", shared ? "shared_" : "",
               bys[by].table, shared ? SHARED : OWN);
}

/* SELECT the name, each counter's sum, and the sum of the suspensions. */
static char *
make_sql(enum hours_by by)
{
    struct buf sql = {0};

    buf_puts(&sql, "SELECT name");
    for (int i = 0; i < TALLY_COUNTERS; i++)
        buf_printf(&sql, ", sum(%s)", hours_file_counter(i));
    buf_puts(&sql, ", sum(suspended_ms) FROM (");
    add_select(&sql, by, false);
    buf_puts(&sql, " UNION ALL ");
    add_select(&sql, by, true);
    if (bys[by].suspended != NULL) {
        buf_printf(&sql, " UNION ALL SELECT %s", bys[by].suspended);
        for (int i = 0; i < TALLY_COUNTERS; i++)
            buf_puts(&sql, ", 0");
        buf_printf(
            &sql,
            ", max(ms) FROM (SELECT hour, address, provider, ms FROM suspended WHERE " OWN
            " UNION ALL SELECT hour, address, provider, ms FROM shared_suspended WHERE " SHARED
            ") WHERE %s GROUP BY hour, address, provider",
            bys[by].where);
    }
    buf_puts(&sql, ") GROUP BY name ORDER BY ");
    if (by == HOURS_BY_HOUR)
        buf_puts(&sql, "name DESC"); /* of too many the newest are told: turn_round() */
    else {
        buf_puts(&sql, "0");
        for (int i = 0; i < TALLY_DELAY; i++) /* what was tried: these two are counted twice */
            if (i != TALLY_FULL && i != TALLY_RESCUED)
                buf_printf(&sql, " + sum(%s)", hours_file_counter(i));
        buf_puts(&sql, " DESC, name");
    }
    return buf_take(&sql);
}

static void
read_sum(sqlite3_stmt *statement, enum hours_by by, struct hours_sum *sum)
{
    const char *name = (const char *)sqlite3_column_text(statement, 0);

    sum->name = mem_strdup(by != HOURS_BY_HOUR && name != NULL ? name : "");
    sum->hour = by == HOURS_BY_HOUR ? sqlite3_column_int64(statement, 0) : 0;
    for (int i = 0; i < TALLY_COUNTERS; i++)
        sum->tally.counts[i] = (uint64_t)sqlite3_column_int64(statement, 1 + i);
    sum->suspended_ms = sqlite3_column_int64(statement, 1 + TALLY_COUNTERS);
}

static void
add(struct hours_sum *to, const struct hours_sum *sum)
{
    tally_add(&to->tally, &sum->tally);
    to->suspended_ms += sum->suspended_ms;
}

static void
take(struct hours_sums *sums, struct hours_sum *sum)
{
    add(&sums->total, sum);
    if (sums->count == HOURS_SUMS_MAX) {
        sums->omitted++;
        add(&sums->remainder, sum);
        free(sum->name);
        return;
    }
    if (sums->items == NULL)
        sums->items = mem_array(HOURS_SUMS_MAX, sizeof(*sums->items));
    sums->items[sums->count++] = *sum;
}

static void
turn_round(struct hours_sums *sums)
{
    for (size_t i = 0; i < sums->count / 2; i++) {
        struct hours_sum first = sums->items[i];

        sums->items[i] = sums->items[sums->count - 1 - i];
        sums->items[sums->count - 1 - i] = first;
    }
}

int
hours_sums_read(struct hours_file *file, enum hours_by by, const struct hours_scope *scope,
                struct hours_sums *ret_sums, struct err *err)
{
    struct hours_sums sums = {0};
    sqlite3_stmt *statement = NULL;
    char *sql = make_sql(by);
    int code = sqlite3_prepare_v2(hours_file_db(file), sql, -1, &statement, NULL);

    free(sql);
    if (code == SQLITE_OK) {
        bind_scope(statement, scope);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
            struct hours_sum sum;

            read_sum(statement, by, &sum);
            take(&sums, &sum);
        }
    }
    code = code == SQLITE_DONE ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
    if (by == HOURS_BY_HOUR)
        turn_round(&sums);
    if (code < 0)
        hours_sums_clear(&sums);
    *ret_sums = sums;
    return code;
}

void
hours_sums_clear(struct hours_sums *sums)
{
    for (size_t i = 0; i < sums->count; i++)
        free(sums->items[i].name);
    free(sums->items);
    *sums = (struct hours_sums){0};
}

int
hours_sums_pairs(struct hours_file *file, enum hours_pair pair, const struct hours_scope *scope,
                 hours_pair_fn *each, void *arg, struct err *err)
{
    static const struct {
        const char *first, *second, *table, *of, *and;
    } parts[] = {
        [HOURS_ADDRESS_STREAM] = {"address", "stream", "mail", "sent", "AND address <> ''"},
        [HOURS_POOL_PROVIDER] = {"pool", "provider", "mail", "sent", "AND address <> ''"},
        [HOURS_POOL_ACCOUNT] = {"pool", "account", "accounts", "sent", ""},
        [HOURS_STREAM_UNMET] = {"stream", "requirement", "unmet", "messages", ""},
    };
    const char *first = parts[pair].first, *second = parts[pair].second, *of = parts[pair].of;
    const char *table = parts[pair].table, *and = parts[pair].and;
    char *sql = mem_printf("SELECT a, b, sum(c) n FROM (SELECT %s a, %s b, %s c FROM %s "
                           "WHERE " OWN " %s UNION ALL SELECT %s, %s, %s FROM shared_%s "
                           "WHERE " SHARED " %s) GROUP BY 1, 2 HAVING n > 0 ORDER BY 1, n DESC",
                           first, second, of, table, and, first, second, of, table, and);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(hours_file_db(file), sql, -1, &statement, NULL);

    free(sql);
    if (code == SQLITE_OK) {
        bind_scope(statement, scope);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW)
            each(arg, (const char *)sqlite3_column_text(statement, 0),
                 (const char *)sqlite3_column_text(statement, 1),
                 (uint64_t)sqlite3_column_int64(statement, 2));
    }
    code = code == SQLITE_DONE ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
    return code;
}

#define OLDEST_OF(table)                       \
    "SELECT * FROM (SELECT hour h FROM " table \
    " WHERE ?1 IS NULL OR pool = ?1 ORDER BY hour LIMIT 1)"

int
hours_sums_oldest(struct hours_file *file, const char *pool, int64_t *ret_hour, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        hours_file_db(file),
        "SELECT min(h) FROM (" OLDEST_OF("mail") " UNION ALL " OLDEST_OF("shared_mail") ")", -1,
        &statement, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, pool, -1, SQLITE_TRANSIENT); /* NULL is NULL there */
        code = sqlite3_step(statement);
    }
    *ret_hour = -1;
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
        *ret_hour = sqlite3_column_int64(statement, 0);
    code = code == SQLITE_ROW ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
    return code;
}
