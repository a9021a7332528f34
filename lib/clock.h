/*
 * The clocks of the system.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>
#include <time.h>

/*
 * What clock shows, in milliseconds.  CLOCK_MONOTONIC_COARSE is the cheap one,
 * for what is asked all the time; it is late by a tick of the kernel, up to
 * 10 ms.
 */
int64_t clock_ms(clockid_t clock);

/* The same in microseconds. */
int64_t clock_us(clockid_t clock);

#endif
