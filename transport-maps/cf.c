/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/cf.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static const char *
skip_space(const char *text)
{
    while (is_space(*text))
        text++;
    return text;
}

/* The text between two ends, without white space around it. */
static char *
trimmed(const char *from, const char *to)
{
    while (from < to && is_space(*from))
        from++;
    while (to > from && is_space(to[-1]))
        to--;
    return mem_strndup(from, (size_t)(to - from));
}

/* Behind the newline of the physical line that starts at position. */
static size_t
line_end(const char *text, size_t position)
{
    const char *newline = strchr(text + position, '\n');

    return newline != NULL ? (size_t)(newline - text) + 1 : position + strlen(text + position);
}

/* Is there nothing on the physical line [start, end), or a comment? */
static bool
is_idle(const char *text, size_t start, size_t end)
{
    while (start < end && is_space(text[start]))
        start++;
    return start == end || text[start] == '#';
}

bool
cf_next(const char *text, size_t *position, struct cf_line *ret_line)
{
    size_t at = *position;
    size_t end;
    bool open = false;

    for (; text[at] != '\0'; at = end) {
        end = line_end(text, at);
        if (is_idle(text, at, end))
            continue;
        if (!open)
            ret_line->start = at;
        else if (!is_space(text[at]))
            break;
        open = true;
        ret_line->end = end;
    }
    *position = open ? ret_line->end : at;
    return open;
}

char *
cf_join(const char *text, const struct cf_line *line)
{
    struct buf joined = {0};
    size_t at = line->start;

    while (at < line->end) {
        size_t end = line_end(text, at);
        size_t length = end - at;

        if (text[end - 1] == '\n')
            length--;
        if (!is_idle(text, at, end))
            buf_add(&joined, text + at, length);
        at = end;
    }
    return buf_take(&joined);
}

char *
cf_parameter(const char *joined, char **ret_name)
{
    const char *equals = strchr(joined, '=');

    if (is_space(*joined) || equals == NULL || equals == joined)
        return NULL;
    *ret_name = trimmed(joined, equals);
    return trimmed(equals + 1, equals + strlen(equals));
}

char *
cf_value(const char *text, const char *name)
{
    struct cf_line line;
    size_t position = 0;
    char *found = NULL;

    while (cf_next(text, &position, &line)) {
        char *joined = cf_join(text, &line);
        char *its_name = NULL;
        char *value = cf_parameter(joined, &its_name);

        if (value != NULL && strcmp(its_name, name) == 0) {
            free(found);
            found = value;
            value = NULL;
        }
        free(value);
        free(its_name);
        free(joined);
    }
    return found;
}

char *
cf_word(const char **text, bool commas)
{
    const char *start = *text;
    const char *end;
    int depth = 0;

    while (is_space(*start) || (commas && *start == ','))
        start++;
    for (end = start; *end != '\0'; end++) {
        if (*end == '{')
            depth++;
        else if (*end == '}')
            depth--;
        else if (depth <= 0 && (is_space(*end) || (commas && *end == ',')))
            break;
    }
    *text = end;
    return end > start ? mem_strndup(start, (size_t)(end - start)) : NULL;
}

/* An argument in braces without them; others as they are. */
static char *
unbraced(const char *arg)
{
    size_t length = strlen(arg);

    if (length >= 2 && arg[0] == '{' && arg[length - 1] == '}')
        return trimmed(arg + 1, arg + length - 1);
    return mem_strdup(arg);
}

/* Find the options among the arguments. */
static void
service_options(struct cf_service *service)
{
    service->options = mem_array(service->arg_count, sizeof(service->options[0]));
    for (size_t i = 0; i < service->arg_count; i++) {
        struct cf_option option = {.first = i, .count = 1};
        char *arg = unbraced(service->args[i]);
        char *setting = NULL;

        if (strcmp(arg, "-o") == 0 && i + 1 < service->arg_count) {
            setting = unbraced(service->args[++i]);
            option.count = 2;
        } else if (strncmp(arg, "-o", 2) == 0) {
            setting = mem_strdup(skip_space(arg + 2));
        }
        if (setting != NULL)
            option.value = cf_parameter(setting, &option.name);
        if (option.value != NULL)
            service->options[service->option_count++] = option;
        free(setting);
        free(arg);
    }
}

static void
service_clear(struct cf_service *service)
{
    for (size_t i = 0; i < CF_FIELDS; i++)
        free(service->fields[i]);
    for (size_t i = 0; i < service->arg_count; i++)
        free(service->args[i]);
    for (size_t i = 0; i < service->option_count; i++) {
        free(service->options[i].name);
        free(service->options[i].value);
    }
    free(service->args);
    free(service->options);
}

/* Returns false when the line has fewer than eight fields. */
static bool
service_parse(const char *text, const struct cf_line *line, struct cf_service *service)
{
    char *joined = cf_join(text, line);
    const char *rest = joined;
    char *word;
    bool whole = !is_space(*joined);

    *service = (struct cf_service){.line = *line};
    for (size_t i = 0; whole && i < CF_FIELDS; i++) {
        service->fields[i] = cf_word(&rest, false);
        whole = service->fields[i] != NULL;
    }
    while (whole && (word = cf_word(&rest, false)) != NULL) {
        service->args = mem_resize(service->args, service->arg_count + 1, sizeof(service->args[0]));
        service->args[service->arg_count++] = word;
    }
    if (whole)
        service_options(service);
    else
        service_clear(service);
    free(joined);
    return whole;
}

void
cf_services_parse(const char *text, struct cf_services *services)
{
    struct cf_line line;
    size_t position = 0;
    size_t room = 0;

    *services = (struct cf_services){0};
    while (cf_next(text, &position, &line)) {
        if (services->count == room) {
            room = room > 0 ? room * 2 : 64;
            services->items = mem_resize(services->items, room, sizeof(services->items[0]));
        }
        if (service_parse(text, &line, &services->items[services->count]))
            services->count++;
    }
}

void
cf_services_clear(struct cf_services *services)
{
    for (size_t i = 0; i < services->count; i++)
        service_clear(&services->items[i]);
    free(services->items);
    *services = (struct cf_services){0};
}

const struct cf_service *
cf_services_find(const struct cf_services *services, const char *name, const char *type)
{
    for (size_t i = services->count; i > 0; i--) {
        const struct cf_service *service = &services->items[i - 1];

        if (strcmp(service->fields[CF_NAME], name) == 0 &&
            (type == NULL || strcmp(service->fields[CF_TYPE], type) == 0))
            return service;
    }
    return NULL;
}

const char *
cf_service_option(const struct cf_service *service, const char *name)
{
    for (size_t i = service->option_count; i > 0; i--) {
        if (strcmp(service->options[i - 1].name, name) == 0)
            return service->options[i - 1].value;
    }
    return NULL;
}

bool
cf_service_runs(const struct cf_service *service, const char *program)
{
    const char *command = service->fields[CF_COMMAND];
    const char *slash = strrchr(command, '/');

    return strcmp(slash != NULL ? slash + 1 : command, program) == 0;
}
