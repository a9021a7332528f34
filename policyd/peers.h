/*
 * A stream server: its connections, their buffers and their end.  What is
 * said on them is a protocol's matter, in which each request has one answer,
 * in order.
 *
 * What a peer costs is bounded: one request in, PEERS_ANSWERS_MAX bytes of
 * answers out; a peer that does not read its answers is not read from.  A
 * request that is not whole after PEERS_PARTIAL_MS, or answers not taken
 * after it, end the connection, as does a request that the protocol refuses:
 * that one has no answer, those before it have theirs.  Beyond the number
 * of peers allowed, the one that was quiet longest makes room.
 *
 * A request may wait: then its peer is not read from until peers_resume(),
 * and for the protocol's wait_ms at most.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_PEERS_H
#define POLICYD_PEERS_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct peers;

enum {
    PEERS_ANSWERS_MAX = 64 * 1024, /* bytes that wait to be written, about */
    PEERS_PARTIAL_MS = 10 * 1000,
    PEERS_IDLE_MS = 600 * 1000,
};

/* What peers_protocol.serve is given. */
struct peers_request {
    const char *data; /* what came and was not served, one request or less or more */
    size_t length;    /* > 0 */
    void *session;    /* session_size bytes of the connection, zero at first */
    int64_t now_ms;   /* monotonic */
    bool may_wait;
};

/* What it gives. */
struct peers_answer {
    char *data; /* answer_max bytes of room */
    size_t length;
    struct err err; /* PEERS_REFUSE: what is wrong, for the log */
};

enum {
    PEERS_MORE = 0,    /* the request is not whole yet */
    PEERS_WAIT = -1,   /* only with may_wait: as if it had not come */
    PEERS_REFUSE = -2, /* no request: close the connection */
};

struct peers_protocol {
    const char *who; /* "policy client", for the log */
    size_t request_max;
    size_t answer_max;
    size_t session_size;
    int64_t wait_ms;
    /* Answer the first request.  Returns the bytes it took up, or one of the above. */
    ssize_t (*serve)(void *arg, const struct peers_request *request,
                     struct peers_answer *ret_answer);
};

/* What has happened since the start. */
struct peers_figures {
    uint64_t requests; /* that were answered */
    uint64_t connections;
    uint64_t malformed; /* connections ended for what they sent */
    uint64_t slow;      /* connections ended for what they did not send or take */
    uint64_t evicted;   /* connections ended to make room */
    uint64_t waits;     /* requests that had to wait */
    size_t count;       /* connections now */
};

/* Serve on fd, a listening socket that becomes the server's; protocol must stay. */
struct peers *peers_new(struct event_base *base, int fd, size_t count_max,
                        const struct peers_protocol *protocol, void *arg);
void peers_free(struct peers *peers); /* takes NULL; ends every connection */

/* Something came that requests may have waited for. */
void peers_resume(struct peers *peers);

void peers_set_count(struct peers *peers, size_t count_max);
const struct peers_figures *peers_figures(const struct peers *peers);

#endif
