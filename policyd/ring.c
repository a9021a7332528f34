/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/ring.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { TEXTS = 8, ALIGN = 8 };

/* In the ring, with its texts behind it, each with its NUL. */
struct head {
    uint32_t size; /* of all this, a multiple of ALIGN */
    uint32_t kind;
    uint64_t number;
    int64_t at_ms;
    int64_t delay_ms;
};

/* Events stand from tail to head; when it has begun anew, from tail to end and from 0 to head. */
struct ring {
    size_t head, tail;
    size_t end;
    bool anew;
    uint64_t newest;
    _Alignas(ALIGN) char bytes[RING_BYTES];
};

struct ring *
ring_new(void)
{
    return mem_new(sizeof(struct ring));
}

void
ring_free(struct ring *ring)
{
    free(ring);
}

uint64_t
ring_newest(const struct ring *ring)
{
    return ring->newest;
}

static void
texts_of(const struct ring_event *event, const char *texts[static TEXTS])
{
    const char *const all[TEXTS] = {event->message_id, event->queue_id, event->recipient,
                                    event->stream,     event->address,  event->result,
                                    event->rule,       event->text};

    for (size_t i = 0; i < TEXTS; i++)
        texts[i] = all[i] != NULL ? all[i] : "";
}

static void
drop_oldest(struct ring *ring)
{
    struct head head;

    memcpy(&head, ring->bytes + ring->tail, sizeof(head));
    ring->tail += head.size;
    if (ring->tail == ring->end) {
        ring->tail = 0;
        ring->anew = false;
    }
}

/* A place for size bytes at head; what stands there goes. */
static char *
make_room(struct ring *ring, size_t size)
{
    while (ring->head + size > (ring->anew ? ring->tail : RING_BYTES))
        if (ring->anew) {
            drop_oldest(ring);
        } else {
            ring->end = ring->head;
            ring->head = 0;
            ring->anew = true;
        }
    return ring->bytes + ring->head;
}

void
ring_add(struct ring *ring, const struct ring_event *event)
{
    struct head head = {.kind = event->kind,
                        .number = ++ring->newest,
                        .at_ms = event->at_ms,
                        .delay_ms = event->delay_ms};
    const char *texts[TEXTS];
    size_t lengths[TEXTS], size = sizeof(head);
    char *place;

    texts_of(event, texts);
    for (size_t i = 0; i < TEXTS; i++)
        size += (lengths[i] = strnlen(texts[i], RING_TEXT_MAX)) + 1;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    head.size = (uint32_t)size;
    place = make_room(ring, size);
    memcpy(place, &head, sizeof(head));
    place += sizeof(head);
    for (size_t i = 0; i < TEXTS; i++) {
        memcpy(place, texts[i], lengths[i]);
        place[lengths[i]] = '\0';
        place += lengths[i] + 1;
    }
    ring->head += size;
}

/* Read the event at place; returns the size that it takes. */
static size_t
read_event(const char *place, struct ring_event *event)
{
    const char **const texts[TEXTS] = {&event->message_id, &event->queue_id, &event->recipient,
                                       &event->stream,     &event->address,  &event->result,
                                       &event->rule,       &event->text};
    struct head head;

    memcpy(&head, place, sizeof(head));
    place += sizeof(head);
    event->number = head.number;
    event->kind = (enum ring_kind)head.kind;
    event->at_ms = head.at_ms;
    event->delay_ms = head.delay_ms;
    for (size_t i = 0; i < TEXTS; i++) {
        *texts[i] = place;
        place += strlen(place) + 1;
    }
    return head.size;
}

/* Returns false when each did. */
static bool
each_from(const char *place, const char *end, uint64_t number,
          bool (*each)(void *arg, const struct ring_event *event), void *arg)
{
    while (place < end) {
        struct ring_event event;

        place += read_event(place, &event);
        if (event.number > number && !each(arg, &event))
            return false;
    }
    return true;
}

void
ring_each(const struct ring *ring, uint64_t number,
          bool (*each)(void *arg, const struct ring_event *event), void *arg)
{
    const char *bytes = ring->bytes;

    if (!ring->anew)
        each_from(bytes + ring->tail, bytes + ring->head, number, each, arg);
    else if (each_from(bytes + ring->tail, bytes + ring->end, number, each, arg))
        each_from(bytes, bytes + ring->head, number, each, arg);
}
