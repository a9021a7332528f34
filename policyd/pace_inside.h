/*
 * The inside of struct pace: pace.c wakes, pace_hear.c hears what there is to wake.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_PACE_INSIDE_H
#define POLICYD_PACE_INSIDE_H

#include "engine/grants.h"
#include "lib/maillog.h"
#include "policyd/pace.h"

struct deferrals;
struct event;
struct waiter;
struct waiting;

/* A message that was woken, and the grant that waits for it. */
struct reserved {
    struct grant_key key;
    int64_t until_ms;
    int64_t again_ms; /* not asked for by then: it is woken once more */
    char queue_id[MAILLOG_QUEUE_ID_MAX + 1];
};

struct pace {
    struct pace_start start;
    const struct conf *conf; /* not ours */
    struct waiting *waiting;
    struct deferrals *deferrals;
    struct event *tick;
    struct reserved reserved[PACE_RESERVED_MAX];
    size_t reserved_count;
    int64_t heard_ms;  /* the first outcome since all that there is was told; 0: it is */
    uint64_t last_key; /* of the last lookup that was answered, see PACE_CACHED_MS */
    int64_t last_ms;   /* and when */
    uint64_t used;     /* grants that were reserved, and asked for */
    uint64_t unused;   /* went back */
    unsigned vain;     /* of these in a row, without one that was asked for */
    uint64_t hits;     /* messages that a suspension hit, or that were refused for good by one */
};

/* The grant of that number is asked for no more: the last takes its place. */
void pace_drop_reserved(struct pace *pace, size_t number);

/* Nothing waits any more; all that is reserved goes back. */
void pace_forget_all(struct pace *pace);

/* Look again soon: in wait_ms. */
void pace_schedule(struct pace *pace, int64_t wait_ms);

#endif
