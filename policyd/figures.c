/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/figures.h"

#include "engine/snapshot.h"
#include "lib/mem.h"
#include "policyd/lookup.h"
#include "policyd/reported.h"

#include <stdlib.h>
#include <string.h>

static void
carry_over(struct figures *figures, const struct figures *before)
{
    const struct snapshot *now = figures->snapshot, *then = before->snapshot;
    uint32_t *moves = mem_must(snapshot_moves(then, now));

    figures->deferred = before->deferred;
    figures->full = before->full;
    figures->outside = before->outside;
    figures->expired = before->expired;
    figures->busy = before->busy;
    for (size_t i = 0; i < then->stream_count; i++) {
        const char *name = then->streams[i].name;
        const struct stream *stream = snapshot_find_stream(now, name, strlen(name));

        if (stream == NULL)
            continue;
        figures->by_stream[stream->index] = before->by_stream[i];
        memcpy(figures->unmet[stream->index], before->unmet[i], sizeof(*figures->unmet));
        figures->complaints[stream->index] = before->complaints[i];
        figures->returned[stream->index] = before->returned[i];
    }
    for (size_t i = 0; i < then->address_count; i++)
        if (moves[i] != UINT32_MAX) {
            figures->by_address[moves[i]] = before->by_address[i];
            figures->exceeded[moves[i]] = before->exceeded[i];
        }
    free(moves);
}

struct figures *
figures_new(const struct snapshot *snapshot, const struct figures *before)
{
    struct figures *figures = mem_new(sizeof(*figures));

    figures->snapshot = snapshot;
    figures->by_stream = mem_array(snapshot->stream_count, sizeof(uint64_t));
    figures->by_address = mem_array(snapshot->address_count, sizeof(uint64_t));
    figures->exceeded = mem_array(snapshot->address_count, sizeof(uint64_t));
    figures->unmet = mem_array(snapshot->stream_count, sizeof(*figures->unmet));
    figures->complaints = mem_array(snapshot->stream_count, sizeof(uint64_t));
    figures->returned = mem_array(snapshot->stream_count, sizeof(uint64_t));
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
    free(figures->unmet);
    free(figures->complaints);
    free(figures->returned);
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
    else if (!result->expired)
        figures->deferred++;
    figures->outside += result->outside;
    figures->expired += result->expired;
    figures->full += result->full;
    figures->busy += result->busy;
    if (result->exceeds)
        figures->exceeded[result->address->index]++;
}

void
figures_count_unmet(struct figures *figures, struct span stream, unsigned unmet)
{
    const struct stream *of = snapshot_find_stream(figures->snapshot, stream.start, stream.length);

    for (int i = 0; of != NULL && i < REQUIRE_COUNT; i++)
        figures->unmet[of->index][i] += (unmet & REQUIRE_BIT(i)) != 0;
}

void
figures_count_reported(struct figures *figures, const struct reported *reported)
{
    (reported->complaint ? figures->complaints : figures->returned)[reported->stream->index]++;
}
