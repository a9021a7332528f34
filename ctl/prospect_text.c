/*
 * A prospect for people: tables that fit a terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/prospect.h"

#include "ctl/table.h"
#include "engine/date.h"
#include "engine/need.h"
#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "engine/world.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS_MAX = 6, /* addresses side by side; --json has all */
    COLUMNS_MIN = 3, /* likewise, where the table gets wider than a terminal */
    CELL_SIZE = 64,
    ALIKE_MAX = 5, /* warnings of one kind */
    NAMES_MAX = 8,
};

/* The cells of the first line. */
static void
put_heads(struct table *table, const char *const *heads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        table_text(table, heads[i]);
}

static void
put_date(struct table *table, int32_t day)
{
    char date[DATE_SIZE];

    date_print(day, date);
    table_text(table, date);
}

/* ------------------------------------------------------------------ streams */

static void
print_streams(const struct prospect *prospect, struct buf *out)
{
    static const char *const heads[] = {"stream", "came in",  "sent",  "at once",
                                        "waited", "returned", "waits", "longest"};
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct table table = {.columns = 8, .left = 1};

    put_heads(&table, heads, table.columns);
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        struct world_stream its = world_stream(prospect->world, &snapshot->streams[i]);
        char longest[UNITS_SPAN_SIZE];

        if (its.offered == 0)
            continue;
        table_text(&table, snapshot->streams[i].name);
        table_number(&table, its.offered);
        table_number(&table, its.sent);
        table_number(&table, its.at_once);
        table_number(&table, its.delayed);
        table_number(&table, its.ended + its.late);
        table_number(&table, its.waiting);
        table_text(&table,
                   its.waited_most_ms > 0 ? units_print_span(its.waited_most_ms, longest) : "-");
    }
    table_print(&table, out);
}

static void
print_waits(const struct prospect *prospect, struct buf *out)
{
    static const char *const heads[] = {"sent within", "1 min", "10 min", "1 h",  "6 h",
                                        "1 d",         "2 d",   "5 d",    "later"};
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct table table = {.columns = WORLD_WAITS + 1, .left = 1};

    put_heads(&table, heads, table.columns);
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        struct world_stream its = world_stream(prospect->world, &snapshot->streams[i]);

        if (its.sent == 0 || its.at_once == its.sent)
            continue;
        table_text(&table, snapshot->streams[i].name);
        for (size_t j = 0; j < WORLD_WAITS; j++) {
            char cell[CELL_SIZE];

            snprintf(cell, sizeof(cell), "%.1f %%", (double)its.waits[j] * 100 / (double)its.sent);
            table_text(&table, cell);
        }
    }
    if (table.count == table.columns) {
        table_clear(&table);
        return;
    }
    buf_puts(out, "\n");
    table_print(&table, out);
}

/* --------------------------------------------------------------------- days */

struct column {
    const struct address *address;
    uint64_t sent;
};

static int
busier_first(const void *a, const void *b)
{
    const struct column *x = a, *y = b;

    if (x->sent != y->sent)
        return x->sent > y->sent ? -1 : 1;
    return x->address->index < y->address->index ? -1 : 1;
}

static int
as_configured(const void *a, const void *b)
{
    const struct column *x = a, *y = b;

    return x->address->index < y->address->index ? -1 : x->address->index > y->address->index;
}

/* The addresses that have a column, most of them: those that sent most, or warm up.  How many? */
static size_t
choose_columns(const struct prospect *prospect, bool warm, size_t most,
               struct column columns[COLUMNS_MAX], size_t *ret_all)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct column *all = mem_array(snapshot->address_count, sizeof(*all));
    size_t count = 0, kept;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        struct column column = {&snapshot->addresses[i], 0};

        for (size_t j = 0; j < snapshot->stream_count; j++)
            column.sent += world_sent_of(prospect->world, column.address, &snapshot->streams[j]);
        if (warm ? column.address->schedule != NULL : column.sent > 0)
            all[count++] = column;
    }
    qsort(all, count, sizeof(*all), busier_first);
    kept = count < most ? count : most;
    qsort(all, kept, sizeof(*all), as_configured);
    for (size_t i = 0; i < kept; i++)
        columns[i] = all[i];
    free(all);
    *ret_all = count;
    return kept;
}

static void
put_names(struct table *table, const struct column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        table_text(table, columns[i].address->name);
}

static void
put_day(const struct prospect *prospect, const struct world_day *day, const struct column *columns,
        size_t count, bool others, struct table *table)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    uint64_t sent = 0, waiting = 0, shown = 0;

    for (size_t i = 0; i < snapshot->address_count; i++)
        sent += day->addresses[i].sent;
    for (size_t i = 0; i < snapshot->stream_count; i++)
        waiting += day->streams[i].waiting;
    put_date(table, day->day);
    table_number(table, sent);
    table_number(table, waiting);
    for (size_t i = 0; i < count; i++) {
        shown += day->addresses[columns[i].address->index].sent;
        table_number(table, day->addresses[columns[i].address->index].sent);
    }
    if (others)
        table_number(table, sent - shown);
}

/* With a column for each of the most addresses. */
static void
make_days(const struct prospect *prospect, size_t most, struct table *table)
{
    struct column columns[COLUMNS_MAX];
    size_t all, count = choose_columns(prospect, false, most, columns, &all);

    *table = (struct table){.columns = 3 + count + (all > count), .left = 1};
    table_text(table, "sent on");
    table_text(table, "in all");
    table_text(table, "waits");
    put_names(table, columns, count);
    if (all > count)
        table_text(table, "others");
    for (size_t i = 0; i < world_days(prospect->world); i++) {
        struct world_day day = world_day(prospect->world, i);

        put_day(prospect, &day, columns, count, all > count, table);
    }
}

static void
print_days(const struct prospect *prospect, struct buf *out)
{
    size_t most = COLUMNS_MAX;
    struct table table;

    make_days(prospect, most, &table);
    while (table_width(&table) > TABLE_WIDTH && most > COLUMNS_MIN) {
        table_clear(&table);
        make_days(prospect, --most, &table);
    }
    buf_puts(out, "\n");
    table_print(&table, out);
}

/* ----------------------------------------------------------------- warm-ups */

/* What became of a day, in a letter. */
static char
mark_of(enum warmup_result result)
{
    switch (result) {
    case WARMUP_ADVANCES:
        return '+';
    case WARMUP_BACK:
    case WARMUP_AGAIN:
        return '-';
    case WARMUP_IDLE:
        return '.';
    case WARMUP_STAYS:
        return ' ';
    case WARMUP_FEW:
    case WARMUP_REFUSED:
    case WARMUP_WARNING:
    case WARMUP_HELD:
    case WARMUP_WAITS:
        break;
    }
    return '=';
}

static void
put_cell(struct table *table, const struct world_address *its, bool over)
{
    char number[PROSPECT_NUMBER_SIZE], cell[CELL_SIZE];

    snprintf(cell, sizeof(cell), "%s%c",
             its->allowance == WARMUP_UNLIMITED ? "full" : prospect_number(its->allowance, number),
             over ? mark_of((enum warmup_result)its->result) : ' ');
    table_text(table, cell);
}

/* How many days are worth a line: until all have their full volume. */
static size_t
days_of_warmups(const struct prospect *prospect, const struct column *columns, size_t count)
{
    size_t days = world_days(prospect->world);

    while (days > 1) {
        struct world_day day = world_day(prospect->world, days - 2);
        bool warming = false;

        for (size_t i = 0; i < count; i++)
            warming |= day.addresses[columns[i].address->index].allowance != WARMUP_UNLIMITED;
        if (warming)
            break;
        days--;
    }
    return days;
}

/* Addresses that come to the same. */
struct group {
    char *text;
    struct buf names;
    size_t count;
};

static char *
end_of(const struct prospect *prospect, const struct address *address, const struct warmup *warmup)
{
    int32_t full = prospect_full_day(prospect, address);
    char date[DATE_SIZE];

    if (full < 0)
        return mem_printf("%s, stage %zu of %zu at the end", address->schedule->name,
                          warmup_stage(warmup, address->schedule) + 1,
                          address->schedule->stage_count);
    date_print(full, date);
    return mem_printf("%s, full volume from %s on", address->schedule->name, date);
}

/* Takes text. */
static void
join_group(struct group **groups, size_t *count, const char *name, char *text)
{
    struct group *its;
    size_t i = 0;

    while (i < *count && strcmp((*groups)[i].text, text) != 0)
        i++;
    if (i == *count) {
        *groups = mem_resize(*groups, ++*count, sizeof(**groups));
        (*groups)[i] = (struct group){.text = text};
    } else {
        free(text);
    }
    its = &(*groups)[i];
    if (its->count++ < NAMES_MAX)
        buf_printf(&its->names, "%s%s", its->count > 1 ? ", " : "", name);
}

static void
print_full(const struct prospect *prospect, struct buf *out)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct group *groups = NULL;
    size_t count = 0;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];
        const struct warmup *warmup = world_warmup(prospect->world, address);

        if (warmup != NULL)
            join_group(&groups, &count, address->name, end_of(prospect, address, warmup));
    }
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, buf_text(&groups[i].names));
        if (groups[i].count > NAMES_MAX)
            buf_printf(out, " and %zu more", groups[i].count - NAMES_MAX);
        buf_printf(out, ": %s\n", groups[i].text);
        buf_clear(&groups[i].names);
        free(groups[i].text);
    }
    free(groups);
}

static void
print_warmups(const struct prospect *prospect, struct buf *out)
{
    struct column columns[COLUMNS_MAX];
    size_t all, count = choose_columns(prospect, true, COLUMNS_MAX, columns, &all);
    size_t days = days_of_warmups(prospect, columns, count);
    struct table table = {.columns = 1 + count, .left = 1};

    if (count == 0)
        return;
    table_text(&table, "may send on");
    put_names(&table, columns, count);
    for (size_t i = 0; i < days; i++) {
        struct world_day day = world_day(prospect->world, i);

        put_date(&table, day.day);
        for (size_t j = 0; j < count; j++)
            put_cell(&table, &day.addresses[columns[j].address->index],
                     i + 1 < world_days(prospect->world));
    }
    buf_puts(out, "\n");
    table_print(&table, out);
    buf_puts(out, "+ it went on; = it was held; - it went back; . nothing was sent\n\n");
    print_full(prospect, out);
}

/* ----------------------------------------------------------------- accounts */

/* A line for each day on which they are others than on the one before, and the last. */
static void
print_grades(const struct prospect *prospect, struct buf *out)
{
    struct table table = {.columns = 1 + GRADES, .left = 1};
    size_t days = world_days(prospect->world);
    struct world_day before = {0};

    if (!world_has_standings(prospect->world))
        return;
    table_text(&table, "accounts on");
    for (int i = 0; i < GRADES; i++)
        table_text(&table, grade_text((enum grade)i));
    for (size_t i = 0; i < days; i++) {
        struct world_day day = world_day(prospect->world, i);
        bool same = memcmp(day.grades, before.grades, sizeof(day.grades)) == 0;

        before = day;
        if (same && i + 1 < days)
            continue;
        put_date(&table, day.day);
        for (int j = 0; j < GRADES; j++)
            table_number(&table, day.grades[j]);
    }
    buf_puts(out, "\n");
    table_print(&table, out);
}

/* -------------------------------------------------------------------- pools */

/* Why a pool needs so many addresses. */
static void
put_need(const struct prospect *prospect, const struct pool *pool, struct table *table)
{
    struct need need = need_of(prospect->world, pool);
    char number[PROSPECT_NUMBER_SIZE], limit[PROSPECT_NUMBER_SIZE];
    char *text;

    if (need.cap == NULL) {
        table_text(table, "no cap limits it");
        return;
    }
    text = mem_printf("%s%s%s in one \"%s\", %s each", prospect_number(need.peak, number),
                      need.provider != NULL ? " to " : "",
                      need.provider != NULL ? need.provider->name : "", need.cap->name,
                      prospect_number(need.cap->limit, limit));
    table_text(table, text);
    free(text);
}

/* It has no mail of its own. */
static void
put_overflow(const struct prospect *prospect, const struct pool *pool, struct table *table)
{
    char number[PROSPECT_NUMBER_SIZE];
    char *text = mem_printf("no mail but overflow: %s",
                            prospect_number(world_sent_from(prospect->world, pool), number));

    table_text(table, text);
    free(text);
}

static void
print_pools(const struct prospect *prospect, struct buf *out)
{
    static const char *const heads[] = {"pool",    "addresses", "needs",
                                        "an hour", "a day",     "because of"};
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct table table = {.columns = 6, .left = 1 | 1u << 5};

    put_heads(&table, heads, table.columns);
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = &snapshot->pools[i];
        struct world_peak peak = world_peak(prospect->world, pool, NULL);

        table_text(&table, pool->name);
        table_number(&table, pool->member_count);
        table_number(&table, need_of(prospect->world, pool).addresses);
        table_number(&table, peak.hour);
        table_number(&table, peak.day);
        if (peak.day > 0)
            put_need(prospect, pool, &table);
        else
            put_overflow(prospect, pool, &table);
    }
    buf_puts(out, "\n");
    table_print(&table, out);
}

static void
print_warnings(const struct prospect *prospect, struct buf *out)
{
    struct prospect_warnings warnings;
    size_t alike = 0;

    prospect_warnings(prospect, &warnings);
    for (size_t i = 0; i < warnings.count; i++) {
        const char *what = warnings.items[i].what;
        bool same = i > 0 && strcmp(what, warnings.items[i - 1].what) == 0;

        alike = same ? alike + 1 : 1;
        if (alike <= ALIKE_MAX)
            buf_printf(out, "%s! %s\n", i == 0 ? "\n" : "", warnings.items[i].text);
        else if (i + 1 == warnings.count || strcmp(what, warnings.items[i + 1].what) != 0)
            buf_printf(out, "! and %zu more like that; --json has all\n", alike - ALIKE_MAX);
    }
    prospect_clear(&warnings);
}

void
prospect_print(const struct prospect *prospect, struct buf *out)
{
    print_streams(prospect, out);
    print_waits(prospect, out);
    print_days(prospect, out);
    print_warmups(prospect, out);
    print_grades(prospect, out);
    print_pools(prospect, out);
    print_warnings(prospect, out);
}
