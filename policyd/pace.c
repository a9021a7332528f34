/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/pace.h"

#include "engine/decide.h"
#include "engine/deferrals.h"
#include "engine/meters.h"
#include "engine/provider.h"
#include "engine/snapshot.h"
#include "engine/waiting.h"
#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/due.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/choice.h"
#include "policyd/lookup.h"
#include "policyd/pace_inside.h"
#include "policyd/volume.h"
#include "policyd/wake.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SOON_MS = 10,
    EARLY_MS = 30,      /* lanes that get up at about the same time are looked at together */
    COLD_MS = 20,       /* the store is asked whether there is room */
    FULL_MS = 1000,     /* room may come sooner than was said */
    OUTSIDE_MS = 60000, /* hours begin; the clock, or a reload, may make it sooner */
    ODD_MS = 250,       /* one that finds no room where the next one does; twice as long each ... */
    ODDS_MAX = 8,       /* ... of so many times */
    IDLE_MS = 1000,     /* between two looks when there is nothing to wait for */
    EACH_MS = 100,      /* one with many recipients waits so long for each */
    CACHED_MS = 31 * 1000, /* Postfix' resolver keeps its last answer for 30 s */
    AGAIN_MS = 1000,       /* a lookup that did not come; the next time is four times as late */
    BEHIND_MS = 2000,      /* a log that is so long behind is not acted upon */
};

static int64_t
monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC_COARSE);
}

void
pace_schedule(struct pace *pace, int64_t wait_ms)
{
    struct timeval wait = {(time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000) * 1000};
    struct timeval due, now;

    if (evtimer_pending(pace->tick, &due)) {
        evutil_gettimeofday(&now, NULL);
        evutil_timeradd(&now, &wait, &now);
        if (!evutil_timercmp(&now, &due, <))
            return;
    }
    evtimer_add(pace->tick, &wait);
}

void
pace_drop_reserved(struct pace *pace, size_t number)
{
    pace->reserved[number] = pace->reserved[--pace->reserved_count];
}

/* It was woken and is under way; if more was told of it since, it rests no more. */
static void
forget_waiter(struct pace *pace, const struct reserved *one)
{
    struct waiter *waiter = waiting_find(pace->waiting, one->queue_id);

    if (waiter != NULL && waiter->rest_ms == one->until_ms)
        waiting_remove(pace->waiting, waiter);
}

/* It was woken, and nobody asked for its grant; if more was told of it since, that is its own. */
static void
note_vain(struct pace *pace, const struct reserved *one)
{
    struct waiter *waiter = waiting_find(pace->waiting, one->queue_id);

    if (waiter != NULL && waiter->rest_ms == one->until_ms && ++waiter->vain >= PACE_VAIN_MAX)
        waiting_remove(pace->waiting, waiter);
}

/*
 * Which of them were asked for, and which never will be?  EARLY_MS before its time is over, as
 * its message gets up: it must not be taken for one that is under way.
 */
static void
sweep_reserved(struct pace *pace, const struct lookup_view *view, int64_t now_ms)
{
    for (size_t i = 0; i < pace->reserved_count;) {
        struct reserved *one = &pace->reserved[i];
        enum grant_state state =
            view->grants != NULL ? grants_state(view->grants, &one->key, view->now_ms) : GRANT_NONE;

        if (state == GRANT_RESERVED && now_ms + EARLY_MS < one->until_ms) {
            i++;
            continue;
        }
        if (state == GRANT_RESERVED) {
            volume_give_back_key(pace->start.volume, &one->key);
            note_vain(pace, one);
            pace->vain++;
            pace->unused++;
        } else {
            pace->vain = 0;
            wake_helped(pace->start.wake, one->queue_id);
            forget_waiter(pace, one);
            pace->used++;
        }
        pace_drop_reserved(pace, i);
    }
}

/*
 * The log tells of a deferral before the queue manager is done with it, and a message that is
 * active still postqueue(1) passes by, without a word.
 */
static void
wake_again(struct pace *pace, int64_t now_ms)
{
    for (size_t i = 0; i < pace->reserved_count; i++) {
        struct reserved *one = &pace->reserved[i];
        int64_t woken_ms = one->until_ms - PACE_RESERVED_MS;

        if (one->again_ms <= now_ms && wake_queue_again(pace->start.wake, one->queue_id, now_ms))
            one->again_ms = now_ms + 3 * (now_ms - woken_ms);
    }
}

/* What became of a look at a message. */
enum look { LOOK_WOKEN, LOOK_DONE, LOOK_RESTS, LOOK_MOVED, LOOK_FULL, LOOK_STOP };

static struct choice_mail
mail_of(const struct pace *pace, const struct waiter *waiter, char domain[static 256])
{
    addr_domain(waiter->recipient, domain, 256);
    return (struct choice_mail){
        .stream = &pace->conf->snapshot->streams[waiting_kind(waiter).stream],
        .message_id = waiter->message_id,
        .account = waiter->account,
        .recipient = waiter->recipient,
        .domain = domain,
    };
}

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the message itself may be woken, room or not. */
static int64_t
rests_until(const struct pace *pace, const struct waiter *waiter, const struct grant_key *key,
            int64_t now_ms)
{
    int64_t until_ms = wake_when_ms(pace->start.wake, waiter->queue_id, now_ms);
    int64_t many_ms = waiter->told_ms + (int64_t)(waiter->recipients - 1) * EACH_MS;

    if (key->low == pace->last_key && pace->last_ms + CACHED_MS > until_ms)
        until_ms = smaller(pace->last_ms + CACHED_MS, now_ms + IDLE_MS); /* or another comes */
    return waiter->recipients > 1 && many_ms > until_ms ? many_ms : until_ms;
}

static void
note_reserved(struct pace *pace, const struct waiter *waiter, const struct grant_key *key,
              int64_t now_ms)
{
    struct reserved *one = &pace->reserved[pace->reserved_count++];

    one->key = *key;
    one->until_ms = now_ms + PACE_RESERVED_MS;
    one->again_ms = now_ms + AGAIN_MS;
    snprintf(one->queue_id, sizeof(one->queue_id), "%s", waiter->queue_id);
}

/* How long its lane has no room, from now. */
static int64_t
full_ms(const struct lookup_view *view, const struct lookup_result *result,
        const struct decision *decision)
{
    int64_t wait_ms = FULL_MS;

    if (result->waits)
        return COLD_MS;
    if (result->busy)
        return FULL_MS / 4;
    if ((result->full && decision->refused_by != METERS_NONE) ||
        (result->suspended && decision->slowed))
        wait_ms = decision->room_ms - view->store_ms + 1;
    return wait_ms < SOON_MS ? SOON_MS : wait_ms < FULL_MS ? wait_ms : FULL_MS;
}

/* It finds no room where others may: they go first for a while, longer each time. */
static void
rest_odd(struct pace *pace, struct waiter *waiter, int64_t now_ms)
{
    waiting_rest(pace->waiting, waiter, now_ms + ((int64_t)ODD_MS << waiter->odd));
    waiter->odd += waiter->odd < ODDS_MAX;
}

/* Its lookup ends it, without a grant.  Often enough in vain: it may be gone. */
static enum look
wake_to_end(struct pace *pace, struct waiter *waiter, int64_t now_ms)
{
    if (!wake_queue(pace->start.wake, waiter->queue_id, now_ms))
        return LOOK_STOP;
    if (++waiter->vain >= PACE_VAIN_MAX) {
        waiting_remove(pace->waiting, waiter);
        return LOOK_WOKEN;
    }
    waiting_rest(pace->waiting, waiter, now_ms + PACE_RESERVED_MS);
    if (waiter->ends_ms > 0)
        waiting_set_end(pace->waiting, waiter, now_ms + PACE_RESERVED_MS);
    return LOOK_WOKEN;
}

/* It is past its deadline, and so woken wherever it waits; if a reload did not move that. */
static enum look
look_at_ended(struct pace *pace, const struct lookup_view *view, struct waiter *waiter,
              int64_t now_ms)
{
    char domain[256];
    struct choice_mail mail = mail_of(pace, waiter, domain);
    int64_t ends_ms = due_ends_ms(mail.stream, mail.message_id, view->time_ms);
    struct grant_key key;
    int64_t rests_ms;

    choice_key(view, &mail, &key);
    rests_ms = rests_until(pace, waiter, &key, now_ms);
    if (rests_ms < waiter->rest_ms)
        rests_ms = waiter->rest_ms;
    if (ends_ms > view->time_ms)
        rests_ms = ends_ms < INT64_MAX ? now_ms + ends_ms - view->time_ms : 0;
    else if (rests_ms <= now_ms)
        return wake_to_end(pace, waiter, now_ms);
    waiting_set_end(pace->waiting, waiter, rests_ms);
    return LOOK_RESTS;
}

/* Wake it, if it may be and there is room; *ret_wait_ms: how long there is none. */
static enum look
look_at(struct pace *pace, const struct lookup_view *view, struct waiter *waiter, int64_t now_ms,
        int64_t *ret_wait_ms)
{
    char domain[256];
    struct choice_mail mail = mail_of(pace, waiter, domain);
    struct lookup_result result;
    struct decision decision;
    struct grant_key key;
    int64_t rests_ms;
    size_t provider;

    choice_key(view, &mail, &key);
    rests_ms = rests_until(pace, waiter, &key, now_ms);
    if (rests_ms > now_ms) {
        waiting_rest(pace->waiting, waiter, rests_ms);
        return LOOK_RESTS;
    }
    choice_make(view, &mail, true, &result, &decision);
    if (result.again) { /* it is under way */
        waiting_remove(pace->waiting, waiter);
        return LOOK_DONE;
    }
    provider = result.provider != NULL ? result.provider->index : PROVIDER_OTHER;
    if (result.outside) {
        waiting_sleep(pace->waiting, waiter,
                      now_ms + EARLY_MS + smaller(result.opens_ms - view->time_ms, OUTSIDE_MS));
        return LOOK_DONE;
    }
    if (result.expired || (result.refused && result.words != NULL))
        return wake_to_end(pace, waiter, now_ms);
    if (result.address == NULL) {
        *ret_wait_ms = full_ms(view, &result, &decision);
        if (result.decided && !result.waits && decision.thinned) {
            rest_odd(pace, waiter, now_ms);
            return LOOK_RESTS;
        }
        if (result.busy || provider == waiting_kind(waiter).provider)
            return LOOK_FULL;
        waiting_move(pace->waiting, waiter, provider);
        return LOOK_MOVED;
    }
    note_reserved(pace, waiter, &key, now_ms);
    if (!wake_queue(pace->start.wake, waiter->queue_id, now_ms)) {
        pace->reserved[pace->reserved_count - 1].until_ms = now_ms;
        return LOOK_STOP;
    }
    waiting_rest(pace->waiting, waiter, now_ms + PACE_RESERVED_MS); /* if it is in vain */
    return LOOK_WOKEN;
}

/*
 * The first of a lane found no room.  If the next one does, there is something
 * about the first; else the lane has none.
 */
static enum look
look_behind(struct pace *pace, const struct lookup_view *view, struct waiter *first,
            int64_t wait_ms, int64_t now_ms)
{
    struct waiter *second = waiting_second(first);
    enum look look = LOOK_FULL;
    int64_t second_ms;

    if (second != NULL)
        look = look_at(pace, view, second, now_ms, &second_ms);
    if (look == LOOK_WOKEN)
        rest_odd(pace, first, now_ms);
    if (look == LOOK_FULL)
        waiting_sleep(pace->waiting, first, now_ms + wait_ms);
    return look;
}

/* Look at the next one.  False: that is all for now. */
static bool
step(struct pace *pace, const struct lookup_view *view, int64_t now_ms)
{
    struct waiter *first;
    int64_t wait_ms = 0;
    enum look look;

    if (pace->reserved_count >= PACE_RESERVED_MAX - 1 ||
        wake_ready_ms(pace->start.wake, now_ms) > now_ms)
        return false;
    first = waiting_ended(pace->waiting, now_ms);
    if (first != NULL)
        return look_at_ended(pace, view, first, now_ms) != LOOK_STOP;
    first = waiting_first(pace->waiting, now_ms + EARLY_MS);
    if (first == NULL)
        return false;
    look = look_at(pace, view, first, now_ms, &wait_ms);
    if (look == LOOK_FULL)
        look = look_behind(pace, view, first, wait_ms, now_ms);
    return look != LOOK_STOP;
}

/* When there will be something to do. */
static int64_t
next_ms(const struct pace *pace, bool more, int64_t now_ms)
{
    int64_t up_ms = more ? now_ms : waiting_up_ms(pace->waiting);
    int64_t ready_ms = wake_ready_ms(pace->start.wake, now_ms);

    if (up_ms < ready_ms)
        up_ms = ready_ms;
    if (pace->reserved_count >= PACE_RESERVED_MAX - 1 && up_ms < now_ms + EACH_MS)
        up_ms = now_ms + EACH_MS;
    if (up_ms > now_ms + IDLE_MS)
        return IDLE_MS;
    return up_ms > now_ms + SOON_MS ? up_ms - now_ms : SOON_MS;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct pace *pace = arg;
    struct lookup_view view;
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    bool behind = pace->heard_ms > 0 && now_ms - pace->heard_ms > BEHIND_MS, more = false;

    (void)fd;
    (void)what;
    pace->start.view(pace->start.arg, &view);
    view.now_ms = monotonic_ms();
    sweep_reserved(pace, &view, now_ms);
    if (pace->vain >= PACE_VAIN_ROW)
        pace_forget_all(pace);
    if (view.grants != NULL && wake_is_on(pace->start.wake) && !behind) {
        more = true;
        wake_again(pace, now_ms);
        for (int i = 0; i < PACE_STEPS_MAX && more; i++)
            more = step(pace, &view, now_ms);
        more = more || waiting_first(pace->waiting, now_ms + EARLY_MS) != NULL;
    }
    volume_flush(pace->start.volume);
    if (waiting_count(pace->waiting) + pace->reserved_count > 0)
        pace_schedule(pace, behind ? IDLE_MS : next_ms(pace, more, now_ms));
}

void
pace_on_room(struct pace *pace)
{
    if (pace != NULL && waiting_count(pace->waiting) > 0)
        pace_schedule(pace, 0);
}

void
pace_on_answered(struct pace *pace, const struct lookup_result *result)
{
    if (!result->is_decision || result->waits)
        return;
    pace->last_key = result->key;
    pace->last_ms = monotonic_ms();
}

static void
set_streams(struct pace *pace, const struct snapshot *snapshot, const uint32_t *moves,
            const uint32_t *provider_moves)
{
    int *priorities = mem_array(snapshot->stream_count, sizeof(*priorities));

    for (size_t i = 0; i < snapshot->stream_count; i++)
        priorities[i] = snapshot->streams[i].priority;
    if (!waiting_set_streams(pace->waiting, priorities, snapshot->stream_count, moves,
                             provider_moves))
        mem_must(NULL);
    free(priorities);
}

static void
begin_anew(struct pace *pace, const struct snapshot *snapshot)
{
    waiting_free(pace->waiting);
    pace->waiting = mem_must(waiting_new());
    set_streams(pace, snapshot, NULL, NULL);
}

void
pace_forget_all(struct pace *pace)
{
    struct lookup_view view;

    pace->start.view(pace->start.arg, &view);
    view.now_ms = monotonic_ms();
    while (pace->reserved_count > 0) {
        const struct grant_key *key = &pace->reserved[0].key;

        if (view.grants != NULL && grants_state(view.grants, key, view.now_ms) == GRANT_RESERVED)
            volume_give_back_key(pace->start.volume, key);
        pace_drop_reserved(pace, 0);
    }
    pace->vain = 0;
    begin_anew(pace, pace->conf->snapshot);
}

void
pace_set_conf(struct pace *pace, const struct conf *conf)
{
    const struct snapshot *then = pace->conf->snapshot, *now = conf->snapshot;
    uint32_t *moves = mem_array(then->stream_count, sizeof(*moves));
    uint32_t *provider_moves = mem_array(then->provider_count, sizeof(*provider_moves));

    for (size_t i = 0; i < then->stream_count; i++) {
        const char *name = then->streams[i].name;
        const struct stream *stream = snapshot_find_stream(now, name, strlen(name));

        moves[i] = stream != NULL ? (uint32_t)stream->index : UINT32_MAX;
    }
    for (size_t i = 0; i < then->provider_count; i++) {
        const struct provider *provider = snapshot_find_provider(now, then->providers[i].name);

        provider_moves[i] = provider != NULL ? (uint32_t)provider->index : UINT32_MAX;
    }
    if (!wake_is_on(pace->start.wake)) { /* nothing is told of from now on */
        begin_anew(pace, now);
    } else {
        set_streams(pace, now, moves, provider_moves);
    }
    pace->conf = conf;
    free(moves);
    free(provider_moves);
}

struct pace *
pace_new(const struct pace_start *start)
{
    struct pace *pace = mem_new(sizeof(*pace));

    pace->start = *start;
    pace->conf = start->conf;
    pace->waiting = mem_must(waiting_new());
    pace->deferrals = mem_must(deferrals_new());
    pace->tick = mem_must(evtimer_new(start->base, on_tick, pace));
    set_streams(pace, start->conf->snapshot, NULL, NULL);
    return pace;
}

void
pace_free(struct pace *pace)
{
    if (pace == NULL)
        return;
    event_free(pace->tick);
    waiting_free(pace->waiting);
    deferrals_free(pace->deferrals);
    free(pace);
}
