/*
 * Whether something was there before, of what came lately: a set that forgets.
 *
 * Of what it was told it knows the last SEEN_MOST at least, and twice as many at
 * most.  Memory: 512 KiB, from the first on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_SEEN_H
#define ENGINE_SEEN_H

#include <stdbool.h>
#include <stdint.h>

enum { SEEN_MOST = 16384, SEEN_SLOTS = 2 * SEEN_MOST };

/* All zero: an empty one. */
struct seen {
    uint64_t *now, *before; /* owned; 0: a free slot */
    uint32_t count;         /* in now */
};

/* Forget all, and give back the memory. */
void seen_clear(struct seen *seen);

/*
 * Note what has this hash, of which strangers can choose no bits.  True: it is new.
 * Without memory all is.
 */
bool seen_note(struct seen *seen, uint64_t hash);

#endif
