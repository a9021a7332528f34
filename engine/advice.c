/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/advice.h"

#include <stdlib.h>
#include <string.h>

unsigned
advice_percent(uint64_t part, uint64_t all)
{
    return all > 0 ? (unsigned)((double)part * 100 / (double)all) : 0;
}

static int
larger_first(const void *a, const void *b)
{
    const struct advice_part *x = a, *y = b;

    if (x->sent != y->sent)
        return x->sent > y->sent ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Add up those of one name; returns how many are left. */
static size_t
merge(struct advice_part *parts, size_t count)
{
    size_t merged = 0;

    for (size_t i = 0; i < count; i++) {
        size_t j = 0;

        while (j < merged && strcmp(parts[j].name, parts[i].name) != 0)
            j++;
        if (j < merged)
            parts[j].sent += parts[i].sent;
        else
            parts[merged++] = parts[i];
    }
    return merged;
}

size_t
advice_mix(struct advice_part *kinds, size_t count, uint64_t *ret_all)
{
    size_t merged = merge(kinds, count), kept = 0;
    uint64_t all = 0;

    if (merged > 1)
        qsort(kinds, merged, sizeof(*kinds), larger_first);
    for (size_t i = 0; i < merged; i++)
        all += kinds[i].sent;
    while (kept < merged && kinds[kept].sent >= ADVICE_MIX_MIN &&
           advice_percent(kinds[kept].sent, all) >= ADVICE_MIX_PERCENT)
        kept++;
    *ret_all = all;
    return kept;
}

bool
advice_is_thin(const struct advice_part *parts, size_t count, const char *other, size_t addresses,
               int days, uint64_t least, struct advice_thin *ret_thin)
{
    uint64_t all = 0, most = 0;

    if (addresses < 2 || days < ADVICE_DAYS_MIN)
        return false;
    for (size_t i = 0; i < count; i++)
        all += parts[i].sent;
    for (size_t i = 0; i < count; i++) {
        uint64_t per_month = parts[i].sent * ADVICE_DAYS / (uint64_t)days;
        uint64_t enough = least > 0 ? per_month / least : 0;

        if (strcmp(parts[i].name, other) == 0 || per_month / addresses >= least ||
            advice_percent(parts[i].sent, all) < ADVICE_PROVIDER_PERCENT || parts[i].sent <= most)
            continue;
        most = parts[i].sent;
        *ret_thin = (struct advice_thin){parts[i].name, per_month, per_month / addresses,
                                         enough > 1 ? (size_t)enough : 1};
    }
    return most > 0;
}

bool
advice_is_most(const struct advice_part *parts, size_t count, uint64_t all, unsigned percent,
               struct advice_most *ret_most)
{
    struct advice_most most = {0};
    size_t sharers = 0;

    if (all < ADVICE_SHARED_MIN)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].name[0] == '\0')
            continue;
        sharers += advice_percent(parts[i].sent, all) >= ADVICE_SHARER_PERCENT;
        if (parts[i].sent > most.sent) {
            most.account = parts[i].name;
            most.sent = parts[i].sent;
        }
    }
    most.percent = advice_percent(most.sent, all);
    if (most.percent <= percent || sharers < 1 + ADVICE_SHARERS_MIN)
        return false;
    most.sharers = sharers - 1;
    *ret_most = most;
    return true;
}
