/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/chance.h"

#include "engine/caps.h"
#include "engine/hash.h"

static uint64_t state;

void
chance_seed(uint64_t seed)
{
    state = seed;
}

uint64_t
chance(uint64_t below)
{
    state = hash_mix(state + 0x9e3779b97f4a7c15);
    return state % below;
}

void
chance_caps(struct caps *caps)
{
    static const int64_t lengths[] = {10000, 60000, 900000, 3600000};
    size_t first = (size_t)chance(4);

    *caps = (struct caps){0};
    for (size_t i = first; i < 4 && caps->count < 1 + first % 2 + i % 2; i++)
        caps->items[caps->count++] = (struct cap){
            .window_ms = lengths[i],
            .limit = (uint32_t)(1 + chance(chance(3) == 0 ? 400 : 12) + 10 * caps->count),
            .smooth = chance(2) == 0,
            .name = "window",
        };
}
