/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/moves.h"

#include "engine/snapshot.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct moved {
    const char *name;
    uint32_t to;
};

static int
compare_moved(const void *a, const void *b)
{
    return strcmp(((const struct moved *)a)->name, ((const struct moved *)b)->name);
}

uint32_t *
moves_of_addresses(const struct snapshot *before, const struct snapshot *now)
{
    uint32_t *to = mem_array(before->address_count, sizeof(*to));
    struct moved *names = mem_array(now->address_count, sizeof(*names));

    for (size_t i = 0; i < now->address_count; i++)
        names[i] = (struct moved){now->addresses[i].name, (uint32_t)i};
    if (now->address_count > 0)
        qsort(names, now->address_count, sizeof(*names), compare_moved);
    for (size_t i = 0; i < before->address_count; i++) {
        struct moved wanted = {before->addresses[i].name, 0};
        const struct moved *found =
            bsearch(&wanted, names, now->address_count, sizeof(*names), compare_moved);

        to[i] = found != NULL ? found->to : MOVES_GONE;
    }
    free(names);
    return to;
}
