/*
 * The control socket: one line asks, a text answers, and the connection ends.
 *
 * Source of the format: docs/PROTOCOLS.md.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_CONTROL_H
#define POLICYD_CONTROL_H

#include <stddef.h>

struct buf;
struct control;
struct control_call;
struct event_base;

enum { CONTROL_BODY_MAX = 64 * 1024 }; /* bytes behind a question */

/*
 * Somebody asks.  Answer with control_answer() for call, now or later.  call
 * stays valid until then, also when the peer is gone meanwhile.
 */
typedef void control_ask_fn(void *arg, struct control_call *call, const char *question);

/* Serve on fd, a listening socket that becomes the control's. */
struct control *control_new(struct event_base *base, int fd, control_ask_fn *ask, void *arg);

/* Nobody asks any more, and whose call is open hears no answer; calls stay valid.  Takes NULL. */
void control_stop(struct control *control);

/* Takes NULL.  Calls are gone: behind all that may answer one. */
void control_free(struct control *control);

/* Who asks, for the log: "root (uid 0)".  Valid as long as call; "?" when not known. */
const char *control_user(struct control_call *call);

/*
 * The question is followed by so many bytes, at most CONTROL_BODY_MAX: on_body hears of them
 * when they are there, with the owner's arg and the question anew.  To be called instead of
 * control_answer(), from inside the control_ask_fn; length > 0.
 */
typedef void control_body_fn(void *arg, struct control_call *call, const char *question,
                             const char *body);
void control_want(struct control_call *call, size_t length, control_body_fn *on_body);

/* text is copied. */
void control_answer(struct control_call *call, const char *text);

#endif
