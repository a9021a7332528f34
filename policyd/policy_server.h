/*
 * The policy service for Postfix' smtpd(8): SMTP access policy delegation.
 *
 * In case of trouble a policy server must not answer; so a connection that says
 * what is no request is closed, and Postfix takes its default_action.
 *
 * A request whose answer hangs on the store waits for it for POLICY_PATIENCE_MS at
 * most, and is then let in.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_POLICY_SERVER_H
#define POLICYD_POLICY_SERVER_H

#include "policyd/policy.h"

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct peers_figures;
struct policy_server;

/* What has been answered since the start, about the site's own mail. */
struct policy_figures {
    uint64_t asked;  /* for a recipient or a message */
    uint64_t over;   /* there was no room */
    uint64_t unsure; /* let in without knowing whether there was */
};

/*
 * Serve on fd, a listening socket that becomes the server's.  view gives what
 * answers are made from, all but transactions, now_ms and may_wait, which are the
 * server's; done is called behind each answer, and when a request begins to
 * wait: there may be something to ask the store.  Both from the loop.
 */
struct policy_server *policy_server_new(struct event_base *base, int fd, size_t clients_max,
                                        void (*view)(void *arg, struct policy_view *ret_view),
                                        void (*done)(void *arg), void *arg);
void policy_server_free(struct policy_server *server); /* takes NULL */

/* An answer of the store came. */
void policy_server_resume(struct policy_server *server); /* takes NULL */

/* The meters have other numbers now. */
void policy_server_forget(struct policy_server *server); /* takes NULL */

void policy_server_set_clients(struct policy_server *server, size_t clients_max); /* takes NULL */
const struct policy_figures *policy_server_figures(const struct policy_server *server);
const struct peers_figures *policy_server_clients(const struct policy_server *server);

#endif
