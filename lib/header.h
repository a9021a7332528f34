/*
 * Values of message header fields.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_HEADER_H
#define LIB_HEADER_H

#include <stddef.h>

/* Longest value that is looked at, in bytes; what is behind it does not count. */
enum { HEADER_VALUE_MAX = 2000 };

/*
 * Copy value to out as one line: unfolded (RFC 5322, section 2.2.3), each run
 * of white space one space, because folding may have made it of any, and none
 * at the ends.  Other control characters become '?'.
 */
void header_unfold(const char *value, char out[static HEADER_VALUE_MAX + 1]);

#endif
