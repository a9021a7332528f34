/*
 * Recipients and their activity: a line is refused or names a day that was, a file is
 * refused or every recipient in it is found; and with a right checksum, too.
 *
 * Input: a line up to a NUL, then a file without its head.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/engagement.h"

#include <string.h>

enum { TODAY = 20784, WORD = 8 };

static void
check_line(const char *line)
{
    uint64_t word;
    int told = engagement_line(line, TODAY, &word, NULL);

    if (told > 0)
        MUST((word & ENGAGEMENT_DAY_MAX) <= TODAY + 1);
}

static void
check_file(const void *bytes, size_t length)
{
    struct engagement engagement;

    if (engagement_read(bytes, length, &engagement, NULL) < 0)
        return;
    MUST(engagement.count == length / WORD - ENGAGEMENT_HEAD);
    for (size_t i = 0; i < engagement.count; i++) {
        uint64_t word = engagement_word_at(&engagement, i);

        MUST(engagement_day(&engagement, word & ~(uint64_t)ENGAGEMENT_DAY_MAX) ==
             (int32_t)(word & ENGAGEMENT_DAY_MAX));
    }
    engagement_day(&engagement, 0);
    engagement_day(&engagement, UINT64_MAX);
}

/* As import makes it, of any words; and what follows when one byte of that is another. */
static void
check_made(const uint8_t *data, size_t count)
{
    uint64_t *words = calloc(count + ENGAGEMENT_HEAD, WORD);
    size_t length, at;
    struct engagement engagement;

    if (words == NULL)
        abort();
    if (count > 0)
        memcpy(words + ENGAGEMENT_HEAD, data, count * WORD);
    length = (engagement_make(words, count) + ENGAGEMENT_HEAD) * WORD;
    MUST(engagement_read(words, length, &engagement, NULL) == 0);
    check_file(words, length);
    at = count > 0 ? (size_t)(data[0] * 256 + data[1]) % length : 0;
    ((uint8_t *)words)[at] ^= 1;
    MUST(engagement_read(words, length, &engagement, NULL) < 0);
    free(words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *line = fuzz_text(&input);

    check_line(line);
    check_file(input.data, input.size);
    check_made(input.data, input.size / WORD);
    check_file(data, size);
    free(line);
    return 0;
}
