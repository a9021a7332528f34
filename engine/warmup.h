/*
 * The warm-up of one address: day by day it may send more, as long as what it
 * sends is taken well.
 *
 * A day that is over moves it along its schedule (engine/schedule.h):
 *   on     so much of the day's allowance was used that it counts as a sending
 *          day, enough of that was accepted, and there was no event
 *   held   too little was used, too much refused, a warning, a suspension
 *   back   some stages: the address was blocked
 *   again  some stages back: nothing was sent for many days
 * Behind the last stage it has its full volume, and only idleness takes that away.
 * While it is paused it stays where it is.
 *
 * Nodes share the state as a record of the store, written by compare and set; its
 * version is the owner's to keep.  Each node notes its own figures of the day,
 * absolute and never less than before, so that notes may come twice and in any
 * order; the day is then turned from what stands in the record, and whoever
 * does it first, it comes to the same.  Those who come later find it done.  So that
 * figures of the last minutes count, a node notes what it has when the day is over, and
 * nobody turns it before all have had time for that; until then the allowance of the new
 * day is the lesser of what it was and what it would be.
 *
 * A value without pointers.  Pure: which day it is is told.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WARMUP_H
#define ENGINE_WARMUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule;

enum {
    WARMUP_PAST_MAX = 28,  /* entries of its history; the oldest gives way */
    WARMUP_ORDERS_MAX = 6, /* likewise, of what was done by hand */
    WARMUP_NODES_MAX = 16, /* that send from one address on one day; more are not counted */
    WARMUP_WHO_SIZE = 32,
    WARMUP_WHY_SIZE = 96,
    WARMUP_FIGURE_MAX = 1000000000,
    WARMUP_AHEAD_MAX = 1,    /* days that clocks and time zones of nodes may be apart */
    WARMUP_TEXT_SIZE = 4096, /* room for any state as text */
};

#define WARMUP_UNLIMITED UINT32_MAX

/* Each 1 or more. */
struct warmup_rules {
    int used_percent;     /* of a day's allowance, 1 to 100: it is a sending day */
    int accepted_percent; /* of that, 1 to 100: it goes on */
    int back_stages;      /* after a block */
    int idle_days;        /* in a row, ... */
    int again_stages;     /* ... and it goes so many back */
};

/* How it is to go. */
struct warmup_plan {
    const struct schedule *schedule; /* not ours */
    struct warmup_rules rules;
};

/* What may happen to it on a day. */
enum warmup_event {
    WARMUP_WARNED = 1,    /* slowed down */
    WARMUP_SUSPENDED = 2, /* for whatever cause, and if only for part of the day */
    WARMUP_BLOCKED = 4,   /* somebody takes nothing from it, because of what it is */
};
#define WARMUP_EVENTS_ALL (WARMUP_WARNED | WARMUP_SUSPENDED | WARMUP_BLOCKED)

/*
 * A day so far.  used: what counts against the allowance.  accepted, refused: results that tell
 * how it is thought of; greylisting and recipients that do not exist are neither.
 */
struct warmup_figures {
    uint32_t used, accepted, refused;
    uint32_t events; /* enum warmup_event */
};

enum warmup_phase {
    WARMUP_NONE, /* all zero: it never began */
    WARMUP_RUNNING,
    WARMUP_PAUSED,
    WARMUP_FULL, /* behind the last stage */
};

/* What a day came to. */
enum warmup_result {
    WARMUP_ADVANCES,
    WARMUP_FEW,     /* held: too little was sent */
    WARMUP_REFUSED, /* held: too little of it was accepted */
    WARMUP_WARNING, /* held */
    WARMUP_HELD,    /* it was suspended */
    WARMUP_BACK,    /* it was blocked */
    WARMUP_IDLE,    /* nothing was sent */
    WARMUP_AGAIN,   /* nothing was sent for too long */
    WARMUP_WAITS,   /* paused */
    WARMUP_STAYS,   /* full volume */
};

/* Days that are over: one, or several in a row that came to the same without much to tell. */
struct warmup_past {
    int32_t day; /* the first of them, as in engine/date.h */
    int32_t days;
    uint32_t allowance; /* of each */
    enum warmup_result result;
    struct warmup_figures figures; /* of all of them */
};

enum warmup_order { WARMUP_START, WARMUP_PAUSE, WARMUP_ADVANCE, WARMUP_GO_BACK };

struct warmup_ordered {
    int32_t day;
    enum warmup_order order;
    char who[WARMUP_WHO_SIZE];
    char why[WARMUP_WHY_SIZE];
};

struct warmup_node {
    uint64_t node; /* made of its name */
    uint32_t used, accepted, refused;
};

struct warmup {
    enum warmup_phase phase;
    int32_t started;    /* when it was wanted to */
    int32_t day;        /* under way; those before it are turned */
    uint32_t idle_days; /* in a row, up to it */
    uint32_t volume;    /* recipients a day: its stage, also when the schedule changes */
    uint32_t events;    /* of the day */
    struct warmup_node nodes[WARMUP_NODES_MAX]; /* their figures of the day */
    size_t node_count;
    struct warmup_past past[WARMUP_PAST_MAX]; /* the newest last */
    size_t past_count;
    struct warmup_ordered ordered[WARMUP_ORDERS_MAX]; /* likewise */
    size_t ordered_count;
};

/* The most recipients; WARMUP_UNLIMITED. */
struct warmup_allowance {
    uint32_t day, hour;
};

/*
 * Begin today, at the first stage; started is when that was wanted.  False: it began for that or
 * a later one, and nothing is changed, so that nodes whose configurations differ for a while agree.
 */
bool warmup_begin(struct warmup *warmup, const struct warmup_plan *plan, int32_t started,
                  int32_t today);

/* Its stage, from 0; that after the last for its full volume. */
size_t warmup_stage(const struct warmup *warmup, const struct schedule *schedule);

/*
 * What it may send on day: in all, where provider is NULL, else at that provider, which is a part
 * of that and not beside it.  For a day that is over, what held then; 0 for one before it began.
 * Without a warm-up there is no limit.
 */
struct warmup_allowance warmup_allowance(const struct warmup *warmup,
                                         const struct warmup_plan *plan, const char *provider,
                                         int32_t day);

/*
 * The figures of the node on day so far.  False: nothing new.  Figures of a day that is over are
 * late and not counted; but what happened on it, and was not known, then happened to the day
 * under way.  A day to come must be turned to first.
 */
bool warmup_note(struct warmup *warmup, int32_t day, const char *node,
                 const struct warmup_figures *figures);

/* The sums of all nodes on the day under way. */
struct warmup_figures warmup_today(const struct warmup *warmup);

/* Of them, those of one node. */
struct warmup_figures warmup_of_node(const struct warmup *warmup, const char *node);

/* The day under way is over: what it comes to is the newest of the history.  Not for WARMUP_NONE.
 */
enum warmup_result warmup_turn(struct warmup *warmup, const struct warmup_plan *plan);

/*
 * The same until today is under way; the days in between had no mail.  Returns how many were
 * turned.  One that is further than WARMUP_AHEAD_MAX days ahead was turned by a clock that was
 * wrong: it comes back to today, and forgets the days that are to come.
 */
int32_t warmup_turn_to(struct warmup *warmup, const struct warmup_plan *plan, int32_t today);

/*
 * By hand, on the day under way, and in its history with who and why: one line each, cut to fit,
 * as printable ASCII.  START goes on where it was paused, and begins anew at its full volume, or
 * where it never began.  0; -EALREADY: it is so; -ERANGE: there is no such stage, or nothing to
 * pause.
 */
int warmup_order(struct warmup *warmup, const struct warmup_plan *plan, enum warmup_order order,
                 int32_t today, const char *who, const char *why);

/* Called for each day up to the one of full volume. */
typedef void warmup_forecast_fn(void *arg, int32_t day, uint32_t allowance);

/*
 * If volume recipients a day want to leave from it, and all that do are accepted: the first day
 * of full volume, or -1: that is too little for some stage, or it is paused.  each may be NULL.
 */
int32_t warmup_forecast(const struct warmup *warmup, const struct warmup_plan *plan,
                        uint32_t volume, warmup_forecast_fn *each, void *arg);

/* As text.  warmup_parse() takes what warmup_print() wrote: 0, or -EINVAL. */
size_t warmup_print(const struct warmup *warmup, char text[static WARMUP_TEXT_SIZE]);
int warmup_parse(const char *text, size_t length, struct warmup *ret_warmup);

/* For people. */
const char *warmup_result_text(enum warmup_result result);
const char *warmup_order_text(enum warmup_order order);

#endif
