/*
 * Weighted rendezvous hashing: the order in which a key meets the members of
 * a pool, without any stored state.
 *
 * The same key meets the same members in the same order, load follows the
 * weights, and a member that leaves hands on only its own keys
 * (Thaler and Ravishankar 1996; weights by Schindelhauer and Schomaker 2005).
 *
 * Plain rendezvous looks at every member for every key.  Above
 * RENDEZVOUS_FANOUT members the set is a tree over the hashes of their names
 * instead: the key picks a branch by its summed weight, then goes on inside,
 * so that the cost grows with the logarithm.  There a change of the set moves
 * at most depth x the changed share (depth is 2 up to about 1,000 members, 3
 * up to 30,000) instead of exactly that share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_RENDEZVOUS_H
#define ENGINE_RENDEZVOUS_H

#include <stddef.h>
#include <stdint.h>

struct member;

enum { RENDEZVOUS_FANOUT = 32 }; /* most members that are compared one by one */

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
    size_t seen[RENDEZVOUS_FANOUT]; /* members that were given out */
};

void rendezvous_start(struct rendezvous_walk *walk, const struct rendezvous *rendezvous,
                      uint64_t key);

/*
 * The next member for the key, or NULL after the last one.  Each is given once.
 * The first RENDEZVOUS_FANOUT come by weighted chance, further ones in the
 * order of the pool from a place that the key chooses.
 */
const struct member *rendezvous_next(struct rendezvous_walk *walk);

#endif
