/*
 * Lines of the log of recipients that were deferred, since the delivery of their
 * message began.  Pure.
 *
 * When a message has waited too long, Postfix tells so right behind its last
 * delivery, and names no recipient: it is returned to those that were deferred
 * in it.  The lines heard of longest ago go when there are too many.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_DEFERRED_H
#define POLICYD_DEFERRED_H

#include "lib/cursor.h"

enum { DEFERRED_BYTES_MAX = 16 * 1024 * 1024 }; /* that they take */

struct deferred;
struct maillog_frame;

struct deferred *deferred_new(void);
void deferred_free(struct deferred *deferred); /* takes NULL */

/* A recipient of the message was deferred, as this line tells; it is copied. */
void deferred_add(struct deferred *deferred, struct span queue_id,
                  const struct maillog_frame *frame);

/* Its delivery begins anew, or it is gone: they count no more. */
void deferred_drop(struct deferred *deferred, struct span queue_id);

/* Call each for the lines of the message, in their order. */
void deferred_each(const struct deferred *deferred, struct span queue_id,
                   void (*each)(void *arg, const struct maillog_frame *frame), void *arg);

#endif
