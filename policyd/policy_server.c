/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policy_server.h"

#include "lib/mem.h"
#include "policyd/peers.h"
#include "policyd/policy_request.h"
#include "policyd/transactions.h"

#include <stdio.h>
#include <stdlib.h>

struct policy_server {
    struct peers *peers;
    struct transactions *transactions;
    struct policy_figures figures;
    void (*view)(void *arg, struct policy_view *ret_view);
    void (*done)(void *arg);
    void *arg; /* not ours */
};

static void
count(struct policy_figures *figures, const struct policy_result *result)
{
    if (result->stream == NULL)
        return;
    figures->asked++;
    figures->over += result->over;
    figures->unsure += result->unsure;
}

static ssize_t
on_request(void *arg, const struct peers_request *request, struct peers_answer *ret_answer)
{
    struct policy_server *server = arg;
    struct policy_view view = {0};
    struct policy_request parsed;
    struct policy_result result;
    char action[POLICY_ANSWER_SIZE];
    int used = policy_request_parse(request->data, request->length, &parsed, &ret_answer->err);

    if (used == 0)
        return PEERS_MORE;
    if (used < 0)
        return PEERS_REFUSE;
    server->view(server->arg, &view);
    view.transactions = server->transactions;
    view.now_ms = request->now_ms;
    view.may_wait = request->may_wait;
    policy_answer(&view, request->session, &parsed, action, &result);
    server->done(server->arg);
    if (result.answered == POLICY_WAIT)
        return PEERS_WAIT;
    count(&server->figures, &result);
    ret_answer->length = (size_t)sprintf(ret_answer->data, "action=%s\n\n", action);
    return used;
}

static const struct peers_protocol protocol = {
    .who = "policy client",
    .request_max = POLICY_REQUEST_MAX,
    .answer_max = POLICY_ANSWER_SIZE + sizeof("action=\n\n"),
    .session_size = sizeof(struct policy_session),
    .wait_ms = POLICY_PATIENCE_MS,
    .serve = on_request,
};

struct policy_server *
policy_server_new(struct event_base *base, int fd, size_t clients_max,
                  void (*view)(void *arg, struct policy_view *ret_view), void (*done)(void *arg),
                  void *arg)
{
    struct policy_server *server = mem_new(sizeof(*server));

    server->view = view;
    server->done = done;
    server->arg = arg;
    server->transactions = transactions_new(TRANSACTIONS_MAX);
    server->peers = peers_new(base, fd, clients_max, &protocol, server);
    return server;
}

void
policy_server_free(struct policy_server *server)
{
    if (server == NULL)
        return;
    peers_free(server->peers);
    transactions_free(server->transactions);
    free(server);
}

void
policy_server_resume(struct policy_server *server)
{
    if (server != NULL)
        peers_resume(server->peers);
}

void
policy_server_forget(struct policy_server *server)
{
    if (server != NULL)
        transactions_keep(server->transactions);
}

void
policy_server_set_clients(struct policy_server *server, size_t clients_max)
{
    if (server != NULL)
        peers_set_count(server->peers, clients_max);
}

const struct policy_figures *
policy_server_figures(const struct policy_server *server)
{
    return &server->figures;
}

const struct peers_figures *
policy_server_clients(const struct policy_server *server)
{
    return peers_figures(server->peers);
}
