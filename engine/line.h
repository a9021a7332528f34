/*
 * A line of text made of numbers and words, as a store keeps values, and back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_LINE_H
#define ENGINE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes into size bytes of text and never beyond; there is always a NUL behind length. */
struct line_out {
    char *text;
    size_t size, length;
};

/* A number that is not negative, and a blank. */
void line_put(struct line_out *out, int64_t number);

/* Words, whose length stands before them, and a blank. */
void line_put_words(struct line_out *out, const char *words);

/* The rest of the line. */
void line_put_rest(struct line_out *out, const char *words);

/* bad: it is no such line, and whatever was read from it means nothing. */
struct line_in {
    const char *at, *end;
    bool bad;
};

/* What line_put() wrote, from 0 to most. */
int64_t line_get(struct line_in *in, int64_t most);

/* What line_put_words() wrote, and up to the end: bad when there is no room for it. */
void line_get_words(struct line_in *in, char *words, size_t size);
void line_get_rest(struct line_in *in, char *words, size_t size);

/* Copy text, cut to fit, as printable ASCII: what is not becomes "?". */
void line_copy(char *words, size_t size, const char *text);

#endif
