/*
 * Which messages are in Postfix' queue, as its log tells: from a queue id to
 * the sender, whose tag has the message's stream and id.  Pure.
 *
 * Queue ids may be used again as soon as a message left the queue; whoever comes
 * under one that is taken is the new one.  Of too many messages those go that
 * nothing was heard of for longest; the queue manager tells of them again when
 * it takes them up next.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_QUEUED_H
#define POLICYD_QUEUED_H

#include "policyd/maillog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUEUED_MAX = 200 * 1000,             /* messages that are known */
    QUEUED_BYTES_MAX = 64 * 1024 * 1024, /* that they take */
};

struct queued;

struct queued *queued_new(void);
void queued_free(struct queued *queued); /* takes NULL */

/* The message is in the queue, from this sender, and its delivery begins. */
void queued_note(struct queued *queued, struct span queue_id, struct span sender);

/* Its sender, or NULL; until the next call. */
const char *queued_sender(struct queued *queued, struct span queue_id);

/* A server heard of a recipient of it, and another one is asked: none tells of which. */
void queued_set_heard(struct queued *queued, struct span queue_id);
bool queued_is_heard(struct queued *queued, struct span queue_id);

/* It left the queue. */
void queued_remove(struct queued *queued, struct span queue_id);

size_t queued_count(const struct queued *queued);

#endif
