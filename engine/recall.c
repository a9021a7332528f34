/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/recall.h"

#include "engine/hash.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, SETS = RECALL_IDS / WAYS };

struct known {
    uint64_t id; /* hash of the queue id; 0: the place is free */
    int64_t noted_ms;
    int64_t held_ms; /* until then */
    int64_t told_ms; /* last time that anything was told of it */
    uint32_t count;
};

struct recall {
    struct known known[SETS][WAYS];
};

struct recall *
recall_new(void)
{
    return calloc(1, sizeof(struct recall));
}

void
recall_free(struct recall *recall)
{
    free(recall);
}

static uint64_t
hash_of(const char *queue_id)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool recall";
    uint64_t hash = hash_sip(key, queue_id, strlen(queue_id));

    return hash != 0 ? hash : 1;
}

static size_t
way_of(const struct recall *recall, uint64_t id)
{
    size_t way = 0;

    while (way < WAYS && recall->known[id % SETS][way].id != id)
        way++;
    return way;
}

/* Of two, the one that is not held; then the one that is longest quiet. */
static bool
is_less_missed(const struct known *a, const struct known *b, int64_t now_ms)
{
    bool a_held = a->held_ms > now_ms, b_held = b->held_ms > now_ms;

    return a_held != b_held ? b_held : a->told_ms < b->told_ms;
}

/* Its place, or that of another one. */
static struct known *
make(struct recall *recall, const char *queue_id, int64_t now_ms)
{
    uint64_t id = hash_of(queue_id);
    struct known *set = recall->known[id % SETS], *worst = &set[0];

    size_t way = way_of(recall, id);

    if (way < WAYS) {
        set[way].told_ms = now_ms;
        return &set[way];
    }
    for (size_t i = 1; i < WAYS && worst->id != 0; i++)
        if (set[i].id == 0 || is_less_missed(&set[i], worst, now_ms))
            worst = &set[i];
    *worst = (struct known){.id = id, .told_ms = now_ms};
    return worst;
}

static int64_t
gap_ms(const struct known *known)
{
    int64_t gap = RECALL_GAP_MS;

    for (uint32_t i = RECALL_FREE; i < known->count && gap < RECALL_GAP_MOST_MS; i++)
        gap *= 2;
    return gap < RECALL_GAP_MOST_MS ? gap : RECALL_GAP_MOST_MS;
}

int64_t
recall_when_ms(const struct recall *recall, const char *queue_id, int64_t now_ms)
{
    uint64_t id = hash_of(queue_id);
    size_t way = way_of(recall, id);
    const struct known *known;
    int64_t when_ms = now_ms;

    if (way == WAYS)
        return now_ms;
    known = &recall->known[id % SETS][way];
    if (known->count > 0 && known->noted_ms + gap_ms(known) > when_ms)
        when_ms = known->noted_ms + gap_ms(known);
    return known->held_ms > when_ms ? known->held_ms : when_ms;
}

void
recall_note(struct recall *recall, const char *queue_id, int64_t now_ms)
{
    struct known *known = make(recall, queue_id, now_ms);

    if (known->count > 0 && now_ms - known->noted_ms > 2 * (int64_t)RECALL_GAP_MOST_MS)
        known->count = 0;
    known->count++;
    known->noted_ms = now_ms;
}

void
recall_helped(struct recall *recall, const char *queue_id)
{
    uint64_t id = hash_of(queue_id);
    size_t way = way_of(recall, id);

    if (way < WAYS && recall->known[id % SETS][way].count > 1)
        recall->known[id % SETS][way].count = 1;
}

void
recall_hold(struct recall *recall, const char *queue_id, int64_t until_ms, int64_t now_ms)
{
    struct known *known = make(recall, queue_id, now_ms);

    if (until_ms > known->held_ms)
        known->held_ms = until_ms;
}
