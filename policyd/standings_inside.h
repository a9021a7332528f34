/*
 * The inside of struct standings: standings.c keeps records in step with the store,
 * standings_hear.c counts what happens, standings_question.c answers postpool(1).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_STANDINGS_INSIDE_H
#define POLICYD_STANDINGS_INSIDE_H

#include "engine/standing.h"
#include "policyd/standings.h"

#include <sys/queue.h>

enum { STANDINGS_BUCKETS = 65536 };

/* What this host sees of an account's mail in one stream. */
struct standings_stream {
    size_t stream; /* place in the snapshot */
    struct standing_watch watch;
};

/* One account. */
struct standings_item {
    LIST_ENTRY(standings_item) chain;
    TAILQ_ENTRY(standings_item) queue;
    bool queued;
    int64_t due_ms;            /* queued: not before that; CLOCK_MONOTONIC_COARSE */
    struct standing *standing; /* the record, and what this host knows beside it; NULL: no record */
    uint64_t version;          /* of the record in the store; 0: there is none */
    uint64_t stored;           /* hash of its text; 0: there is none */
    bool heard;                /* the store has told of it in this life, or got it from us */
    bool putting;
    enum grade said;             /* what the log knows */
    struct standing_day days[2]; /* what this host knows of today, and of the day before */
    uint32_t heard_s;            /* time of the last result among them */
    uint32_t skip_s;             /* what is earlier was counted in an earlier life */
    bool accused;                /* the store does not know of it yet: */
    int32_t accused_day;
    char accused_why[STANDING_WHY_SIZE];
    struct standing_hand *order; /* by hand, likewise; NULL: none */
    bool order_sent;             /* in the put under way */
    struct standings_stream *streams;
    size_t stream_count;
    unsigned generation; /* of the configuration that streams are of */
    char name[];
};

struct standings {
    struct standings_start start;
    const struct conf *conf; /* not ours */
    struct event *tick;
    int32_t turned_day; /* that records were turned to */
    int64_t day_ms;     /* since when it is that day, by a clock that may be wrong for a while;
                           CLOCK_MONOTONIC_COARSE */
    LIST_HEAD(standings_chain, standings_item) buckets[STANDINGS_BUCKETS];
    TAILQ_HEAD(standings_queue, standings_item) queue; /* those that changed, as they fall due */
    unsigned generation;                               /* of conf */
    size_t count, records;
    size_t swept; /* bucket */
    bool full;    /* told */
};

/* NULL: nothing is known of it. */
struct standings_item *standings_find(struct standings *standings, const char *account);

/* NULL: it is no name of an account, or there are too many. */
struct standings_item *standings_make(struct standings *standings, const char *account);

int32_t standings_day(int64_t time_s);
int64_t standings_now_s(const struct standings *standings);

/* It changed: make the record anew, soon or at once, and put it. */
void standings_touch(struct standings *standings, struct standings_item *item);
void standings_update(struct standings *standings, struct standings_item *item);

/* standings_hear.c: what this host knows of day; NULL: neither today nor the day before. */
struct standing_figures *standings_figures(struct standings *standings, struct standings_item *item,
                                           int32_t day);

#endif
