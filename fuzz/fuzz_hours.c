/*
 * A page of what another host counted: taken apart, put together again, and
 * taken apart with the same result.
 *
 * Input: the page.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "policyd/hours_page.h"

#include <string.h>

static void
on_row(void *arg, const struct tallies_cell *cell)
{
    for (int i = 0; i < hours_page_names(cell->kind); i++)
        MUST(strlen(cell->names[i]) <= TALLIES_NAME_MAX);
    hours_page_add(arg, cell->kind, cell->names, &cell->tally);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hours_page page, again;
    char node[HOURS_PAGE_NODE_SIZE], node_again[HOURS_PAGE_NODE_SIZE];

    hours_page_begin(&page, "mta2");
    if (hours_page_read((const char *)data, size, node, on_row, &page)) {
        hours_page_end(&page);
        MUST(page.text.length <= HOURS_PAGE_MAX);
        hours_page_begin(&again, "mta2");
        MUST(hours_page_read(page.text.data, page.text.length, node_again, on_row, &again));
        hours_page_clear(&again);
    }
    hours_page_clear(&page);
    return 0;
}
