/*
 * The inside of struct meters.  meters.c has the numbers and what a new snapshot
 * makes of them, meters_caps.c their caps, meters_account.c accounts, meters_key.c names,
 * meters_scale.c those that are slowed down, and meters_ask.c what is asked of the store.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_METERS_INSIDE_H
#define ENGINE_METERS_INSIDE_H

#include "engine/meters.h"

enum { METERS_CHUNK = 1024 }; /* meters that are allocated at a time */

/* Names that meters are of: ids that last, and where those are in the snapshot. */
struct roll {
    uint32_t *id;    /* by place */
    uint32_t *place; /* by id; METERS_NONE: it is gone */
    size_t ids, places;
};

struct meters {
    const struct snapshot *snapshot;     /* not ours */
    const struct allowances *allowances; /* not ours; NULL: no address warms up */
    struct metered **chunks;             /* owned */
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
    size_t scaled; /* meters of which a part is not to be used */
    uint64_t gains;
};

/* As it is: its caps may be those of an earlier snapshot, which meters_at() looks after. */
static inline struct metered *
meters_peek(const struct meters *meters, uint32_t number)
{
    return &meters->chunks[number / METERS_CHUNK][number % METERS_CHUNK];
}

/* The caps of an address, and of it at a provider, by their places in the snapshot. */
const struct caps *meters_address_caps(const struct meters *meters, size_t address);
const struct caps *meters_provider_caps(const struct meters *meters, size_t address,
                                        size_t provider);

/* A new meter's number; METERS_NONE: there is no memory. */
uint32_t meters_add(struct meters *meters, enum meters_kind kind, const struct caps *caps,
                    uint32_t of, uint32_t other);

/* Nothing may be asked of it any more; its number waits until no grant can name it. */
void meters_retire(struct meters *meters, uint32_t number, int64_t now_ms);

/* Its number is nobody's, from now on. */
void meters_make_spare(struct meters *meters, uint32_t number);

/* What it works with: its caps, or left when only a part of them is to be used. */
const struct caps *meters_caps(const struct metered *metered, struct caps *left);

/* See that what is held is no more than it works with. */
void meters_fit(struct metered *metered, uint32_t lease);

/* It goes, and is scaled no more. */
void meters_unscale(struct meters *meters, struct metered *metered);

/* So many times METERS_NONE, the caller's; NULL: there is no memory. */
uint32_t *meters_numbers(size_t count);

#endif
