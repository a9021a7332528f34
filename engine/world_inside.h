/*
 * The inside of a world: world.c turns its clock and decides, world_lanes.c has what waits,
 * world_gates.c when it is looked at, world_books.c is its store, world_days.c its calendar and
 * warm-ups, world_curbs.c what replies bring about, world_standings.c what accounts have earned,
 * world_count.c counts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WORLD_INSIDE_H
#define ENGINE_WORLD_INSIDE_H

#include "engine/bucket.h"
#include "engine/heap.h"
#include "engine/standing.h"
#include "engine/world.h"

struct allowances;
struct book;
struct curbs;
struct meters;
struct roster;

enum { WORLD_SLOTS = 4096, WORLD_GATES = 256, WORLD_ACCOUNT_SLOTS = 65536 };

/* Recipients that came in within a minute. */
struct world_entry {
    int64_t since_ms;
    uint64_t key, token;
    uint32_t count;
    bool apart;
};

/* What has room for one of its lanes has room for all, as far as their accounts have. */
struct world_gate {
    const struct stream *stream;
    size_t provider;
    enum grade grade;
    int32_t quiet_days;
    struct world_gate *next; /* of the same slot */
    size_t place;            /* the heap's */
    int64_t up_ms;           /* when it is looked at */
    bool closed;             /* nobody has room before that */
    uint64_t outside;        /* recipients that count for peaks as the hours begin */
    struct heap lanes;       /* that wait for it, the oldest first; none: it is in no heap */
};

/* What waits, of one account where that matters. */
struct world_lane {
    const struct stream *stream;
    size_t provider;
    enum grade grade;
    int32_t quiet_days;
    char *account, *domain; /* owned; "": they do not matter */
    struct world_gate *gate;
    struct world_lane *next; /* of the same slot */
    uint64_t hash;
    size_t place;  /* of a heap, */
    bool sleeps;   /* that of those which wait for a time of their own; else its gate's */
    int64_t up_ms; /* sleeps: that */
    bool closed;   /* sleeps: it has no room before */
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
    struct world_breaker *next_of_all;
    const struct address *address;
    const struct provider *provider;
    char *name; /* account or domain, owned; NULL */
    enum world_accused scope;
    struct breaker breaker;
    int64_t probed_ms;
};

struct world_watch {
    const struct stream *stream;
    struct standing_watch watch;
};

/* What is known of an account. */
struct world_account {
    struct world_account *next;       /* of the same slot */
    struct world_account *next_dirty; /* of those whose records are to be made anew */
    bool dirty;                       /* it is one of these */
    enum grade grade;
    struct standing *standing;   /* its record, owned; NULL: it has none */
    struct standing_day days[2]; /* today, and the day before */
    uint32_t heard_s;            /* time of its last result */
    bool accused;
    int32_t accused_day;
    char why[STANDING_WHY_SIZE];
    struct world_watch *watches; /* owned */
    size_t watch_count;
    char name[];
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
    size_t grades[GRADES];
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

    struct world_gate *gates[WORLD_GATES];
    struct world_lane *lanes[WORLD_SLOTS];
    size_t lane_count;
    struct heap up;     /* gates that have lanes */
    struct heap asleep; /* lanes */
    struct bucket wakes;
    int64_t stir_ms; /* all lanes are looked at; INT64_MAX: there is no cause */

    struct world_warm *warms; /* by their places in the snapshot, owned */
    size_t warm_count;
    int64_t midnight_ms, turn_ms; /* the next ones */

    struct world_breaker *breakers[WORLD_SLOTS];
    struct world_breaker *all_breakers;
    size_t breaker_count;
    int64_t tick_ms;

    struct world_account **accounts; /* owned; NULL: nothing is earned */
    struct world_account *dirty;     /* a list */
    size_t account_count, record_count;
    size_t grades[GRADES];
    int64_t stand_ms; /* when records are turned */

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

/* world_lanes.c.  Lanes of the same stream, provider, grade and quiet_days have the same. */
uint64_t world_kind_hash(const struct world_lane *like);
struct world_lane *world_lane_find(const struct world *world, const struct world_lane *like);

/* With nothing in it, at no gate and in no heap; so it must be at its end. */
struct world_lane *world_lane_new(struct world *world, const struct world_lane *like);
void world_lane_end(struct world *world, struct world_lane *lane);
void world_lane_free(struct world_lane *lane);

/* Behind all that is in it, so that it keeps its place in a heap.  False: no memory. */
bool world_lane_put(struct world *world, struct world_lane *lane, const struct world_entry *entry);

/* It is in no heap. */
void world_lane_regrade(struct world *world, struct world_lane *lane, enum grade grade);

/* Some of the first entry are gone; false: nothing is left. */
bool world_lane_take(struct world_lane *lane, uint32_t count);

/* What is too old is given up.  Likewise. */
bool world_lane_give_up(struct world *world, struct world_lane *lane);

/* When the first of it came in, and is given up; INT64_MAX: it is empty, or never. */
int64_t world_lane_oldest(const struct world_lane *lane);
int64_t world_lane_ends_ms(const struct world *world, const struct world_lane *lane,
                           bool *deadline);

/* world_gates.c */
void world_lanes_begin(struct world *world);
void world_lanes_clear(struct world *world);

/* Until when mail like that has no room, as is known; 0: nothing is. */
int64_t world_lanes_closed_ms(struct world *world, const struct world_lane *like, bool *own);

/* own: it waits for something that others like it do not wait for. */
void world_lane_add(struct world *world, const struct world_lane *like,
                    const struct world_entry *entry, int64_t up_ms, bool closed, bool own);

/* So many of those that were added came in outside their hours. */
void world_lanes_outside(struct world *world, const struct world_lane *like, uint32_t count);

/* When something is to be looked at; and look at it. */
int64_t world_lanes_up_ms(const struct world *world);
void world_lanes_step(struct world *world);

/* All of it is to be looked at. */
void world_lanes_stir(struct world *world);

/* What had no room: when it is worth looking again.  closed, own: as above. */
int64_t world_room_ms(const struct world *world, const struct world_lane *lane,
                      const struct decision *decision, bool *closed, bool *own);

/* world_days.c */
bool world_days_begin(struct world *world);
void world_midnight(struct world *world);
void world_turn(struct world *world);
void world_days_clear(struct world *world);
struct world_warm *world_warm(const struct world *world, const struct address *address);

/* world_standings.c.  otherwise: where accounts have no standing, or there is none. */
bool world_standings_begin(struct world *world);
void world_standings_clear(struct world *world);
enum grade world_grade(const struct world *world, const char *name, enum grade otherwise);
void world_stand_by(struct world *world, const struct world_sent *sent,
                    const struct world_reply *reply);
void world_stand_again(struct world *world); /* those that have new results */
void world_stand(struct world *world);       /* all, when a day is over */

/* world_curbs.c */
void world_tick(struct world *world);
void world_curbs_clear(struct world *world);

/* world_count.c */
bool world_count_begin(struct world *world);
void world_count_clear(struct world *world);
void world_count_day(struct world *world, int32_t day);
void world_count_offered(struct world *world, const struct stream *stream, uint32_t count);
void world_count_peak(struct world *world, const struct stream *stream, size_t provider,
                      enum grade grade, uint64_t count);
void world_count_waits(struct world *world, const struct stream *stream, uint32_t count);
void world_count_sent(struct world *world, const struct world_sent *sent, bool at_once);
void world_count_back(struct world *world, const struct world_sent *sent, uint32_t count);
void world_count_ended(struct world *world, const struct world_ended *ended);
struct world_days *world_today(const struct world *world);

#endif
