/*
 * The nodes that share a Redis, as this one knows them.
 *
 * The list is kept in the journal, too: a Redis that lost its data hears from
 * there for whom it has to wait.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_NODES_H
#define POLICYD_REDIS_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct journal;
struct json;
struct redis_answer;
struct redis_args;

struct redis_node {
    char *name; /* owned */
    uint64_t life;
    int64_t heard_ms;
    bool confirmed; /* it has put its rows back */
    bool alive;
    bool gone; /* it said goodbye */
};

/* All zero: none are known. */
struct redis_nodes {
    struct redis_node *items; /* owned */
    size_t count;
};

/* Those that the last process knew of. */
void redis_nodes_load(struct redis_nodes *nodes, const struct journal *journal);
void redis_nodes_clear(struct redis_nodes *nodes);

/* An answer with nodes: the list becomes that one, and is written when it changed. */
void redis_nodes_note(struct redis_nodes *nodes, const struct redis_answer *answer,
                      int64_t node_timeout_ms, struct journal *journal);

/* The names of those, but for me, that have yet to put their rows back. */
void redis_nodes_missing(const struct redis_nodes *nodes, const char *me, struct buf *names);

/* What "confirm" tells of them: name, heard, gone of each. */
void redis_nodes_confirm(const struct redis_nodes *nodes, struct redis_args *args);

/* A line for each, or an array "nodes"; one of both is NULL.  now_ms: Redis' time. */
void redis_nodes_print(const struct redis_nodes *nodes, int64_t now_ms, struct buf *text,
                       struct json *json);

#endif
