/*
 * The bytes that a book is kept as: whatever stands in a damaged file is
 * refused, or is a book that can be asked, and is the same when it is packed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/book.h"

#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct caps caps = {{{60000, 300, false, "minute"}, {3600000, 5000, true, "hour"}},
                                     2};
    struct book_ask ask = {
        .node = "mta1",
        .life = 1,
        .seq = 1,
        .reports = {{1000, 3, false}, {900, -1, false}, {1000, 2, true}},
        .report_count = 3,
        .unused = 1,
        .want = 10,
    };
    struct book_answer answer;
    struct book book, again;
    size_t length;
    void *bytes;

    if (book_unpack(data, size, &book) < 0)
        return 0;
    MUST(book_pack(&book, &bytes, &length) == 0);
    MUST(length == size && memcmp(bytes, data, size) == 0);
    MUST(book_unpack(bytes, length, &again) == 0);
    free(bytes);
    if (book_ask(&again, &caps, &ask, 2000000, &answer) == 0)
        MUST(answer.count <= CAP_LIMIT_MAX);
    book_clear(&again);
    book_clear(&book);
    return 0;
}
