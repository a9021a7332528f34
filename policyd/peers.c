/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/peers.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_AT_ONCE = 64,
    SMALL = 1024,          /* holds most requests without the heap */
    BATCH = 8,             /* answers that are written at once */
    ACCEPT_PAUSE_MS = 100, /* when there are no descriptors left */
    COMPLAINT_MS = 1000,   /* one line about bad peers in that time */
};

/* peers owns each peer; a peer owns its descriptor, events and buffers. */
struct peer {
    TAILQ_ENTRY(peer) next; /* in peers->all, the quietest first */
    TAILQ_ENTRY(peer) next_waiting;
    struct peers *peers; /* not ours */
    int fd;
    struct event *readable;
    struct event *writable; /* NULL until a write had to wait */
    int64_t active_ms;      /* last time it sent or took something */
    int64_t stuck_ms;       /* since when a request is half in or answers wait; 0: neither */
    int64_t wait_ms;        /* until when its request waits; 0: it does not */
    bool ending;            /* close once the answers are out */
    char *input;            /* small, or owned */
    size_t input_length;
    size_t input_room;
    struct buf output; /* what a write did not take */
    size_t output_done;
    char small[SMALL];
    _Alignas(max_align_t) char session[];
};

TAILQ_HEAD(peer_list, peer);

struct peers {
    const struct peers_protocol *protocol; /* not ours */
    void *arg;                             /* not ours */
    struct event_base *base;               /* not ours */
    int fd;
    struct event *acceptable;
    struct event *resume;
    struct event *sweep;
    struct event *expiry; /* of the first that waits */
    struct peer_list all;
    struct peer_list waiting; /* in the order in which they began to */
    size_t count_max;
    struct peers_figures figures;
    char *batch; /* owned; what one peer is answered, before it is written */
    int64_t complained_ms;
    uint64_t complaints_unsaid;
};

static void
stop_waiting(struct peer *peer)
{
    if (peer->wait_ms == 0)
        return;
    TAILQ_REMOVE(&peer->peers->waiting, peer, next_waiting);
    peer->wait_ms = 0;
}

static void
peer_free(struct peer *peer)
{
    stop_waiting(peer);
    TAILQ_REMOVE(&peer->peers->all, peer, next);
    peer->peers->figures.count--;
    event_free(peer->readable);
    if (peer->writable != NULL)
        event_free(peer->writable);
    close(peer->fd);
    if (peer->input != peer->small)
        free(peer->input);
    buf_clear(&peer->output);
    free(peer);
}

static void
complain(struct peers *peers, const char *what, const char *consequence)
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

static void
peer_touch(struct peer *peer, int64_t now)
{
    peer->active_ms = now;
    if (TAILQ_NEXT(peer, next) != NULL) {
        TAILQ_REMOVE(&peer->peers->all, peer, next);
        TAILQ_INSERT_TAIL(&peer->peers->all, peer, next);
    }
}

/* Write now what the socket takes, and keep the rest.  false: the peer is gone. */
static bool
peer_write(struct peer *peer, const char *data, size_t length)
{
    ssize_t written;

    if (length == 0)
        return true;
    written = send(peer->fd, data, length, MSG_NOSIGNAL);
    if (written < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return false;
        written = 0;
    }
    if ((size_t)written < length)
        buf_add(&peer->output, data + written, length - (size_t)written);
    return true;
}

static void
expire_later(struct peers *peers, int64_t now)
{
    const struct peer *first = TAILQ_FIRST(&peers->waiting);
    int64_t ms;

    if (first == NULL)
        return;
    ms = first->wait_ms > now ? first->wait_ms - now : 1;
    event_add(peers->expiry, &(struct timeval){ms / 1000, ms % 1000 * 1000});
}

static void
start_waiting(struct peer *peer, int64_t deadline_ms, int64_t now)
{
    struct peers *peers = peer->peers;

    peer->wait_ms = deadline_ms;
    TAILQ_INSERT_TAIL(&peers->waiting, peer, next_waiting);
    if (TAILQ_FIRST(&peers->waiting) == peer)
        expire_later(peers, now);
}

static void
refuse(struct peer *peer, const char *complaint)
{
    peer->peers->figures.malformed++;
    complain(peer->peers, complaint, "connection closed, no answer");
    peer->ending = true;
}

/*
 * Answer the whole requests that are in the input.  Stops early when answers
 * pile up, or one has to wait: until deadline_ms, when it waited before;
 * 0: it did not.  Returns false when the peer is to be ended.
 */
static bool
peer_serve(struct peer *peer, int64_t deadline_ms, int64_t now)
{
    struct peers *peers = peer->peers;
    const struct peers_protocol *protocol = peers->protocol;
    size_t used = 0, filled = 0;
    bool fine = true;

    while (fine && !peer->ending && used < peer->input_length &&
           peer->output.length < PEERS_ANSWERS_MAX) {
        struct peers_request request = {
            .data = peer->input + used,
            .length = peer->input_length - used,
            .session = peer->session,
            .now_ms = now,
            .may_wait = protocol->wait_ms > 0 && (deadline_ms == 0 || now < deadline_ms),
        };
        struct peers_answer answer = {.data = peers->batch + filled};
        ssize_t r = protocol->serve(peers->arg, &request, &answer);

        if (r == PEERS_MORE)
            break;
        if (r == PEERS_WAIT) {
            peers->figures.waits += deadline_ms == 0;
            start_waiting(peer, deadline_ms != 0 ? deadline_ms : now + protocol->wait_ms, now);
            break;
        }
        if (r == PEERS_REFUSE) {
            refuse(peer, answer.err.msg);
            used = peer->input_length;
            break;
        }
        deadline_ms = 0;
        used += (size_t)r;
        filled += answer.length;
        peers->figures.requests++;
        peer->stuck_ms = 0;
        if (filled > (BATCH - 1) * protocol->answer_max) {
            fine = peer_write(peer, peers->batch, filled);
            filled = 0;
        }
    }
    fine = fine && peer_write(peer, peers->batch, filled);
    memmove(peer->input, peer->input + used, peer->input_length - used);
    peer->input_length -= used;
    if (peer->input_length == protocol->request_max && peer->wait_ms == 0 &&
        peer->output.length < PEERS_ANSWERS_MAX) {
        refuse(peer, "request is too long");
        peer->input_length = 0;
    }
    return fine && !(peer->ending && peer->output.length == 0);
}

static void
input_shrink(struct peer *peer)
{
    if (peer->input == peer->small || peer->input_length > 0)
        return;
    free(peer->input);
    peer->input = peer->small;
    peer->input_room = SMALL;
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

/* Read on, or wait until the answers are out; and say since when it is stuck. */
static void
peer_settle(struct peer *peer, int64_t now)
{
    bool writing = peer->output.length > 0;

    input_shrink(peer);
    if (writing) {
        if (peer->writable == NULL)
            peer->writable =
                event_new(peer->peers->base, peer->fd, EV_WRITE | EV_PERSIST, on_writable, peer);
        event_add(peer->writable, NULL);
    }
    if (writing || peer->wait_ms != 0)
        event_del(peer->readable); /* hides the peer's EOF, too; the write will tell */
    else
        event_add(peer->readable, NULL);
    if (!writing && (peer->input_length == 0 || peer->wait_ms != 0))
        peer->stuck_ms = 0;
    else if (peer->stuck_ms == 0)
        peer->stuck_ms = now;
}

/* Serve what is there, and go on; or end the peer. */
static void
peer_go_on(struct peer *peer, int64_t deadline_ms, int64_t now)
{
    if (!peer_serve(peer, deadline_ms, now))
        peer_free(peer);
    else
        peer_settle(peer, now);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *peer = arg;
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);
    size_t rest = peer->output.length - peer->output_done;
    ssize_t written = send(fd, peer->output.data + peer->output_done, rest, MSG_NOSIGNAL);

    (void)what;
    if (written < 0) {
        if (errno != EAGAIN && errno != EINTR)
            peer_free(peer);
        return;
    }
    peer_touch(peer, now);
    peer->output_done += (size_t)written;
    if (peer->output_done < peer->output.length)
        return;
    buf_clear(&peer->output);
    peer->output_done = 0;
    peer->stuck_ms = 0;
    event_del(peer->writable);
    if (peer->ending)
        peer_free(peer);
    else if (peer->wait_ms == 0)
        peer_go_on(peer, 0, now);
}

/* Room for more of a request that does not fit yet. */
static void
input_grow(struct peer *peer)
{
    size_t most = peer->peers->protocol->request_max;
    size_t room = peer->input_room < most / 4 ? 4 * peer->input_room : most;
    char *bigger = mem_new(room);

    memcpy(bigger, peer->input, peer->input_length);
    if (peer->input != peer->small)
        free(peer->input);
    peer->input = bigger;
    peer->input_room = room;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *peer = arg;
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);
    ssize_t length;

    (void)what;
    if (peer->input_length == peer->input_room)
        input_grow(peer);
    length = read(fd, peer->input + peer->input_length, peer->input_room - peer->input_length);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        peer_free(peer); /* every whole request was answered when it came */
        return;
    }
    peer->input_length += (size_t)length;
    peer_touch(peer, now);
    peer_go_on(peer, 0, now);
}

void
peers_resume(struct peers *peers)
{
    struct peer *last = TAILQ_LAST(&peers->waiting, peer_list), *peer;
    int64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);
    bool more = last != NULL;

    while (more) {
        int64_t deadline_ms;

        peer = TAILQ_FIRST(&peers->waiting);
        more = peer != last;
        deadline_ms = peer->wait_ms;
        stop_waiting(peer);
        peer_go_on(peer, deadline_ms, now);
    }
    expire_later(peers, now);
}

static void
on_expiry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    peers_resume(arg); /* those whose time is up do not wait again */
}

static void
peer_new(struct peers *peers, int fd)
{
    struct peer *peer = mem_new(sizeof(*peer) + peers->protocol->session_size);

    peer->peers = peers;
    peer->fd = fd;
    peer->input = peer->small;
    peer->input_room = SMALL;
    peer->active_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    peer->readable = event_new(peers->base, fd, EV_READ | EV_PERSIST, on_readable, peer);
    event_add(peer->readable, NULL);
    TAILQ_INSERT_TAIL(&peers->all, peer, next);
    peers->figures.count++;
    peers->figures.connections++;
}

static void
evict_quietest(struct peers *peers, const char *why)
{
    peers->figures.evicted++;
    complain(peers, why, "the one that was quiet longest is closed");
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
            complain(peers,
                     peer->output.length > 0 ? "answers are not taken" : "request without end",
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
    peers->batch = mem_array(BATCH, protocol->answer_max);
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
