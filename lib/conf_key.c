/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_key.h"

#include "lib/conf_caps.h"
#include "lib/conf_value.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_MAX = 32 };

/* "streams.[1].pool" as people say it: without libconfig's brackets. */
static void
add_path(struct buf *path, const config_setting_t *setting)
{
    const config_setting_t *parent = config_setting_parent(setting);
    const char *name = config_setting_name(setting);

    if (parent == NULL)
        return;
    add_path(path, parent);
    if (path->length > 0)
        buf_puts(path, ".");
    if (name != NULL)
        buf_puts(path, name);
    else
        buf_printf(path, "%d", config_setting_index(setting) + 1);
}

static void
problem(struct conf_reader *reader, const config_setting_t *setting, bool warning,
        const char *format, va_list ap)
{
    const char *file = config_setting_source_file(setting);
    char where[512], text[1024];
    struct buf path = {0};
    int used;

    if (file == NULL)
        file = reader->file;
    if (config_setting_parent(setting) == NULL) /* the whole file: it has no line */
        snprintf(where, sizeof(where), "%s", file);
    else
        snprintf(where, sizeof(where), "%s:%u", file, config_setting_source_line(setting));
    add_path(&path, setting);
    used = snprintf(text, sizeof(text), "%s%.300s%s", warning ? "warning: " : "", buf_text(&path),
                    path.length > 0 ? ": " : "");
    vsnprintf(text + used, sizeof(text) - (size_t)used, format, ap);
    conf_problems_add(reader->problems, warning, where, text);
    buf_clear(&path);
}

void
conf_problem(struct conf_reader *reader, const config_setting_t *setting, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    problem(reader, setting, false, format, ap);
    va_end(ap);
}

void
conf_warning(struct conf_reader *reader, const config_setting_t *setting, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    problem(reader, setting, true, format, ap);
    va_end(ap);
}

static const char *
type_name(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        return "a text";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
    case CONFIG_TYPE_FLOAT:
        return "a number";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_GROUP:
        return "a group { ... }";
    default:
        return "a list ( ... )";
    }
}

const char *
conf_read_text(struct conf_reader *reader, config_setting_t *setting)
{
    const char *text = config_setting_get_string(setting);

    if (text == NULL)
        conf_problem(reader, setting, "is %s, a text in quotes is needed", type_name(setting));
    return text;
}

bool
conf_read_is_list(struct conf_reader *reader, config_setting_t *setting, const char *of_what)
{
    if (config_setting_is_list(setting) || config_setting_is_array(setting))
        return true;
    conf_problem(reader, setting, "is %s, a list of %s is needed, ( ..., ... )", type_name(setting),
                 of_what);
    return false;
}

static void
read_list(struct conf_reader *reader, config_setting_t *setting, const struct conf_key *key,
          struct conf_list *list)
{
    int count = config_setting_length(setting);

    if (!conf_read_is_list(reader, setting, "texts"))
        return;
    conf_value_clear(key, list);
    list->items = mem_array((size_t)count, sizeof(*list->items));
    for (int i = 0; i < count; i++) {
        const char *text = conf_read_text(reader, config_setting_get_elem(setting, (unsigned)i));

        if (text != NULL)
            list->items[list->count++] = mem_strdup(text);
    }
}

static void
read_count(struct conf_reader *reader, config_setting_t *setting, const struct conf_key *key,
           int *member)
{
    int type = config_setting_type(setting);
    long long number = config_setting_get_int64(setting);

    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
        conf_problem(reader, setting, "is %s, a whole number is needed", type_name(setting));
    else if (number < key->min || number > key->max)
        conf_problem(reader, setting, "%lld is outside %lld to %lld", number, (long long)key->min,
                     (long long)key->max);
    else
        *member = (int)number;
}

/* False, and a problem: it is none. */
static bool
read_number(struct conf_reader *reader, config_setting_t *setting, double *ret_number)
{
    int type = config_setting_type(setting);

    if (type == CONFIG_TYPE_FLOAT) {
        *ret_number = config_setting_get_float(setting);
    } else if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) {
        *ret_number = (double)config_setting_get_int64(setting);
    } else {
        conf_problem(reader, setting, "is %s, a number is needed", type_name(setting));
        return false;
    }
    return true;
}

static void
read_share(struct conf_reader *reader, config_setting_t *setting, uint32_t *member)
{
    double percent;

    if (!read_number(reader, setting, &percent))
        return;
    if (!(percent >= 0.01 && percent <= 100)) /* refuses NaN, too */
        conf_problem(reader, setting, "%g is outside 0.01 to 100 percent", percent);
    else
        *member = (uint32_t)(percent * (FAULT_ALL / 100.0) + 0.5);
}

static void
read_weight(struct conf_reader *reader, config_setting_t *setting, double *member)
{
    double weight;

    if (!read_number(reader, setting, &weight))
        return;
    if (!(weight >= 0.001 && weight <= 1000000)) /* refuses NaN, too */
        conf_problem(reader, setting, "%g is no weight, write a number from 0.001 to 1000000",
                     weight);
    else
        *member = weight;
}

static void
read_bool(struct conf_reader *reader, config_setting_t *setting, bool *member)
{
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
        conf_problem(reader, setting, "is %s, true or false is needed", type_name(setting));
    else
        *member = config_setting_get_bool(setting) != 0;
}

static void
read_key(struct conf_reader *reader, config_setting_t *setting, const struct conf_key *key,
         void *object)
{
    void *member = (char *)object + key->offset;
    const char *text;
    struct err err;

    switch (key->type) {
    case KEY_OWN:
        if (key->read != NULL)
            key->read(reader, setting);
        break;
    case KEY_GROUP:
        if (config_setting_is_group(setting))
            conf_read_group(reader, setting, key->keys, object);
        else
            conf_problem(reader, setting, "is %s, a group { ... } is needed", type_name(setting));
        break;
    case KEY_LIST:
        read_list(reader, setting, key, member);
        break;
    case KEY_COUNT:
        read_count(reader, setting, key, member);
        break;
    case KEY_BOOL:
        read_bool(reader, setting, member);
        break;
    case KEY_CAPS:
        conf_read_caps(reader, setting, member);
        break;
    case KEY_WEIGHT:
        read_weight(reader, setting, member);
        break;
    case KEY_SHARE:
        read_share(reader, setting, member);
        break;
    default:
        text = conf_read_text(reader, setting);
        if (text != NULL && conf_value_set(key, text, member, &err) < 0)
            conf_problem(reader, setting, "%s", err.msg);
    }
}

void
conf_read_defaults(const struct conf_key *keys, void *object)
{
    for (const struct conf_key *key = keys; key->name != NULL; key++) {
        if (key->type == KEY_GROUP)
            conf_read_defaults(key->keys, object);
        else if (key->type != KEY_OWN)
            conf_value_default(key, (char *)object + key->offset);
    }
}

void
conf_clear_group(const struct conf_key *keys, void *object)
{
    for (const struct conf_key *key = keys; key->name != NULL; key++) {
        if (key->type == KEY_GROUP)
            conf_clear_group(key->keys, object);
        else if (key->type != KEY_OWN)
            conf_value_clear(key, (char *)object + key->offset);
    }
}

static const struct conf_key *
find_key(const struct conf_key *keys, const char *name)
{
    for (; keys->name != NULL; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

static void
unknown_key(struct conf_reader *reader, config_setting_t *setting, const struct conf_key *keys)
{
    const char *names[TABLE_MAX];
    size_t count = 0;

    for (; keys->name != NULL && count < TABLE_MAX; keys++)
        names[count++] = keys->name;
    conf_problem(reader, setting, "unknown key%s",
                 conf_nearest(config_setting_name(setting), names, count));
}

void
conf_read_group(struct conf_reader *reader, config_setting_t *group, const struct conf_key *keys,
                void *object)
{
    int count = config_setting_length(group);

    for (int i = 0; i < count; i++) {
        config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const struct conf_key *key = find_key(keys, config_setting_name(setting));

        if (key == NULL)
            unknown_key(reader, setting, keys);
        else
            read_key(reader, setting, key, object);
    }
    for (const struct conf_key *key = keys; key->name != NULL; key++)
        if (key->initial == NULL && config_setting_get_member(group, key->name) == NULL &&
            key->type != KEY_GROUP)
            conf_problem(reader, group, "%s is missing: %s", key->name, key->help);
}
