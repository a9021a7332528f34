/*
 * A log file that grows, is renamed, or is cut to nothing, read line by line.
 *
 * Each whole line is told once, in the order of the file.  Who keeps the place
 * behind it, together with what came of the line, can go on there after a
 * restart: nothing is told twice or left out, also where the file was renamed,
 * or copied and cut, once or several times meanwhile: what is not read of the
 * old ones beside it ("mail.log.1", "mail.log-20261126") is read first.  What is
 * gone for good (deleted, packed) is said and passed over.
 *
 * Reading goes on in small slices between the loop's other work, with rests where
 * much is to be read, and does not wait for the disk where the kernel can say that it would (Linux:
 * RWF_NOWAIT).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FOLLOW_H
#define POLICYD_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct follow;

/*
 * A place behind a line.  All zero: none is known.  While nothing was told of a file, it is the
 * end of the one before, because the beginning of a file has nothing to know it by.
 */
struct follow_place {
    uint64_t inode;
    int64_t offset; /* bytes */
    uint64_t mark;  /* of the bytes before it: is it still the same file? */
};

/* Called from the loop.  Neither may call follow_free(). */
struct follow_events {
    /* line is without its end, may hold any byte, and is gone when this returns. */
    void (*on_line)(void *arg, const char *line, size_t length);
    /* All that there is has been told; a first time when the file was opened. */
    void (*on_idle)(void *arg);
    void *arg;
};

/*
 * Follow path from a place on; from the end that it has now if from is NULL.  A file that is
 * not there, or may not be read, is tried again and again, and said once.
 */
struct follow *follow_new(struct event_base *base, const char *path,
                          const struct follow_place *from, const struct follow_events *events);
void follow_free(struct follow *follow); /* takes NULL */

/* Behind the last line that was told, also from inside on_line; all zero: no file was opened yet.
 */
void follow_where(const struct follow *follow, struct follow_place *ret_place);

/* How many bytes are still to be read, of this file and the newest; -1: it cannot be read. */
int64_t follow_lag_bytes(const struct follow *follow);

#endif
