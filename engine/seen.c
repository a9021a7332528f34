/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/seen.h"

#include <stdlib.h>
#include <string.h>

void
seen_clear(struct seen *seen)
{
    free(seen->now);
    free(seen->before);
    *seen = (struct seen){0};
}

/* Where it is, or could be: a table is half full at most. */
static uint64_t *
slot_of(uint64_t *slots, uint64_t hash)
{
    size_t i = hash % SEEN_SLOTS;

    while (slots[i] != 0 && slots[i] != hash)
        i = (i + 1) % SEEN_SLOTS;
    return &slots[i];
}

/* The older half is forgotten. */
static void
turn(struct seen *seen)
{
    uint64_t *oldest = seen->before;

    seen->before = seen->now;
    seen->now = oldest;
    memset(seen->now, 0, SEEN_SLOTS * sizeof(*seen->now));
    seen->count = 0;
}

static bool
make(struct seen *seen)
{
    seen->now = calloc(SEEN_SLOTS, sizeof(*seen->now));
    seen->before = calloc(SEEN_SLOTS, sizeof(*seen->before));
    if (seen->now != NULL && seen->before != NULL)
        return true;
    seen_clear(seen);
    return false;
}

bool
seen_note(struct seen *seen, uint64_t hash)
{
    uint64_t *slot;

    hash += hash == 0;
    if (seen->now == NULL && !make(seen))
        return true;
    slot = slot_of(seen->now, hash);
    if (*slot == hash || *slot_of(seen->before, hash) == hash)
        return false;
    *slot = hash;
    if (++seen->count == SEEN_MOST)
        turn(seen);
    return true;
}
