/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/peers_inside.h"

#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_AT_ONCE = 64,
    ACCEPT_PAUSE_MS = 100, /* when there are no descriptors left */
    COMPLAINT_MS = 1000,   /* one line about bad peers in that time */
};

void
peers_unwait(struct peer *peer)
{
    if (peer->wait_ms == 0)
        return;
    TAILQ_REMOVE(&peer->peers->waiting, peer, next_waiting);
    peer->wait_ms = 0;
}

void
peers_complain(struct peers *peers, const char *what, const char *consequence)
{
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);

    if (peers->complained_ms != 0 && now - peers->complained_ms < COMPLAINT_MS) {
        peers->complaints_unsaid++;
        return;
    }
    peers->complained_ms = now;
    log_warn("%s: %s -- %s unsaid=%llu", peers->protocol->who, what, consequence,
             (unsigned long long)peers->complaints_unsaid);
    peers->complaints_unsaid = 0;
}

void
peers_touch(struct peer *peer, int64_t now_ms)
{
    peer->active_ms = now_ms;
    if (TAILQ_NEXT(peer, next) != NULL) {
        TAILQ_REMOVE(&peer->peers->all, peer, next);
        TAILQ_INSERT_TAIL(&peer->peers->all, peer, next);
    }
}

static void
expire_later(struct peers *peers, int64_t now)
{
    const struct peer *first = TAILQ_FIRST(&peers->waiting);
    int64_t ms;

    if (first == NULL)
        return;
    peers->expiry_ms = first->wait_ms;
    ms = first->wait_ms > now ? first->wait_ms - now : 1;
    event_add(peers->expiry, &(struct timeval){ms / 1000, ms % 1000 * 1000});
}

void
peers_wait(struct peer *peer, int64_t deadline_ms, int64_t now_ms)
{
    struct peers *peers = peer->peers;

    peer->wait_ms = deadline_ms;
    TAILQ_INSERT_TAIL(&peers->waiting, peer, next_waiting);
    if (TAILQ_FIRST(&peers->waiting) == peer)
        expire_later(peers, now_ms);
}

/* Serve all those that wait now once more, each once. */
static void
serve_waiting(struct peers *peers, int64_t now)
{
    struct peer *last = TAILQ_LAST(&peers->waiting, peer_list);
    bool more = last != NULL;

    while (more) {
        struct peer *peer = TAILQ_FIRST(&peers->waiting);
        int64_t deadline_ms = peer->wait_ms;

        more = peer != last;
        peers_unwait(peer);
        peer_go_on(peer, deadline_ms, now);
    }
    expire_later(peers, now);
}

void
peers_resume(struct peers *peers)
{
    serve_waiting(peers, clock_ms(CLOCK_MONOTONIC_COARSE));
}

static void
on_expiry(evutil_socket_t fd, short what, void *arg)
{
    struct peers *peers = arg;
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);

    (void)fd;
    (void)what;
    if (now < peers->expiry_ms) /* this clock is not the timer's */
        now = peers->expiry_ms;
    serve_waiting(peers, now); /* those whose time is up do not wait again */
}

static void
evict_quietest(struct peers *peers, const char *why)
{
    peers->figures.evicted++;
    peers_complain(peers, why, "the one that was quiet longest is closed");
    peer_free(TAILQ_FIRST(&peers->all));
}

/* No descriptor is left: make one free, or pause, but never spin. */
static void
out_of_descriptors(struct peers *peers)
{
    static const struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};

    if (!TAILQ_EMPTY(&peers->all)) {
        evict_quietest(peers, "no file descriptors left");
        return;
    }
    event_del(peers->acceptable);
    event_add(peers->resume, &pause);
}

static void
on_acceptable(evutil_socket_t listener, short what, void *arg)
{
    struct peers *peers = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                out_of_descriptors(peers);
            return;
        }
        if (peers->figures.count >= peers->count_max)
            evict_quietest(peers, "too many connections");
        peer_new(peers, fd);
    }
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct peers *peers = arg;

    (void)fd;
    (void)what;
    event_add(peers->acceptable, NULL);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct peers *peers = arg;
    struct peer *peer = TAILQ_FIRST(&peers->all);
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);

    (void)fd;
    (void)what;
    while (peer != NULL) {
        struct peer *next = TAILQ_NEXT(peer, next);

        if (peer->stuck_ms != 0 && now - peer->stuck_ms > PEERS_PARTIAL_MS) {
            peers->figures.slow++;
            peers_complain(
                peers, peer->output.length > 0 ? "answers are not taken" : "request without end",
                "connection closed");
            peer_free(peer);
        } else if (now - peer->active_ms > PEERS_IDLE_MS) {
            peer_free(peer);
        }
        peer = next;
    }
}

struct peers *
peers_new(struct event_base *base, int fd, size_t count_max, const struct peers_protocol *protocol,
          void *arg)
{
    static const struct timeval second = {1, 0};
    struct peers *peers = mem_new(sizeof(*peers));

    peers->protocol = protocol;
    peers->arg = arg;
    peers->base = base;
    peers->fd = fd;
    peers->count_max = count_max;
    peers->batch = mem_array(PEER_BATCH, protocol->answer_max);
    TAILQ_INIT(&peers->all);
    TAILQ_INIT(&peers->waiting);
    evutil_make_socket_nonblocking(fd);
    peers->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, peers);
    peers->resume = evtimer_new(base, on_resume, peers);
    peers->sweep = event_new(base, -1, EV_PERSIST, on_sweep, peers);
    peers->expiry = evtimer_new(base, on_expiry, peers);
    event_add(peers->acceptable, NULL);
    event_add(peers->sweep, &second);
    return peers;
}

void
peers_free(struct peers *peers)
{
    if (peers == NULL)
        return;
    while (!TAILQ_EMPTY(&peers->all))
        peer_free(TAILQ_FIRST(&peers->all));
    event_free(peers->acceptable);
    event_free(peers->resume);
    event_free(peers->sweep);
    event_free(peers->expiry);
    close(peers->fd);
    free(peers->batch);
    free(peers);
}

void
peers_set_count(struct peers *peers, size_t count_max)
{
    peers->count_max = count_max;
}

const struct peers_figures *
peers_figures(const struct peers *peers)
{
    return &peers->figures;
}
