/*
 * Reading text of known length from its beginning: what is taken is behind.
 *
 * The text may hold any bytes, and no NUL ends it.  What does not fit is not
 * taken, and the cursor stays where it was.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CURSOR_H
#define LIB_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Some bytes of a text.  length 0: it was not there. */
struct span {
    const char *start; /* not ours */
    size_t length;
};

/* Its text, or as much of it as fits, with a NUL behind it; size is not 0. */
static inline void
span_copy(char *place, size_t size, struct span span)
{
    size_t length = span.length < size ? span.length : size - 1;

    if (length > 0)
        memcpy(place, span.start, length);
    place[length] = '\0';
}

struct cursor {
    const char *at; /* not ours */
    const char *end;
};

static inline size_t
cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline bool
cursor_take(struct cursor *cursor, const char *text)
{
    size_t length = strlen(text);

    if (cursor_left(cursor) < length || memcmp(cursor->at, text, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* Everything up to the first text, which is taken, too. */
static inline bool
cursor_take_until(struct cursor *cursor, const char *text, struct span *ret_span)
{
    size_t length = strlen(text);
    const char *found = memmem(cursor->at, cursor_left(cursor), text, length);

    if (found == NULL)
        return false;
    *ret_span = (struct span){cursor->at, (size_t)(found - cursor->at)};
    cursor->at = found + length;
    return true;
}

static inline bool
cursor_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

#endif
