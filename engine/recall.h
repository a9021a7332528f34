/*
 * What is known of messages that are taken up before their time: how often
 * lately, and which of them may not be.  Of no message so often that a loop
 * could come of it.
 *
 * Between two times there are RECALL_GAP_MS; after RECALL_FREE times that did
 * not help twice as much, and twice again, up to RECALL_GAP_MOST_MS.
 *
 * Memory: 640 KiB, for the RECALL_IDS messages that were told of last, some
 * thousands less where chance puts many into one place.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_RECALL_H
#define ENGINE_RECALL_H

#include <stdint.h>

enum {
    RECALL_IDS = 16384,
    RECALL_FREE = 4,
    RECALL_GAP_MS = 1000,
    RECALL_GAP_MOST_MS = 3600 * 1000,
};

struct recall;

struct recall *recall_new(void); /* NULL only without memory */
void recall_free(struct recall *recall);

/* When it may be taken up, by its queue id: now_ms, or later. */
int64_t recall_when_ms(const struct recall *recall, const char *queue_id, int64_t now_ms);

/* It was taken up. */
void recall_note(struct recall *recall, const char *queue_id, int64_t now_ms);

/* That helped: it counts no more. */
void recall_helped(struct recall *recall, const char *queue_id);

/* Not before until_ms. */
void recall_hold(struct recall *recall, const char *queue_id, int64_t until_ms, int64_t now_ms);

#endif
