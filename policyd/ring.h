/*
 * What was decided and what became of it, the newest RING_BYTES of it.  Pure.
 *
 * Adding copies a few short texts; looking goes through all of it, some
 * milliseconds, and is for people who ask.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_RING_H
#define POLICYD_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RING_BYTES = 8 * 1024 * 1024, /* about 40,000 events */
    RING_TEXT_MAX = 500,          /* bytes of a text; the rest is cut off */
};

enum ring_kind {
    RING_DECIDED, /* for one recipient: address, or none and text says why */
    RING_RESULT,  /* of one attempt, as the log tells */
    RING_NOTE,    /* something else: text */
};

/* Texts that are NULL count as "". */
struct ring_event {
    uint64_t number; /* grows by one with each event, from 1; ring_add() sets it */
    enum ring_kind kind;
    int64_t at_ms;          /* time of day */
    const char *message_id; /* as in the tag; see outcome.h */
    const char *queue_id;   /* RING_RESULT */
    const char *recipient;
    const char *stream;
    const char *address; /* "": none */
    const char *result;  /* RING_RESULT: "sent", "deferred", "bounced"; RING_DECIDED: the pool */
    const char *rule;    /* RING_RESULT: that the reply falls under */
    const char *text;
    int64_t delay_ms; /* RING_RESULT: since the message came in; -1: not known */
};

struct ring;

struct ring *ring_new(void);
void ring_free(struct ring *ring); /* takes NULL */

/* The texts are copied. */
void ring_add(struct ring *ring, const struct ring_event *event);

/* The number of the newest event; 0: there was none yet. */
uint64_t ring_newest(const struct ring *ring);

/*
 * Call each for the events behind number, oldest first, until it returns false;
 * the event and its texts are gone when it returns, and it may not add any.
 */
void ring_each(const struct ring *ring, uint64_t number,
               bool (*each)(void *arg, const struct ring_event *event), void *arg);

#endif
