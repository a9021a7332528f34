/*
 * A book as bytes and back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x70706232, ROWS_MAX = 1024, USES_MAX = BOOK_BUCKETS + 64 };

/* No window is longer, no time is later (the year 5138), so that sums of them fit. */
#define WINDOW_MAX_MS (40LL * 24 * 3600 * 1000)
#define TIME_MAX_MS 100000000000000LL

struct out {
    unsigned char *data;
    size_t length;
};

struct in {
    const unsigned char *data;
    size_t length;
};

static void
put(struct out *out, const void *value, size_t size)
{
    if (out->data != NULL)
        memcpy(out->data + out->length, value, size);
    out->length += size;
}

static bool
get(struct in *in, void *value, size_t size)
{
    if (in->length < size)
        return false;
    memcpy(value, in->data, size);
    in->data += size;
    in->length -= size;
    return true;
}

static void
put_row(struct out *out, const struct book_row *row)
{
    put(out, row->node, sizeof(row->node));
    put(out, &row->life, sizeof(row->life));
    put(out, &row->seq, sizeof(row->seq));
    put(out, &row->held, sizeof(row->held));
    put(out, &row->from_ms, sizeof(row->from_ms));
    put(out, &row->last_count, sizeof(row->last_count));
    put(out, &row->last_again_ms, sizeof(row->last_again_ms));
    put(out, &row->last_window, sizeof(row->last_window));
    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++) {
        const struct book_uses *uses = &row->uses[i];
        uint32_t count = (uint32_t)uses->count;

        put(out, &uses->window_ms, sizeof(uses->window_ms));
        put(out, &count, sizeof(count));
        for (size_t j = 0; j < uses->count; j++) {
            put(out, &uses->items[j].bucket, sizeof(uses->items[j].bucket));
            put(out, &uses->items[j].count, sizeof(uses->items[j].count));
        }
    }
}

static void
put_book(struct out *out, const struct book *book)
{
    uint32_t magic = MAGIC, rows = (uint32_t)book->row_count;

    put(out, &magic, sizeof(magic));
    put(out, book->paced_us, sizeof(book->paced_us));
    put(out, book->paced_window_ms, sizeof(book->paced_window_ms));
    put(out, book->paced_percent, sizeof(book->paced_percent));
    put(out, &rows, sizeof(rows));
    for (size_t i = 0; i < book->row_count; i++)
        put_row(out, &book->rows[i]);
}

int
book_pack(const struct book *book, void **ret_data, size_t *ret_length)
{
    struct out out = {0};

    put_book(&out, book); /* only counts */
    out.data = malloc(out.length);
    if (out.data == NULL)
        return -ENOMEM;
    out.length = 0;
    put_book(&out, book);
    *ret_data = out.data;
    *ret_length = out.length;
    return 0;
}

static int
get_uses(struct in *in, struct book_uses *uses)
{
    uint32_t count;

    if (!get(in, &uses->window_ms, sizeof(uses->window_ms)) || !get(in, &count, sizeof(count)) ||
        count > USES_MAX || uses->window_ms < 0 || uses->window_ms > WINDOW_MAX_MS)
        return -EINVAL;
    uses->items = calloc(count + 1, sizeof(*uses->items));
    if (uses->items == NULL)
        return -ENOMEM;
    uses->room = count + 1;
    for (; uses->count < count; uses->count++) {
        struct book_use *use = &uses->items[uses->count];

        if (!get(in, &use->bucket, sizeof(use->bucket)) ||
            !get(in, &use->count, sizeof(use->count)) || use->bucket < 0 ||
            use->bucket > TIME_MAX_MS / (uses->window_ms / BOOK_BUCKETS + 1) ||
            (uses->count > 0 && use->bucket <= uses->items[uses->count - 1].bucket))
            return -EINVAL;
    }
    return 0;
}

static int
get_row(struct in *in, struct book_row *row)
{
    if (!get(in, row->node, sizeof(row->node)) || !get(in, &row->life, sizeof(row->life)) ||
        !get(in, &row->seq, sizeof(row->seq)) || !get(in, &row->held, sizeof(row->held)) ||
        !get(in, &row->from_ms, sizeof(row->from_ms)) ||
        !get(in, &row->last_count, sizeof(row->last_count)) ||
        !get(in, &row->last_again_ms, sizeof(row->last_again_ms)) ||
        !get(in, &row->last_window, sizeof(row->last_window)) || row->node[BOOK_NODE_MAX] != '\0' ||
        row->held > CAP_LIMIT_MAX || row->last_count > CAP_LIMIT_MAX || row->from_ms < 0 ||
        row->from_ms > TIME_MAX_MS)
        return -EINVAL;
    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++) {
        int r = get_uses(in, &row->uses[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

int
book_unpack(const void *data, size_t length, struct book *ret_book)
{
    struct in in = {data, length};
    struct book book = {0};
    uint32_t magic, rows;
    int r;

    if (!get(&in, &magic, sizeof(magic)) || magic != MAGIC ||
        !get(&in, book.paced_us, sizeof(book.paced_us)) ||
        !get(&in, book.paced_window_ms, sizeof(book.paced_window_ms)) ||
        !get(&in, book.paced_percent, sizeof(book.paced_percent)) ||
        !get(&in, &rows, sizeof(rows)) || rows > ROWS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < CAP_WINDOWS_MAX; i++)
        if (book.paced_us[i] > TIME_MAX_MS * 1000 || book.paced_us[i] < -TIME_MAX_MS * 1000)
            return -EINVAL;
    book.rows = calloc(rows + 1, sizeof(*book.rows));
    if (book.rows == NULL)
        return -ENOMEM;
    for (r = 0; r == 0 && book.row_count < rows;)
        r = get_row(&in, &book.rows[book.row_count++]);
    if (r == 0 && in.length > 0)
        r = -EINVAL;
    if (r < 0) {
        book_clear(&book);
        return r;
    }
    *ret_book = book;
    return 0;
}
