/*
 * The inside of struct meters, for meters.c and meters_ask.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_METERS_INSIDE_H
#define ENGINE_METERS_INSIDE_H

#include "engine/meters.h"

/* Names that meters are of: ids that last, and where those are in the snapshot. */
struct roll {
    uint32_t *id;    /* by place */
    uint32_t *place; /* by id; METERS_NONE: it is gone */
    size_t ids, places;
};

struct meters {
    const struct snapshot *snapshot; /* not ours */
    struct metered **chunks;         /* owned */
    size_t chunk_count;
    size_t count;
    uint32_t spare;   /* the first of the numbers that are nobody's */
    uint32_t binding; /* how many snapshots there were */
    uint32_t seq;     /* more than any ask of a meter that is gone */
    struct roll addresses, providers, streams;
    struct roll groups;   /* streams whose accounts are capped; ids are not used again */
    uint32_t *by_address; /* by place in the snapshot, as all three */
    uint32_t *by_stream;
    uint32_t *by_provider; /* address x provider; NULL: no provider has caps */
    uint32_t *accounts;    /* heads of chains by hash; NULL: none yet */
    size_t account_count;
    uint64_t accounts_refused;
    int64_t keep_ms;
    uint32_t *queue; /* a ring of numbers that meters_next() looks at */
    size_t queue_first, queue_count, queue_room;
    unsigned nodes;
    bool alone;       /* without the store, on this node's share */
    int64_t alone_ms; /* since when */
    bool share_at_once;
    uint64_t gains;
};

#endif
