/*
 * A prospect for people: tables that fit a terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/prospect.h"

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
    NAME_WIDTH = 16, /* at least, as are the others */
    WIDTH = 12,
    CELL_SIZE = 64,
    ALIKE_MAX = 5, /* warnings of one kind */
    NAMES_MAX = 8,
};

static void
put_wide(struct buf *out, uint64_t number, int width)
{
    char text[PROSPECT_NUMBER_SIZE];

    buf_printf(out, " %*s", width, prospect_number(number, text));
}

static void
put(struct buf *out, uint64_t number)
{
    put_wide(out, number, WIDTH);
}

static int
wider(int width, const char *name)
{
    return (int)strlen(name) > width ? (int)strlen(name) : width;
}

/* Of the first column of all tables. */
static int
first_width(const struct prospect *prospect)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    int width = NAME_WIDTH;

    for (size_t i = 0; i < snapshot->stream_count; i++)
        width = wider(width, snapshot->streams[i].name);
    for (size_t i = 0; i < snapshot->pool_count; i++)
        width = wider(width, snapshot->pools[i].name);
    for (size_t i = 0; i < snapshot->address_count; i++)
        if (snapshot->addresses[i].schedule != NULL)
            width = wider(width, snapshot->addresses[i].name);
    return width;
}

static void
put_date(const struct prospect *prospect, int32_t day, struct buf *out)
{
    char date[DATE_SIZE];

    date_print(day, date);
    buf_printf(out, "%-*s", first_width(prospect), date);
}

/* ------------------------------------------------------------------ streams */

static void
print_streams(const struct prospect *prospect, struct buf *out)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;

    buf_printf(out, "%-*s %*s %*s %*s %*s %*s %*s %*s\n", first_width(prospect), "stream", WIDTH,
               "came in", WIDTH, "sent", WIDTH, "at once", WIDTH, "waited", WIDTH, "returned",
               WIDTH, "still waits", WIDTH, "longest");
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        struct world_stream its = world_stream(prospect->world, &snapshot->streams[i]);
        char longest[UNITS_SPAN_SIZE];

        if (its.offered == 0)
            continue;
        buf_printf(out, "%-*s", first_width(prospect), snapshot->streams[i].name);
        put(out, its.offered);
        put(out, its.sent);
        put(out, its.at_once);
        put(out, its.delayed);
        put(out, its.ended + its.late);
        put(out, its.waiting);
        buf_printf(out, " %*s\n", WIDTH,
                   its.waited_most_ms > 0 ? units_print_span(its.waited_most_ms, longest) : "-");
    }
}

static void
print_waits(const struct prospect *prospect, struct buf *out)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    bool begun = false;

    for (size_t i = 0; i < snapshot->stream_count; i++) {
        struct world_stream its = world_stream(prospect->world, &snapshot->streams[i]);

        if (its.sent == 0 || its.at_once == its.sent)
            continue;
        if (!begun)
            buf_printf(out, "\n%-*s %9s %9s %9s %9s %9s %9s %9s %9s\n", first_width(prospect),
                       "sent within", "1 min", "10 min", "1 h", "6 h", "1 d", "2 d", "5 d",
                       "later");
        begun = true;
        buf_printf(out, "%-*s", first_width(prospect), snapshot->streams[i].name);
        for (size_t j = 0; j < WORLD_WAITS; j++)
            buf_printf(out, " %7.1f %%", (double)its.waits[j] * 100 / (double)its.sent);
        buf_puts(out, "\n");
    }
}

/* --------------------------------------------------------------------- days */

struct column {
    const struct address *address;
    uint64_t sent;
    int width;
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

/* The addresses that have a column: those that sent most, or warm up.  Returns how many. */
static size_t
choose_columns(const struct prospect *prospect, bool warm, struct column columns[COLUMNS_MAX],
               size_t *ret_all)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct column *all = mem_array(snapshot->address_count, sizeof(*all));
    size_t count = 0, kept;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        struct column column = {&snapshot->addresses[i], 0,
                                wider(WIDTH, snapshot->addresses[i].name)};

        for (size_t j = 0; j < snapshot->stream_count; j++)
            column.sent += world_sent_of(prospect->world, column.address, &snapshot->streams[j]);
        if (warm ? column.address->schedule != NULL : column.sent > 0)
            all[count++] = column;
    }
    qsort(all, count, sizeof(*all), busier_first);
    kept = count < COLUMNS_MAX ? count : COLUMNS_MAX;
    qsort(all, kept, sizeof(*all), as_configured);
    for (size_t i = 0; i < kept; i++)
        columns[i] = all[i];
    free(all);
    *ret_all = count;
    return kept;
}

static void
put_names(struct buf *out, const struct column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(out, " %*s", columns[i].width, columns[i].address->name);
}

static void
print_days(const struct prospect *prospect, struct buf *out)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct column columns[COLUMNS_MAX];
    size_t all, count = choose_columns(prospect, false, columns, &all);

    buf_printf(out, "\n%-*s %*s %*s", first_width(prospect), "sent on", WIDTH, "in all", WIDTH,
               "still waits");
    put_names(out, columns, count);
    buf_printf(out, all > count ? " %*s\n" : "\n", WIDTH, "others");
    for (size_t i = 0; i < world_days(prospect->world); i++) {
        struct world_day day = world_day(prospect->world, i);
        uint64_t sent = 0, waiting = 0, shown = 0;

        for (size_t j = 0; j < snapshot->address_count; j++)
            sent += day.addresses[j].sent;
        for (size_t j = 0; j < snapshot->stream_count; j++)
            waiting += day.streams[j].waiting;
        put_date(prospect, day.day, out);
        put(out, sent);
        put(out, waiting);
        for (size_t j = 0; j < count; j++) {
            shown += day.addresses[columns[j].address->index].sent;
            put_wide(out, day.addresses[columns[j].address->index].sent, columns[j].width);
        }
        if (all > count)
            put(out, sent - shown);
        buf_puts(out, "\n");
    }
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
put_cell(struct buf *out, const struct world_address *its, bool over, int width)
{
    char number[PROSPECT_NUMBER_SIZE], cell[CELL_SIZE];

    snprintf(cell, sizeof(cell), "%s%c",
             its->allowance == WARMUP_UNLIMITED ? "full" : prospect_number(its->allowance, number),
             over ? mark_of((enum warmup_result)its->result) : ' ');
    buf_printf(out, " %*s", width, cell);
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
    size_t all, count = choose_columns(prospect, true, columns, &all);
    size_t days = days_of_warmups(prospect, columns, count);

    if (count == 0)
        return;
    buf_printf(out, "\n%-*s", first_width(prospect), "may send on");
    put_names(out, columns, count);
    buf_printf(out, "\n");
    for (size_t i = 0; i < days; i++) {
        struct world_day day = world_day(prospect->world, i);

        put_date(prospect, day.day, out);
        for (size_t j = 0; j < count; j++)
            put_cell(out, &day.addresses[columns[j].address->index],
                     i + 1 < world_days(prospect->world), columns[j].width);
        buf_puts(out, "\n");
    }
    buf_puts(out, "+ it went on; = it was held; - it went back; . nothing was sent\n\n");
    print_full(prospect, out);
}

/* ----------------------------------------------------------------- accounts */

/* A line for each day on which they are others than on the one before, and the last. */
static void
print_grades(const struct prospect *prospect, struct buf *out)
{
    size_t days = world_days(prospect->world);
    struct world_day before = {0};

    if (!world_has_standings(prospect->world))
        return;
    buf_printf(out, "\n%-*s", first_width(prospect), "accounts on");
    for (int i = 0; i < GRADES; i++)
        buf_printf(out, " %*s", WIDTH, grade_text((enum grade)i));
    buf_puts(out, "\n");
    for (size_t i = 0; i < days; i++) {
        struct world_day day = world_day(prospect->world, i);
        bool same = memcmp(day.grades, before.grades, sizeof(day.grades)) == 0;

        before = day;
        if (same && i + 1 < days)
            continue;
        put_date(prospect, day.day, out);
        for (int j = 0; j < GRADES; j++)
            put(out, day.grades[j]);
        buf_puts(out, "\n");
    }
}

/* -------------------------------------------------------------------- pools */

static void
print_need(const struct prospect *prospect, const struct pool *pool, struct buf *out)
{
    struct need need = need_of(prospect->world, pool);
    char number[PROSPECT_NUMBER_SIZE], limit[PROSPECT_NUMBER_SIZE];

    if (need.cap == NULL) {
        buf_puts(out, "no cap limits it");
        return;
    }
    buf_printf(out, "%s%s%s in a window of \"%s\", %s each", prospect_number(need.peak, number),
               need.provider != NULL ? " to " : "",
               need.provider != NULL ? need.provider->name : "", need.cap->name,
               prospect_number(need.cap->limit, limit));
}

static void
print_pools(const struct prospect *prospect, struct buf *out)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;

    buf_printf(out, "\n%-*s %*s %*s %*s %*s  %s\n", first_width(prospect), "pool", WIDTH,
               "addresses", WIDTH, "needs", WIDTH, "most an hour", WIDTH, "most a day",
               "because of");
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = &snapshot->pools[i];
        struct world_peak peak = world_peak(prospect->world, pool, NULL);
        uint64_t sent = world_sent_from(prospect->world, pool);
        char number[PROSPECT_NUMBER_SIZE];

        buf_printf(out, "%-*s", first_width(prospect), pool->name);
        put(out, pool->member_count);
        put(out, need_of(prospect->world, pool).addresses);
        put(out, peak.hour);
        put(out, peak.day);
        buf_puts(out, "  ");
        if (peak.day > 0)
            print_need(prospect, pool, out);
        else
            buf_printf(out, "no mail of its own; %s of others' overflow",
                       prospect_number(sent, number));
        buf_puts(out, "\n");
    }
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
