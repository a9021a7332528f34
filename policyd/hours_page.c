/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_page.h"

#include <inttypes.h>
#include <string.h>

#define HEAD "postpool-hour 1 "

enum { REST_BYTES = 4096 }; /* is more than the four rows of what is too much take */

static const uint64_t most = UINT64_C(1) << 40; /* in one counter: sums of all that is kept fit */

static const struct {
    char letter;
    int names, counters;
    size_t rows;
} kinds[TALLIES_KINDS] = {
    [TALLIES_MAIL] = {'m', 4, TALLY_COUNTERS, HOURS_PAGE_MAIL},
    [TALLIES_ACCOUNTS] = {'a', 3, TALLY_COUNTERS, HOURS_PAGE_ACCOUNTS},
    [TALLIES_SUSPENDED] = {'s', 2, 1, HOURS_PAGE_SUSPENDED},
    [TALLIES_UNMET] = {'u', 2, 1, HOURS_PAGE_UNMET},
};

int
hours_page_names(enum tallies_kind kind)
{
    return kinds[kind].names;
}

int
hours_page_counters(enum tallies_kind kind)
{
    return kinds[kind].counters;
}

/* -------------------------------------------------------------------- write */

void
hours_page_begin(struct hours_page *page, const char *node)
{
    *page = (struct hours_page){0};
    buf_printf(&page->text, HEAD "%.*s\n", HOURS_PAGE_NODE_SIZE - 1, node);
}

static void
add_row(struct hours_page *page, enum tallies_kind kind, const char *const *names,
        const struct tally *tally)
{
    buf_add(&page->text, &kinds[kind].letter, 1);
    for (int i = 0; i < kinds[kind].names; i++)
        buf_printf(&page->text, "%zu:%s", strlen(names[i]), names[i]);
    for (int i = 0; i < kinds[kind].counters; i++)
        if (tally->counts[i] > 0)
            buf_printf(&page->text, " %d=%" PRIu64, i,
                       tally->counts[i] < most ? tally->counts[i] : most);
    buf_puts(&page->text, "\n");
}

void
hours_page_add(struct hours_page *page, enum tallies_kind kind, const char *const *names,
               const struct tally *tally)
{
    size_t before = page->text.length;

    if (page->merged[kind] == 0 && page->rows[kind] < kinds[kind].rows) {
        add_row(page, kind, names, tally);
        if (page->text.length <= HOURS_PAGE_MAX - REST_BYTES) {
            page->rows[kind]++;
            return;
        }
        page->text.length = before;
    }
    page->merged[kind]++;
    tally_add(&page->rest[kind], tally);
}

void
hours_page_end(struct hours_page *page)
{
    static const char *const names[TALLIES_NAMES] = {TALLIES_OTHERS, TALLIES_OTHERS, TALLIES_OTHERS,
                                                     TALLIES_OTHERS};

    for (int kind = 0; kind < TALLIES_KINDS; kind++)
        if (page->merged[kind] > 0)
            add_row(page, (enum tallies_kind)kind, names, &page->rest[kind]);
}

void
hours_page_clear(struct hours_page *page)
{
    buf_clear(&page->text);
    *page = (struct hours_page){0};
}

/* --------------------------------------------------------------------- read */

struct reader {
    const char *at, *end;
};

/* A number, without a sign and no more than most, and what stands behind it. */
static bool
take_number(struct reader *reader, char behind, uint64_t *ret_number)
{
    const char *begin = reader->at;
    uint64_t number = 0;

    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        number = 10 * number + (uint64_t)(*reader->at++ - '0');
        if (number > most)
            return false;
    }
    if (reader->at == begin)
        return false;
    if (behind != '\0' && (reader->at == reader->end || *reader->at++ != behind))
        return false;
    *ret_number = number;
    return true;
}

static bool
take_name(struct reader *reader, char name[static TALLIES_NAME_MAX + 1])
{
    uint64_t length;

    if (!take_number(reader, ':', &length) || length > TALLIES_NAME_MAX ||
        (size_t)(reader->end - reader->at) < length || memchr(reader->at, '\0', length) != NULL)
        return false;
    memcpy(name, reader->at, length);
    name[length] = '\0';
    reader->at += length;
    return true;
}

static bool
take_counters(struct reader *reader, enum tallies_kind kind, struct tally *tally)
{
    while (reader->at < reader->end && *reader->at == ' ') {
        uint64_t place, number;

        reader->at++;
        if (!take_number(reader, '=', &place) || place >= (uint64_t)kinds[kind].counters ||
            !take_number(reader, '\0', &number))
            return false;
        tally->counts[place] = number;
    }
    return reader->at < reader->end && *reader->at++ == '\n';
}

static bool
take_row(struct reader *reader, hours_page_fn *each, void *arg)
{
    char names[TALLIES_NAMES][TALLIES_NAME_MAX + 1];
    struct tallies_cell cell = {.names = {"", "", "", ""}};
    char letter = *reader->at++;
    int kind = 0;

    while (kind < TALLIES_KINDS && kinds[kind].letter != letter)
        kind++;
    if (kind == TALLIES_KINDS)
        return false;
    cell.kind = (enum tallies_kind)kind;
    for (int i = 0; i < kinds[kind].names; i++) {
        if (!take_name(reader, names[i]))
            return false;
        cell.names[i] = names[i];
    }
    if (!take_counters(reader, cell.kind, &cell.tally))
        return false;
    each(arg, &cell);
    return true;
}

static bool
take_head(struct reader *reader, char node[static HOURS_PAGE_NODE_SIZE])
{
    const char *begin = reader->at + strlen(HEAD);
    const char *end;

    if ((size_t)(reader->end - reader->at) < strlen(HEAD) ||
        memcmp(reader->at, HEAD, strlen(HEAD)) != 0)
        return false;
    end = memchr(begin, '\n', (size_t)(reader->end - begin));
    if (end == NULL || end == begin || end - begin >= HOURS_PAGE_NODE_SIZE)
        return false;
    for (const char *c = begin; c < end; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    memcpy(node, begin, (size_t)(end - begin));
    node[end - begin] = '\0';
    reader->at = end + 1;
    return true;
}

bool
hours_page_read(const char *bytes, size_t length, char ret_node[static HOURS_PAGE_NODE_SIZE],
                hours_page_fn *each, void *arg)
{
    struct reader reader = {bytes, bytes + length};

    if (length > HOURS_PAGE_MAX || !take_head(&reader, ret_node))
        return false;
    while (reader.at < reader.end)
        if (!take_row(&reader, each, arg))
            return false;
    return true;
}
