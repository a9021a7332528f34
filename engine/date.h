/*
 * Dates: days of the calendar, counted from 1970-01-01, which is 0.
 *
 * Pure: which day it is now, and in what time zone, is for others to say.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_DATE_H
#define ENGINE_DATE_H

#include <stdint.h>

enum {
    DATE_MAX = 2932896, /* 9999-12-31; the first is 0 */
    DATE_SIZE = 16,     /* room for any date as text */
};

/* "2026-11-27", of 1970 to 9999.  Returns 0, or -EINVAL when there is no such day. */
int date_parse(const char *text, int32_t *ret_day);

/* What is outside 0 to DATE_MAX is written as the nearer of both. */
void date_print(int32_t day, char text[static DATE_SIZE]);

#endif
