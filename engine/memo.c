/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/memo.h"

#include <stdlib.h>

struct memo {
    size_t pools, providers;
    struct memo_note **notes; /* by pool and provider; owned; NULL: none yet */
};

struct memo *
memo_new(size_t pools, size_t providers)
{
    struct memo *memo = calloc(1, sizeof(*memo));

    if (memo == NULL)
        return NULL;
    memo->pools = pools;
    memo->providers = providers;
    memo->notes = calloc(pools * providers + 1, sizeof(struct memo_note *));
    if (memo->notes == NULL) {
        free(memo);
        return NULL;
    }
    return memo;
}

void
memo_free(struct memo *memo)
{
    if (memo == NULL)
        return;
    for (size_t i = 0; i < memo->pools * memo->providers; i++)
        free(memo->notes[i]);
    free(memo->notes);
    free(memo);
}

struct memo_note *
memo_notes(struct memo *memo, size_t pool, size_t provider, size_t blocks)
{
    struct memo_note **place;

    if (memo == NULL)
        return NULL;
    place = &memo->notes[pool * memo->providers + provider];
    if (*place == NULL)
        *place = calloc(1 + blocks, sizeof(**place));
    return *place;
}

bool
memo_holds(const struct memo_note *note, uint64_t gains, int64_t now_ms)
{
    return now_ms < note->until_ms && note->gains == gains;
}
