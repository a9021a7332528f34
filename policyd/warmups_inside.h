/*
 * The inside of struct warmups: warmups.c keeps it in step with the store,
 * warmups_hear.c hears what happens, warmups_question.c answers postpool(1).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_WARMUPS_INSIDE_H
#define POLICYD_WARMUPS_INSIDE_H

#include "engine/warmup.h"
#include "policyd/warmups.h"

/* What this host knows of one day. */
struct warmups_day {
    int32_t day;
    struct warmup_figures figures;
};

struct warmups_order {
    enum warmup_order order;
    char who[WARMUP_WHO_SIZE];
    char why[WARMUP_WHY_SIZE];
};

/* One address of the configuration that warms up. */
struct warmups_item {
    const struct address *address; /* of the configuration */
    struct warmup now;             /* the stored one, and what this host knows beside it */
    struct warmup said;            /* what the log knows */
    struct warmup stored;
    uint64_t version; /* of that; 0: there is none */
    bool heard;       /* the store has told what it has */
    bool dirty;       /* something may have changed since it was made */
    int64_t made_ms;  /* when that was; CLOCK_MONOTONIC_COARSE */
    bool putting;
    int64_t put_ms;             /* when that was, or the last one; CLOCK_MONOTONIC_COARSE */
    struct warmups_day days[2]; /* today, and the day before */
    struct warmups_order orders[WARMUPS_ORDERS_MAX];
    size_t order_count;
    size_t sent; /* so many of them are in the put under way */
};

struct warmups {
    struct warmups_start start;
    const struct conf *conf; /* not ours */
    struct event *tick;
    unsigned ticks;
    size_t next;                /* where the next tick begins */
    int32_t today;              /* as the last tick knew it, ... */
    int32_t turned_day;         /* ... and the day that warm-ups were turned to, ... */
    int64_t day_ms;             /* ... since when it is that; CLOCK_MONOTONIC_COARSE */
    struct warmups_item *items; /* owned */
    size_t count;
};

/* NULL: it does not warm up. */
struct warmups_item *warmups_find(struct warmups *warmups, const struct address *address);

struct warmup_plan warmups_plan(const struct warmups *warmups, const struct address *address);

/* Recipients a day at its stage; WARMUP_UNLIMITED. */
uint32_t warmups_volume(const struct warmups_item *item);

/* The day of the calendar at that time, in the time zone of the configuration. */
int32_t warmups_day(const struct warmups *warmups, int64_t time_s);
int32_t warmups_today(const struct warmups *warmups);

/* Make it.now anew; and put it, if it is worth it. */
void warmups_update(struct warmups *warmups, struct warmups_item *item, bool urgent);

/* Have what is new of all of them take effect. */
void warmups_recap(struct warmups *warmups);

/* warmups_hear.c: what this host knows of day; NULL: that is neither today nor the day before. */
struct warmup_figures *warmups_figures(struct warmups *warmups, struct warmups_item *item,
                                       int32_t day);

/* What holds now is an event of today. */
void warmups_look(struct warmups *warmups, struct warmups_item *item);

#endif
