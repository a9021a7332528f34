/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/roster.h"

#include "engine/memo.h"
#include "engine/rendezvous.h"
#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

static struct rendezvous *
order_of(const struct pool *pool, const bool *present)
{
    const struct member **here = calloc(pool->member_count + 1, sizeof(*here));
    struct rendezvous *order;
    size_t count = 0;

    if (here == NULL)
        return NULL;
    for (size_t i = 0; i < pool->member_count; i++)
        if (present[pool->members[i].address->index])
            here[count++] = &pool->members[i];
    order = rendezvous_new(here, count);
    free(here);
    return order;
}

struct roster *
roster_new(const struct snapshot *snapshot, const bool *present)
{
    struct roster *roster = calloc(1, sizeof(*roster));

    if (roster == NULL)
        return NULL;
    roster->snapshot = snapshot;
    roster->present = calloc(snapshot->address_count + 1, sizeof(*roster->present));
    roster->by_pool = calloc(snapshot->pool_count + 1, sizeof(struct rendezvous *));
    if (roster->present == NULL || roster->by_pool == NULL)
        goto fail;
    memcpy(roster->present, present, snapshot->address_count * sizeof(*present));
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        roster->by_pool[i] = order_of(&snapshot->pools[i], roster->present);
        if (roster->by_pool[i] == NULL)
            goto fail;
    }
    roster->memo = memo_new(snapshot->pool_count, snapshot->provider_count);
    if (roster->memo == NULL)
        goto fail;
    return roster;

fail:
    roster_free(roster);
    return NULL;
}

void
roster_free(struct roster *roster)
{
    if (roster == NULL)
        return;
    if (roster->by_pool != NULL)
        for (size_t i = 0; i < roster->snapshot->pool_count; i++)
            rendezvous_free(roster->by_pool[i]);
    memo_free(roster->memo);
    free(roster->by_pool);
    free(roster->present);
    free(roster);
}
