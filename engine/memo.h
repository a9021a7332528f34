/*
 * What is known to be closed: pools, and blocks of their members, of which every
 * address has no room at a provider before some time, or is held back.  It spares
 * decisions the walk along thousands of addresses that each says no.
 *
 * Only the caps and curbs of addresses and of addresses at a provider count
 * here.  They lose room by sending and gain it by time, which a note foresees, or
 * by an event that meters_gains() or curbs_changes() counts; a note from before
 * such an event is void.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_MEMO_H
#define ENGINE_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memo;

struct memo_note {
    int64_t until_ms; /* closed before that; 0: nothing is known */
    int64_t room_ms;  /* when it can be better; no sooner */
    uint64_t gains;   /* decide_gains() when it was noted */
    uint32_t meter;   /* of one that is full; METERS_NONE: all are held back */
};

/* NULL only when there is no memory. */
struct memo *memo_new(size_t pools, size_t providers);
void memo_free(struct memo *memo); /* takes NULL */

/*
 * The notes of a pool at a provider, made when they are first asked for: [0]
 * is the whole pool, [1 + b] is block b.  They belong to memo.  NULL: memo is
 * NULL, or there is no memory.  blocks: always the same for one pool.
 */
struct memo_note *memo_notes(struct memo *memo, size_t pool, size_t provider, size_t blocks);

bool memo_holds(const struct memo_note *note, uint64_t gains, int64_t now_ms);

#endif
