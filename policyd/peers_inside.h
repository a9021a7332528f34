/*
 * The inside of struct peers.  peers.c has all of them: who comes in, who has
 * to leave, who waits.  peer.c has one: its buffers, and what it is answered.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_PEERS_INSIDE_H
#define POLICYD_PEERS_INSIDE_H

#include "lib/mem.h"
#include "policyd/peers.h"

#include <sys/queue.h>

enum {
    PEER_SMALL = 1024, /* holds most requests without the heap */
    PEER_BATCH = 8,    /* answers that are written at once */
};

/* peers owns each peer; a peer owns its descriptor, events and buffers. */
struct peer {
    TAILQ_ENTRY(peer) next; /* in peers->all, the quietest first */
    TAILQ_ENTRY(peer) next_waiting;
    struct peers *peers; /* not ours */
    int fd;
    struct event *readable;
    bool reading;           /* readable is added */
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
    char small[PEER_SMALL];
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
    int64_t expiry_ms;    /* when that is, or was */
    struct peer_list all;
    struct peer_list waiting; /* in the order in which they began to */
    size_t count_max;
    struct peers_figures figures;
    char *batch; /* owned; what one peer is answered, before it is written */
    int64_t complained_ms;
    uint64_t complaints_unsaid;
};

/* fd becomes the peer's; peers has it in its lists until it is freed. */
void peer_new(struct peers *peers, int fd);
void peer_free(struct peer *peer);

/*
 * Serve what is there, and read on or end the peer.  deadline_ms: until when the
 * first request may wait, if it waited before; 0: it did not.
 */
void peer_go_on(struct peer *peer, int64_t deadline_ms, int64_t now_ms);

/* It did something, and is not the quietest any more. */
void peers_touch(struct peer *peer, int64_t now_ms);

/* Its request waits, until deadline_ms at most; or does not any more. */
void peers_wait(struct peer *peer, int64_t deadline_ms, int64_t now_ms);
void peers_unwait(struct peer *peer);

/* Say so in the log, but not all the time. */
void peers_complain(struct peers *peers, const char *what, const char *consequence);

#endif
