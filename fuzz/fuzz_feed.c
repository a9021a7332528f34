/*
 * What stands in front of lines that are handed in, and places that were kept: what
 * is read is printed as it was.
 *
 * Input: a text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/feed.h"
#include "policyd/place.h"

#include <string.h>

static void
check_feed(const char *text)
{
    struct feed_head head, again;
    char printed[FEED_HEAD_SIZE];
    uint64_t batch;

    feed_read_answer(text, &batch);
    if (!feed_parse(text, &head))
        return;
    MUST(head.id != 0 && head.oldest > 0 && head.oldest <= head.batch);
    MUST(head.length <= FEED_BYTES_MAX);
    feed_print(&head, printed);
    MUST(feed_parse(printed, &again));
    MUST(memcmp(&head, &again, sizeof(head)) == 0);
}

static void
check_place(const char *text)
{
    struct place place, again;
    char printed[PLACE_TEXT_SIZE];

    if (!place_parse(text, &place))
        return;
    place_print(&place, printed);
    MUST(place_parse(printed, &again));
    MUST(place.kind == again.kind && strcmp(place.cursor, again.cursor) == 0);
    MUST(memcmp(&place.file, &again.file, sizeof(place.file)) == 0);
    MUST(memcmp(place.feeders, again.feeders, sizeof(place.feeders)) == 0);
    if (place.kind != PLACE_JOURNAL)
        MUST(place_has_reached(&place, &again));
    else
        place_has_reached(&place, &again); /* of a cursor that is none nothing can be said */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *text = fuzz_text(&input);

    check_feed(text);
    check_place(text);
    free(text);
    return 0;
}
