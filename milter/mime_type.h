/*
 * The value of a Content-Type field: what a part is, and what cuts it up.
 *
 * Pure.  Source: RFC 2045, section 5.1; RFC 2046, section 5.1.1.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_MIME_TYPE_H
#define MILTER_MIME_TYPE_H

enum {
    MIME_TYPE_MAX = 63,      /* of what is looked for none is longer */
    MIME_BOUNDARY_MAX = 200, /* 70 are allowed */
};

struct mime_type {
    char name[MIME_TYPE_MAX + 1];         /* "multipart/report", lower case; "": unreadable */
    char boundary[MIME_BOUNDARY_MAX + 1]; /* "": none, or none that can be used */
};

/* value: one line, as header_unfold() makes it.  Any text gives a type. */
void mime_type_read(const char *value, struct mime_type *ret_type);

#endif
