/*
 * Lines of a log that postpool(1) hands to postpool-policyd: "feed" on the control
 * socket.  Pure.
 *
 * A batch is whole lines.  Each feeder, which has an id of its own, numbers its
 * batches from 1 and keeps the last ones: a daemon that was started anew asks for
 * those that it does not have, and passes over those that it has.
 *
 * Source of the format: docs/PROTOCOLS.md.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_FEED_H
#define LIB_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FEED_BYTES_MAX = 32 * 1024, /* of one batch */
    FEED_HEAD_SIZE = 128,
    FEED_SILENT_MS = 30 * 1000, /* a feeder says something within a third of it */
};

/* What stands before the lines of a batch. */
struct feed_head {
    uint64_t id;     /* not 0 */
    uint64_t batch;  /* not 0 */
    uint64_t oldest; /* that the feeder still has, this one or one before it */
    size_t length;   /* bytes that follow; 0: it only says that it is there */
};

/* "feed ID BATCH OLDEST LENGTH", without a line end. */
void feed_print(const struct feed_head *head, char ret_text[FEED_HEAD_SIZE]);
bool feed_parse(const char *text, struct feed_head *ret_head);

enum feed_answer {
    FEED_TAKEN,  /* batch and all before it need not be sent again while the daemon runs */
    FEED_RESEND, /* batch is the one to go on with */
    FEED_ODD,    /* no answer of ours */
};

/* "taken BATCH", "resend BATCH". */
enum feed_answer feed_read_answer(const char *text, uint64_t *ret_batch);

#endif
