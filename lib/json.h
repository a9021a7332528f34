/*
 * Writing JSON (RFC 8259): just enough, into a struct buf.
 *
 * Commas come by themselves.  Names and texts are quoted; bytes that are no
 * UTF-8 become U+FFFD, so that the result always is.  Control characters are
 * written as "\u009b" is, also those that need not be: a terminal obeys them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include <stdbool.h>

struct buf;

struct json {
    struct buf *out; /* not ours */
    bool comma;      /* something stands before */
};

/* name: NULL at the top and in an array. */
void json_open(struct json *json, const char *name, char bracket);     /* '{' or '[' */
void json_close(struct json *json, char bracket);                      /* '}' or ']' */
void json_text(struct json *json, const char *name, const char *text); /* NULL: null */
void json_number(struct json *json, const char *name, long long number);
void json_real(struct json *json, const char *name, double number);
void json_bool(struct json *json, const char *name, bool value);

#endif
