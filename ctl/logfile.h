/*
 * Files of a log, line by line: plain, compressed by gzip(1), or standard input.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_LOGFILE_H
#define CTL_LOGFILE_H

#include "lib/cursor.h"

#include <stdint.h>

struct err;
struct logfile;

enum { LOGFILE_LINE_MAX = 256 * 1024 }; /* what is longer is no line of a log */

/* "-" is standard input.  0, or a negative errno; what comes then must be closed. */
int logfile_open(const char *path, struct logfile **ret_file, struct err *err);
void logfile_close(struct logfile *file); /* takes NULL */

/* When it was last written, by the time of day; standard input: now. */
int64_t logfile_written_ms(const struct logfile *file);

/*
 * The next line, without its end, LF or CRLF; good until the next call.  1; 0: there are no more;
 * or a negative errno: it cannot be read, or is damaged from here on.  Of a line that is too long
 * nothing but an empty one is told.
 */
int logfile_next(struct logfile *file, struct span *ret_line, struct err *err);

#endif
