/*
 * The inside of a world: world.c turns its clock and decides, world_lanes.c has what waits,
 * world_books.c is its store, world_days.c its calendar and warm-ups, world_curbs.c what replies
 * bring about, world_count.c counts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WORLD_INSIDE_H
#define ENGINE_WORLD_INSIDE_H

#include "engine/bucket.h"
#include "engine/heap.h"
#include "engine/world.h"

struct allowances;
struct book;
struct curbs;
struct meters;
struct roster;

enum { WORLD_SLOTS = 4096 };

/* Recipients that came in within a minute. */
struct world_entry {
    int64_t since_ms;
    uint64_t key, token;
    uint32_t count;
    bool apart;
};

/* What waits for the same: what has room for one of it has room for the next. */
struct world_lane {
    const struct stream *stream;
    size_t provider;
    enum grade grade;
    int32_t quiet_days;
    char *account, *domain;  /* owned; "": they do not matter */
    struct world_lane *next; /* of the same slot */
    uint64_t hash;
    size_t place;                /* the heap's */
    int64_t up_ms;               /* when it is looked at */
    bool closed;                 /* none of it can leave before that */
    struct world_entry *entries; /* owned; from first on, the oldest first */
    size_t first, count, room;
};

/* An address that warms up. */
struct world_warm {
    const struct address *address;
    struct warmup warmup;
    struct warmup_figures today, before; /* of the days of the calendar */
};

struct world_breaker {
    struct world_breaker *next; /* of the same slot */
    const struct address *address;
    const struct provider *provider;
    char *name; /* account or domain, owned; NULL */
    enum world_accused scope;
    struct breaker breaker;
    int64_t probed_ms;
};

/* A most in a minute, an hour or a day of the clock. */
struct world_most {
    int64_t minute, minute_most, hour, hour_most;
    int32_t day, day_most;
    uint64_t in_minute, in_hour, in_day, minute_count, hour_count, day_count;
};

struct world_days {
    int32_t day;
    struct world_address *addresses; /* owned, as are the others */
    struct world_stream *streams;
    uint64_t *providers;
};

struct world {
    struct world_setup setup;
    const struct snapshot *snapshot; /* not ours */
    int64_t now_ms;
    bool failed; /* no memory */

    struct roster *roster;
    struct meters *meters;         /* NULL: nothing has caps */
    struct allowances *allowances; /* NULL: nothing warms up */
    struct curbs *curbs;
    struct book *books; /* by number of the meter; owned */
    size_t book_count;
    int64_t sweep_ms;

    struct world_lane *slots[WORLD_SLOTS];
    struct heap heap;
    struct bucket wakes;
    int64_t stir_ms; /* all lanes are looked at; INT64_MAX: there is no cause */

    struct world_warm *warms; /* by their places in the snapshot, owned */
    size_t warm_count;
    int64_t midnight_ms, turn_ms; /* the next ones */

    struct world_breaker *breakers[WORLD_SLOTS];
    size_t breaker_count;
    int64_t tick_ms;

    struct world_days *days; /* owned */
    size_t day_count, day_room;
    struct world_stream *streams; /* by stream.index; owned, as are the others */
    uint64_t *of;                 /* address x stream */
    uint64_t *to;                 /* pool x provider */
    struct world_most *mosts;     /* pool x (provider and, behind, all of them) */
};

/* world.c: no memory; nothing is as it should be from now on.  Returns ptr. */
void *world_must(struct world *world, void *ptr);

/* Decide on one recipient, with the store asked for whatever that needs. */
void world_decide(struct world *world, const struct world_lane *lane, uint64_t key,
                  struct decision *decision, struct decide_question *question);

/* It leaves. */
void world_leave(struct world *world, const struct world_lane *lane,
                 const struct world_entry *entry, const struct decide_question *question,
                 const struct decision *decision);

/* From when on its stream may send: now, or later. */
int64_t world_opens_ms(const struct world *world, const struct stream *stream);

/* Something may have room sooner than was said. */
void world_stir(struct world *world);

/* world_books.c */
void world_ask_store(struct world *world);
void world_sweep(struct world *world);
void world_clear_books(struct world *world);

/* world_lanes.c */
void world_lanes_begin(struct world *world);
struct world_lane *world_lane_find(struct world *world, const struct world_lane *like);
void world_lane_add(struct world *world, const struct world_lane *like,
                    const struct world_entry *entry, int64_t up_ms, bool closed);
void world_lane_step(struct world *world, struct world_lane *lane);
void world_lanes_stir(struct world *world);
void world_lanes_clear(struct world *world);

/* When what had no room is worth looking at again; closed: none of its kind will have room before.
 */
int64_t world_room_ms(const struct world *world, const struct decision *decision, bool *closed);

/* world_days.c */
bool world_days_begin(struct world *world);
void world_midnight(struct world *world);
void world_turn(struct world *world);
void world_days_clear(struct world *world);
struct world_warm *world_warm(const struct world *world, const struct address *address);

/* world_curbs.c */
void world_tick(struct world *world);
void world_curbs_clear(struct world *world);

/* world_count.c */
bool world_count_begin(struct world *world);
void world_count_clear(struct world *world);
void world_count_day(struct world *world, int32_t day);
void world_count_offered(struct world *world, const struct world_lane *lane, uint32_t count);
void world_count_waits(struct world *world, const struct stream *stream, uint32_t count);
void world_count_sent(struct world *world, const struct world_sent *sent, bool at_once);
void world_count_back(struct world *world, const struct world_sent *sent, uint32_t count);
void world_count_ended(struct world *world, const struct world_ended *ended);
struct world_days *world_today(const struct world *world);

#endif
