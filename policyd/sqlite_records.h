/*
 * Records in the file of SQLite: see store_put().  For the store's thread, save
 * where it says otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SQLITE_RECORDS_H
#define POLICYD_SQLITE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct record_put;
struct sqlite_file;
struct store;

/* All zero: empty. */
struct sqlite_records {
    uint64_t version; /* none is above it */
    size_t count;
    bool counted;            /* count is right */
    struct record_put **all; /* owned; those that were there at the start, until they are told */
    size_t all_count;
};

/* Before the thread runs: what the file has.  0 or a negative errno. */
int sqlite_records_load(struct sqlite_records *records, struct sqlite_file *file, struct err *err);

/* The loop's, once: tell the owner of store of what was there at the start. */
void sqlite_records_tell(struct sqlite_records *records, const struct store *store);
void sqlite_records_clear(struct sqlite_records *records);

/* In a transaction: what came of it is in put.  0 or a negative errno. */
int sqlite_records_put(struct sqlite_records *records, struct sqlite_file *file,
                       struct record_put *put, int64_t now_ms, struct err *err);

/* The transaction was undone. */
void sqlite_records_undone(struct sqlite_records *records);

#endif
