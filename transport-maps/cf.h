/*
 * The syntax of main.cf and master.cf, as Postfix reads it.
 *
 * A logical line starts with text in the first column; lines that start with
 * white space continue it.  Comments and blank lines count for nothing, and
 * may stand between the lines that make up a logical one.
 *
 * Pure: text in, values out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_CF_H
#define TRANSPORT_MAPS_CF_H

#include <stdbool.h>
#include <stddef.h>

/* Where a logical line stands: from its first byte to behind its last line that has text. */
struct cf_line {
    size_t start, end;
};

/* Find the next logical line from *position on, and move *position behind it. */
bool cf_next(const char *text, size_t *position, struct cf_line *ret_line);

/* The line in one piece: no newlines, no comments.  The caller owns it. */
char *cf_join(const char *text, const struct cf_line *line);

/*
 * The parameter that a joined line sets: "name = value".  Returns the value,
 * which the caller owns, and sets *ret_name, or NULL for anything else.
 */
char *cf_parameter(const char *joined, char **ret_name);

/* The value that main.cf text gives to name; the last one counts.  NULL: not set. */
char *cf_value(const char *text, const char *name);

enum cf_field {
    CF_NAME,
    CF_TYPE,
    CF_PRIVATE,
    CF_UNPRIVILEGED,
    CF_CHROOT,
    CF_WAKEUP,
    CF_MAXPROC,
    CF_COMMAND,
    CF_FIELDS,
};

/* One "-o name=value"; it takes up count arguments from first on. */
struct cf_option {
    size_t first, count;
    char *name, *value;
};

struct cf_service {
    struct cf_line line;
    char *fields[CF_FIELDS];
    char **args; /* as written, braces and all */
    size_t arg_count;
    struct cf_option *options;
    size_t option_count;
};

struct cf_services {
    struct cf_service *items;
    size_t count;
};

/* All lines of master.cf text that have the eight fields of a service. */
void cf_services_parse(const char *text, struct cf_services *services);
void cf_services_clear(struct cf_services *services);

/* Where a service occurs twice, Postfix takes the last.  type NULL: any. */
const struct cf_service *cf_services_find(const struct cf_services *services, const char *name,
                                          const char *type);

/* The value that counts (the last) of an -o option, or NULL. */
const char *cf_service_option(const struct cf_service *service, const char *name);

/* Is the service run by this program?  The command may have a path before it. */
bool cf_service_runs(const struct cf_service *service, const char *program);

/*
 * Take the next word from *text: words are separated by commas when commas is
 * set, and by white space; neither counts inside braces.  NULL at the end.
 */
char *cf_word(const char **text, bool commas);

#endif
