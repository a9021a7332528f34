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
    const char *column;
    const char *table;
    const char *suspended; /* of a condition, with the column to add to; NULL: none */
    const char *where;
} bys[HOURS_BYS] = {
    [HOURS_BY_ADDRESS] = {"address", "address", "mail", "address", "provider = ''"},
    [HOURS_BY_STREAM] = {"stream", "stream", "mail", NULL, NULL},
    [HOURS_BY_PROVIDER] = {"provider", "provider", "mail", "provider", "provider <> ''"},
    [HOURS_BY_ACCOUNT] = {"account", "account", "accounts", NULL, NULL},
    [HOURS_BY_POOL] = {"pool", "pool", "mail", NULL, NULL},
    [HOURS_BY_HOUR] = {"hour", "hour", "mail", "hour", "1"},
};

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

/* SELECT the name, each counter's sum, and the sum of the suspensions. */
static char *
make_sql(enum hours_by by)
{
    struct buf sql = {0};

    buf_puts(&sql, "SELECT name");
    for (int i = 0; i < TALLY_COUNTERS; i++)
        buf_printf(&sql, ", sum(%s)", hours_file_counter(i));
    buf_puts(&sql, ", sum(suspended_ms) FROM (SELECT ");
    buf_printf(&sql, "%s AS name", bys[by].column);
    for (int i = 0; i < TALLY_COUNTERS; i++)
        buf_printf(&sql, ", %s", hours_file_counter(i));
    buf_printf(&sql, ", 0 AS suspended_ms FROM %s WHERE hour BETWEEN ?1 AND ?2", bys[by].table);
    if (bys[by].suspended != NULL) {
        buf_printf(&sql, " UNION ALL SELECT %s", bys[by].suspended);
        for (int i = 0; i < TALLY_COUNTERS; i++)
            buf_puts(&sql, ", 0");
        buf_printf(&sql, ", ms FROM suspended WHERE hour BETWEEN ?1 AND ?2 AND %s", bys[by].where);
    }
    buf_puts(&sql, ") GROUP BY name ORDER BY ");
    if (by == HOURS_BY_HOUR)
        buf_puts(&sql, "name");
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

int
hours_sums_read(struct hours_file *file, enum hours_by by, int64_t from, int64_t to,
                struct hours_sums *ret_sums, struct err *err)
{
    struct hours_sums sums = {0};
    sqlite3_stmt *statement = NULL;
    char *sql = make_sql(by);
    int code = sqlite3_prepare_v2(hours_file_db(file), sql, -1, &statement, NULL);

    free(sql);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, from);
        sqlite3_bind_int64(statement, 2, to);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
            struct hours_sum sum;

            read_sum(statement, by, &sum);
            take(&sums, &sum);
        }
    }
    code = code == SQLITE_DONE ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
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
hours_sums_pairs(struct hours_file *file, enum hours_pair pair, int64_t from, int64_t to,
                 hours_pair_fn *each, void *arg, struct err *err)
{
    static const char *const texts[] = {
        [HOURS_ADDRESS_STREAM] = "SELECT address, stream, sum(sent) n FROM mail WHERE hour BETWEEN "
                                 "?1 AND ?2 AND address <> '' ",
        [HOURS_POOL_PROVIDER] = "SELECT pool, provider, sum(sent) n FROM mail WHERE hour BETWEEN "
                                "?1 AND ?2 AND address <> '' ",
        [HOURS_POOL_ACCOUNT] =
            "SELECT pool, account, sum(sent) n FROM accounts WHERE hour BETWEEN ?1 AND ?2 ",
    };
    char *sql = mem_printf("%s GROUP BY 1, 2 HAVING n > 0 ORDER BY 1, n DESC", texts[pair]);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(hours_file_db(file), sql, -1, &statement, NULL);

    free(sql);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, from);
        sqlite3_bind_int64(statement, 2, to);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW)
            each(arg, (const char *)sqlite3_column_text(statement, 0),
                 (const char *)sqlite3_column_text(statement, 1),
                 (uint64_t)sqlite3_column_int64(statement, 2));
    }
    code = code == SQLITE_DONE ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
    return code;
}

int
hours_sums_oldest(struct hours_file *file, int64_t *ret_hour, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(hours_file_db(file), "SELECT min(hour) FROM mail", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *ret_hour = -1;
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
        *ret_hour = sqlite3_column_int64(statement, 0);
    code = code == SQLITE_ROW ? 0 : hours_file_fail(file, err);
    sqlite3_finalize(statement);
    return code;
}
