/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/fields.h"

#include <string.h>

/* A NUL would hide what is behind it. */
static void
add(struct fields *fields, const char *text, size_t length)
{
    size_t room = HEADER_VALUE_MAX - fields->length;

    if (length > room)
        length = room;
    for (size_t i = 0; i < length; i++)
        fields->value[fields->length++] = text[i] != '\0' ? text[i] : '?';
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The length of the name that line starts with; 0: it is no field that can be meant. */
static size_t
name_length(const char *line, size_t colon)
{
    while (colon > 0 && is_space(line[colon - 1])) /* obsolete, and still written */
        colon--;
    for (size_t i = 0; i < colon; i++)
        if (line[i] <= ' ' || line[i] >= 127)
            return 0;
    return colon <= FIELDS_NAME_MAX ? colon : 0;
}

void
fields_end(struct fields *fields, fields_fn *field, void *arg)
{
    char line[HEADER_VALUE_MAX + 1];

    if (fields->name[0] != '\0') {
        fields->value[fields->length] = '\0';
        header_unfold(fields->value, line);
        field(arg, fields->name, line);
    }
    fields->name[0] = '\0';
    fields->length = 0;
}

bool
fields_line(struct fields *fields, const char *line, size_t length, fields_fn *field, void *arg)
{
    const char *colon;
    size_t named;

    if (length > 0 && is_space(line[0])) {
        add(fields, line, length);
        return true;
    }
    fields_end(fields, field, arg);
    if (length == 0)
        return false;
    colon = memchr(line, ':', length);
    named = colon != NULL ? name_length(line, (size_t)(colon - line)) : 0;
    memcpy(fields->name, line, named);
    fields->name[named] = '\0';
    if (named > 0)
        add(fields, colon + 1, length - (size_t)(colon + 1 - line));
    return true;
}
