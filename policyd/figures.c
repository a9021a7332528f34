/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/figures.h"

#include "engine/snapshot.h"
#include "lib/mem.h"
#include "policyd/lookup.h"

#include <stdlib.h>
#include <string.h>

static int
compare_names(const void *a, const void *b)
{
    const struct address *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* The addresses in the order of their names; the caller frees the list. */
static const struct address **
by_name(const struct snapshot *snapshot)
{
    const struct address **list = mem_array(snapshot->address_count, sizeof(*list));

    for (size_t i = 0; i < snapshot->address_count; i++)
        list[i] = &snapshot->addresses[i];
    qsort(list, snapshot->address_count, sizeof(*list), compare_names);
    return list;
}

static void
carry_over(struct figures *figures, const struct figures *before)
{
    const struct snapshot *now = figures->snapshot, *then = before->snapshot;
    const struct address **old, **new;

    figures->deferred = before->deferred;
    figures->full = before->full;
    for (size_t i = 0; i < then->stream_count; i++) {
        const char *name = then->streams[i].name;
        const struct stream *stream = snapshot_find_stream(now, name, strlen(name));

        if (stream != NULL)
            figures->by_stream[stream->index] = before->by_stream[i];
    }
    old = by_name(then);
    new = by_name(now);
    for (size_t i = 0, j = 0; i < then->address_count && j < now->address_count;) {
        int order = strcmp(old[i]->name, new[j]->name);

        if (order == 0) {
            figures->by_address[new[j]->index] = before->by_address[old[i]->index];
            figures->exceeded[new[j]->index] = before->exceeded[old[i]->index];
        }
        i += order <= 0;
        j += order >= 0;
    }
    free(old);
    free(new);
}

struct figures *
figures_new(const struct snapshot *snapshot, const struct figures *before)
{
    struct figures *figures = mem_new(sizeof(*figures));

    figures->snapshot = snapshot;
    figures->by_stream = mem_array(snapshot->stream_count, sizeof(uint64_t));
    figures->by_address = mem_array(snapshot->address_count, sizeof(uint64_t));
    figures->exceeded = mem_array(snapshot->address_count, sizeof(uint64_t));
    if (before != NULL)
        carry_over(figures, before);
    return figures;
}

void
figures_free(struct figures *figures)
{
    if (figures == NULL)
        return;
    free(figures->by_stream);
    free(figures->by_address);
    free(figures->exceeded);
    free(figures);
}

void
figures_count(struct figures *figures, const struct lookup_result *result)
{
    if (!result->is_decision || result->again || result->waits)
        return;
    figures->by_stream[result->stream->index]++;
    if (result->address != NULL)
        figures->by_address[result->address->index]++;
    else
        figures->deferred++;
    figures->full += result->full;
    if (result->exceeds)
        figures->exceeded[result->address->index]++;
}
