/*
 * Run another program and hear what it says.
 *
 * No shell: the arguments go to the program as they are.  Its output and the
 * time it may take are bounded; a program that exceeds either is killed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_RUN_H
#define TRANSPORT_MAPS_RUN_H

#include <stddef.h>

struct err;

enum {
    RUN_TIME_MAX_S = 120,
    RUN_OUTPUT_MAX = 64 * 1024 * 1024, /* bytes kept of each stream */
    RUN_LINE_MAX = 1024 * 1024,        /* bytes of one line, with a line function */
};

struct run_result {
    int status; /* exit status; 128 + number when a signal ended it */
    char *out;  /* owned; standard output, "" with a line function */
    char *said; /* owned; standard error */
};

/* Gets each line of standard output, without its newline. */
typedef void run_line_fn(void *arg, const char *line);

/*
 * Run argv[0], searched for in PATH and then in /usr/sbin, with nothing on
 * standard input.  Returns 0 when the program ran and ended, whatever its
 * status, and sets *ret_result, which run_result_clear() frees; or a negative
 * errno with the reason.  on_line may be NULL.
 */
int run(const char *const argv[], run_line_fn *on_line, void *arg, struct run_result *ret_result,
        struct err *err);

void run_result_clear(struct run_result *result);

/* The last line of what the program said on standard error, as one sentence; the caller owns it. */
char *run_complaint(const struct run_result *result);

#endif
