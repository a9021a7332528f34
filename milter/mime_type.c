/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/mime_type.h"

#include "lib/addr.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char *
skip_space(const char *at)
{
    while (*at == ' ')
        at++;
    return at;
}

/* To the next ';' outside quotes and comments, or the end. */
static const char *
skip_parameter(const char *at)
{
    bool quoted = false;
    int comments = 0;

    for (; *at != '\0' && (*at != ';' || quoted || comments > 0); at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        else if (comments == 0 && *at == '"')
            quoted = !quoted;
        else if (!quoted && *at == '(')
            comments++;
        else if (!quoted && *at == ')' && comments > 0)
            comments--;
    }
    return at;
}

/* A token or quoted string.  One that does not fit is none. */
static void
read_value(const char *at, char *out, size_t room)
{
    bool quoted = *at == '"';
    size_t used = 0;

    for (at += quoted; *at != '\0' && *at != '"'; at++) {
        if (!quoted && strchr(" ;()", *at) != NULL)
            break;
        if (quoted && *at == '\\' && at[1] != '\0')
            at++;
        if (used == room) {
            used = 0;
            break;
        }
        out[used++] = *at;
    }
    while (used > 0 && out[used - 1] == ' ') /* a boundary does not end in one */
        used--;
    out[used] = '\0';
}

void
mime_type_read(const char *value, struct mime_type *ret_type)
{
    static const char name[] = "boundary";
    const char *at = skip_space(value);
    size_t length = strcspn(at, " ;(");

    *ret_type = (struct mime_type){0};
    if (length > MIME_TYPE_MAX)
        return;
    memcpy(ret_type->name, at, length);
    addr_lower(ret_type->name);
    for (at = skip_parameter(at); *at == ';'; at = skip_parameter(at)) {
        at = skip_space(at + 1);
        if (strncasecmp(at, name, sizeof(name) - 1) != 0)
            continue;
        at = skip_space(at + sizeof(name) - 1);
        if (*at != '=')
            continue;
        read_value(skip_space(at + 1), ret_type->boundary, MIME_BOUNDARY_MAX);
        return;
    }
}
