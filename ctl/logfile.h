/*
 * Files of lines, such as logs: plain, compressed by gzip(1), or standard input.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_LOGFILE_H
#define CTL_LOGFILE_H

#include "lib/cursor.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct logfile;

enum { LOGFILE_LINE_MAX = 256 * 1024 }; /* what is longer is no line of a log */

#define LOGFILE_INPUT "standard input" /* how messages name "-" */

/* "-" is standard input.  0, or a negative errno; what comes then must be closed. */
int logfile_open(const char *path, struct logfile **ret_file, struct err *err);
void logfile_close(struct logfile *file); /* takes NULL */

/* When it was last written, by the time of day; standard input: now. */
int64_t logfile_written_ms(const struct logfile *file);

/* How much of it is read, percent; -1: that is not known. */
int logfile_percent(const struct logfile *file);

/*
 * The next line, without its end, LF or CRLF; good until the next call.  1; 0: there are no more;
 * or a negative errno: it cannot be read, or is damaged from here on.  Of a line that is too long
 * nothing but an empty one is told; then logfile_was_long() is true.
 */
int logfile_next(struct logfile *file, struct span *ret_line, struct err *err);
bool logfile_was_long(const struct logfile *file);

#endif
