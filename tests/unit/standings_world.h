/*
 * Two hosts that share a store, for tests of what accounts have earned.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_STANDINGS_WORLD_H
#define TESTS_UNIT_STANDINGS_WORLD_H

#include "tests/unit/unit.h"

#include "engine/grade.h"
#include "engine/standing.h"

struct conf;
struct standings;

enum { HOSTS = 2, DAY_S = 24 * 3600, FIRST = 20000, KEYS = 8 };

struct standings_world_record {
    char key[64];
    uint64_t version;
    char text[STANDING_TEXT_SIZE];
    size_t length;
};

struct standings_world_host {
    struct standings_world *world;
    struct conf *conf;
    struct standings *standings;
    struct standings_world_record puts[KEYS]; /* that wait */
    size_t put_count;
    unsigned all_puts;
    bool away;
    bool no_store;
};

struct standings_world {
    int64_t time_s;
    struct standings_world_record records[KEYS]; /* what the store has */
    uint64_t version;
    bool full;
    struct standings_world_host hosts[HOSTS];
};

int standings_world_setup(void **state);
int standings_world_teardown(void **state);

/* What the store has by that key; the place for it where there is none yet. */
struct standings_world_record *standings_world_find(struct standings_world *w, const char *key);

/* The store answers one put, and the other host hears of it; all that wait. */
bool standings_world_answer(struct standings_world *w, size_t number);
void standings_world_settle(struct standings_world *w);

/* A host's policyd begins, with what the store has, and ends. */
void standings_world_start(struct standings_world *w, size_t number);
void standings_world_stop(struct standings_world *w, size_t number);

/* So many results; words: what the other side says, NULL: it took them. */
void standings_world_told(struct standings_world *w, size_t number, const char *account,
                          unsigned count, const char *words);

/* What a host knows of the account; NULL: nothing. */
const struct standing *standings_world_known(struct standings_world *w, size_t number,
                                             const char *account);

/* Both hosts give it that grade. */
void standings_world_assert_grade(struct standings_world *w, const char *account, enum grade grade);

void standings_world_next_day(struct standings_world *w);

/* A question to a host's control socket, and how the answer begins. */
void standings_world_ask(struct standings_world *w, size_t number, const char *question,
                         const char *begins);

#endif
