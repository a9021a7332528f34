/*
 * What the measuring programs have in common.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

/* Print what failed, with errno, and exit with status 1. */
_Noreturn void measure_fail(const char *what);

/* The monotonic clock in microseconds. */
double measure_now_us(void);

/* The value that part of the values lie below.  Sorts them; count > 0. */
double measure_quantile(double *values, int count, double part);

/* Connect to a unix socket, which may take limit_ms to appear; fails when it does not. */
int measure_connect(const char *path, double limit_ms);

#endif
