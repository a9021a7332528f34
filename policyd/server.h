/*
 * The socketmap server: connections, their buffers and their end.
 *
 * What a client costs is bounded: one request of LOOKUP_REQUEST_MAX bytes in,
 * SERVER_REPLIES_MAX bytes out; a client that does not read its answers is not
 * read from.  A request that is not whole after SERVER_PARTIAL_MS, or answers
 * not taken after it, end the connection, as does anything that is no
 * netstring.  Beyond the number of clients allowed, the one that was quiet
 * longest makes room.
 *
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
struct server;

enum {
    SERVER_REPLIES_MAX = 64 * 1024, /* bytes that wait to be written, at most */
    SERVER_PARTIAL_MS = 10 * 1000,
    SERVER_IDLE_MS = 600 * 1000,
    SERVER_WAIT_MS = 4, /* most that an answer waits for the store, on its own connection alone */
};

/* What has happened since the start. */
struct server_figures {
    uint64_t lookups;
    uint64_t connections;
    uint64_t malformed; /* connections ended for what they sent */
    uint64_t slow;      /* connections ended for what they did not send or take */
    uint64_t evicted;   /* connections ended to make room */
    uint64_t waited;    /* lookups that waited for the store */
    uint64_t late;      /* of these, answered without it */
    size_t clients;     /* now */
};

/*
 * Serve on fd, a listening socket that becomes the server's.  view gives what
 * answers are made from, done is told what each one was; both are called with
 * arg, from the loop.
 */
struct server *server_new(struct event_base *base, int fd, size_t clients_max,
                          void (*view)(void *arg, struct lookup_view *ret_view),
                          void (*done)(void *arg, const struct lookup_result *result), void *arg);
void server_free(struct server *server); /* takes NULL; ends every connection */

/* The store has answered: lookups that wait may be answered now. */
void server_retry(struct server *server);

void server_set_clients(struct server *server, size_t clients_max);
const struct server_figures *server_figures(const struct server *server);

#endif
