/*
 * Two hosts that share a store, for tests of suspensions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_BREAKERS_WORLD_H
#define TESTS_UNIT_BREAKERS_WORLD_H

#include "tests/unit/unit.h"

#include "policyd/breakers.h"

struct address;
struct conf;
struct curbs;
struct provider;

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, RECORDS = 16, HOSTS = 2 };

#define START INT64_C(1000000000)

/* As a store keeps it. */
struct breakers_world_record {
    char key[BREAKERS_KEY_SIZE];
    uint64_t version; /* 0: removed */
    char text[BREAKER_TEXT_SIZE];
    size_t length;
};

struct breakers_world_host {
    struct breakers_world *world;
    struct curbs *curbs;
    struct breakers *breakers;
    bool away; /* its puts wait */
    struct breakers_world_record
        waits[RECORDS]; /* those that do, each for the version that it names */
    size_t wait_count;
    unsigned puts, suspensions, resumptions;
};

struct breakers_world {
    struct conf *conf;
    int64_t now_ms;
    struct breakers_world_record records[RECORDS];
    struct breakers_world_host hosts[HOSTS];
    const struct address *a1, *a2;
    const struct provider *google;
};

extern const char breakers_world_site[];

int breakers_world_setup(void **state);
int breakers_world_teardown(void **state);

/* A host's policyd begins, with a store or without, and ends. */
void breakers_world_start(struct breakers_world *w, size_t number, bool store);
void breakers_world_stop(struct breakers_world *w, size_t number);

/* What the store has by that key. */
struct breakers_world_record *breakers_world_record_of(struct breakers_world *w, const char *key);

/* The store answers all that waits, and the other host hears of it. */
void breakers_world_settle(struct breakers_world *w);

/* So much later, settled. */
void breakers_world_later(struct breakers_world *w, int64_t ms);

/* A result of a message from a1, on a host; words: what the server said, NULL: it was sent. */
void breakers_world_result(struct breakers_world *w, size_t number, const char *domain,
                           const char *words);

/* How much of a1's caps a host lets go to google, percent. */
int breakers_world_share(const struct breakers_world *w, size_t number);

void breakers_world_assert_status(const struct breakers_world *w, size_t number,
                                  const char *wanted);

#endif
