/*
 * The control socket: one line asks, a text answers, and the connection ends.
 *
 * Source of the format: docs/PROTOCOLS.md.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_CONTROL_H
#define POLICYD_CONTROL_H

struct buf;
struct control;
struct control_call;
struct event_base;

/*
 * Somebody asks.  Answer with control_answer() for call, now or later.  call
 * stays valid until then, also when the peer is gone meanwhile.
 */
typedef void control_ask_fn(void *arg, struct control_call *call, const char *question);

/* Serve on fd, a listening socket that becomes the control's. */
struct control *control_new(struct event_base *base, int fd, control_ask_fn *ask, void *arg);
void control_free(struct control *control); /* takes NULL; open calls are forgotten */

/* Who asks, for the log: "root (uid 0)".  Valid as long as call; "?" when not known. */
const char *control_user(struct control_call *call);

/* text is copied. */
void control_answer(struct control_call *call, const char *text);

#endif
