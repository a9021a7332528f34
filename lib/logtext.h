/*
 * What lines of mail logs have in common: numbers, words, addresses.  Pure.
 *
 * Each takes what it names from the reader and returns true, or leaves the
 * reader anywhere and returns false.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_LOGTEXT_H
#define LIB_LOGTEXT_H

#include "lib/cursor.h"

#include <stdbool.h>
#include <stddef.h>

struct maillog_time;

bool logtext_is_word(char c); /* a letter of ASCII, or a digit */
bool logtext_is(struct span span, const char *text);

/* A number of exactly so many digits. */
bool logtext_take_number(struct cursor *reader, size_t digits, int *ret_number);

/* "2026-11-05", "10:11:12". */
bool logtext_take_date(struct cursor *reader, struct maillog_time *time);
bool logtext_take_clock(struct cursor *reader, struct maillog_time *time);

/* ".345678", if it stands there: the milliseconds of it. */
void logtext_take_fraction(struct cursor *reader, struct maillog_time *time);

/*
 * An address without <>, with or without a domain; it may be empty.  Its end is
 * the first byte that cannot belong to it: outside of quotes a local part has
 * few bytes (RFC 5321, 4.1.2, RFC 6531).  Where a program leaves quotes out, what
 * they held ends it in its midst, and the caller finds something else than it
 * expects.
 */
bool logtext_take_address(struct cursor *reader, struct span *ret_span);

#endif
