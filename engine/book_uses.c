/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/book_uses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LATE = BOOK_BUCKETS / 16 }; /* buckets that a use may be reported later than it was */

int64_t
book_bucket_ms(int64_t window_ms)
{
    return window_ms > BOOK_BUCKETS ? window_ms / BOOK_BUCKETS : 1;
}

int64_t
book_bucket_end(int64_t window_ms, int64_t bucket)
{
    return (bucket + 2) * book_bucket_ms(window_ms) + window_ms;
}

size_t
book_uses_place(const struct book_uses *uses, int64_t bucket)
{
    size_t low = 0, high = uses->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (uses->items[middle].bucket < bucket)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int
book_uses_add(struct book_uses *uses, int64_t at_ms, uint32_t count)
{
    int64_t bucket = at_ms / book_bucket_ms(uses->window_ms);
    size_t at = book_uses_place(uses, bucket);

    if (at < uses->count && uses->items[at].bucket == bucket) {
        uses->items[at].count += count;
        return 0;
    }
    if (uses->count == uses->room) {
        size_t room = uses->room > 0 ? 2 * uses->room : 8;
        struct book_use *items = realloc(uses->items, room * sizeof(*items));

        if (items == NULL)
            return -ENOMEM;
        uses->items = items;
        uses->room = room;
    }
    memmove(uses->items + at + 1, uses->items + at, (uses->count - at) * sizeof(*uses->items));
    uses->items[at] = (struct book_use){bucket, count};
    uses->count++;
    return 0;
}

/*
 * Out of the bucket it was counted in, which may be a little later than when it
 * was, because uses are reported several at a time.
 */
void
book_uses_take_out(struct book_uses *uses, int64_t at_ms, uint32_t count, int64_t now_ms)
{
    int64_t bucket = at_ms / book_bucket_ms(uses->window_ms);

    if (book_bucket_end(uses->window_ms, bucket) <= now_ms)
        return;
    for (size_t at = book_uses_place(uses, bucket);
         at < uses->count && uses->items[at].bucket <= bucket + LATE && count > 0; at++) {
        uint32_t out = count < uses->items[at].count ? count : uses->items[at].count;

        uses->items[at].count -= out;
        count -= out;
    }
}

void
book_uses_trim(struct book_uses *uses, int64_t now_ms)
{
    size_t gone = 0;

    while (gone < uses->count &&
           book_bucket_end(uses->window_ms, uses->items[gone].bucket) <= now_ms)
        gone++;
    if (gone == 0)
        return;
    memmove(uses->items, uses->items + gone, (uses->count - gone) * sizeof(*uses->items));
    uses->count -= gone;
}

uint64_t
book_uses_sum(const struct book_uses *uses, int64_t now_ms)
{
    uint64_t sum = 0;

    for (size_t i = uses->count; i-- > 0;) {
        if (book_bucket_end(uses->window_ms, uses->items[i].bucket) <= now_ms)
            break;
        sum += uses->items[i].count;
    }
    return sum;
}

int64_t
book_uses_end(const struct book_uses *uses)
{
    return uses->count > 0 ? book_bucket_end(uses->window_ms, uses->items[uses->count - 1].bucket)
                           : INT64_MIN;
}
