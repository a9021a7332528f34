/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_key.h"

#include "lib/conf_caps.h"
#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 32, WORD_MAX = 64 };

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

/* Levenshtein distance, or WORD_MAX for words that are too long to be names. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t length = strlen(b);

    if (length > WORD_MAX || strlen(a) > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < change)
                change = row[j] + 1;
            if (row[j - 1] + 1 < change)
                change = row[j - 1] + 1;
            row[j] = change;
        }
    }
    return row[length];
}

const char *
conf_nearest(const char *word, const char *const *candidates, size_t count)
{
    static _Thread_local char text[WORD_MAX + 32];
    size_t least = strlen(word) / 2 < 3 ? strlen(word) / 2 + 1 : 4;

    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);

        if (d < least) {
            least = d;
            snprintf(text, sizeof(text), ", did you mean \"%s\"?", candidates[i]);
        }
    }
    return text;
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

/* A host name in what goes into master.cf and EHLO: nothing but its own letters. */
int
conf_check_host(const char *text, struct err *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    size_t length = strlen(text);

    if (length == 0 || length > 253 || strspn(text, letters) != length || text[0] == '.' ||
        text[0] == '-' || text[length - 1] == '.' || strstr(text, "..") != NULL)
        return err_set(err, -EINVAL,
                       "\"%s\" is no host name, write one such as \"a1.mail.example.com\"", text);
    return 0;
}

int
conf_check_header(const char *text, struct err *err)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == ':')
            length = 0;
    if (length == 0 || length > WORD_MAX)
        return err_set(
            err, -EINVAL,
            "\"%s\" is no header name, write up to %d printable characters without a colon", text,
            WORD_MAX);
    return 0;
}

static int
check_tls(const char *text, struct err *err)
{
    static const char *const levels[] = {"none",      "may",         "encrypt", "dane",
                                         "dane-only", "fingerprint", "verify",  "secure"};
    size_t count = sizeof(levels) / sizeof(*levels);

    for (size_t i = 0; i < count; i++)
        if (strcmp(text, levels[i]) == 0)
            return 0;
    return err_set(err, -EINVAL,
                   "\"%s\" is no TLS level of Postfix (none, may, encrypt, dane, dane-only, "
                   "fingerprint, verify, secure)%s",
                   text, conf_nearest(text, levels, count));
}

static int
parse_ip(const char *text, struct ip *ret_ip, struct err *err)
{
    struct ip ip;
    bool unicast;

    if (!ip_parse(text, &ip))
        return err_set(
            err, -EINVAL,
            "\"%s\" is no IP address, write one such as \"192.0.2.11\" or \"2001:db8::11\"", text);
    unicast = ip.family == 4 ? ip.bytes[0] != 0 && ip.bytes[0] < 224
                             : ip.bytes[0] != 0xff && (ip.bytes[0] | ip.bytes[15]) != 0;
    if (!unicast)
        return err_set(err, -EINVAL, "%s cannot be the address of a host", text);
    *ret_ip = ip;
    return 0;
}

static int
parse_duration(const struct conf_key *key, const char *text, int64_t *ret_ms, struct err *err)
{
    int64_t ms;
    int r = units_parse_duration(text, &ms, err);

    if (r < 0)
        return r;
    if (ms < key->min || ms > key->max)
        return err_set(err, -ERANGE, "\"%s\" is outside %lldms to %llds", text, (long long)key->min,
                       (long long)key->max / 1000);
    *ret_ms = ms;
    return 0;
}

/* Words that a key may hold; the first is number 0 of its enum. */
static int
parse_choice(const struct conf_key *key, const char *text, int *ret_choice, struct err *err)
{
    static const char *const exhausted[] = {"defer", "exceed", NULL};
    static const char *const over_quota[] = {"defer", "reject", "hold", "tag", NULL};
    static const char *const stores[] = {"sqlite", "redis", NULL};
    const char *const *words = key->type == KEY_EXHAUSTED    ? exhausted
                               : key->type == KEY_OVER_QUOTA ? over_quota
                                                             : stores;
    struct buf known = {0};
    int r = 0;

    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *ret_choice = i;
            goto out;
        }
        buf_printf(&known, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
    }
    r = err_set(err, -EINVAL, "\"%s\" is none of %s", text, buf_text(&known));
out:
    buf_clear(&known);
    return r;
}

/* Text of a key that holds text, in the file or as its default, into the member. */
static int
set_text(const struct conf_key *key, const char *text, void *member, struct err *err)
{
    int64_t ms;
    int r = 0;

    switch (key->type) {
    case KEY_IP:
        return parse_ip(text, member, err);
    case KEY_MODE:
        return units_parse_mode(text, member, err);
    case KEY_EXHAUSTED:
    case KEY_OVER_QUOTA:
    case KEY_STORE:
        return parse_choice(key, text, member, err);
    case KEY_DURATION:
        return parse_duration(key, text, member, err);
    case KEY_SECONDS:
        r = parse_duration(key, text, &ms, err);
        if (r == 0 && ms % 1000 != 0)
            r = err_set(err, -EINVAL, "\"%s\" is not in whole seconds", text);
        if (r == 0)
            *(int *)member = (int)(ms / 1000);
        return r;
    case KEY_HOST:
        r = conf_check_host(text, err);
        break;
    case KEY_HEADER:
        r = conf_check_header(text, err);
        break;
    case KEY_TLS:
        r = check_tls(text, err);
        break;
    case KEY_PATH:
        if (text[0] != '/')
            r = err_set(err, -EINVAL, "\"%s\" is no absolute path, it must start with /", text);
        break;
    case KEY_ENDPOINT:
        r = endpoint_check(text, err);
        break;
    default:
        break;
    }
    if (r < 0)
        return r;
    free(*(char **)member);
    *(char **)member = mem_strdup(text);
    return 0;
}

static void
list_clear(struct conf_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct conf_list){0};
}

/* A default list is written as words with spaces between them. */
static void
set_list(struct conf_list *list, const char *words)
{
    char *copy = mem_strdup(words), *save = NULL;

    list->items = mem_array(strlen(words) + 1, sizeof(*list->items));
    for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        list->items[list->count++] = mem_strdup(word);
    free(copy);
}

static void
set_default(const struct conf_key *key, void *member)
{
    struct err err;

    if (key->initial == NULL)
        return;
    switch (key->type) {
    case KEY_GROUP:
    case KEY_OWN:
    case KEY_CAPS:
        break;
    case KEY_BOOL:
        *(bool *)member = strcmp(key->initial, "true") == 0;
        break;
    case KEY_LIST:
        set_list(member, key->initial);
        break;
    case KEY_COUNT:
        *(int *)member = atoi(key->initial);
        break;
    case KEY_WEIGHT:
        *(double *)member = atof(key->initial);
        break;
    default:
        if (key->initial[0] == '\0' && key->type != KEY_TEXT)
            break; /* no default of its own: NULL or 0 */
        if (set_text(key, key->initial, member, &err) < 0)
            abort(); /* a default must pass as the file does */
    }
}

static void
read_list(struct conf_reader *reader, config_setting_t *setting, struct conf_list *list)
{
    int count = config_setting_length(setting);

    if (!conf_read_is_list(reader, setting, "texts"))
        return;
    list_clear(list);
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

static void
read_weight(struct conf_reader *reader, config_setting_t *setting, double *member)
{
    int type = config_setting_type(setting);
    double weight;

    if (type == CONFIG_TYPE_FLOAT) {
        weight = config_setting_get_float(setting);
    } else if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) {
        weight = (double)config_setting_get_int64(setting);
    } else {
        conf_problem(reader, setting, "is %s, a number is needed", type_name(setting));
        return;
    }
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
        read_list(reader, setting, member);
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
    default:
        text = conf_read_text(reader, setting);
        if (text != NULL && set_text(key, text, member, &err) < 0)
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
            set_default(key, (char *)object + key->offset);
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
