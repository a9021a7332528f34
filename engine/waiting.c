/*
 * A lane is in one of two heaps, awake or asleep, or in none when all of its
 * messages rest; out of that it goes to those that sleep, until its time or at once.
 * A message is in its lane's heap, or among those that rest.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/waiting.h"

#include "engine/hash.h"
#include "engine/waiting_inside.h"

#include <stdlib.h>
#include <string.h>

static bool
waiter_before(const void *a, const void *b)
{
    const struct waiter *one = a, *other = b;

    if (one->urgent != other->urgent)
        return one->urgent;
    return one->since_ms < other->since_ms;
}

static bool
rests_before(const void *a, const void *b)
{
    return ((const struct waiter *)a)->rest_ms < ((const struct waiter *)b)->rest_ms;
}

static bool
ends_before(const void *a, const void *b)
{
    return ((const struct waiter *)a)->ends_ms < ((const struct waiter *)b)->ends_ms;
}

static bool
lane_before(const void *a, const void *b)
{
    const struct lane *one = a, *other = b;

    const struct waiter *its = heap_first(&one->heap), *others = heap_first(&other->heap);

    if (one->priority != other->priority)
        return one->priority > other->priority;
    if (one->kind.behind != other->kind.behind && its->urgent == others->urgent)
        return one->kind.behind < other->kind.behind;
    return waiter_before(its, others);
}

static bool
sleeps_before(const void *a, const void *b)
{
    return ((const struct lane *)a)->until_ms < ((const struct lane *)b)->until_ms;
}

struct waiting *
waiting_new(void)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));

    if (waiting == NULL)
        return NULL;
    waiting->awake = (struct heap){.before = lane_before, .place = offsetof(struct lane, place)};
    waiting->asleep = (struct heap){.before = sleeps_before, .place = offsetof(struct lane, place)};
    waiting->resting =
        (struct heap){.before = rests_before, .place = offsetof(struct waiter, place)};
    waiting->ending =
        (struct heap){.before = ends_before, .place = offsetof(struct waiter, expiry_place)};
    return waiting;
}

static uint64_t
hash_text(const char *text)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool waiting";

    return hash_sip(key, text, strlen(text));
}

static struct waiter **
waiter_link(struct waiting *waiting, const char *queue_id)
{
    struct waiter **link = &waiting->waiters[hash_text(queue_id) % WAITING_SLOTS];

    while (*link != NULL && strcmp((*link)->queue_id, queue_id) != 0)
        link = &(*link)->next;
    return link;
}

struct lane **
waiting_lane_link(struct waiting *waiting, const struct waiting_kind *kind)
{
    uint64_t hash =
        hash_mix(kind->account ^ hash_mix((uint64_t)kind->stream << 32 ^ kind->provider) ^
                 hash_mix(kind->behind));
    struct lane **link = &waiting->lanes[hash % WAITING_SLOTS];

    while (*link != NULL &&
           ((*link)->kind.account != kind->account || (*link)->kind.stream != kind->stream ||
            (*link)->kind.provider != kind->provider || (*link)->kind.behind != kind->behind))
        link = &(*link)->next;
    return link;
}

static struct heap *
heap_of(struct waiting *waiting, const struct lane *lane)
{
    return lane->state == LANE_AWAKE ? &waiting->awake : &waiting->asleep;
}

/* Heaps of lanes that have no memory lose lanes, whose messages come at Postfix' pace. */
void
waiting_settle(struct waiting *waiting, struct lane *lane, enum lane_state state)
{
    if (lane->heap.count == 0)
        state = LANE_EMPTY;
    if (lane->state == state && state != LANE_EMPTY) {
        heap_moved(heap_of(waiting, lane), lane);
        return;
    }
    if (lane->state != LANE_EMPTY)
        heap_remove(heap_of(waiting, lane), lane);
    lane->state = state;
    if (state != LANE_EMPTY && !heap_add(heap_of(waiting, lane), lane))
        lane->state = LANE_EMPTY;
}

static struct lane *
make_lane(struct waiting *waiting, const struct waiting_kind *kind)
{
    struct lane **link = waiting_lane_link(waiting, kind);
    struct stream_lanes *stream = &waiting->streams[kind->stream];
    struct lane *lane = *link;

    if (lane != NULL)
        return lane;
    lane = calloc(1, sizeof(*lane));
    if (lane == NULL)
        return NULL;
    lane->kind = *kind;
    lane->priority = stream->priority;
    lane->heap = (struct heap){.before = waiter_before, .place = offsetof(struct waiter, place)};
    TAILQ_INSERT_TAIL(&stream->lanes, lane, in_stream);
    *link = lane;
    waiting->bytes += sizeof(*lane);
    return lane;
}

static void
drop_lane(struct waiting *waiting, struct lane *lane)
{
    struct lane **link = waiting_lane_link(waiting, &lane->kind);

    if (lane->state != LANE_EMPTY)
        heap_remove(heap_of(waiting, lane), lane);
    *link = lane->next;
    TAILQ_REMOVE(&waiting->streams[lane->kind.stream].lanes, lane, in_stream);
    heap_clear(&lane->heap);
    waiting->bytes -= sizeof(*lane);
    free(lane);
}

/* Take it out of its lane, which goes when it was the last. */
static void
leave(struct waiting *waiting, struct waiter *waiter)
{
    struct lane *lane = waiter->lane;

    if (waiter->rest_ms > 0)
        heap_remove(&waiting->resting, waiter);
    else
        heap_remove(&lane->heap, waiter);
    waiter->rest_ms = 0;
    waiter->lane = NULL;
    waiting->streams[lane->kind.stream].count--;
    if (--lane->count == 0)
        drop_lane(waiting, lane);
    else
        waiting_settle(waiting, lane, lane->state == LANE_EMPTY ? LANE_ASLEEP : lane->state);
}

/* False only without memory. */
static bool
enter(struct waiting *waiting, struct waiter *waiter, const struct waiting_kind *kind)
{
    struct lane *lane = make_lane(waiting, kind);

    if (lane == NULL)
        return false;
    if (!heap_add(&lane->heap, waiter)) {
        if (lane->count == 0)
            drop_lane(waiting, lane);
        return false;
    }
    waiter->lane = lane;
    lane->count++;
    waiting->streams[kind->stream].count++;
    waiting_settle(waiting, lane, lane->state == LANE_EMPTY ? LANE_ASLEEP : lane->state);
    return true;
}

static size_t
size_of(const struct waiter *what)
{
    return sizeof(*what) + strlen(what->queue_id) + strlen(what->message_id) +
           strlen(what->account) + strlen(what->recipient) + 4;
}

static const char *
copy_text(char **place, const char *text)
{
    size_t size = strlen(text) + 1;
    char *start = *place;

    memcpy(start, text, size);
    *place += size;
    return start;
}

static struct waiter *
copy_waiter(const struct waiter *what)
{
    struct waiter *waiter = malloc(size_of(what));
    char *place;

    if (waiter == NULL)
        return NULL;
    *waiter = (struct waiter){.since_ms = what->since_ms,
                              .told_ms = what->told_ms,
                              .recipients = 1,
                              .urgent = what->urgent};
    place = (char *)(waiter + 1);
    waiter->queue_id = copy_text(&place, what->queue_id);
    waiter->message_id = copy_text(&place, what->message_id);
    waiter->account = copy_text(&place, what->account);
    waiter->recipient = copy_text(&place, what->recipient);
    return waiter;
}

void
waiting_set_end(struct waiting *waiting, struct waiter *waiter, int64_t ends_ms)
{
    if (waiter->ends_ms > 0)
        heap_remove(&waiting->ending, waiter);
    waiter->ends_ms = ends_ms;
    if (ends_ms > 0 && !heap_add(&waiting->ending, waiter))
        waiter->ends_ms = 0; /* then it ends when Postfix tries it by itself */
}

struct waiter *
waiting_ended(const struct waiting *waiting, int64_t now_ms)
{
    struct waiter *waiter = heap_first(&waiting->ending);

    return waiter != NULL && waiter->ends_ms <= now_ms ? waiter : NULL;
}

/* Let go of a waiter that is in no lane and no chain. */
static void
waiter_free(struct waiting *waiting, struct waiter *waiter)
{
    waiting_set_end(waiting, waiter, 0);
    waiting->bytes -= size_of(waiter);
    waiting->count--;
    free(waiter);
}

void
waiting_remove(struct waiting *waiting, struct waiter *waiter)
{
    *waiter_link(waiting, waiter->queue_id) = waiter->next;
    leave(waiting, waiter);
    waiter_free(waiting, waiter);
}

/* One of the youngest of the stream with the lowest priority, if that is below priority. */
static struct waiter *
find_victim(const struct waiting *waiting, int priority)
{
    struct stream_lanes *lowest = NULL;
    struct lane *lane;

    for (size_t i = 0; i < waiting->stream_count; i++) {
        struct stream_lanes *stream = &waiting->streams[i];

        if (stream->count > 0 && stream->priority < priority &&
            (lowest == NULL || stream->priority < lowest->priority))
            lowest = stream;
    }
    if (lowest == NULL)
        return NULL;
    TAILQ_FOREACH(lane, &lowest->lanes, in_stream)
    if (lane->heap.count > 0)
        return lane->heap.items[lane->heap.count - 1];
    return NULL;
}

static bool
is_full(const struct waiting *waiting, size_t size)
{
    return waiting->count >= WAITING_MAX ||
           waiting->bytes + size + sizeof(struct lane) > WAITING_BYTES_MAX;
}

static bool
make_room(struct waiting *waiting, struct stream_lanes *stream, size_t size)
{
    if (stream->count >= WAITING_STREAM_MAX)
        return false;
    while (is_full(waiting, size)) {
        struct waiter *victim = find_victim(waiting, stream->priority);

        if (victim == NULL)
            return false;
        waiting->streams[victim->lane->kind.stream].refused++;
        waiting_remove(waiting, victim);
    }
    return true;
}

struct waiter *
waiting_find(struct waiting *waiting, const char *queue_id)
{
    return *waiter_link(waiting, queue_id);
}

bool
waiting_add(struct waiting *waiting, const struct waiting_kind *kind, const struct waiter *what)
{
    struct stream_lanes *stream = &waiting->streams[kind->stream];
    struct waiter *before = waiting_find(waiting, what->queue_id), *waiter, **link;
    struct waiter known = *what;
    uint32_t recipients = 1;

    if (before != NULL) {
        known.urgent |= before->urgent;
        known.since_ms = before->since_ms;
        if (what->told_ms - before->told_ms < WAITING_ONCE_MS)
            recipients += before->recipients;
        waiting_remove(waiting, before);
    }
    waiter = make_room(waiting, stream, size_of(what)) ? copy_waiter(&known) : NULL;
    if (waiter == NULL || !enter(waiting, waiter, kind)) {
        stream->refused++;
        free(waiter);
        return false;
    }
    waiter->recipients = recipients;
    link = waiter_link(waiting, waiter->queue_id);
    *link = waiter;
    waiting->count++;
    waiting->bytes += size_of(waiter);
    waiting_set_end(waiting, waiter, what->ends_ms);
    return true;
}

struct waiting_kind
waiting_kind(const struct waiter *waiter)
{
    return waiter->lane->kind;
}

/* Whose time has come. */
static void
get_up(struct waiting *waiting, int64_t now_ms)
{
    struct waiter *waiter;
    struct lane *lane;

    while ((waiter = heap_first(&waiting->resting)) != NULL && waiter->rest_ms <= now_ms) {
        lane = waiter->lane;
        heap_remove(&waiting->resting, waiter);
        waiter->rest_ms = 0;
        if (heap_add(&lane->heap, waiter)) {
            waiting_settle(waiting, lane, lane->state == LANE_EMPTY ? LANE_ASLEEP : lane->state);
            continue;
        }
        waiter->rest_ms = now_ms + 1000; /* no memory: it was in there, so this has room */
        heap_add(&waiting->resting, waiter);
        break;
    }
    while ((lane = heap_first(&waiting->asleep)) != NULL && lane->until_ms <= now_ms)
        waiting_settle(waiting, lane, LANE_AWAKE);
}

struct waiter *
waiting_first(struct waiting *waiting, int64_t now_ms)
{
    const struct lane *lane;

    get_up(waiting, now_ms);
    lane = heap_first(&waiting->awake);
    return lane != NULL ? heap_first(&lane->heap) : NULL;
}

struct waiter *
waiting_second(const struct waiter *first)
{
    return heap_second(&first->lane->heap);
}

void
waiting_sleep(struct waiting *waiting, struct waiter *waiter, int64_t until_ms)
{
    struct lane *lane = waiter->lane;

    if (lane->state == LANE_EMPTY)
        return;
    heap_remove(heap_of(waiting, lane), lane);
    lane->state = LANE_EMPTY;
    lane->until_ms = until_ms;
    waiting_settle(waiting, lane, LANE_ASLEEP);
}

void
waiting_rest(struct waiting *waiting, struct waiter *waiter, int64_t until_ms)
{
    struct lane *lane = waiter->lane;

    if (waiter->rest_ms > 0) {
        waiter->rest_ms = until_ms;
        heap_moved(&waiting->resting, waiter);
        return;
    }
    heap_remove(&lane->heap, waiter);
    waiter->rest_ms = until_ms;
    if (!heap_add(&waiting->resting, waiter)) {
        waiter->rest_ms = 0;
        heap_add(&lane->heap, waiter); /* it was in there */
        return;
    }
    waiting_settle(waiting, lane, lane->state);
}

void
waiting_move(struct waiting *waiting, struct waiter *waiter, size_t provider)
{
    struct waiting_kind kind = waiter->lane->kind;
    struct waiter **link = waiter_link(waiting, waiter->queue_id);

    if (kind.provider == provider)
        return;
    kind.provider = provider;
    leave(waiting, waiter);
    if (enter(waiting, waiter, &kind))
        return;
    *link = waiter->next;
    waiter_free(waiting, waiter);
}

int64_t
waiting_up_ms(const struct waiting *waiting)
{
    const struct lane *lane = heap_first(&waiting->asleep);
    const struct waiter *waiter = heap_first(&waiting->resting);
    int64_t up_ms = lane != NULL ? lane->until_ms : INT64_MAX;

    if (waiter != NULL && waiter->rest_ms < up_ms)
        up_ms = waiter->rest_ms;
    waiter = heap_first(&waiting->ending);
    return waiter != NULL && waiter->ends_ms < up_ms ? waiter->ends_ms : up_ms;
}
