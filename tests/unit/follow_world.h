/*
 * A log that is followed, in a folder of its own, for tests of policyd/follow.h.
 *
 * Link with --wrap of log_warn, log_info, event_add, pread64 and preadv64v2.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_FOLLOW_WORLD_H
#define TESTS_UNIT_FOLLOW_WORLD_H

#include "tests/unit/unit.h"

#include "lib/mem.h"
#include "policyd/follow.h"

struct follow_world {
    struct event_base *base;
    struct follow *follow;
    char *path, *old_path;
    struct buf told;           /* the lines, one behind the other */
    struct follow_place place; /* behind the last of them */
    size_t wanted;             /* lines */
    int failing;               /* so many reads fail, as of a disk */
    int blind; /* so many find no more, as those without waiting of Linux 5.9 and 5.10 do of what
                  is not in memory (preadv2(2), BUGS) */
};

extern struct follow_world follow_world;

/* The folder; of the whole group. */
int follow_world_make(void **state);
int follow_world_remove(void **state);

/* No log, and nothing told; of each test. */
int follow_world_setup(void **state);

/* Follow the log from there on, and end it. */
void follow_world_begin(const struct follow_place *from);
void follow_world_end(void);

/* Write text to the file of that name, in that mode of fopen(). */
void follow_world_put(const char *name, const char *mode, const char *text);

/* Wait for so many more lines; 0: until it is at the end. */
void follow_world_wait(size_t count);

/* So many turns of the loop. */
void follow_world_look(int times);

/* How many lines that follow.c logged have text? */
int follow_world_logged(const char *text);

#endif
