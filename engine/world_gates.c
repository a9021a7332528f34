/*
 * When what waits in a world is looked at: gates, of what has the same room.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum {
    MINUTE_MS = 60 * 1000,
    SOON_MS = 100,              /* a lane is not looked at sooner again */
    UNKNOWN_MS = MINUTE_MS,     /* nobody can say when it will be better */
    LONG_MS = 15 * MINUTE_MS,   /* nor later */
    ITSELF_MS = 15 * MINUTE_MS, /* Postfix tries what nobody wakes about as often */
    BATCH = 16,                 /* that leave before the next lane may */
    BURST = 100,                /* that are woken at once */
    STIR_MS = 1000,
};

/* -------------------------------------------------------------------- gates */

static struct world_gate *
gate_find(const struct world *world, const struct world_lane *like)
{
    struct world_gate *gate = world->gates[world_kind_hash(like) % WORLD_GATES];

    while (gate != NULL && (gate->stream != like->stream || gate->provider != like->provider ||
                            gate->grade != like->grade || gate->quiet_days != like->quiet_days))
        gate = gate->next;
    return gate;
}

static bool
is_older(const void *a, const void *b)
{
    return world_lane_oldest(a) < world_lane_oldest(b);
}

static bool
wakes_before(const void *a, const void *b)
{
    return ((const struct world_lane *)a)->up_ms < ((const struct world_lane *)b)->up_ms;
}

/* Of those that are up at the same time: by priority, then whose first came in first. */
static bool
is_before(const void *a, const void *b)
{
    const struct world_gate *x = a, *y = b;

    if (x->up_ms != y->up_ms)
        return x->up_ms < y->up_ms;
    if (x->stream->priority != y->stream->priority)
        return x->stream->priority > y->stream->priority;
    return x->lanes.count > 0 && y->lanes.count > 0 &&
           world_lane_oldest(heap_first(&x->lanes)) < world_lane_oldest(heap_first(&y->lanes));
}

void
world_lanes_begin(struct world *world)
{
    world->up = (struct heap){.before = is_before, .place = offsetof(struct world_gate, place)};
    world->asleep =
        (struct heap){.before = wakes_before, .place = offsetof(struct world_lane, place)};
}

static struct world_gate *
gate_make(struct world *world, const struct world_lane *like)
{
    struct world_gate *gate = gate_find(world, like), **slot;

    if (gate != NULL)
        return gate;
    gate = world_must(world, calloc(1, sizeof(*gate)));
    if (gate == NULL)
        return NULL;
    slot = &world->gates[world_kind_hash(like) % WORLD_GATES];
    *gate = (struct world_gate){
        .stream = like->stream,
        .provider = like->provider,
        .grade = like->grade,
        .quiet_days = like->quiet_days,
        .next = *slot,
        .lanes = {.before = is_older, .place = offsetof(struct world_lane, place)},
    };
    *slot = gate;
    return gate;
}

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void
heap_must(struct world *world, struct heap *heap, void *item)
{
    if (!heap_add(heap, item))
        world_must(world, NULL);
}

/* When a gate that has lanes is looked at next: no later than the oldest of all is given up. */
static void
gate_set_up(struct world *world, struct world_gate *gate, int64_t up_ms, bool closed)
{
    bool deadline;

    gate->closed = closed;
    gate->up_ms = smaller(up_ms, world_lane_ends_ms(world, heap_first(&gate->lanes), &deadline));
    heap_moved(&world->up, gate);
}

/* The lane is in no heap: it waits at its gate. */
static void
wait_at_gate(struct world *world, struct world_lane *lane)
{
    struct world_gate *gate = lane->gate;
    bool first = gate->lanes.count == 0;

    lane->sleeps = false;
    heap_must(world, &gate->lanes, lane);
    if (first && !world->failed)
        heap_must(world, &world->up, gate);
}

static void
leave_gate(struct world *world, struct world_lane *lane)
{
    heap_remove(&lane->gate->lanes, lane);
    if (lane->gate->lanes.count == 0)
        heap_remove(&world->up, lane->gate);
    else
        heap_moved(&world->up, lane->gate);
}

/* Likewise: it sleeps. */
static void
sleep_until(struct world *world, struct world_lane *lane, int64_t up_ms, bool closed)
{
    bool deadline;

    lane->sleeps = true;
    lane->closed = closed;
    lane->up_ms = smaller(up_ms, world_lane_ends_ms(world, lane, &deadline));
    heap_must(world, &world->asleep, lane);
}

/* What comes to a lane that is there: others of it may have found room meanwhile. */
static void
put_off(struct world *world, struct world_lane *lane, int64_t up_ms, bool closed, bool own)
{
    if (lane->sleeps && own && closed && up_ms > lane->up_ms) {
        heap_remove(&world->asleep, lane);
        sleep_until(world, lane, up_ms, closed);
    } else if (!lane->sleeps && own) {
        leave_gate(world, lane);
        sleep_until(world, lane, up_ms, closed);
    } else if (!lane->sleeps && closed && up_ms > lane->gate->up_ms) {
        gate_set_up(world, lane->gate, up_ms, closed);
    }
}

void
world_lane_add(struct world *world, const struct world_lane *like, const struct world_entry *entry,
               int64_t up_ms, bool closed, bool own)
{
    struct world_lane shared = *like, *lane = world_lane_find(world, like);
    bool alone;

    world_count_waits(world, like->stream, entry->count);
    if (lane == NULL && world->lane_count >= WORLD_LANES_MAX) {
        shared.account = (char *)"";
        shared.domain = (char *)"";
        lane = world_lane_find(world, &shared);
    }
    if (lane != NULL) {
        if (world_lane_put(world, lane, entry))
            put_off(world, lane, up_ms, closed, own);
        return;
    }
    lane = world_lane_new(world, &shared);
    if (lane == NULL)
        return;
    lane->gate = gate_make(world, &shared);
    if (lane->gate == NULL || !world_lane_put(world, lane, entry))
        return;
    if (own) {
        sleep_until(world, lane, up_ms, closed);
        return;
    }
    alone = lane->gate->lanes.count == 0;
    wait_at_gate(world, lane);
    if (!world->failed && (alone || (closed && up_ms > lane->gate->up_ms)))
        gate_set_up(world, lane->gate, up_ms, closed);
}

void
world_lanes_outside(struct world *world, const struct world_lane *like, uint32_t count)
{
    struct world_gate *gate = gate_find(world, like);

    if (gate != NULL)
        gate->outside += count;
}

int64_t
world_lanes_closed_ms(struct world *world, const struct world_lane *like, bool *own)
{
    const struct world_gate *gate = gate_find(world, like);
    const struct world_lane *lane;

    *own = false;
    if (gate != NULL && gate->closed && gate->up_ms > world->now_ms)
        return gate->up_ms;
    lane = world_lane_find(world, like);
    if (lane == NULL || !lane->sleeps || !lane->closed)
        return 0;
    *own = true;
    return lane->up_ms;
}

/* Is it something that others like it do not wait for? */
static bool
is_own(const struct world *world, const struct world_lane *lane, const struct decision *decision)
{
    if (decision->held || decision->slowed || lane->domain[0] != '\0')
        return true;
    return decision->full && decision->refused_by != METERS_NONE &&
           meters_at(world->meters, decision->refused_by)->kind == METERS_ACCOUNT;
}

int64_t
world_room_ms(const struct world *world, const struct world_lane *lane,
              const struct decision *decision, bool *closed, bool *own)
{
    int64_t now_ms = world->now_ms, room_ms = decision->room_ms;

    *own = is_own(world, lane, decision);
    *closed = decision->full && !decision->slowed && room_ms > now_ms;
    if (room_ms == INT64_MAX)
        room_ms = now_ms + UNKNOWN_MS;
    if (room_ms < now_ms + SOON_MS)
        room_ms = now_ms + SOON_MS;
    if (room_ms > now_ms + LONG_MS)
        room_ms = now_ms + LONG_MS;
    if (world->setup.wake_per_s == 0 && room_ms < now_ms + ITSELF_MS) {
        room_ms = now_ms + ITSELF_MS;
        *closed = false; /* what comes in meanwhile may find room */
    }
    return room_ms;
}

/* May one be taken up now?  Else *ret_up_ms is when. */
static bool
may_wake(struct world *world, int64_t *ret_up_ms)
{
    int rate = world->setup.wake_per_s;

    *ret_up_ms = world->now_ms;
    if (rate > 0)
        *ret_up_ms = bucket_when_ms(&world->wakes, rate, BURST, world->now_ms);
    return *ret_up_ms <= world->now_ms;
}

/* Some that came in outside their hours are for another gate, or are over. */
static uint64_t
take_outside(struct world_gate *gate, uint64_t count)
{
    uint64_t taken = count < gate->outside ? count : gate->outside;

    gate->outside -= taken;
    return taken;
}

static bool
give_up(struct world *world, struct world_lane *lane)
{
    const struct world_stream *stream = &world->streams[lane->stream->index];
    uint64_t over = stream->ended + stream->late;
    bool left = world_lane_give_up(world, lane);

    take_outside(lane->gate, stream->ended + stream->late - over);
    return left;
}

/* Its account has another pool now. */
static void
regrade(struct world *world, struct world_lane *lane, enum grade grade)
{
    struct world_gate *before = lane->gate;
    uint64_t count = 0;

    for (size_t i = lane->first; i < lane->first + lane->count; i++)
        count += lane->entries[i].count;
    leave_gate(world, lane);
    world_lane_regrade(world, lane, grade);
    lane->gate = gate_make(world, lane);
    if (lane->gate == NULL)
        return;
    lane->gate->outside += take_outside(before, count);
    wait_at_gate(world, lane);
    if (!world->failed)
        gate_set_up(world, lane->gate, world->now_ms, false);
}

/* One recipient of the first lane, or of none.  False: the gate is closed until *ret_up_ms. */
static bool
step(struct world *world, struct world_gate *gate, int64_t *ret_up_ms, bool *ret_closed)
{
    struct world_lane *lane = heap_first(&gate->lanes);
    struct decide_question question;
    struct decision decision;
    struct world_entry one;
    enum grade grade;
    bool own;

    if (!give_up(world, lane)) {
        leave_gate(world, lane);
        world_lane_end(world, lane);
        return true;
    }
    grade = world_grade(world, lane->account, lane->grade);
    if (grade != lane->grade) {
        regrade(world, lane, grade);
        return true;
    }
    *ret_closed = true;
    *ret_up_ms = world_opens_ms(world, gate->stream);
    if (*ret_up_ms > world->now_ms)
        return false;
    if (gate->outside > 0)
        world_count_peak(world, gate->stream, gate->provider, gate->grade,
                         take_outside(gate, gate->outside));
    *ret_closed = false;
    if (!may_wake(world, ret_up_ms))
        return false;
    one = lane->entries[lane->first];
    one.count = 1;
    world_decide(world, lane, one.key, &decision, &question);
    if (decision.address == NULL) {
        *ret_up_ms = world_room_ms(world, lane, &decision, ret_closed, &own);
        if (!own)
            return false;
        leave_gate(world, lane);
        sleep_until(world, lane, *ret_up_ms, *ret_closed);
        return true;
    }
    if (world->setup.wake_per_s > 0)
        bucket_take(&world->wakes, world->setup.wake_per_s, BURST, world->now_ms);
    world_leave(world, lane, &one, &question, &decision);
    if (world_lane_take(lane, 1)) {
        heap_moved(&gate->lanes, lane);
    } else {
        leave_gate(world, lane);
        world_lane_end(world, lane);
    }
    return true;
}

static void
gate_step(struct world *world, struct world_gate *gate)
{
    int64_t up_ms = world->now_ms;
    bool closed = false, open = true;

    for (int i = 0; i < BATCH && open && gate->lanes.count > 0 && !world->failed; i++)
        open = step(world, gate, &up_ms, &closed);
    if (gate->lanes.count > 0)
        gate_set_up(world, gate, open ? world->now_ms : up_ms, open ? false : closed);
    else
        gate->closed = false;
}

/* Back to its gate. */
static void
wake(struct world *world, struct world_lane *lane)
{
    struct world_gate *gate = lane->gate;

    heap_remove(&world->asleep, lane);
    wait_at_gate(world, lane);
    if (world->failed)
        return;
    if (gate->closed && gate->up_ms > world->now_ms)
        gate_set_up(world, gate, gate->up_ms, true);
    else
        gate_set_up(world, gate, world->now_ms, false);
}

int64_t
world_lanes_up_ms(const struct world *world)
{
    const struct world_gate *gate = heap_first(&world->up);
    const struct world_lane *lane = heap_first(&world->asleep);
    int64_t up_ms = gate != NULL ? gate->up_ms : INT64_MAX;

    return lane != NULL ? smaller(up_ms, lane->up_ms) : up_ms;
}

void
world_lanes_step(struct world *world)
{
    struct world_lane *lane = heap_first(&world->asleep);

    if (lane != NULL && lane->up_ms <= world->now_ms)
        wake(world, lane);
    else
        gate_step(world, heap_first(&world->up));
}

void
world_stir(struct world *world)
{
    if (world->stir_ms > world->now_ms + STIR_MS)
        world->stir_ms = world->now_ms + STIR_MS;
}

void
world_lanes_stir(struct world *world)
{
    world->stir_ms = INT64_MAX;
    for (size_t i = 0; i < WORLD_GATES; i++)
        for (struct world_gate *gate = world->gates[i]; gate != NULL; gate = gate->next) {
            gate->closed = false;
            if (gate->lanes.count > 0 && gate->up_ms > world->now_ms)
                gate_set_up(world, gate, world->now_ms, false);
        }
}

void
world_lanes_clear(struct world *world)
{
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        while (world->lanes[i] != NULL) {
            struct world_lane *lane = world->lanes[i];

            world->lanes[i] = lane->next;
            world_lane_free(lane);
        }
    for (size_t i = 0; i < WORLD_GATES; i++)
        while (world->gates[i] != NULL) {
            struct world_gate *gate = world->gates[i];

            world->gates[i] = gate->next;
            heap_clear(&gate->lanes);
            free(gate);
        }
    heap_clear(&world->up);
    heap_clear(&world->asleep);
}
