/*
 * Nodes that share a cap, the store that they ask, and every grant that they
 * spend: for tests of what caps promise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_CAPS_WORLD_H
#define TESTS_UNIT_CAPS_WORLD_H

#include "engine/book.h"
#include "engine/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NODES_MAX = 16, GRANTS_MAX = 200000 };

/* A grant that was used. */
struct spent {
    int64_t at_ms;
    const struct node *node;
    uint64_t process; /* that used it, and may give it back */
};

/* One node: its process and what it holds. */
struct node {
    char name[16];
    uint64_t life;
    uint64_t process; /* others are when it goes alone, this not */
    struct meter meter;
    struct book_ask ask; /* under way, when meter.asked */
    bool in_store;       /* it was carried out, the answer is not here yet */
    struct book_answer answer;
    int64_t heard_ms;    /* last time that it and the store heard of each other */
    bool cut;            /* it cannot reach the store */
    bool alone;          /* and has given up on what it held */
    bool joining;        /* it can reach the store again, which has yet to hear what it used */
    bool forgot;         /* it died alone: what it used of its share is not known */
    uint8_t percent;     /* of the caps that it works with; 0: all of it */
    struct book journal; /* its own row, as of the last ask that it heard the answer of */
};

struct world {
    struct caps caps;
    struct book book;
    struct node nodes[NODES_MAX];
    unsigned node_count;
    int64_t now_ms;
    int64_t timeout_ms;   /* a node that is not heard of for so long is away */
    struct spent *grants; /* in order of time */
    size_t grant_count;
    uint64_t lives, processes;
    size_t asks;
    bool slows; /* nodes are slowed down now and then */
};

/* grants: room for GRANTS_MAX. */
void world_start(struct world *w, const struct caps *caps, unsigned nodes, struct spent *grants);
void world_end(struct world *w);

/* Another process. */
void node_start(struct world *w, struct node *node);
void node_go_alone(const struct world *w, struct node *node);

/* As meters_scale() does it. */
void node_scale(const struct world *w, struct node *node, uint8_t percent);

/*
 * The store loses everything, or what came since some moment.  Before it gives
 * leases again every node puts its own row back.
 */
void world_lose_store(struct world *w);

/* Time has passed: who was cut off for too long lets go of what it held. */
void world_look_around(struct world *w);

/* The store hears the ask; perhaps twice. */
void node_carry_out(struct world *w, struct node *node);

/* One step of an ask, its answer, and the next; or all of them. */
void node_talk(struct world *w, struct node *node);
void node_talk_through(struct world *w, struct node *node);

/* Somebody wants a grant of node. */
bool node_spend(struct world *w, struct node *node);

/* One that it has not reported was not used after all; or any that the process used. */
void node_give_back(struct world *w, struct node *node);
void node_give_back_late(struct world *w, struct node *node);

/* Is any window of any cap over its limit? */
void world_check_windows(const struct world *w);

/* All want all that they can get, until end_ms. */
void world_want_all(struct world *w, int64_t end_ms, int64_t step_ms);

#endif
