/*
 * The header fields of a message, or of a part of one, line by line.
 *
 * Pure.  Lines that are no field are passed over; a field that is longer than
 * a value may be is cut, and one whose name is longer is passed over.
 *
 * Source: RFC 5322, section 2.2.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_FIELDS_H
#define MILTER_FIELDS_H

#include "lib/header.h"

#include <stdbool.h>
#include <stddef.h>

enum { FIELDS_NAME_MAX = 76 };

/* An all-zero struct has seen nothing. */
struct fields {
    char name[FIELDS_NAME_MAX + 1]; /* of the field whose lines come in; "": of none */
    char value[HEADER_VALUE_MAX + 1];
    size_t length; /* of value */
};

/* A field, its value as header_unfold() makes it. */
typedef void fields_fn(void *arg, const char *name, const char *value);

/*
 * The next line, without its end.  A field is handed to field when it is
 * known where it ends.  false: the line was empty, all fields are told.
 */
bool fields_line(struct fields *fields, const char *line, size_t length, fields_fn *field,
                 void *arg);

/* There are no more lines. */
void fields_end(struct fields *fields, fields_fn *field, void *arg);

#endif
