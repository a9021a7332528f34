/*
 * A Redis server with our script, for tests that call it as several nodes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_REDIS_WORLD_H
#define TESTS_UNIT_REDIS_WORLD_H

#include "tests/unit/unit.h"

#include "engine/book.h"
#include "policyd/redis_script.h"

#include <hiredis/hiredis.h>

enum { REDIS_WORLD_NODES = 6, REDIS_WORLD_TIMEOUT_MS = 30000 };

extern redisContext *redis_world_link;

struct redis_world_node {
    char name[32];
    uint64_t life;
    uint64_t seq;
    int64_t heard_ms;
    int64_t was_ms, back_ms; /* it came back at back_ms, and was heard of last at was_ms */
    uint64_t first;          /* its life then */
    bool lost;
    struct book_ask ask; /* the last one */
    bool asked;
};

struct redis_world {
    char prefix[32];
    struct caps caps;
    struct book book;
    struct redis_world_node nodes[REDIS_WORLD_NODES];
    size_t node_count;
    int64_t now_ms;
    uint64_t lives;
};

/* The server begins and ends, for all tests of a program. */
int redis_world_setup(void **state);
int redis_world_teardown(void **state);

/* A call, whose reply is the caller's to free; errors fail the test. */
redisReply *redis_world_run(struct redis_args *args);

/* A node as it calls the script. */
struct redis_caller redis_world_caller(const struct redis_world *w,
                                       const struct redis_world_node *node);
bool redis_world_is_away(const struct redis_world *w, const struct redis_world_node *node);
redisReply *redis_world_send_beat(const struct redis_caller *who, uint64_t former, bool starts);

/* A life of the node begins. */
void redis_world_beat(struct redis_world *w, struct redis_world_node *node, bool starts);

/* A test: what stands in Redis goes away by itself. */
void redis_world_assert_expiry(void **state);

#endif
