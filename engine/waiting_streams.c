/*
 * What concerns all that waits: another configuration, figures, the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/waiting_inside.h"

#include <stdlib.h>
#include <string.h>

static bool
is_gone(const struct lane *lane, const uint32_t *moves, const uint32_t *provider_moves)
{
    return moves[lane->kind.stream] == UINT32_MAX ||
           provider_moves[lane->kind.provider] == UINT32_MAX;
}

/* Messages in lanes that are no more. */
static void
drop_gone(struct waiting *waiting, const uint32_t *moves, const uint32_t *provider_moves)
{
    for (size_t i = 0; i < WAITING_SLOTS; i++)
        for (struct waiter *waiter = waiting->waiters[i], *next; waiter != NULL; waiter = next) {
            next = waiter->next;
            if (is_gone(waiter->lane, moves, provider_moves))
                waiting_remove(waiting, waiter);
        }
}

static bool
any_gone(const struct waiting *waiting, const uint32_t *moves, const uint32_t *provider_moves)
{
    const struct lane *lane;

    for (size_t i = 0; i < waiting->stream_count; i++)
        TAILQ_FOREACH(lane, &waiting->streams[i].lanes, in_stream)
    if (is_gone(lane, moves, provider_moves))
        return true;
    return false;
}

/* The lane in its place in the new configuration, still in no chain and no heap. */
static void
carry(struct waiting *waiting, struct lane *lane, const uint32_t *moves,
      const uint32_t *provider_moves)
{
    struct stream_lanes *stream;

    lane->kind.stream = moves[lane->kind.stream];
    lane->kind.provider = provider_moves[lane->kind.provider];
    stream = &waiting->streams[lane->kind.stream];
    stream->count += lane->count;
    lane->priority = stream->priority;
    TAILQ_INSERT_TAIL(&stream->lanes, lane, in_stream);
    lane->next = NULL;
    *waiting_lane_link(waiting, &lane->kind) = lane;
}

static void
carry_all(struct waiting *waiting, struct stream_lanes *before, size_t count, const uint32_t *moves,
          const uint32_t *provider_moves)
{
    memset(waiting->lanes, 0, sizeof(waiting->lanes));
    waiting->awake.count = waiting->asleep.count = 0;
    for (size_t i = 0; i < count; i++) {
        struct lane *lane;

        while ((lane = TAILQ_FIRST(&before[i].lanes)) != NULL) {
            enum lane_state state = lane->state;

            TAILQ_REMOVE(&before[i].lanes, lane, in_stream);
            carry(waiting, lane, moves, provider_moves);
            lane->state = LANE_EMPTY;
            waiting_settle(waiting, lane, state);
        }
        if (moves != NULL && moves[i] != UINT32_MAX)
            waiting->streams[moves[i]].refused = before[i].refused;
    }
}

bool
waiting_set_streams(struct waiting *waiting, const int *priorities, size_t count,
                    const uint32_t *moves, const uint32_t *provider_moves)
{
    struct stream_lanes *before = waiting->streams;
    struct stream_lanes *streams = calloc(count + 1, sizeof(*streams));
    size_t count_before = waiting->stream_count;

    if (streams == NULL)
        return false;
    if (before != NULL && any_gone(waiting, moves, provider_moves))
        drop_gone(waiting, moves, provider_moves);
    for (size_t i = 0; i < count; i++) {
        streams[i].priority = priorities[i];
        TAILQ_INIT(&streams[i].lanes);
    }
    waiting->streams = streams;
    waiting->stream_count = count;
    carry_all(waiting, before, count_before, moves, provider_moves);
    free(before);
    return true;
}

void
waiting_free(struct waiting *waiting)
{
    if (waiting == NULL)
        return;
    for (size_t i = 0; i < WAITING_SLOTS; i++)
        for (struct waiter *waiter = waiting->waiters[i], *next; waiter != NULL; waiter = next) {
            next = waiter->next;
            free(waiter);
        }
    for (size_t i = 0; i < waiting->stream_count; i++) {
        struct lane *lane;

        while ((lane = TAILQ_FIRST(&waiting->streams[i].lanes)) != NULL) {
            TAILQ_REMOVE(&waiting->streams[i].lanes, lane, in_stream);
            heap_clear(&lane->heap);
            free(lane);
        }
    }
    heap_clear(&waiting->awake);
    heap_clear(&waiting->asleep);
    heap_clear(&waiting->resting);
    heap_clear(&waiting->ending);
    free(waiting->streams);
    free(waiting);
}

size_t
waiting_count(const struct waiting *waiting)
{
    return waiting->count;
}

void
waiting_figures(const struct waiting *waiting, size_t stream, struct waiting_figures *ret_figures)
{
    const struct stream_lanes *lanes = &waiting->streams[stream];
    const struct lane *lane;

    *ret_figures = (struct waiting_figures){lanes->count, INT64_MAX, lanes->refused};
    TAILQ_FOREACH(lane, &lanes->lanes, in_stream)
    {
        const struct waiter *first = heap_first(&lane->heap);

        if (first != NULL && first->since_ms < ret_figures->oldest_ms)
            ret_figures->oldest_ms = first->since_ms;
    }
}
