/*
 * A log file that grows, is renamed, or is cut to nothing, read line by line.
 *
 * Each whole line is told once, in the order of the file, with the place behind
 * it.  Who keeps that place, together with what came of the line, can go on
 * there after a restart: nothing is told twice or left out, also where the file
 * was renamed meanwhile (the old one is found beside it by its inode and read
 * to its end first).  What is gone for good (deleted, packed) is said and passed
 * over.
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

/* A place behind a line.  All zero: none is known. */
struct follow_place {
    uint64_t inode;
    int64_t offset; /* bytes */
    uint64_t mark;  /* hash of the last bytes before it: is it still the same file? */
};

/* Called from the loop.  Neither may call follow_free(). */
struct follow_events {
    /* line is without its end, may hold any byte, and is gone when this returns. */
    void (*on_line)(void *arg, const char *line, size_t length, const struct follow_place *behind);
    /* All that there is has been told. */
    void (*on_idle)(void *arg);
    void *arg;
};

/*
 * Follow path from a place on; from its end if none is known.  A file that is
 * not there, or may not be read, is tried again and again, and said once.
 */
struct follow *follow_new(struct event_base *base, const char *path,
                          const struct follow_place *from, const struct follow_events *events);
void follow_free(struct follow *follow); /* takes NULL */

/* How many bytes are still to be read; -1: the file cannot be read. */
int64_t follow_lag_bytes(const struct follow *follow);

#endif
