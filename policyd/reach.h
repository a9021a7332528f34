/*
 * Addresses that reach nobody: that cannot be bound, or whose packets do not
 * leave, as the log's connect errors tell.
 *
 * A host that cannot be reached may be dead itself.  So an error that names the
 * network counts against the address only when the kernel has no route from it
 * to that host and has one from another of ours (policyd/way.h): then at once,
 * and for as long as that stays so.  Where the kernel has a route but errors come
 * all the same, from a link or a router, it is a guess: REACH_HOSTS hosts within
 * REACH_WINDOW_MS and nobody reached, while another address of ours reached
 * somebody between the first of them and the last.  That suspends for a time,
 * twice as long each time that it is no better behind it.
 *
 * An address that this host does not have is left alone: it is not chosen here,
 * and another host may use it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REACH_H
#define POLICYD_REACH_H

#include "policyd/way.h"

#include <stdbool.h>
#include <stdint.h>

struct address;
struct event_base;
struct outcome;
struct reach;
struct snapshot;

enum {
    REACH_WINDOW_MS = 60 * 1000,
    REACH_HOSTS = 4,                   /* different ones */
    REACH_BINDS = 3,                   /* failures, where the kernel lets us bind */
    REACH_PAUSE_MS = 1000,             /* between two questions to the kernel for one address */
    REACH_CHECK_MS = 10 * 1000,        /* so often is looked whether the way is open again */
    REACH_KEEP_MS = 60 * 1000,         /* what is not said again is over after that */
    REACH_GUESS_MS = 5 * 60 * 1000,    /* the first suspension for a guess, ... */
    REACH_GUESS_MOST_MS = 3600 * 1000, /* ... doubled up to this */
    REACH_OTHERS_MAX = 8,              /* other addresses that are held against one */
};

#define REACH_CAUSE "network: " /* every reason begins so */

struct reach_start {
    struct event_base *base;         /* NULL: reach_tick() is called by the owner */
    bool off;                        /* nothing is to be suspended */
    const struct snapshot *snapshot; /* must stay until reach_set_snapshot() */
    bool (*is_present)(void *arg, const struct address *address);
    enum way (*way)(const struct ip *from, const struct ip *to, int *ret_error);
    int64_t (*now_ms)(void *arg); /* monotonic */
    /* It reaches nobody, or still does not; that counts for so long. */
    void (*cut)(void *arg, const struct address *address, int64_t for_ms, const char *why);
    /* It is not so any more: the kernel has a way, or a probe was answered. */
    void (*mended)(void *arg, const struct address *address);
    void *arg; /* not ours */
};

struct reach *reach_new(const struct reach_start *start);
void reach_free(struct reach *reach); /* takes NULL */

/* Another snapshot, while the one before is still there. */
void reach_set_snapshot(struct reach *reach, const struct snapshot *snapshot, bool off);

/* For feedback_listen(). */
void reach_on_outcome(void *reach, const struct outcome *outcome);

/* Called every REACH_CHECK_MS. */
void reach_tick(struct reach *reach);

#endif
