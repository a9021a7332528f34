/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/mime.h"

#include "lib/mem.h"
#include "milter/decoder.h"
#include "milter/fields.h"
#include "milter/mime_type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a boundary needs, with "--" on both sides, spaces behind it, and the end of the line. */
enum { START_MAX = MIME_BOUNDARY_MAX + 40 };

enum place {
    PLACE_BEFORE,  /* the message's own header is told */
    PLACE_HEADER,  /* of a part */
    PLACE_WANTED,  /* in a part whose lines are wanted */
    PLACE_SKIPPED, /* in anything else */
};

struct mime {
    struct mime_calls calls;
    enum place place;

    char boundaries[MIME_DEPTH_MAX][MIME_BOUNDARY_MAX + 1]; /* of the multiparts we are in */
    size_t depth;

    /* The line as it comes. */
    char start[START_MAX]; /* held back until it is known whether that is a boundary */
    size_t start_length;
    bool going_on; /* it is none: all up to its end is passed on */

    /* The part. */
    struct fields fields;
    bool typed; /* the first field of its kind counts */
    struct mime_type type;
    bool encoded; /* likewise */
    struct decoder decoder;

    char line[MIME_LINE_MAX]; /* decoded */
    size_t line_length;
};

struct mime *
mime_new(const struct mime_calls *calls)
{
    struct mime *mime = mem_new(sizeof(*mime));

    mime->calls = *calls;
    return mime;
}

void
mime_free(struct mime *mime)
{
    free(mime);
}

static void
on_field(void *arg, const char *name, const char *value)
{
    struct mime *mime = arg;

    if (strcasecmp(name, "Content-Type") == 0 && !mime->typed) {
        mime->typed = true;
        mime_type_read(value, &mime->type);
    } else if (strcasecmp(name, "Content-Transfer-Encoding") == 0 && !mime->encoded) {
        mime->encoded = true;
        decoder_start(&mime->decoder, value);
    }
}

void
mime_header(struct mime *mime, const char *name, const char *value)
{
    char line[HEADER_VALUE_MAX + 1];

    if (mime->place != PLACE_BEFORE || strncasecmp(name, "Content-", 8) != 0)
        return;
    header_unfold(value, line);
    on_field(mime, name, line);
}

/* The header is over.  A multipart that is too deep, or that nothing cuts up, has no parts. */
static void
begin_part(struct mime *mime)
{
    static const char multipart[] = "multipart/";

    mime->line_length = 0;
    if (strncmp(mime->type.name, multipart, sizeof(multipart) - 1) != 0) {
        mime->place =
            mime->calls.part(mime->calls.arg, mime->type.name) ? PLACE_WANTED : PLACE_SKIPPED;
        return;
    }
    mime->place = PLACE_SKIPPED;
    if (mime->depth < MIME_DEPTH_MAX && mime->type.boundary[0] != '\0')
        strcpy(mime->boundaries[mime->depth++], mime->type.boundary);
}

static void
begin_header(struct mime *mime)
{
    mime->place = PLACE_HEADER;
    mime->line_length = 0;
    mime->typed = false;
    mime->type = (struct mime_type){.name = "text/plain"};
    mime->encoded = false;
    mime->decoder = (struct decoder){.way = DECODER_PLAIN};
}

static void
on_line(struct mime *mime)
{
    size_t length = mime->line_length;

    if (length > 0 && mime->line[length - 1] == '\r')
        length--;
    mime->line_length = 0;
    if (mime->place == PLACE_HEADER) {
        if (!fields_line(&mime->fields, mime->line, length, on_field, mime))
            begin_part(mime);
    } else if (!mime->calls.line(mime->calls.arg, mime->line, length)) {
        mime->place = PLACE_SKIPPED;
        mime->calls.end(mime->calls.arg);
    }
}

/* Decoded bytes: cut into lines. */
static void
collect(struct mime *mime, const char *data, size_t length)
{
    while (length > 0 && mime->place != PLACE_SKIPPED) {
        const char *newline = memchr(data, '\n', length);
        size_t taken = newline != NULL ? (size_t)(newline - data) : length;
        size_t room = MIME_LINE_MAX - mime->line_length;

        memcpy(mime->line + mime->line_length, data, taken < room ? taken : room);
        mime->line_length += taken < room ? taken : room;
        if (newline != NULL) {
            on_line(mime);
            taken++;
        }
        data += taken;
        length -= taken;
    }
}

/* Bytes that are no boundary, of one line at most. */
static void
on_bytes(struct mime *mime, const char *data, size_t length)
{
    char out[DECODER_OUT_MAX];

    if (mime->place == PLACE_SKIPPED)
        return;
    if (mime->place == PLACE_HEADER || mime->decoder.way == DECODER_PLAIN) {
        collect(mime, data, length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        collect(mime, out, decoder_take(&mime->decoder, data[i], out));
}

/* What stands at the end of a part without an end of line is its last line. */
static void
end_part(struct mime *mime)
{
    if (mime->line_length > 0 && mime->place != PLACE_SKIPPED)
        on_line(mime);
    if (mime->place == PLACE_HEADER) {
        fields_end(&mime->fields, on_field, mime);
        begin_part(mime);
    }
    if (mime->place == PLACE_WANTED)
        mime->calls.end(mime->calls.arg);
    mime->place = PLACE_SKIPPED;
}

/*
 * Is the line that is held back a boundary, of the innermost multipart or of
 * one around it, which then ends those within?
 */
static bool
take_boundary(struct mime *mime)
{
    size_t length = mime->start_length;
    const char *text = mime->start;

    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL && text[length - 1] != '\0')
        length--;
    if (length < 3 || text[0] != '-' || text[1] != '-')
        return false;
    for (size_t i = mime->depth; i > 0; i--) {
        const char *boundary = mime->boundaries[i - 1];
        size_t own = strlen(boundary);
        bool last = length == own + 4 && memcmp(text + length - 2, "--", 2) == 0;

        if ((length != own + 2 && !last) || memcmp(text + 2, boundary, own) != 0)
            continue;
        end_part(mime);
        mime->depth = last ? i - 1 : i;
        if (!last)
            begin_header(mime);
        return true;
    }
    return false;
}

/* The line that is held back is complete, or too long for a boundary. */
static void
let_go(struct mime *mime, bool complete)
{
    if (!complete || !take_boundary(mime))
        on_bytes(mime, mime->start, mime->start_length);
    mime->start_length = 0;
    mime->going_on = !complete;
}

void
mime_body(struct mime *mime, const void *data, size_t length)
{
    const char *at = data;

    if (mime->place == PLACE_BEFORE)
        begin_part(mime);
    while (length > 0) {
        const char *newline = memchr(at, '\n', length);
        size_t taken = newline != NULL ? (size_t)(newline + 1 - at) : length;

        if (mime->start_length == 0 && (mime->depth == 0 || at[0] != '-'))
            mime->going_on = true;
        if (mime->going_on) {
            on_bytes(mime, at, taken);
            mime->going_on = newline == NULL;
        } else {
            size_t room = START_MAX - mime->start_length;

            if (taken > room) {
                taken = room;
                newline = NULL;
            }
            memcpy(mime->start + mime->start_length, at, taken);
            mime->start_length += taken;
            if (newline != NULL || mime->start_length == START_MAX)
                let_go(mime, newline != NULL);
        }
        at += taken;
        length -= taken;
    }
}

void
mime_end(struct mime *mime)
{
    if (mime->place == PLACE_BEFORE)
        begin_part(mime);
    if (mime->start_length > 0)
        let_go(mime, true);
    end_part(mime);
}
