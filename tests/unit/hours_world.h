/*
 * A file with what happened to mail, and what is to be added to it: for tests of
 * the file, and of what is told of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_HOURS_WORLD_H
#define TESTS_UNIT_HOURS_WORLD_H

#include "engine/tallies.h"
#include "policyd/hours_file.h"
#include "policyd/hours_sums.h"

#include <stdint.h>

enum { HOUR = 480000 };

/* What one test has; a new file for each. */
struct hours_world {
    char path[64];
    struct hours_file *file;
    struct hours_batch *batch; /* that commit writes; NULL: none */
    struct tallies *tallies;   /* of batch */
    struct hours_limits limits;
    const char *node; /* sums are of that host, of all with NULL; the file is mta1's */
};

extern struct hours_world hours_world;

/* For cmocka. */
int hours_world_setup(void **state);
int hours_world_teardown(void **state);

/* Run the tests of a program, with a folder for the file.  Returns its exit status. */
int hours_world_run(int (*run)(void));

/* Another batch; write the one there is; close the file and open it again. */
void hours_world_begin(void);
void hours_world_commit(void);
void hours_world_reopen(void);

/* A place in the batch, to be counted at. */
struct tally *hours_world_mail(int64_t hour, const char *stream, const char *pool,
                               const char *address, const char *provider);
struct tally *hours_world_account(int64_t hour, const char *name, const char *stream,
                                  const char *pool);
struct tally *hours_world_suspended(int64_t hour, const char *address, const char *provider);
struct tally *hours_world_unmet(int64_t hour, const char *stream, const char *requirement);

/* The caller clears them. */
struct hours_sums hours_world_sums_of(enum hours_by by, int64_t from, int64_t to);

#endif
