/*
 * Weighted rendezvous hashing: the order in which a key meets the members of
 * a pool, without any stored state.
 *
 * The same key meets the same members in the same order, load follows the
 * weights, and a member that leaves hands on only its own keys
 * (Thaler and Ravishankar 1996; weights by Schindelhauer and Schomaker 2005).
 *
 * Plain rendezvous looks at every member for every key.  Above
 * RENDEZVOUS_LEAF members the set is a binary tree over the hashes of their
 * names instead: the key turns left or right by the summed weights, down to a
 * leaf, so that the cost grows with the logarithm.  There a change of the set
 * moves about 1 + forks / 2 times the changed share (5 forks at 1,000 members,
 * 9 at 10,000) instead of exactly that share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_RENDEZVOUS_H
#define ENGINE_RENDEZVOUS_H

#include <stddef.h>
#include <stdint.h>

struct member;

enum {
    RENDEZVOUS_LEAF = 32,  /* most members that are compared one by one */
    RENDEZVOUS_BLOCK = 64, /* members that can be passed over together */
};

struct rendezvous;

/*
 * members are not ours and must outlive the result; count may be 0.
 * NULL only when there is no memory.
 */
struct rendezvous *rendezvous_new(const struct member *const *members, size_t count);
void rendezvous_free(struct rendezvous *rendezvous); /* takes NULL */

size_t rendezvous_count(const struct rendezvous *rendezvous);

/* Where one key is on its way along the members.  Lives on the caller's stack. */
struct rendezvous_walk {
    const struct rendezvous *rendezvous; /* not ours */
    uint64_t key;
    size_t draws;  /* draws made so far */
    size_t linear; /* members passed since draws gave way to a plain scan */
    size_t seen_count;
    size_t seen[RENDEZVOUS_LEAF]; /* members that were given out */
};

void rendezvous_start(struct rendezvous_walk *walk, const struct rendezvous *rendezvous,
                      uint64_t key);

/*
 * The next member for the key, or NULL after the last one.  Each is given once.
 * The first RENDEZVOUS_LEAF come by weighted chance, further ones in the
 * order of the pool from a place that the key chooses.
 */
const struct member *rendezvous_next(struct rendezvous_walk *walk);

/*
 * Behind the first RENDEZVOUS_LEAF members come those of one block of the
 * pool's order after the other: which block the next one is from, or
 * RENDEZVOUS_BLOCKLESS before that and at the end.
 */
#define RENDEZVOUS_BLOCKLESS SIZE_MAX
size_t rendezvous_block(const struct rendezvous_walk *walk);

/* Go on behind that block. */
void rendezvous_skip_block(struct rendezvous_walk *walk);

size_t rendezvous_blocks(const struct rendezvous *rendezvous);

/* The members of a block: how many, and *ret_members the first of them. */
size_t rendezvous_block_members(const struct rendezvous *rendezvous, size_t block,
                                const struct member *const **ret_members);

#endif
