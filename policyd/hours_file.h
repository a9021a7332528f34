/*
 * The file with what happened to mail, hour by hour: a database of SQLite.
 * Beside the sums it has the place in the log that they go up to, and what was
 * known of Postfix' queue there; all three change in one transaction.
 *
 * One process has the file at a time.  Calls block; they are for a thread of
 * their own.  Each returns 0 or a negative errno with the reason; -EINVAL: it
 * is damaged or something else, and is not changed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_FILE_H
#define POLICYD_HOURS_FILE_H

#include "policyd/place.h"
#include "policyd/queued.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct hours_file;
struct sqlite3;
struct tallies;

enum { HOURS_ROWS_MAX = 5 * 1000 * 1000 };

/* Of what is kept; the oldest hours go first, never the newest. */
struct hours_limits {
    int accounts;    /* rows of accounts in one hour; the mail of others is one account's */
    int64_t keep_ms; /* how long */
    int64_t bytes;   /* of the file */
    int64_t rows;
};

/* One transaction.  All of it is the owner's. */
struct hours_batch {
    struct tallies *tallies; /* to be added */
    struct queued_changes queue;
    struct place place; /* up to which all that is */
    char *log;          /* the log that the place is in, as feedback.log names it; NULL: none */
};

/* What is kept; the caller's. */
struct hours_saved {
    struct place place;    /* PLACE_NONE: none yet */
    char *log;             /* NULL: none yet */
    struct queued *queued; /* tracks its changes */
};

void hours_batch_free(struct hours_batch *batch); /* takes NULL */

int hours_file_open(const char *path, struct hours_file **ret_file, struct err *err);
void hours_file_close(struct hours_file *file); /* takes NULL */

int hours_file_load(struct hours_file *file, struct hours_saved *ret_saved, struct err *err);

/* All of it, or nothing; within limits.accounts and .bytes. */
int hours_file_commit(struct hours_file *file, const struct hours_batch *batch,
                      const struct hours_limits *limits, struct err *err);

/*
 * Remove the oldest hour, if it is older than limits.keep_ms, or there are more than limits.rows.
 * 1: one was removed, and there may be more; 0: there is nothing to remove.
 */
int hours_file_trim(struct hours_file *file, const struct hours_limits *limits, int64_t now_ms,
                    struct err *err);

/* How large the file is, without what is free in it; -1: it cannot be told. */
int64_t hours_file_bytes(struct hours_file *file);

/* For whoever reads from it (policyd/hours_sums.h). */
struct sqlite3 *hours_file_db(struct hours_file *file);
int hours_file_fail(const struct hours_file *file, struct err *err); /* the reason of the last */

/* The name of a counter's column, "deferred_address"; valid for ever. */
const char *hours_file_counter(int counter);

#endif
