/*
 * A table for people: its columns are as wide as what stands in them, so that it fits a terminal
 * of TABLE_WIDTH columns where that is possible.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct buf;

enum { TABLE_WIDTH = 80 };

/* All zero but columns and left it is an empty one. */
struct table {
    size_t columns;
    unsigned left; /* a set, by their place: columns whose text begins at their left */
    char **cells;  /* owned; row by row */
    size_t count;
};

/* The next cell of the row, or the first one of the next row. */
void table_text(struct table *table, const char *text);
void table_number(struct table *table, uint64_t number); /* "30,000,000" */

/* Bytes of the longest line that table_print() makes. */
size_t table_width(const struct table *table);

/*
 * Print it, and empty it.  Two blanks stand between columns; one, where the table would not fit
 * otherwise.
 */
void table_print(struct table *table, struct buf *out);
void table_clear(struct table *table);

#endif
