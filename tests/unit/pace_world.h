/*
 * What tests of pace have around it: a clock that the test moves, room as the test says, and
 * messages that are named by their queue id, which is their message id, too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_PACE_WORLD_H
#define TESTS_UNIT_PACE_WORLD_H

#include "tests/unit/unit.h"

#include "engine/hash.h"
#include "policyd/outcome.h"

struct conf;
struct grants;
struct pace;

enum { TICK_MS = 10, START_MS = 1000 * 1000 }; /* between looks; when it begins */

extern struct pace_world {
    struct conf *conf;
    struct grants *grants;
    struct pace *pace;
    /* What the fakes answer. */
    int64_t now_ms;
    bool room;         /* for all but ... */
    const char *odd;   /* ... this message, which has none; NULL: no such one */
    const char *ended; /* this one is to be told the words of another server */
    bool thinned;      /* messages that begin with T are passed over in this minute */
    int64_t paced_ms;  /* the next of any may leave then */
    const char *poor;  /* ... mail of this account, whose pool has none; NULL: no such one */
    int64_t rests_ms;  /* no message may be woken before */
    int64_t opens_ms;  /* the hours of every stream begin */
    int looks;         /* for an address */
    int64_t late_ms;   /* the time of day is behind */
    int given_back, helped;
    char woken[300]; /* "A B ": queue ids */
    char again[300]; /* likewise of those that were woken once more */
} pace_world;

extern const uint8_t pace_world_secret[HASH_KEY_SIZE];

int pace_world_set_up(void **state);
int pace_world_tear_down(void **state);

/* One look of pace; looks, until so long after the start. */
void pace_world_tick(void);
void pace_world_run_until(int64_t ms);

/* What became of a message of that stream: it was deferred by ourselves. */
struct outcome pace_world_outcome(size_t stream, const char *id);
void pace_world_defer(size_t stream, const char *id);

/* Postfix asks for the grant of a message that was woken. */
void pace_world_look_up(const char *id);

/* Those that were woken since the last call: "A B ". */
void pace_world_assert_woken(const char *expected);
void pace_world_assert_again(const char *expected);

#endif
