/*
 * The files that a log is in: the one that is written to, and those beside it
 * that it was renamed or copied to, "mail.log.1" or "mail.log-20261126".
 *
 * Which of them a place is in, is told by the bytes before it: a file that was
 * copied and cut has its old content in another one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FOLLOW_FILES_H
#define POLICYD_FOLLOW_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct follow_place;

enum {
    FOLLOW_MARK_BYTES = 512,     /* before a place, that tell where it is: a line or two */
    FOLLOW_FILES_LOOKED = 10000, /* entries of the folder, at most */
};

/* The mark of a place: a hash of the FOLLOW_MARK_BYTES before it, or fewer at the beginning. */
uint64_t follow_files_mark(const char *bytes, size_t length);

/* A descriptor, or -1 with errno.  Does not wait, also where path is a pipe. */
int follow_files_open(const char *path);

/*
 * Opens what has place in it: path, or a file beside it.  Returns a descriptor, or -1 with errno;
 * ENOENT: none has it.
 */
int follow_files_find(const char *path, const struct follow_place *place);

/* Likewise, but beside it alone: path was cut.  What cannot be read is passed over. */
int follow_files_find_copy(const char *path, const struct follow_place *place);

/* Opens what was written to behind the file that fd is: one beside path, or path.  Likewise. */
int follow_files_next(const char *path, int fd);

#endif
