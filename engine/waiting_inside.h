/*
 * The inside of struct waiting, for waiting.c and waiting_streams.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WAITING_INSIDE_H
#define ENGINE_WAITING_INSIDE_H

#include "engine/heap.h"
#include "engine/waiting.h"

#include <sys/queue.h>

enum { WAITING_SLOTS = 65536 };

/* In which heap it is. */
enum lane_state { LANE_EMPTY, LANE_AWAKE, LANE_ASLEEP };

struct lane {
    size_t place; /* in the heap of its state */
    struct waiting_kind kind;
    int priority;
    enum lane_state state;
    int64_t until_ms; /* LANE_ASLEEP, and when it was last */
    struct heap heap; /* of waiters, without those that rest */
    size_t count;     /* with them */
    struct lane *next;
    TAILQ_ENTRY(lane) in_stream;
};

TAILQ_HEAD(lane_list, lane);

struct stream_lanes {
    int priority;
    size_t count; /* messages */
    uint64_t refused;
    struct lane_list lanes;
};

struct waiting {
    struct stream_lanes *streams;
    size_t stream_count;
    struct heap awake, asleep; /* of lanes */
    struct heap resting;       /* of waiters */
    struct heap ending;        /* of waiters that have an end */
    size_t count, bytes;
    struct waiter *waiters[WAITING_SLOTS]; /* by queue id */
    struct lane *lanes[WAITING_SLOTS];     /* by kind */
};

/* The place that names the lane of that kind, or the end of its chain. */
struct lane **waiting_lane_link(struct waiting *waiting, const struct waiting_kind *kind);

/* Put the lane where it belongs after its messages, or its state, changed. */
void waiting_settle(struct waiting *waiting, struct lane *lane, enum lane_state state);

#endif
