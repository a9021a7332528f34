/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/meter.h"

#include <string.h>

/* Uses within this part of the shortest window are one to the book. */
enum { TOGETHER = 2 * BOOK_BUCKETS };

/* Uses are reported, with nothing to ask, in the last such part of it. */
enum { REPORT_PART = 4 };

/* A lease is used within this part of it. */
enum { AGE_PART = 4 };

/* The time of a grant that is given back may be told so much too early: ticks of a coarse clock. */
enum { EARLY_MS = 8 };

/* The lease behind takes its place when the first is spent. */
static void
advance(struct meter *meter)
{
    if (meter->held > 0 || meter->next == 0)
        return;
    meter->held = meter->next;
    meter->from_ms = meter->next_from_ms;
    meter->next = 0;
    meter->mixed = true;
}

/* It must go back: others count on it that a lease is not used much later than it was given. */
static bool
is_stale(const struct meter *meter, int64_t now_ms)
{
    return meter->held > 0 && !meter->own && now_ms - meter->from_ms > meter->age_ms;
}

enum meter_state
meter_state(const struct meter *meter, int64_t now_ms)
{
    if (is_stale(meter, now_ms))
        return METER_COLD;
    if (meter->held > 0)
        return meter->from_ms <= now_ms ? METER_FREE : METER_FULL;
    return meter->again_ms > now_ms ? METER_FULL : METER_COLD;
}

/* As the store said last, with nothing held. */
static int64_t
told_room_ms(const struct meter *meter)
{
    return meter->again_ms + meter->room_after_ms;
}

int64_t
meter_room_ms(const struct meter *meter, int64_t now_ms)
{
    int64_t room_ms = told_room_ms(meter);

    if (meter->held > 0)
        return meter->from_ms;
    return room_ms > now_ms ? room_ms : now_ms;
}

int64_t
meter_full_ms(const struct meter *meter)
{
    return meter->held > 0 ? meter->from_ms : meter->again_ms;
}

enum meter_state
meter_state_many(const struct meter *meter, uint32_t count, int64_t now_ms)
{
    uint32_t held = meter->held, ready = 0;

    if (is_stale(meter, now_ms))
        return METER_COLD;
    if (meter->own) /* what is not there is not known to be nowhere */
        return count == 1 && held > 0 && meter->from_ms <= now_ms ? METER_FREE : METER_COLD;
    if (held > 0 && meter->from_ms <= now_ms)
        ready = held + (meter->next > 0 && meter->next_from_ms <= now_ms ? meter->next : 0);
    if (count <= ready)
        return METER_FREE;
    if (count <= held + meter->next) /* it comes later */
        return METER_FULL;
    return meter->again_ms > now_ms ? METER_FULL : METER_COLD;
}

int64_t
meter_room_many_ms(const struct meter *meter, uint32_t count, int64_t now_ms)
{
    int64_t room_ms = told_room_ms(meter);

    if (count <= meter->held + meter->next) {
        room_ms = meter->from_ms;
        if (count > meter->held && meter->next_from_ms > room_ms)
            room_ms = meter->next_from_ms;
    }
    return room_ms > now_ms ? room_ms : now_ms;
}

uint32_t
meter_held(const struct meter *meter)
{
    return meter->held + (meter->own ? 0 : meter->next);
}

static uint32_t
span(const struct meter_use *use, int64_t now_ms)
{
    int64_t ms = now_ms - use->at_ms + use->span_ms;

    return ms < 0 ? 0 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static void
take_use(struct meter *meter, size_t at)
{
    memmove(&meter->uses[at], &meter->uses[at + 1],
            (meter->use_count - at - 1) * sizeof(*meter->uses));
    meter->use_count--;
}

/*
 * One of two of the same kind, i before j.  Uses count as the later, and stay before what may
 * have been given back of them; that is of the earlier, so that the book looks there first.
 */
static void
unite(struct meter *meter, size_t i, size_t j)
{
    struct meter_use *first = &meter->uses[i], *second = &meter->uses[j];

    if (first->count > 0) {
        first->span_ms = span(first, second->at_ms);
        first->at_ms = second->at_ms;
        first->count += second->count;
        take_use(meter, j);
    } else {
        second->at_ms = first->at_ms < second->at_ms ? first->at_ms : second->at_ms;
        second->count += first->count;
        take_use(meter, i);
    }
}

/* Make room for one: unite the two that are closest. */
static void
squeeze(struct meter *meter)
{
    const struct meter_use *uses = meter->uses;
    size_t at = 0, with = 0;
    int64_t least_ms = INT64_MAX;

    for (size_t i = 0; i < meter->use_count; i++)
        for (size_t j = i + 1; j < meter->use_count; j++) {
            int64_t ms = uses[j].at_ms - uses[i].at_ms;

            ms = ms < 0 ? -ms : ms;
            if ((uses[i].count > 0) != (uses[j].count > 0) || ms >= least_ms)
                continue;
            least_ms = ms;
            at = i;
            with = j;
        }
    unite(meter, at, with); /* of more than two, two are of the same kind */
}

static void
note_use(struct meter *meter, const struct caps *caps, int64_t now_ms)
{
    struct meter_use *last = NULL;

    for (size_t i = 0; i < meter->use_count; i++)
        if (meter->uses[i].count > 0)
            last = &meter->uses[i];
    if (last != NULL && span(last, now_ms) <= caps->items[0].window_ms / TOGETHER) {
        last->count++;
        last->span_ms = span(last, now_ms);
        last->at_ms = now_ms > last->at_ms ? now_ms : last->at_ms;
        return;
    }
    if (meter->use_count == METER_USES)
        squeeze(meter);
    meter->uses[meter->use_count++] = (struct meter_use){now_ms, 1, 0};
}

/* How far apart grants are of which no window shall hold more than the node's share; 0: none may
 * be. */
static int64_t
share_pace(const struct caps *caps, uint32_t nodes)
{
    int64_t pace = 0;

    for (size_t i = 0; i < caps->count; i++) {
        uint32_t share = book_share(&caps->items[i], nodes);

        if (share == 0)
            return 0;
        if (caps->items[i].window_ms / share + 1 > pace)
            pace = caps->items[i].window_ms / share + 1;
    }
    return pace;
}

void
meter_go_alone(struct meter *meter, const struct caps *caps, uint32_t nodes, bool at_once,
               int64_t now_ms)
{
    int64_t longest = caps->items[caps->count - 1].window_ms;

    meter->own = true;
    meter->held = share_pace(caps, nodes) > 0;
    meter->from_ms = now_ms + (at_once ? 0 : 2 * longest);
    meter->next = nodes; /* while alone: of how many it is one */
}

void
meter_set_share(struct meter *meter, const struct caps *caps)
{
    if (meter->own)
        meter->held = share_pace(caps, meter->next) > 0;
}

void
meter_rejoin(struct meter *meter)
{
    if (!meter->own)
        return;
    meter->own = false;
    meter->held = meter->next = 0;
    meter->mixed = meter->use_count > 0;    /* the share is not to be had back */
    meter->returned = meter->use_count > 0; /* the store is to hear of it first of all */
}

void
meter_miss(struct meter *meter, int64_t now_ms)
{
    meter->missed_s = (uint32_t)(now_ms / 1000);
    meter->wanted = true;
}

/* A grant is to be at hand, for mail that was turned away. */
static bool
is_missed(const struct meter *meter, int64_t now_ms)
{
    return meter->missed_s != 0 && (uint32_t)(now_ms / 1000) - meter->missed_s < METER_MISS_S;
}

void
meter_take(struct meter *meter, const struct caps *caps, int64_t now_ms)
{
    meter->active_ms = now_ms;
    meter->missed_s = 0;
    if (meter->own) {
        meter->from_ms = now_ms + share_pace(caps, meter->next);
    } else {
        meter->held--;
        advance(meter);
    }
    note_use(meter, caps, now_ms);
}

void
meter_count(struct meter *meter, uint32_t count, int64_t now_ms)
{
    meter->excess += count;
    meter->excess_ms = now_ms;
    meter->wanted = true;
    meter->returned = true; /* the store is to hear of it now, room or not */
}

void
meter_exceed(struct meter *meter, int64_t now_ms)
{
    meter_count(meter, 1, now_ms);
    meter->excess_total++;
}

/* Of one of the uses that were noted since the last report? */
static bool
take_back(struct meter *meter, int64_t at_ms)
{
    for (size_t i = 0; i < meter->use_count; i++) {
        struct meter_use *use = &meter->uses[i];

        if (use->count <= 0 || use->at_ms < at_ms || use->at_ms - use->span_ms > at_ms + EARLY_MS)
            continue;
        if (--use->count == 0)
            take_use(meter, i);
        return true;
    }
    return false;
}

void
meter_give_back(struct meter *meter, int64_t at_ms)
{
    struct meter_use back = {at_ms, -1, 0};

    if (!meter->own && !meter->mixed && take_back(meter, at_ms)) {
        meter->held++; /* as old as the lease that it was of */
        return;
    }
    for (size_t i = 0; i < meter->use_count; i++)
        if (meter->uses[i].count < 0 && meter->uses[i].at_ms == at_ms) {
            back.count += meter->uses[i].count;
            take_use(meter, i);
        }
    if (meter->use_count == METER_USES)
        squeeze(meter);
    meter->uses[meter->use_count++] = back;
    meter->returned = true;
    meter->again_ms = 0; /* there is room again, which the store has to be asked for */
}

static void
add_reports(struct meter *meter, struct book_ask *ask)
{
    for (size_t i = 0; i < meter->use_count; i++)
        if (meter->uses[i].count != 0)
            ask->reports[ask->report_count++] =
                (struct book_report){meter->uses[i].at_ms, meter->uses[i].count, false};
    if (meter->excess > 0)
        ask->reports[ask->report_count++] =
            (struct book_report){meter->excess_ms, (int32_t)meter->excess, true};
    meter->use_count = 0;
    meter->mixed = false;
    meter->excess = 0;
}

bool
meter_asked_for(const struct meter *meter, int64_t ms, int64_t now_ms)
{
    return meter->asked && (uint32_t)now_ms - meter->asked_low > ms;
}

bool
meter_ask(struct meter *meter, const struct caps *caps, uint32_t size, int64_t idle_ms,
          int64_t now_ms, struct book_ask *ret_ask)
{
    int64_t since_ms =
        meter->held > 0 && meter->from_ms > meter->active_ms ? meter->from_ms : meter->active_ms;
    bool idle = now_ms - since_ms > idle_ms;
    struct book_ask ask = {.seq = meter->seq + 1, .first = !meter->begun};
    int64_t age_ms = caps->items[0].window_ms / AGE_PART;
    bool missed = is_missed(meter, now_ms), back;
    uint32_t keep;

    if (meter->asked || meter->own)
        return false;
    if (!missed)
        meter->missed_s = 0;
    if (is_stale(meter, now_ms) ||
        (missed && meter->held > 0 && now_ms - meter->from_ms > meter->age_ms / 2)) {
        ask.unused = meter->held;
        meter->held = 0;
        advance(meter);
        meter->returned = meter->wanted;
    }
    back = meter->returning && meter->held + meter->next > 0;
    keep = missed && !back && meter->held > 0 ? 1 : 0;
    if (meter->lacking > 0 && meter->again_ms <= now_ms) {
        ask.want = meter->lacking > size ? meter->lacking : size;
    } else if (!back && meter->next == 0 && meter->held <= size / 2 &&
               (meter->returned || (meter->wanted && meter->again_ms <= now_ms))) {
        ask.want = size + (meter->held == 0 && meter->wanted ? size / 2 : 0);
    } else if (back || (idle && meter->held + meter->next > keep)) {
        ask.unused += meter->held + meter->next - keep;
        meter->held = keep;
        meter->next = 0;
    } else if (missed && meter->held == 0 && meter->again_ms <= now_ms) {
        ask.want = 1;
    } else if (ask.unused > 0) {
        ;
    } else if (meter->use_count + meter->excess == 0) {
        return false;
    } else if (!meter->returning &&
               now_ms - since_ms <
                   caps->items[0].window_ms - caps->items[0].window_ms / REPORT_PART) {
        return false; /* what is not reported counts as used now, which does no harm for long */
    }
    add_reports(meter, &ask);
    meter->wanted = false;
    meter->returned = false;
    meter->returning = false;
    meter->lacking = 0;
    meter->asked = true;
    meter->begun = true;
    meter->age_ms = age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX;
    meter->asked_low = (uint32_t)now_ms;
    meter->seq++;
    *ret_ask = ask;
    return true;
}

void
meter_answered(struct meter *meter, const struct book_answer *answer, int64_t now_ms)
{
    int64_t after_ms = answer->room_ms - answer->again_ms;

    meter->asked = false;
    meter->again_ms = meter->returned ? 0 : answer->again_ms; /* it knew nothing of that yet */
    meter->room_after_ms = after_ms < 0            ? 0
                           : after_ms < UINT32_MAX ? (uint32_t)after_ms
                                                   : UINT32_MAX;
    meter->window = answer->window;
    meter->counted_s = (uint32_t)(now_ms / 1000);
    memcpy(meter->counted, answer->counted, sizeof(meter->counted));
    if (answer->count == 0)
        return;
    meter->active_ms = answer->from_ms > now_ms ? answer->from_ms : now_ms;
    if (meter->held == 0) {
        meter->held = answer->count;
        meter->from_ms = answer->from_ms;
        meter->mixed = meter->use_count > 0;
    } else {
        meter->next += answer->count;
        meter->next_from_ms = answer->from_ms;
    }
}

void
meter_grow(struct meter *meter, int64_t now_ms)
{
    if (meter->own)
        return;
    if (meter->asked) /* the answer on its way is to what the caps were */
        meter->returned = meter->returning = true;
    else
        meter->again_ms = 0;
    if ((meter->held > 0 && meter->from_ms > now_ms) ||
        (meter->next > 0 && meter->next_from_ms > now_ms))
        meter->returning = true;
}

void
meter_return(struct meter *meter)
{
    meter->returning = true;
    meter->wanted = false;
    meter->missed_s = 0;
}

void
meter_lapse(struct meter *meter)
{
    *meter = (struct meter){.excess_total = meter->excess_total};
}
