/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/server.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/netstring.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_AT_ONCE = 64,
    SMALL = 1024,                        /* holds most requests without the heap */
    INPUT_MAX = LOOKUP_REQUEST_MAX + 16, /* the longest netstring that is taken */
    ACCEPT_PAUSE_MS = 100,               /* when there are no descriptors left */
    COMPLAINT_MS = 1000,                 /* one line about bad clients in that time */
};

/* server owns its clients; a client owns its descriptor, events and buffers. */
struct client {
    TAILQ_ENTRY(client) next; /* in server->clients, the quietest first */
    TAILQ_ENTRY(client) next_waiting;
    struct server *server;    /* not ours */
    int fd;
    struct event *readable;
    struct event *writable; /* NULL until a write had to wait */
    int64_t active_ms;      /* last time it sent or took something */
    int64_t stuck_ms;       /* since when a request is half in or answers wait; 0: neither */
    bool ending;            /* close once the answers are out */
    bool waiting;           /* its request waits for the store; it is not read from */
    char *input;            /* small, or owned */
    size_t input_length;
    size_t input_room;
    struct buf output; /* what a write did not take */
    size_t output_done;
    struct lookup_session session;
    char small[SMALL];
};

TAILQ_HEAD(client_list, client);

struct server {
    struct event_base *base; /* not ours */
    int fd;
    struct event *acceptable;
    struct event *resume;
    struct event *sweep;
    struct event *late; /* runs while lookups wait */
    struct client_list clients;
    struct client_list waiting;
    size_t clients_max;
    struct server_figures figures;
    int64_t complained_ms;
    uint64_t complaints_unsaid;
    void (*view)(void *arg, struct lookup_view *ret_view);
    void (*done)(void *arg, const struct lookup_result *result);
    void *arg; /* not ours */
};

static void
client_free(struct client *client)
{
    struct server *server = client->server;

    TAILQ_REMOVE(&server->clients, client, next);
    if (client->waiting)
        TAILQ_REMOVE(&server->waiting, client, next_waiting);
    server->figures.clients--;
    event_free(client->readable);
    if (client->writable != NULL)
        event_free(client->writable);
    close(client->fd);
    if (client->input != client->small)
        free(client->input);
    buf_clear(&client->output);
    free(client);
}

static void
complain(struct server *server, const char *what, const char *consequence)
{
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);

    if (server->complained_ms != 0 && now - server->complained_ms < COMPLAINT_MS) {
        server->complaints_unsaid++;
        return;
    }
    server->complained_ms = now;
    log_warn("lookup client: %s -- %s unsaid=%llu", what, consequence,
             (unsigned long long)server->complaints_unsaid);
    server->complaints_unsaid = 0;
}

static void
client_touch(struct client *client, int64_t now)
{
    struct client_list *clients = &client->server->clients;

    client->active_ms = now;
    if (TAILQ_NEXT(client, next) != NULL) {
        TAILQ_REMOVE(clients, client, next);
        TAILQ_INSERT_TAIL(clients, client, next);
    }
}

/* Answer one request into out, which has room for it; LOOKUP_WAIT, with nothing in out. */
static size_t
answer(struct client *client, const struct netstring *request, int64_t now, bool may_wait,
       char *out)
{
    struct server *server = client->server;
    struct lookup_view view;
    struct lookup_result result;
    char reply[LOOKUP_REPLY_SIZE];
    size_t length;

    server->view(server->arg, &view);
    view.now_ms = now;
    view.may_wait = view.may_wait && may_wait;
    length = lookup_answer(&view, &client->session, request->data, request->length, reply, &result);
    server->done(server->arg, &result);
    if (length == LOOKUP_WAIT)
        return LOOKUP_WAIT;
    server->figures.lookups++;
    return netstring_print(reply, length, out);
}

/* Write now what the socket takes, and keep the rest.  false: the peer is gone. */
static bool
client_write(struct client *client, const char *data, size_t length)
{
    ssize_t written = send(client->fd, data, length, MSG_NOSIGNAL);

    if (written < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return false;
        written = 0;
    }
    if ((size_t)written < length)
        buf_add(&client->output, data + written, length - (size_t)written);
    return true;
}

static void
client_wait(struct client *client)
{
    static const struct timeval limit = {0, SERVER_WAIT_MS * 1000};
    struct server *server = client->server;

    if (client->waiting)
        return;
    if (TAILQ_EMPTY(&server->waiting))
        event_add(server->late, &limit);
    TAILQ_INSERT_TAIL(&server->waiting, client, next_waiting);
    client->waiting = true;
    server->figures.waited++;
    event_del(client->readable);
}

static void
client_go_on(struct client *client)
{
    if (!client->waiting)
        return;
    TAILQ_REMOVE(&client->server->waiting, client, next_waiting);
    client->waiting = false;
    event_add(client->readable, NULL);
}

/*
 * Answer the whole requests that are in the input.  Stops early when answers
 * pile up, or when the next one waits for the store.  may_wait is about the
 * first.  Returns false when the client is to be ended.
 */
static bool
client_serve(struct client *client, int64_t now, bool may_wait)
{
    char batch[4 * LOOKUP_REPLY_SIZE];
    size_t used = 0, filled = 0;
    bool fine = true;

    while (fine && client->output.length < SERVER_REPLIES_MAX) {
        struct netstring request;
        size_t length;
        int r = netstring_parse(client->input + used, client->input_length - used,
                                LOOKUP_REQUEST_MAX, &request);

        if (r == 0)
            break;
        if (r < 0) {
            client->server->figures.malformed++;
            complain(client->server,
                     r == -EMSGSIZE ? "request is too long" : "request is no netstring",
                     "connection closed");
            client->ending = true;
            used = client->input_length;
            break;
        }
        length = answer(client, &request, now, may_wait, batch + filled);
        if (length == LOOKUP_WAIT) {
            client_wait(client);
            break;
        }
        client_go_on(client);
        may_wait = true;
        filled += length;
        used += request.used;
        client->stuck_ms = 0;
        if (sizeof(batch) - filled < LOOKUP_REPLY_SIZE + NETSTRING_EXTRA) {
            fine = client_write(client, batch, filled);
            filled = 0;
        }
    }
    if (fine && filled > 0)
        fine = client_write(client, batch, filled);
    memmove(client->input, client->input + used, client->input_length - used);
    client->input_length -= used;
    return fine && !(client->ending && client->output.length == 0);
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

/* Read on, or wait until the answers are out; and say since when it is stuck. */
static void
client_settle(struct client *client, int64_t now)
{
    bool waiting = client->output.length > 0;

    if (waiting) {
        if (client->writable == NULL)
            client->writable = event_new(client->server->base, client->fd, EV_WRITE | EV_PERSIST,
                                         on_writable, client);
        event_add(client->writable, NULL);
        event_del(client->readable); /* hides the peer's EOF, too; the write will tell */
    }
    if (!waiting && client->input_length == 0)
        client->stuck_ms = 0;
    else if (client->stuck_ms == 0)
        client->stuck_ms = now;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct client *client = arg;
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);
    size_t rest = client->output.length - client->output_done;
    ssize_t written = send(fd, client->output.data + client->output_done, rest, MSG_NOSIGNAL);

    (void)what;
    if (written < 0) {
        if (errno != EAGAIN && errno != EINTR)
            client_free(client);
        return;
    }
    client_touch(client, now);
    client->output_done += (size_t)written;
    if (client->output_done < client->output.length)
        return;
    buf_clear(&client->output);
    client->output_done = 0;
    client->stuck_ms = 0;
    event_del(client->writable);
    if (client->ending || !client_serve(client, now, true)) {
        client_free(client);
        return;
    }
    if (!client->waiting)
        event_add(client->readable, NULL);
    client_settle(client, now);
}

/* Room for more of a request that does not fit yet. */
static void
input_grow(struct client *client)
{
    char *bigger = mem_new(INPUT_MAX);

    memcpy(bigger, client->input, client->input_length);
    client->input = bigger;
    client->input_room = INPUT_MAX;
}

static void
input_shrink(struct client *client)
{
    if (client->input == client->small || client->input_length > 0)
        return;
    free(client->input);
    client->input = client->small;
    client->input_room = SMALL;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct client *client = arg;
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);
    ssize_t length;

    (void)what;
    if (client->input_length == client->input_room)
        input_grow(client); /* once: a whole INPUT_MAX is served or refused below */
    length =
        read(fd, client->input + client->input_length, client->input_room - client->input_length);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        client_free(client); /* every whole request was answered when it came */
        return;
    }
    client->input_length += (size_t)length;
    client_touch(client, now);
    if (!client_serve(client, now, true)) {
        client_free(client);
        return;
    }
    input_shrink(client);
    client_settle(client, now);
}

static void
client_new(struct server *server, int fd)
{
    struct client *client = mem_new(sizeof(*client));

    client->server = server;
    client->fd = fd;
    client->input = client->small;
    client->input_room = SMALL;
    client->active_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    client->readable = event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, client);
    event_add(client->readable, NULL);
    TAILQ_INSERT_TAIL(&server->clients, client, next);
    server->figures.clients++;
    server->figures.connections++;
}

static void
evict_quietest(struct server *server, const char *why)
{
    server->figures.evicted++;
    complain(server, why, "the one that was quiet longest is closed");
    client_free(TAILQ_FIRST(&server->clients));
}

/* No descriptor is left: make one free, or pause, but never spin. */
static void
out_of_descriptors(struct server *server)
{
    static const struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};

    if (!TAILQ_EMPTY(&server->clients)) {
        evict_quietest(server, "no file descriptors left");
        return;
    }
    event_del(server->acceptable);
    event_add(server->resume, &pause);
}

static void
on_acceptable(evutil_socket_t listener, short what, void *arg)
{
    struct server *server = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                out_of_descriptors(server);
            return;
        }
        if (server->figures.clients >= server->clients_max)
            evict_quietest(server, "too many connections");
        client_new(server, fd);
    }
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;

    (void)fd;
    (void)what;
    event_add(server->acceptable, NULL);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct client *client = TAILQ_FIRST(&server->clients);
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);

    (void)fd;
    (void)what;
    while (client != NULL) {
        struct client *next = TAILQ_NEXT(client, next);

        if (client->stuck_ms != 0 && now - client->stuck_ms > SERVER_PARTIAL_MS) {
            server->figures.slow++;
            complain(server,
                     client->output.length > 0 ? "answers are not taken" : "request without end",
                     "connection closed");
            client_free(client);
        } else if (now - client->active_ms > SERVER_IDLE_MS) {
            client_free(client);
        }
        client = next;
    }
}

/* Serve those that wait once more. */
static void
serve_waiting(struct server *server, bool may_wait)
{
    struct client *client = TAILQ_FIRST(&server->waiting);
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);

    while (client != NULL) {
        struct client *next = TAILQ_NEXT(client, next_waiting);

        server->figures.late += !may_wait;
        if (!client_serve(client, now, may_wait)) {
            client_free(client);
        } else {
            input_shrink(client);
            client_settle(client, now);
        }
        client = next;
    }
    if (TAILQ_EMPTY(&server->waiting))
        event_del(server->late);
}

void
server_retry(struct server *server)
{
    serve_waiting(server, true);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval limit = {0, SERVER_WAIT_MS * 1000};
    struct server *server = arg;

    (void)fd;
    (void)what;
    serve_waiting(server, false);
    if (!TAILQ_EMPTY(&server->waiting)) /* the next requests of the same clients */
        event_add(server->late, &limit);
}

struct server *
server_new(struct event_base *base, int fd, size_t clients_max,
           void (*view)(void *arg, struct lookup_view *ret_view),
           void (*done)(void *arg, const struct lookup_result *result), void *arg)
{
    static const struct timeval second = {1, 0};
    struct server *server = mem_new(sizeof(*server));

    server->base = base;
    server->fd = fd;
    server->clients_max = clients_max;
    server->view = view;
    server->done = done;
    server->arg = arg;
    TAILQ_INIT(&server->clients);
    TAILQ_INIT(&server->waiting);
    server->late = evtimer_new(base, on_late, server);
    evutil_make_socket_nonblocking(fd);
    server->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, server);
    server->resume = evtimer_new(base, on_resume, server);
    server->sweep = event_new(base, -1, EV_PERSIST, on_sweep, server);
    event_add(server->acceptable, NULL);
    event_add(server->sweep, &second);
    return server;
}

void
server_free(struct server *server)
{
    if (server == NULL)
        return;
    while (!TAILQ_EMPTY(&server->clients))
        client_free(TAILQ_FIRST(&server->clients));
    event_free(server->acceptable);
    event_free(server->resume);
    event_free(server->sweep);
    event_free(server->late);
    close(server->fd);
    free(server);
}

void
server_set_clients(struct server *server, size_t clients_max)
{
    server->clients_max = clients_max;
}

const struct server_figures *
server_figures(const struct server *server)
{
    return &server->figures;
}
