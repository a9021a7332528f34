/*
 * The inside of the store for many hosts, for the modules it is made of:
 *
 *   store_redis.c    the interface of store.h, the connection, the timer
 *   redis_op.c       calls of the script, their answers and errors
 *   redis_life.c     this node's sign of life, and how long it holds what it has
 *   redis_asks.c     asks on their way through Redis, a replica, the journal
 *   redis_restate.c  this node's rows are put back into a Redis that lacks them
 *   redis_records.c  small values that nodes share
 *   redis_hash.c     what may be lost: figures of what happened to mail
 *   redis_admin.c    what an admin orders: reset a key, forget a node
 *
 * Each part of the struct is changed by the module that is named above it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_STORE_REDIS_INSIDE_H
#define POLICYD_STORE_REDIS_INSIDE_H

#include "policyd/redis_admin.h"
#include "policyd/redis_asks.h"
#include "policyd/redis_clock.h"
#include "policyd/redis_hash.h"
#include "policyd/redis_nodes.h"
#include "policyd/redis_records.h"
#include "policyd/redis_script.h"
#include "policyd/store.h"

#include <time.h>

struct event;
struct journal;
struct redis_link;
struct redis_restate;

struct redis_store {
    struct store store; /* first, so that one is the other */
    struct journal *journal;
    struct redis_link *link;
    struct event *tick;
    char *node;
    char *prefix;
    bool durable;
    int64_t node_timeout_ms;
    bool ready; /* the connection can be used */
    char run_id[65];

    /* redis_op.c */
    struct event *pause;      /* pending: nothing is asked meanwhile */
    char sha[REDIS_SHA_SIZE]; /* "": the script is to be loaded */
    bool loading;
    struct redis_clock clock;
    uint64_t calls, asked, errors; /* what is asked are calls, too */
    int64_t last_us;               /* what the last ask took */

    /* redis_life.c */
    uint64_t life;
    uint64_t former;    /* the life before, of this process; 0: none */
    bool starting;      /* no life of this process was known in Redis yet */
    bool holding;       /* contact_ms counts */
    bool awaited;       /* not heard of yet, and others keep its share back: contact_ms counts */
    int64_t sent_ms;    /* when the last call was sent: it may have been carried out */
    int64_t contact_ms; /* when the last call began that was carried out for certain */
    bool greeting;      /* a beat is under way */
    bool registered;    /* this life is known there */
    bool confirmed;     /* and the rows are */
    bool taken_said;
    bool learning;
    bool learning_said;
    int64_t beat_ms; /* when the last one was sent */
    struct redis_nodes nodes;
    unsigned count; /* of nodes, with those that are away; 0: not known */
    bool up;
    bool away_said;
    int64_t away_ms;    /* when it began */
    char away_why[160]; /* as it was said last, at why_ms */
    int64_t why_ms;
    time_t since; /* up or away */

    struct redis_asks asks;
    struct redis_restate *restate;       /* NULL: nothing is put back now */
    LIST_HEAD(, redis_restate) restates; /* that one, and those that wait for their last calls */
    struct redis_admin admin;
    int64_t trim_ms;
    struct redis_records records;
    struct redis_hash hash;
};

#endif
