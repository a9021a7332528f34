/*
 * The socketmap server: netstrings, and lookups that wait for the store.
 *
 * What a client costs is bounded, see policyd/peers.h; anything that is no
 * netstring, or one of more than LOOKUP_REQUEST_MAX bytes, ends its connection.
 * Postfix asks again, once, when a connection ends between two requests, so
 * closing an idle one costs nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SERVER_H
#define POLICYD_SERVER_H

#include "policyd/lookup.h"

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct peers_figures;
struct server;

/* Most that an answer waits for the store, on its own connection alone. */
enum { SERVER_WAIT_MS = 4 };

/*
 * Serve on fd, a listening socket that becomes the server's.  view gives what
 * answers are made from, done is told what each one was, and that a lookup
 * begins to wait; both are called with arg, from the loop.
 */
struct server *server_new(struct event_base *base, int fd, size_t clients_max,
                          void (*view)(void *arg, struct lookup_view *ret_view),
                          void (*done)(void *arg, const struct lookup_result *result), void *arg);
void server_free(struct server *server); /* takes NULL; ends every connection */

/* The store has answered: lookups that wait may be answered now. */
void server_retry(struct server *server); /* takes NULL */

void server_set_clients(struct server *server, size_t clients_max); /* takes NULL */

/* With NULL, before there is a server, nothing has happened yet. */
const struct peers_figures *server_clients(const struct server *server);
uint64_t
server_late(const struct server *server); /* lookups that waited and were answered without */

#endif
