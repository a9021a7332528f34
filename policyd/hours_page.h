/*
 * A page: what one host counted in one hour, as the others get it to see.  Text:
 * a line that says whose it is, then one for each row.
 *
 * A page is bounded.  Rows are added with those that matter most first; what is
 * too much of a kind is added up in one row, whose names are TALLIES_OTHERS.
 * The absolute sums stand in it, so to take it twice does no harm.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_PAGE_H
#define POLICYD_HOURS_PAGE_H

#include "engine/tallies.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    HOURS_PAGE_MAX = 128 * 1024, /* bytes */
    HOURS_PAGE_MAIL = 1000,      /* rows, and so on */
    HOURS_PAGE_ACCOUNTS = 500,
    HOURS_PAGE_SUSPENDED = 500,
    HOURS_PAGE_UNMET = 500,
    HOURS_PAGE_NODE_SIZE = 65,
};

/* All zero: an empty one. */
struct hours_page {
    struct buf text;
    size_t rows[TALLIES_KINDS];
    size_t merged[TALLIES_KINDS]; /* rows that are added up in one */
    struct tally rest[TALLIES_KINDS];
};

void hours_page_begin(struct hours_page *page, const char *node);
void hours_page_add(struct hours_page *page, enum tallies_kind kind, const char *const *names,
                    const struct tally *tally);
void hours_page_end(struct hours_page *page);
void hours_page_clear(struct hours_page *page);

/* How many names a row of that kind has, and how many counters. */
int hours_page_names(enum tallies_kind kind);
int hours_page_counters(enum tallies_kind kind);

/* cell and its names are gone when it returns; the hour is not set. */
typedef void hours_page_fn(void *arg, const struct tallies_cell *cell);

/*
 * Read what a host wrote, of which nothing is to be believed.  false: it is no page; rows before
 * what is wrong were told.
 */
bool hours_page_read(const char *bytes, size_t length, char ret_node[static HOURS_PAGE_NODE_SIZE],
                     hours_page_fn *each, void *arg);

#endif
