/*
 * Books and records in a file of SQLite, by key.
 *
 * One process has the file at a time.  Calls block; they are for a thread of
 * their own.  Each returns 0 or a negative errno with the reason.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SQLITE_FILE_H
#define POLICYD_SQLITE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct book;
struct err;
struct record;
struct sqlite_file;

/*
 * Open path, made when it is missing.  -EBUSY: another process has it;
 * -EINVAL: it is damaged or something else; it is not changed then.
 */
int sqlite_file_open(const char *path, struct sqlite_file **ret_file, struct err *err);
void sqlite_file_close(struct sqlite_file *file); /* takes NULL */

/*
 * The clock that the file's books are kept by, as an offset to the boot clock
 * (boot_ms).  In one boot it is always the same.  After another boot it is this
 * host's time of day, but never behind the last time that is in the file.
 */
int sqlite_file_clock(struct sqlite_file *file, int64_t boot_ms, int64_t *ret_offset_ms,
                      struct err *err);

int sqlite_file_begin(struct sqlite_file *file, struct err *err);
int sqlite_file_commit(struct sqlite_file *file, int64_t now_ms, struct err *err);
void sqlite_file_rollback(struct sqlite_file *file);

/* An empty book for a key that is not there.  -EILSEQ: this one entry is damaged. */
int sqlite_file_load(struct sqlite_file *file, const char *key, struct book *ret_book,
                     struct err *err);
int sqlite_file_save(struct sqlite_file *file, const char *key, const struct book *book,
                     struct err *err);
int sqlite_file_remove(struct sqlite_file *file, const char *key, struct err *err);

/*
 * Remove entries in which nothing counts any more (book_is_over()): of the next
 * most ones, in the order of their keys, and from the first again when the
 * last was reached.  What cannot be read stays.  A transaction of its own, if
 * there is anything to remove.  Returns how many are gone, or a negative errno.
 */
int sqlite_file_trim(struct sqlite_file *file, int most, uint64_t life, int64_t since_ms,
                     int64_t now_ms, struct err *err);

/* The record of key; what is in *record is let go.  There is none: version 0. */
int sqlite_file_record(struct sqlite_file *file, const char *key, struct record *record,
                       struct err *err);
int sqlite_file_record_save(struct sqlite_file *file, const char *key, const struct record *record,
                            struct err *err);
int sqlite_file_record_remove(struct sqlite_file *file, const char *key, struct err *err);
int sqlite_file_record_count(struct sqlite_file *file, size_t *ret_count, struct err *err);

/* All of them, until each returns false. */
int sqlite_file_records(struct sqlite_file *file,
                        bool (*each)(void *arg, const char *key, const struct record *record),
                        void *arg, struct err *err);

#endif
