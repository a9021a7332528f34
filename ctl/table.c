/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/table.h"

#include "ctl/prospect.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void
table_text(struct table *table, const char *text)
{
    table->cells = mem_resize(table->cells, table->count + 1, sizeof(*table->cells));
    table->cells[table->count++] = mem_strdup(text);
}

void
table_number(struct table *table, uint64_t number)
{
    char text[PROSPECT_NUMBER_SIZE];

    table_text(table, prospect_number(number, text));
}

static size_t
column_width(const struct table *table, size_t column)
{
    size_t width = 0;

    for (size_t i = column; i < table->count; i += table->columns)
        if (strlen(table->cells[i]) > width)
            width = strlen(table->cells[i]);
    return width;
}

static size_t
width_with(const struct table *table, size_t gap)
{
    size_t width = (table->columns - 1) * gap;

    for (size_t i = 0; i < table->columns; i++)
        width += column_width(table, i);
    return width;
}

static size_t
gap_of(const struct table *table)
{
    return width_with(table, 2) <= TABLE_WIDTH ? 2 : 1;
}

size_t
table_width(const struct table *table)
{
    return width_with(table, gap_of(table));
}

void
table_print(struct table *table, struct buf *out)
{
    size_t gap = gap_of(table), *widths = mem_array(table->columns, sizeof(*widths));

    for (size_t i = 0; i < table->columns; i++)
        widths[i] = column_width(table, i);
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        bool last = column + 1 == table->columns, left = (table->left >> column & 1) != 0;
        int width = (int)widths[column];

        if (!left)
            buf_printf(out, "%*s", width, table->cells[i]);
        else
            buf_printf(out, "%-*s", last ? 0 : width, table->cells[i]);
        buf_printf(out, "%*s", last ? 0 : (int)gap, "");
        if (last)
            buf_puts(out, "\n");
    }
    free(widths);
    table_clear(table);
}

void
table_clear(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->count = 0;
}
