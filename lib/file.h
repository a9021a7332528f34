/*
 * Whole files, read and replaced at one stroke.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_FILE_H
#define LIB_FILE_H

#include <stddef.h>

struct err;

enum { FILE_SIZE_MAX = 16 * 1024 * 1024 };

/*
 * Read a text file.  Returns 0 and sets *ret_text, which the caller owns, or
 * a negative errno with the reason: -ENOENT when there is none, -EFBIG past
 * FILE_SIZE_MAX, -EILSEQ when it holds a NUL byte.
 */
int file_read(const char *path, char **ret_text, struct err *err);

/*
 * Replace a file, or make one with mode 0644.  Whoever reads path sees the
 * old text or the new one, also after a crash.  Owner and mode stay; where
 * path is a symbolic link, its target is replaced.  Returns 0 or a negative
 * errno with the reason.
 */
int file_write(const char *path, const char *text, struct err *err);

/*
 * The same of any bytes; a new file has mode 0640, and the owner and group of its directory
 * where the caller may give it to them.
 */
int file_write_bytes(const char *path, const void *bytes, size_t length, struct err *err);

/*
 * What reads a file and then replaces it has the file's directory for itself meanwhile: whoever
 * else wants it waits, up to wait_ms.  Returns a descriptor, which ends that when it is closed, or
 * a negative errno with the reason: -EBUSY when another one still has it.  Where the file system
 * has no locks for directories (NFS) nobody waits.
 */
int file_lock(const char *path, int wait_ms, struct err *err);

/* Remove a file; that there is none is fine. */
int file_remove(const char *path, struct err *err);

#endif
