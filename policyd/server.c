/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/server.h"

#include "lib/mem.h"
#include "lib/netstring.h"
#include "policyd/peers.h"

#include <errno.h>
#include <stdlib.h>

struct server {
    struct peers *peers;
    uint64_t late;
    void (*view)(void *arg, struct lookup_view *ret_view);
    void (*done)(void *arg, const struct lookup_result *result);
    void *arg; /* not ours */
};

static ssize_t
on_request(void *arg, const struct peers_request *request, struct peers_answer *ret_answer)
{
    struct server *server = arg;
    struct netstring netstring;
    struct lookup_view view;
    struct lookup_result result;
    char reply[LOOKUP_REPLY_SIZE];
    size_t length;
    int r = netstring_parse(request->data, request->length, LOOKUP_REQUEST_MAX, &netstring);

    if (r == 0)
        return PEERS_MORE;
    if (r < 0) {
        err_set(&ret_answer->err, r,
                r == -EMSGSIZE ? "request is too long" : "request is no netstring");
        return PEERS_REFUSE;
    }
    server->view(server->arg, &view);
    view.now_ms = request->now_ms;
    view.may_wait = view.may_wait && request->may_wait;
    length =
        lookup_answer(&view, request->session, netstring.data, netstring.length, reply, &result);
    server->done(server->arg, &result);
    if (length == LOOKUP_WAIT)
        return PEERS_WAIT;
    server->late += !request->may_wait;
    ret_answer->length = netstring_print(reply, length, ret_answer->data);
    return (ssize_t)netstring.used;
}

static const struct peers_protocol protocol = {
    .who = "lookup client",
    .request_max = LOOKUP_REQUEST_MAX + NETSTRING_EXTRA,
    .answer_max = LOOKUP_REPLY_SIZE + NETSTRING_EXTRA,
    .session_size = sizeof(struct lookup_session),
    .wait_ms = SERVER_WAIT_MS,
    .serve = on_request,
};

struct server *
server_new(struct event_base *base, int fd, size_t clients_max,
           void (*view)(void *arg, struct lookup_view *ret_view),
           void (*done)(void *arg, const struct lookup_result *result), void *arg)
{
    struct server *server = mem_new(sizeof(*server));

    server->view = view;
    server->done = done;
    server->arg = arg;
    server->peers = peers_new(base, fd, clients_max, &protocol, server);
    return server;
}

void
server_free(struct server *server)
{
    if (server == NULL)
        return;
    peers_free(server->peers);
    free(server);
}

void
server_retry(struct server *server)
{
    if (server != NULL)
        peers_resume(server->peers);
}

void
server_set_clients(struct server *server, size_t clients_max)
{
    if (server != NULL)
        peers_set_count(server->peers, clients_max);
}

const struct peers_figures *
server_clients(const struct server *server)
{
    static const struct peers_figures none;

    return server != NULL ? peers_figures(server->peers) : &none;
}

uint64_t
server_late(const struct server *server)
{
    return server != NULL ? server->late : 0;
}
