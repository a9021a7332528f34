/*
 * What meters want, take and give back, and what they have to ask the store.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"

#include "engine/meters_inside.h"

#include <stdlib.h>

enum {
    IDLE_LEAST_MS = 10 * 1000,
    IDLE_PART = 64, /* a lease is returned after that part of the window unused */
};

void
meters_set_nodes(struct meters *meters, unsigned nodes)
{
    meters->nodes = nodes > 0 ? nodes : 1;
}

void
meters_set_seq(struct meters *meters, uint32_t seq)
{
    meters->seq = seq;
    for (size_t i = 0; i < meters->count; i++)
        meters_at(meters, (uint32_t)i)->meter.seq = seq;
}

unsigned
meters_nodes(const struct meters *meters)
{
    return meters->nodes;
}

void
meters_touch(struct meters *meters, uint32_t number)
{
    struct metered *metered = meters_at(meters, number);

    if (metered->queued)
        return;
    if (meters->queue_count == meters->queue_room) {
        size_t room = meters->queue_room > 0 ? 2 * meters->queue_room : 64;
        uint32_t *queue = malloc(room * sizeof(*queue));

        if (queue == NULL)
            return; /* whoever wants it will touch it again */
        for (size_t i = 0; i < meters->queue_count; i++)
            queue[i] = meters->queue[(meters->queue_first + i) % meters->queue_room];
        free(meters->queue);
        meters->queue = queue;
        meters->queue_first = 0;
        meters->queue_room = room;
    }
    meters->queue[(meters->queue_first + meters->queue_count++) % meters->queue_room] = number;
    metered->queued = true;
}

void
meters_want(struct meters *meters, uint32_t number)
{
    meters_at(meters, number)->meter.wanted = true;
    meters_touch(meters, number);
}

void
meters_miss(struct meters *meters, uint32_t number, int64_t now_ms)
{
    meter_miss(&meters_at(meters, number)->meter, now_ms);
    meters_touch(meters, number);
}

void
meters_want_many(struct meters *meters, uint32_t number, uint32_t count)
{
    struct meter *meter = &meters_at(meters, number)->meter;

    count -= count < meter->held + meter->next ? count : meter->held + meter->next;
    meter->lacking = count < UINT8_MAX ? (uint8_t)count : UINT8_MAX;
    meters_want(meters, number);
}

void
meters_take(struct meters *meters, uint32_t number, int64_t now_ms)
{
    struct metered *metered = meters_at(meters, number);
    struct caps left;
    const struct caps *caps = meters_caps(metered, &left);

    meter_take(&metered->meter, caps, now_ms);
    if (metered->meter.next == 0 && metered->meter.held <= book_lease_size(caps, meters->nodes) / 2)
        meters_want(meters, number);
}

void
meters_exceed(struct meters *meters, uint32_t number, int64_t now_ms)
{
    meter_exceed(&meters_at(meters, number)->meter, now_ms);
    meters_touch(meters, number);
}

uint64_t
meters_gains(const struct meters *meters)
{
    return meters->gains;
}

/* 0: it is not full. */
static int64_t
full_until(const struct meter *meter, int64_t now_ms)
{
    return meter_state(meter, now_ms) == METER_FULL ? meter_room_ms(meter, now_ms) : 0;
}

/* It was full until before_ms, and now something happened. */
static void
note_gain(struct meters *meters, const struct meter *meter, int64_t before_ms, int64_t now_ms)
{
    if (full_until(meter, now_ms) < before_ms)
        meters->gains++;
}

void
meters_give_back(struct meters *meters, uint32_t number, int64_t at_ms, int64_t now_ms)
{
    struct meter *meter = &meters_at(meters, number)->meter;
    int64_t before_ms = full_until(meter, now_ms);

    if (!meters_is_used(meters, number))
        return;
    meter_give_back(meter, at_ms);
    note_gain(meters, meter, before_ms, now_ms);
    meters_touch(meters, number);
}

bool
meters_answered(struct meters *meters, uint32_t number, const struct book_answer *answer,
                int64_t now_ms)
{
    struct meter *meter = &meters_at(meters, number)->meter;
    int64_t before_ms = full_until(meter, now_ms);

    if (!meter->asked || meter->seq != (uint32_t)answer->seq)
        return false;
    meter_answered(meter, answer, now_ms);
    note_gain(meters, meter, before_ms, now_ms);
    meters_touch(meters, number);
    return true;
}

void
meters_reset(struct meters *meters, uint32_t number)
{
    struct meter *meter = &meters_at(meters, number)->meter;

    meter->again_ms = 0;
    if (!meter->asked && !meter->own) {
        meter->held = meter->next = 0;
        meter->use_count = 0;
    }
    meters->gains++;
    meters_want(meters, number);
}

void
meters_count_late(struct meters *meters, uint32_t number, uint32_t count, int64_t now_ms)
{
    struct meter *meter = &meters_at(meters, number)->meter;

    for (; count > 0 && meter_state(meter, now_ms) == METER_FREE; count--)
        meters_take(meters, number, now_ms);
    if (count > 0)
        meter_count(meter, count, now_ms);
    meters_touch(meters, number);
}

static int64_t
idle_ms(const struct caps *caps)
{
    int64_t ms = caps->items[0].window_ms / IDLE_PART;

    return ms > IDLE_LEAST_MS ? ms : IDLE_LEAST_MS;
}

/* Those of a warm-up may be no more, and meters_set_snapshot() is still to come. */
static bool
has_caps(const struct metered *metered)
{
    return metered->caps != NULL && metered->caps->count > 0;
}

uint32_t
meters_next(struct meters *meters, int64_t now_ms, struct book_ask *ret_ask)
{
    while (meters->queue_count > 0) {
        uint32_t number = meters->queue[meters->queue_first];
        struct metered *metered = meters_at(meters, number);
        int64_t before_ms = full_until(&metered->meter, now_ms);
        const struct caps *caps;
        struct caps left;
        uint32_t lease;

        meters->queue_first = (meters->queue_first + 1) % meters->queue_room;
        meters->queue_count--;
        metered->queued = false;
        if (!has_caps(metered))
            continue;
        caps = meters_caps(metered, &left);
        lease = book_lease_size(caps, meters->nodes);
        meters_fit(metered, lease);
        if (meter_ask(&metered->meter, caps, lease, idle_ms(caps), now_ms, ret_ask)) {
            ret_ask->percent = metered->off > 0 ? (uint8_t)meters_percent(metered) : 0;
            note_gain(meters, &metered->meter, before_ms, now_ms); /* a lease for later went back */
            return number;
        }
    }
    return METERS_NONE;
}

bool
meters_pending(const struct meters *meters)
{
    return meters->queue_count > 0;
}

void
meters_lapse(struct meters *meters, int64_t gone_ms)
{
    meters->alone = true;
    meters->alone_ms = gone_ms;
    meters->gains++;
    for (size_t i = 0; i < meters->count; i++) {
        struct metered *metered = meters_at(meters, (uint32_t)i);
        struct caps left;

        if (!has_caps(metered))
            continue;
        meter_lapse(&metered->meter);
        meter_go_alone(&metered->meter, meters_caps(metered, &left), meters->nodes,
                       meters->share_at_once, gone_ms);
    }
}

void
meters_set_share(struct meters *meters, bool at_once)
{
    meters->share_at_once = at_once;
}

bool
meters_are_alone(const struct meters *meters)
{
    return meters->alone;
}

void
meters_rejoin(struct meters *meters)
{
    if (!meters->alone)
        return;
    meters->alone = false;
    meters->gains++;
    for (size_t i = 0; i < meters->count; i++) {
        struct meter *meter = &meters_at(meters, (uint32_t)i)->meter;

        if (!meters_is_used(meters, (uint32_t)i))
            continue;
        meter_rejoin(meter);
        if (meter->use_count + meter->excess > 0)
            meters_touch(meters, (uint32_t)i);
    }
}
