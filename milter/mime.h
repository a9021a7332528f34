/*
 * Walks through a MIME message as it comes, in pieces of any size.
 *
 * Pure, in the time of the message's length and in the room of one struct,
 * whatever it is made of: parts lie in parts MIME_DEPTH_MAX deep, of a line
 * MIME_LINE_MAX bytes are kept.  A part that is a message is not walked into:
 * what is attached is the caller's to read, or nobody's.
 *
 * Source: RFC 2045, RFC 2046.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_MIME_H
#define MILTER_MIME_H

#include <stdbool.h>
#include <stddef.h>

enum {
    MIME_DEPTH_MAX = 4,   /* multiparts in multiparts; one below that is a part like others */
    MIME_LINE_MAX = 2048, /* bytes of a line; the rest of it is passed over */
};

/* What the walk tells.  No call may call back. */
struct mime_calls {
    /* A part begins that has no parts.  type in lower case.  true: its lines are wanted. */
    bool (*part)(void *arg, const char *type);

    /* A line of it, decoded, without its end.  false: no more of them. */
    bool (*line)(void *arg, const char *line, size_t length);

    /* The part whose lines were wanted is over; once for each. */
    void (*end)(void *arg);

    void *arg;
};

struct mime;

struct mime *mime_new(const struct mime_calls *calls);
void mime_free(struct mime *mime); /* takes NULL */

/* A field of the message's own header.  value may be folded. */
void mime_header(struct mime *mime, const char *name, const char *value);

/* The next bytes of its body.  Lines end in LF or CRLF. */
void mime_body(struct mime *mime, const void *data, size_t length);

void mime_end(struct mime *mime);

#endif
