/*
 * Hosts that share a store for many show each other what they counted: each its
 * hours as pages (policyd/hours_page.h), whole sums, what changed about every ten
 * seconds; and each keeps the pages of the others in its file of figures.
 *
 * In the store, as hashes:
 *
 *   hours           id of a file of figures -> a stamp, another one after each page
 *   hours:ID        hour -> version of that hour
 *   hours:ID:HOUR   "page" -> the page
 *
 * The file stays the truth of its host.  While the store is away nothing is lost:
 * what changed is shown later.  When the store has not what was shown, all that it
 * lacks is shown again.  Keys stay as long as hours are kept, so that a host that
 * is gone is still in the others' reports.
 *
 * One step at a time, none sooner than HOURS_SHARE_STEP_MS after the one before;
 * nobody waits for any of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_SHARE_H
#define POLICYD_HOURS_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct conf;
struct event_base;
struct hours_share;
struct hours_thread;
struct json;
struct volume;

enum {
    HOURS_SHARE_STEP_MS = 50,
    HOURS_SHARE_SHOW_MS = 10 * 1000, /* an hour that changed is not shown again sooner */
    HOURS_SHARE_LOOK_MS = 60 * 1000, /* between two looks at what others show ... */
    HOURS_SHARE_SOON_MS = 3 * 1000,  /* ... when somebody asked for it */
    HOURS_SHARE_AGAIN_MS = 5 * 1000, /* after something went wrong */
    HOURS_SOURCES_MAX = 1000,        /* files of figures in one store */
};

/* How far others' figures are known. */
struct hours_shared {
    bool shared;      /* there is a store for many hosts */
    bool current;     /* and it answers */
    int64_t as_of_ms; /* time of day when all that others showed was here; 0: never yet */
    bool away;        /* the store is; else something else is wrong when it is not current */
};

/* All must outlive it, thread too, but what was asked of it is then forgotten. */
struct hours_share *hours_share_new(struct event_base *base, struct conf *conf,
                                    struct volume *volume, struct hours_thread *thread);
void hours_share_free(struct hours_share *share); /* takes NULL; before thread is freed */
void hours_share_set_conf(struct hours_share *share, struct conf *conf);

/* Something was written to the file: it is shown when it is time. */
void hours_share_changed(struct hours_share *share);

/* Somebody asks: what others show is looked at soon. */
void hours_share_want(struct hours_share *share);

/* NULL is not shared. */
struct hours_shared hours_share_state(const struct hours_share *share);

/* Members of the open object, or lines; text or json is NULL. */
void hours_share_status(const struct hours_share *share, struct buf *text, struct json *json);

#endif
