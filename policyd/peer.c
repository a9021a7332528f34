/*
 * One peer: its buffers, and what it is answered.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/peers_inside.h"

#include "lib/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Write now what the socket takes, and keep the rest.  false: the peer is gone. */
static bool
write_out(struct peer *peer, const char *data, size_t length)
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
refuse(struct peer *peer, const char *complaint)
{
    peer->peers->figures.malformed++;
    peers_complain(peer->peers, complaint, "connection closed, no answer");
    peer->ending = true;
}

/*
 * Answer the request at the start of data into answer.  Returns the bytes it
 * took up; 0 when it cannot be answered now, or never will be (peer->ending).
 */
static size_t
answer_one(struct peer *peer, const char *data, size_t length, int64_t deadline_ms, int64_t now,
           struct peers_answer *answer)
{
    struct peers *peers = peer->peers;
    const struct peers_protocol *protocol = peers->protocol;
    struct peers_request request = {
        .data = data,
        .length = length,
        .session = peer->session,
        .now_ms = now,
        .may_wait = protocol->wait_ms > 0 && (deadline_ms == 0 || now < deadline_ms),
    };
    ssize_t r = protocol->serve(peers->arg, &request, answer);

    if (r == PEERS_WAIT) {
        peers->figures.waits += deadline_ms == 0;
        peers_wait(peer, deadline_ms != 0 ? deadline_ms : now + protocol->wait_ms, now);
    } else if (r == PEERS_REFUSE) {
        refuse(peer, answer->err.msg);
    } else if (r > 0) {
        peers->figures.requests++;
        peer->stuck_ms = 0;
        return (size_t)r;
    }
    return 0;
}

static void
input_drop(struct peer *peer, size_t used)
{
    memmove(peer->input, peer->input + used, peer->input_length - used);
    peer->input_length -= used;
    if (peer->input_length == peer->peers->protocol->request_max && peer->wait_ms == 0 &&
        !peer->ending && peer->output.length < PEERS_ANSWERS_MAX)
        refuse(peer, "request is too long");
    if (peer->ending)
        peer->input_length = 0;
}

/*
 * Answer the whole requests that are in the input.  Stops early when answers
 * pile up, or one has to wait.  Returns false when the peer is to be ended.
 */
static bool
serve(struct peer *peer, int64_t deadline_ms, int64_t now)
{
    struct peers *peers = peer->peers;
    size_t used = 0, filled = 0;
    bool fine = true;

    while (fine && used < peer->input_length && peer->output.length < PEERS_ANSWERS_MAX) {
        struct peers_answer answer = {.data = peers->batch + filled};
        size_t took = answer_one(peer, peer->input + used, peer->input_length - used, deadline_ms,
                                 now, &answer);

        if (took == 0)
            break;
        deadline_ms = 0;
        used += took;
        filled += answer.length;
        if (filled > (PEER_BATCH - 1) * peers->protocol->answer_max) {
            fine = write_out(peer, peers->batch, filled);
            filled = 0;
        }
    }
    fine = fine && write_out(peer, peers->batch, filled);
    input_drop(peer, used);
    return fine && !(peer->ending && peer->output.length == 0);
}

/* Or not: then the peer's EOF is not seen, either; the write will tell. */
static void
read_on(struct peer *peer, bool reading)
{
    if (reading == peer->reading)
        return;
    peer->reading = reading;
    if (reading)
        event_add(peer->readable, NULL);
    else
        event_del(peer->readable);
}

static void
input_shrink(struct peer *peer)
{
    if (peer->input == peer->small || peer->input_length > 0)
        return;
    free(peer->input);
    peer->input = peer->small;
    peer->input_room = PEER_SMALL;
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

/* Read on, or wait until the answers are out; and say since when it is stuck. */
static void
settle(struct peer *peer, int64_t now)
{
    bool writing = peer->output.length > 0;

    input_shrink(peer);
    if (writing) {
        if (peer->writable == NULL)
            peer->writable =
                event_new(peer->peers->base, peer->fd, EV_WRITE | EV_PERSIST, on_writable, peer);
        event_add(peer->writable, NULL);
    }
    read_on(peer, !writing && peer->wait_ms == 0);
    if (!writing && (peer->input_length == 0 || peer->wait_ms != 0))
        peer->stuck_ms = 0;
    else if (peer->stuck_ms == 0)
        peer->stuck_ms = now;
}

void
peer_go_on(struct peer *peer, int64_t deadline_ms, int64_t now_ms)
{
    if (!serve(peer, deadline_ms, now_ms))
        peer_free(peer);
    else
        settle(peer, now_ms);
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
    peers_touch(peer, now);
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
    peers_touch(peer, now);
    peer_go_on(peer, 0, now);
}

void
peer_new(struct peers *peers, int fd)
{
    struct peer *peer = mem_new(sizeof(*peer) + peers->protocol->session_size);

    peer->peers = peers;
    peer->fd = fd;
    peer->input = peer->small;
    peer->input_room = PEER_SMALL;
    peer->active_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    peer->readable = event_new(peers->base, fd, EV_READ | EV_PERSIST, on_readable, peer);
    read_on(peer, true);
    TAILQ_INSERT_TAIL(&peers->all, peer, next);
    peers->figures.count++;
    peers->figures.connections++;
}

void
peer_free(struct peer *peer)
{
    peers_unwait(peer);
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
