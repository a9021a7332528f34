/*
 * The first leases: asked for at the start, again where the store has none yet.
 * And the records of the store: what is suspended is not to be used before it
 * is known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"
#include "lib/log.h"
#include "policyd/store.h"
#include "policyd/volume_inside.h"

#include <event2/event.h>

/*
 * "Come again" by a store that learns, or waits for others to hear of this
 * node, is no further off than that; by one that knows of no room it may be.
 */
enum { FULL_MS = 1000 };

static void
tell_ready(struct volume *volume)
{
    void (*ready)(void *arg) = volume->ready;

    volume->preparing = 0;
    volume->ready = NULL;
    event_del(volume->late);
    event_del(volume->again);
    if (ready != NULL)
        ready(volume->ready_arg);
}

static void
look_ready(struct volume *volume)
{
    if (volume->preparing == 0 && (volume->told || volume->store == NULL))
        tell_ready(volume);
}

void
volume_ready_told(struct volume *volume)
{
    if (volume->ready != NULL)
        look_ready(volume);
}

/* There is no room, as far as is known; not worth waiting for. */
static bool
is_full(const struct volume *volume, int64_t again_ms, int64_t now_ms)
{
    return again_ms > volume->ready_ms && again_ms - now_ms > FULL_MS;
}

static void
ask_at(struct volume *volume, int64_t again_ms, int64_t now_ms)
{
    int64_t pause_ms = again_ms >= now_ms ? again_ms - now_ms + 1 : 1;
    struct timeval pause = {pause_ms / 1000, pause_ms % 1000 * 1000};

    event_add(volume->again, &pause);
}

void
volume_ready_note(struct volume *volume, const struct book_answer *answer)
{
    int64_t now_ms = volume_now_ms(volume);

    if (answer->count > 0 || is_full(volume, answer->again_ms, now_ms)) {
        volume->preparing--;
        look_ready(volume);
    } else if (!event_pending(volume->again, EV_TIMEOUT, NULL)) {
        ask_at(volume, answer->again_ms, now_ms);
    }
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
    struct volume *volume = arg;
    int64_t now_ms = volume_now_ms(volume), next_ms = INT64_MAX;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < volume->prepared; i++) {
        const struct meter *meter = &meters_at(volume->meters, (uint32_t)i)->meter;

        if (meter_state(meter, now_ms) == METER_COLD)
            meters_want(volume->meters, (uint32_t)i);
        else if (meter->held == 0 && meter->again_ms < next_ms &&
                 !is_full(volume, meter->again_ms, now_ms))
            next_ms = meter->again_ms;
    }
    if (next_ms < INT64_MAX)
        ask_at(volume, next_ms, now_ms);
    volume_flush(volume);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
    struct volume *volume = arg;

    (void)fd;
    (void)what;
    if (volume->preparing > 0)
        log_warn("store: %zu of the first leases did not come in %d ms -- starting without them",
                 volume->preparing, VOLUME_READY_MS);
    else
        log_warn("store: what is suspended was not told in %d ms -- starting without it",
                 VOLUME_READY_MS);
    tell_ready(volume);
}

void
volume_ready_open(struct volume *volume)
{
    volume->late = evtimer_new(volume->base, on_late, volume);
    volume->again = evtimer_new(volume->base, on_again, volume);
}

void
volume_ready_close(struct volume *volume)
{
    event_free(volume->late);
    event_free(volume->again);
}

void
volume_prepare(struct volume *volume, void (*ready)(void *arg), void *arg)
{
    static const struct timeval limit = {VOLUME_READY_MS / 1000, VOLUME_READY_MS % 1000 * 1000};
    uint64_t before = volume->figures.asks;
    size_t count = volume->meters != NULL ? meters_count(volume->meters) : 0;

    for (size_t i = 0; i < count; i++)
        if (meters_is_used(volume->meters, (uint32_t)i))
            meters_want(volume->meters, (uint32_t)i);
    while (volume->store != NULL && count > 0) {
        uint64_t asks = volume->figures.asks;

        volume_flush(volume);
        if (volume->figures.asks == asks)
            break;
    }
    volume->ready = ready;
    volume->ready_arg = arg;
    volume->prepared = count;
    volume->preparing = (size_t)(volume->figures.asks - before);
    volume->ready_ms = volume_now_ms(volume) + VOLUME_READY_MS;
    event_add(volume->late, &limit);
    look_ready(volume);
}
