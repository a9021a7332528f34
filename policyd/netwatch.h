/*
 * Hearing of it when the host's addresses change.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_NETWATCH_H
#define POLICYD_NETWATCH_H

struct event_base;
struct netwatch;

/*
 * Call changed(arg) from the loop whenever the host's addresses may have
 * changed: when the kernel says so (Linux), and every 10 s in any case.
 */
struct netwatch *netwatch_new(struct event_base *base, void (*changed)(void *arg), void *arg);
void netwatch_free(struct netwatch *netwatch); /* takes NULL */

#endif
