/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/allowances.h"
#include "engine/curbs.h"
#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "engine/week.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SECOND_MS = 1000,
    COLDS_MAX = 64, /* times that the store is asked for one decision */
};

void *
world_must(struct world *world, void *ptr)
{
    world->failed |= ptr == NULL;
    return ptr;
}

int64_t
world_now_ms(const struct world *world)
{
    return world->now_ms;
}

const struct snapshot *
world_snapshot(const struct world *world)
{
    return world->snapshot;
}

int64_t
world_opens_ms(const struct world *world, const struct stream *stream)
{
    int64_t now_s = world->now_ms / SECOND_MS, at_s;

    if (stream->hours == NULL)
        return world->now_ms;
    at_s = week_next_s(stream->hours, stream->zone, now_s);
    return at_s > now_s ? at_s * SECOND_MS : world->now_ms;
}

/* -------------------------------------------------------------------- life */

static struct roster *
make_roster(const struct world_setup *setup)
{
    size_t count = setup->snapshot->address_count;
    bool *present = calloc(count + 1, sizeof(*present));
    struct roster *roster;

    if (present == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        present[i] = setup->present == NULL || setup->present[i];
    roster = roster_new(setup->snapshot, present);
    free(present);
    return roster;
}

static bool
make_parts(struct world *world)
{
    const struct snapshot *snapshot = world->snapshot;

    world->roster = make_roster(&world->setup);
    world->curbs = curbs_new(snapshot);
    if (snapshot->has_caps)
        world->meters = meters_new(snapshot);
    return world->roster != NULL && world->curbs != NULL &&
           (world->meters != NULL || !snapshot->has_caps) && world_count_begin(world) &&
           world_standings_begin(world) && world_days_begin(world);
}

struct world *
world_new(const struct world_setup *setup)
{
    struct world *world = calloc(1, sizeof(*world));

    if (world == NULL)
        return NULL;
    world->setup = *setup;
    world->snapshot = setup->snapshot;
    world->now_ms = setup->start_ms;
    world->stir_ms = INT64_MAX;
    world->tick_ms = INT64_MAX;
    world->sweep_ms = setup->start_ms;
    world_lanes_begin(world);
    if (make_parts(world))
        return world;
    world_free(world);
    return NULL;
}

void
world_free(struct world *world)
{
    if (world == NULL)
        return;
    world_lanes_clear(world);
    world_curbs_clear(world);
    world_standings_clear(world);
    world_count_clear(world);
    world_clear_books(world);
    meters_free(world->meters);
    world_days_clear(world);
    curbs_free(world->curbs);
    roster_free(world->roster);
    free(world);
}

/* --------------------------------------------------------------- decisions */

static uint32_t
account_meter(struct world *world, const struct world_lane *lane)
{
    if (world->meters == NULL || lane->account[0] == '\0' || lane->stream->account_caps.count == 0)
        return METERS_NONE;
    return meters_account(world->meters, lane->stream->index, lane->account);
}

void
world_decide(struct world *world, const struct world_lane *lane, uint64_t key,
             struct decision *decision, struct decide_question *question)
{
    const struct stream *stream = lane->stream;

    *question = (struct decide_question){
        .roster = world->roster,
        .stream = stream,
        .pool = stream->by_grade[lane->grade],
        .key = key,
        .meters = world->meters,
        .provider = lane->provider,
        .account = account_meter(world, lane),
        .now_ms = world->now_ms,
        .may_wait = true,
        .quiet_days = lane->quiet_days,
        .curbs = world->curbs,
        .account_name = lane->account,
        .domain = lane->domain,
    };
    for (int i = 0; i <= COLDS_MAX; i++) {
        question->may_wait = i < COLDS_MAX;
        decide(question, decision);
        if (!decision->cold || world->meters == NULL || !meters_pending(world->meters))
            break;
        world_ask_store(world);
    }
}

void
world_leave(struct world *world, const struct world_lane *lane, const struct world_entry *entry,
            const struct decide_question *question, const struct decision *decision)
{
    struct world_sent sent = {
        .at_ms = world->now_ms,
        .since_ms = entry->since_ms,
        .stream = lane->stream,
        .pool = decision->pool,
        .address = decision->address,
        .provider = lane->provider,
        .account = lane->account,
        .domain = lane->domain,
        .count = entry->count,
        .exceeds = decision->exceeds,
        .token = entry->token,
    };

    memcpy(sent.meters, decision->meters, sizeof(sent.meters));
    decide_spend(question, decision);
    if (world->meters != NULL && meters_pending(world->meters))
        world_ask_store(world);
    world_count_sent(world, &sent, entry->since_ms == world->now_ms);
    if (world->setup.sent != NULL)
        world->setup.sent(world->setup.arg, &sent);
}

/* -------------------------------------------------------------------- time */

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Until nothing is due at now_ms, or sooner, any more. */
static int64_t
next_ms(const struct world *world)
{
    int64_t at_ms = smaller(world->midnight_ms, world->turn_ms);

    at_ms = smaller(at_ms, smaller(world->sweep_ms, world->tick_ms));
    at_ms = smaller(at_ms, world->stand_ms);
    return smaller(at_ms, smaller(world->stir_ms, world_lanes_up_ms(world)));
}

/* What is due now; the calendar first. */
static void
take_step(struct world *world)
{
    if (world->midnight_ms <= world->now_ms)
        world_midnight(world);
    else if (world->turn_ms <= world->now_ms)
        world_turn(world);
    else if (world->stand_ms <= world->now_ms)
        world_stand(world);
    else if (world->tick_ms <= world->now_ms)
        world_tick(world);
    else if (world->sweep_ms <= world->now_ms)
        world_sweep(world);
    else if (world->stir_ms <= world->now_ms)
        world_lanes_stir(world);
    else
        world_lanes_step(world);
}

int
world_run(struct world *world, int64_t until_ms)
{
    int64_t at_ms;

    while (!world->failed && (at_ms = next_ms(world)) <= until_ms) {
        if (at_ms > world->now_ms)
            world->now_ms = at_ms;
        take_step(world);
    }
    if (until_ms > world->now_ms)
        world->now_ms = until_ms;
    return world->failed ? -ENOMEM : 0;
}

/* ------------------------------------------------------------- mail comes in */

/* Of recipients that were active at different times those are alike that the same weeks let pass.
 */
static int32_t
quiet_class(const struct snapshot *snapshot, int32_t quiet_days)
{
    if (quiet_days <= 0)
        return 0;
    for (size_t i = 0; i < snapshot->engaged_weeks; i++)
        if ((uint32_t)quiet_days <= snapshot->engaged_days[i])
            return (int32_t)snapshot->engaged_days[i];
    return DECIDE_NEVER_ACTIVE;
}

static bool
account_matters(const struct world *world, const struct stream *stream)
{
    return stream->account_caps.count > 0 || stream->is_graded || world_has_standings(world);
}

/* Where what has no room waits. */
static void
wait_for_room(struct world *world, const struct world_lane *like, struct world_entry *entry,
              const struct decision *decision, struct world_outcome *outcome)
{
    struct world_lane lane = *like;
    bool closed, own;
    int64_t up_ms;

    outcome->full = decision->full;
    outcome->suspended = decision->suspended;
    outcome->unengaged = decision->unengaged;
    outcome->room_ms = decision->room_ms;
    if (!account_matters(world, lane.stream) && !decision->held)
        lane.account = (char *)"";
    if (!decision->suspended || lane.provider != PROVIDER_OTHER)
        lane.domain = (char *)"";
    up_ms = world_room_ms(world, &lane, decision, &closed, &own);
    world_lane_add(world, &lane, entry, up_ms, closed, own);
}

static void
wait_for_hours(struct world *world, struct world_lane *lane, struct world_entry *entry,
               int64_t opens_ms, struct world_outcome *outcome)
{
    outcome->outside = true;
    outcome->room_ms = opens_ms;
    if (!account_matters(world, lane->stream))
        lane->account = (char *)"";
    lane->domain = (char *)"";
    world_lane_add(world, lane, entry, opens_ms, true, false);
    world_lanes_outside(world, lane, entry->count);
}

/* One after the other, until one has no room: then neither have those behind it. */
static void
send_each(struct world *world, struct world_lane *lane, struct world_entry *entry,
          struct world_outcome *outcome)
{
    while (entry->count > 0) {
        struct world_entry one = *entry;
        struct decide_question question;
        struct decision decision;

        one.count = 1;
        world_decide(world, lane, one.key, &decision, &question);
        if (decision.address == NULL && decision.slowed) {
            wait_for_room(world, lane, &one, &decision, outcome);
            outcome->waiting++;
        } else if (decision.address == NULL) {
            wait_for_room(world, lane, entry, &decision, outcome);
            outcome->waiting += entry->count;
            return;
        } else {
            world_leave(world, lane, &one, &question, &decision);
            outcome->address = decision.address;
            outcome->left++;
            lane->grade = world_grade(world, lane->account, lane->grade); /* by its result */
        }
        entry->count--;
        if (entry->apart)
            entry->key = hash_mix(entry->key + 1);
    }
}

/* It waits with others like it. */
static void
join(struct world *world, const struct world_lane *like, const struct world_entry *entry,
     int64_t until_ms, bool own, struct world_outcome *outcome)
{
    outcome->waiting = entry->count;
    outcome->full = true;
    outcome->room_ms = until_ms;
    world_lane_add(world, like, entry, until_ms, true, own);
}

int
world_send(struct world *world, const struct world_mail *mail, struct world_outcome *ret_outcome)
{
    struct world_lane like = {
        .stream = mail->stream,
        .provider = mail->provider,
        .grade = mail->grade,
        .quiet_days = quiet_class(world->snapshot, mail->quiet_days),
        .account = (char *)(mail->account != NULL ? mail->account : ""),
        .domain = (char *)(mail->domain != NULL ? mail->domain : ""),
    };
    struct world_lane shared = like;
    struct world_entry entry = {mail->at_ms, mail->key, mail->token, mail->count, mail->apart};
    struct world_outcome outcome = {.room_ms = INT64_MAX};
    int64_t opens_ms, closed_ms;
    bool own = false;
    int r = world_run(world, mail->at_ms);

    if (r == 0 && mail->count > 0) {
        entry.since_ms = world->now_ms;
        like.grade = shared.grade = world_grade(world, like.account, mail->grade);
        world_count_offered(world, mail->stream, mail->count);
        opens_ms = world_opens_ms(world, mail->stream);
        if (opens_ms <= world->now_ms)
            world_count_peak(world, like.stream, like.provider, like.grade, mail->count);
        if (!account_matters(world, like.stream))
            shared.account = (char *)"";
        shared.domain = (char *)"";
        closed_ms = world_lanes_closed_ms(world, &shared, &own);
        if (opens_ms > world->now_ms) {
            outcome.waiting = entry.count;
            wait_for_hours(world, &like, &entry, opens_ms, &outcome);
        } else if (closed_ms > world->now_ms) {
            join(world, &shared, &entry, closed_ms, own, &outcome);
        } else {
            send_each(world, &like, &entry, &outcome);
        }
        r = world->failed ? -ENOMEM : 0;
    }
    *ret_outcome = outcome;
    return r;
}
