/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
feed_print(const struct feed_head *head, char ret_text[FEED_HEAD_SIZE])
{
    snprintf(ret_text, FEED_HEAD_SIZE, "feed %016" PRIx64 " %" PRIu64 " %" PRIu64 " %zu", head->id,
             head->batch, head->oldest, head->length);
}

bool
feed_parse(const char *text, struct feed_head *ret_head)
{
    struct feed_head head;
    int n = -1;

    if (strlen(text) >= FEED_HEAD_SIZE || strchr(text, '-') != NULL ||
        sscanf(text, "feed %" SCNx64 " %" SCNu64 " %" SCNu64 " %zu%n", &head.id, &head.batch,
               &head.oldest, &head.length, &n) != 4 ||
        text[n] != '\0')
        return false;
    if (head.id == 0 || head.batch == 0 || head.oldest == 0 || head.oldest > head.batch ||
        head.length > FEED_BYTES_MAX)
        return false;
    *ret_head = head;
    return true;
}

enum feed_answer
feed_read_answer(const char *text, uint64_t *ret_batch)
{
    if (sscanf(text, "taken %" SCNu64, ret_batch) == 1)
        return FEED_TAKEN;
    if (sscanf(text, "resend %" SCNu64, ret_batch) == 1)
        return FEED_RESEND;
    return FEED_ODD;
}
