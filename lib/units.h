/*
 * Numbers with units, as people write them in a configuration file and read
 * them in answers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_UNITS_H
#define LIB_UNITS_H

#include <stdint.h>

struct err;

/*
 * Read a duration: a whole number and one unit, "250ms", "30s", "10m", "2h",
 * "7d".  A bare number is refused: nobody remembers which unit it was in.
 *
 * Sets *ret_ms to milliseconds.  Returns 0, -EINVAL if text is no duration,
 * or -ERANGE if it does not fit; *ret_ms is then untouched and err says why.
 */
int units_parse_duration(const char *text, int64_t *ret_ms, struct err *err);

enum { UNITS_DURATION_SIZE = 32 };

/* A duration as it is read above, in the largest unit that it is a whole number of.  Returns out.
 */
const char *units_print_duration(int64_t ms, char out[static UNITS_DURATION_SIZE]);

/* Read a file mode, "0660": three or four octal digits.  As above. */
int units_parse_mode(const char *text, int *ret_mode, struct err *err);

enum { UNITS_SPAN_SIZE = 32 };

/*
 * How long something will take, for people to read: "45 s", "12 min", "3 h" or
 * "4 d", rounded up; at least "1 s".  Returns out.
 */
const char *units_print_span(int64_t ms, char out[static UNITS_SPAN_SIZE]);

#endif
