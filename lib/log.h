/*
 * What a program says while it runs.
 *
 * Lines go to syslog (facility mail, ident "postpool/policyd" and the like, so
 * that they stand between Postfix's own), or to stderr, with sd-daemon(3)'s
 * levels in front where that is the journal.  Four levels:
 * error: someone must act; warn: we go on, but not as configured; info: start,
 * stop, reload, one line for each decision on a message; debug: faults of ours.
 *
 * Bytes that cannot be printed become '?', so that text from strangers cannot
 * forge a line.  Safe to call from any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>

/* ident must stay valid.  to_stderr: for -f and for the admin's command. */
void log_open(const char *ident, bool to_stderr);
void log_set_debug(bool on);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
