/*
 * The inside of what hosts show each other, for the modules it is made of:
 *
 *   hours_share.c  one step at a time, by the store and by the thread
 *   hours_show.c   what changed here
 *   hours_take.c   what others show
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_SHARE_INSIDE_H
#define POLICYD_HOURS_SHARE_INSIDE_H

#include "policyd/hours_pages.h"
#include "policyd/hours_share.h"
#include "policyd/store.h"

#define HOURS_TOP "hours"

enum {
    HOURS_KEY_SIZE = 64,
    HOURS_STAMP_SIZE = 24,
    HOURS_MARGIN_MS = 3600 * 1000, /* keys stay for so much longer */
};

/* A host's file of figures, as the store has it. */
struct source {
    char id[HOURS_ID_SIZE];
    int64_t there, known; /* stamps: what it shows, and up to where that is kept here; 0: not */
};

struct hours_share {
    struct event_base *base; /* not ours */
    struct conf *conf;       /* not ours */
    struct volume *volume;   /* not ours */
    struct hours_thread *thread;
    struct event *timer;
    bool busy;             /* a call of the store or of the thread is under way */
    struct share_job *job; /* of the thread; not ours while it is with it */
    char why[160];         /* what went wrong last; "": nothing since it went well */
    bool said;             /* and so was it in the log */

    char id[HOURS_ID_SIZE];             /* of the own file; "": not known yet */
    int64_t stamp;                      /* that was shown last; -1: not known */
    int64_t generation;                 /* of the store's data */
    bool compare;                       /* does the store have what was shown? */
    int64_t compare_ms;                 /* when that was asked last; CLOCK_MONOTONIC */
    bool show;                          /* there may be more that changed here ... */
    bool changed;                       /* since it was looked at last */
    int64_t below;                      /* ... before this hour */
    int64_t show_ms, look_ms, again_ms; /* not before; CLOCK_MONOTONIC */
    bool wanted;
    bool turn;   /* the other side's: showing and taking take turns */
    bool looked; /* at the sources, since something went wrong last */

    struct hours_version showing;
    struct hours_page page; /* of that hour */
    int64_t left;           /* hours that are not shown yet */
    int64_t merged;         /* rows of that page that were too many */

    struct hours_version *stale; /* owned; hours in the own list that are too old */
    size_t stale_count;

    struct source *sources; /* owned */
    size_t source_count;
    struct source *taking;          /* whose list is worked through; NULL: nobody's */
    int64_t taking_stamp;           /* its stamp then */
    bool dropping;                  /* it shows nothing any more */
    struct hours_version *versions; /* owned; what is to be taken of it */
    size_t version_count, version_next;
    int64_t as_of_ms, looked_ms;
    uint64_t shown, taken, odd; /* pages */
};

/* Everything that a step needs of the file. */
struct share_job {
    struct hours_share *share; /* NULL: it is gone */
    enum share_what {
        SHARE_ID,
        SHARE_NEXT,
        SHARE_SHOWN,
        SHARE_COMPARE,
        SHARE_WANTED,
        SHARE_TAKE
    } what;
    char id[HOURS_ID_SIZE];
    char *node; /* owned */
    struct hours_version version;
    struct hours_page page;
    int64_t left, oldest, below;
    struct hours_version *versions; /* owned */
    size_t count;
    char *bytes; /* owned */
    size_t length;
    bool odd;
    int found;
};

/* A step is over; it went wrong: begin anew a little later, with the question what the store has.
 */
void hours_share_next(struct hours_share *share);
void hours_share_fail(struct hours_share *share, const char *why);

/* All that was counted here is shown, or some of it. */
void hours_share_well(struct hours_share *share);

/* The step is a call of the store, or of the thread, which job becomes. */
void hours_share_call(struct hours_share *share, const struct store_hash *hash,
                      store_hash_fn *done);
struct share_job *hours_share_job(struct hours_share *share, enum share_what what);
void hours_share_hand_over(struct hours_share *share, struct share_job *job);

/* Hours and versions of the file with that id; they are from a stranger. */
void hours_share_ask_list(struct hours_share *share, const char *id, store_hash_fn *done);
struct hours_version *hours_share_read_list(const struct store_hash_item *items, size_t count,
                                            size_t *ret_count);
bool hours_share_read_number(const char *text, int64_t *ret_number); /* 0 or more */

void hours_share_drop(struct hours_share *share, const char *key, const char *field);

/* The oldest hour that is kept. */
int64_t hours_share_oldest(const struct hours_share *share);

/* hours_show.c; false: nothing is to be done now. */
bool hours_show_next(struct hours_share *share, int64_t now_ms);
void hours_show_page(struct hours_share *share); /* that of share->showing */
void hours_show_compare(struct hours_share *share);
void hours_show_drop_stale(struct hours_share *share);

/* hours_take.c; false: all that others show is here. */
bool hours_take_next(struct hours_share *share);
void hours_take_stop(struct hours_share *share);

/* NULL: there are too many. */
struct source *hours_take_source(struct hours_share *share, const char *id);

#endif
