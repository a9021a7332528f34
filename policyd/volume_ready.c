/*
 * The first leases: asked for at the start, again where the store has none yet.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"
#include "lib/log.h"
#include "policyd/store.h"
#include "policyd/volume_inside.h"

#include <event2/event.h>

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

void
volume_ready_note(struct volume *volume, const struct book_answer *answer)
{
    int64_t pause_ms = answer->again_ms - volume_now_ms(volume);
    struct timeval pause = {0, 1000};

    if (answer->count > 0 || answer->again_ms > volume->ready_ms) {
        if (--volume->preparing == 0)
            tell_ready(volume);
        return;
    }
    if (event_pending(volume->again, EV_TIMEOUT, NULL))
        return;
    if (pause_ms > 0) {
        pause.tv_sec = pause_ms / 1000;
        pause.tv_usec = pause_ms % 1000 * 1000;
    }
    event_add(volume->again, &pause);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
    struct volume *volume = arg;
    int64_t now_ms = volume_now_ms(volume);

    (void)fd;
    (void)what;
    for (size_t i = 0; i < volume->prepared; i++)
        if (meter_state(&meters_at(volume->meters, (uint32_t)i)->meter, now_ms) == METER_COLD)
            meters_want(volume->meters, (uint32_t)i);
    volume_flush(volume);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
    struct volume *volume = arg;

    (void)fd;
    (void)what;
    log_warn("store: %zu of the first leases did not come in %d ms -- starting without them",
             volume->preparing, VOLUME_READY_MS);
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
    if (volume->preparing == 0)
        tell_ready(volume);
    else
        event_add(volume->late, &limit);
}
