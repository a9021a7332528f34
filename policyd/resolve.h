/*
 * Look a host's address up without waiting for it.
 *
 * The system's own way (nsswitch, /etc/hosts, DNS), in a thread of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_RESOLVE_H
#define POLICYD_RESOLVE_H

struct event_base;
struct resolve;

/*
 * Called once, from the loop: the addresses as text, with a blank behind each,
 * or NULL and why there is none.  The texts are gone after it, and so is the
 * resolve.
 */
typedef void resolve_done_fn(void *arg, const char *addresses, const char *why);

/* NULL: no thread could be had; done is not called then. */
struct resolve *resolve_start(struct event_base *base, const char *host, resolve_done_fn *done,
                              void *arg);

/* done will not be called.  The thread ends by itself. */
void resolve_forget(struct resolve *resolve);

#endif
