/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/feeds.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/maillog.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    TELL_US = 500, /* so long lines are told, then the loop's other work has its turn */
    LOOK_MS = 100, /* how often it is said that there is nothing more */
    ANSWER_SIZE = 64,
};

/* A batch that waits for its turn. */
struct batch {
    STAILQ_ENTRY(batch) next;
    uint64_t id, number;
    feeds_done_fn *done;
    void *arg; /* not ours */
    size_t length;
    size_t told; /* bytes */
    char bytes[];
};

STAILQ_HEAD(batch_list, batch);

struct feeds {
    struct event *timer;
    struct feeds_events events;
    struct batch_list waiting;
    size_t count;
    struct place_feeder feeders[PLACE_FEEDERS]; /* told so far; heard of last first */
    int64_t heard_ms[PLACE_FEEDERS];
};

static void
again(struct feeds *feeds, int ms)
{
    struct timeval time = {ms / 1000, ms % 1000 * 1000};

    event_add(feeds->timer, &time);
}

/* The feeder moves to the front; a new one takes the place of who was silent for longest. */
static struct place_feeder *
hear(struct feeds *feeds, uint64_t id)
{
    struct place_feeder feeder = {id, 0, 0};
    size_t i = 0;

    while (i < PLACE_FEEDERS - 1 && feeds->feeders[i].id != id)
        i++;
    if (feeds->feeders[i].id == id)
        feeder = feeds->feeders[i];
    memmove(feeds->feeders + 1, feeds->feeders, i * sizeof(feeder));
    memmove(feeds->heard_ms + 1, feeds->heard_ms, i * sizeof(*feeds->heard_ms));
    feeds->feeders[0] = feeder;
    feeds->heard_ms[0] = clock_ms(CLOCK_MONOTONIC_COARSE);
    return &feeds->feeders[0];
}

static void
end(struct feeds *feeds, struct batch *batch, const char *answer)
{
    STAILQ_REMOVE(&feeds->waiting, batch, batch, next);
    feeds->count--;
    batch->done(batch->arg, answer);
    free(batch);
}

static void
say_taken(char answer[ANSWER_SIZE], uint64_t number)
{
    snprintf(answer, ANSWER_SIZE, "taken %" PRIu64, number);
}

/* Tell some lines of the batch, whose feeder that is.  True when that was the last. */
static bool
tell(struct feeds *feeds, struct batch *batch, struct place_feeder *feeder)
{
    int64_t began_us = clock_us(CLOCK_MONOTONIC);

    while (batch->told < batch->length) {
        const char *start = batch->bytes + batch->told;
        const char *newline = memchr(start, '\n', batch->length - batch->told);
        size_t length = newline != NULL ? (size_t)(newline - start) : batch->length - batch->told;

        batch->told += length + (newline != NULL);
        feeder->told = batch->told;
        if (length < MAILLOG_LINE_MAX)
            feeds->events.on_line(feeds->events.arg, start, length);
        if (clock_us(CLOCK_MONOTONIC) - began_us > TELL_US)
            break;
    }
    return batch->told == batch->length;
}

/* Go on with the first that waits. */
static void
go_on(struct feeds *feeds, struct batch *batch)
{
    struct place_feeder *feeder = hear(feeds, batch->id);
    char answer[ANSWER_SIZE];

    if (!tell(feeds, batch, feeder))
        return;
    feeder->batch = batch->number;
    feeder->told = 0;
    say_taken(answer, batch->number);
    end(feeds, batch, answer);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct feeds *feeds = arg;

    (void)fd;
    (void)what;
    if (!STAILQ_EMPTY(&feeds->waiting))
        go_on(feeds, STAILQ_FIRST(&feeds->waiting));
    if (!STAILQ_EMPTY(&feeds->waiting)) {
        again(feeds, 0);
        return;
    }
    feeds->events.on_idle(feeds->events.arg);
    again(feeds, LOOK_MS);
}

void
feeds_take(struct feeds *feeds, const struct feed_head *head, const char *bytes,
           feeds_done_fn *done, void *arg)
{
    struct place_feeder *feeder = hear(feeds, head->id);
    uint64_t last = feeder->batch;
    char answer[ANSWER_SIZE];
    struct batch *batch;

    if (feeds->count >= FEEDS_WAITING_MAX) {
        done(arg, "error: too many batches wait");
        return;
    }
    STAILQ_FOREACH(batch, &feeds->waiting, next)
    if (batch->id == head->id) {
        done(arg, "error: a batch of yours is under way");
        return;
    }
    if (head->batch <= last || head->length == 0) {
        say_taken(answer, last);
        done(arg, answer);
        return;
    }
    /* of a feeder that was not heard of before, what comes is what it goes on with */
    if (last > 0 && head->batch != last + 1 && head->batch != head->oldest) {
        snprintf(answer, sizeof(answer), "resend %" PRIu64,
                 last + 1 > head->oldest ? last + 1 : head->oldest);
        done(arg, answer);
        return;
    }
    if (last > 0 && head->batch != last + 1)
        log_warn("feedback: %" PRIu64 " batches of lines are gone that were handed in before this "
                 "daemon was started -- results in them are not seen",
                 head->batch - last - 1);
    batch = mem_new(sizeof(*batch) + head->length);
    batch->id = head->id;
    batch->number = head->batch;
    batch->done = done;
    batch->arg = arg;
    batch->length = head->length;
    /* what was told of it before the daemon was started anew */
    batch->told = head->batch == last + 1 && feeder->told <= head->length ? feeder->told : 0;
    memcpy(batch->bytes, bytes, head->length);
    STAILQ_INSERT_TAIL(&feeds->waiting, batch, next);
    feeds->count++;
    again(feeds, 0);
}

void
feeds_where(const struct feeds *feeds, struct place *ret_place)
{
    *ret_place = (struct place){.kind = PLACE_PIPE};
    memcpy(ret_place->feeders, feeds->feeders, sizeof(feeds->feeders));
}

int
feeds_count(const struct feeds *feeds)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    int count = 0;

    for (size_t i = 0; i < PLACE_FEEDERS; i++)
        count += feeds->heard_ms[i] != 0 && now_ms - feeds->heard_ms[i] < FEED_SILENT_MS;
    return count;
}

struct feeds *
feeds_new(struct event_base *base, const struct place *from, const struct feeds_events *events)
{
    struct feeds *feeds = mem_new(sizeof(*feeds));

    STAILQ_INIT(&feeds->waiting);
    feeds->events = *events;
    if (from != NULL && from->kind == PLACE_PIPE)
        memcpy(feeds->feeders, from->feeders, sizeof(feeds->feeders));
    feeds->timer = event_new(base, -1, 0, on_timer, feeds);
    if (feeds->timer == NULL)
        abort(); /* as mem_new() does */
    again(feeds, 0);
    return feeds;
}

void
feeds_free(struct feeds *feeds)
{
    struct batch *batch;

    if (feeds == NULL)
        return;
    while ((batch = STAILQ_FIRST(&feeds->waiting)) != NULL)
        end(feeds, batch, "error: the log that is followed has changed");
    event_free(feeds->timer);
    free(feeds);
}
