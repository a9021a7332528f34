/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_value.h"

#include "engine/date.h"
#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 64 };

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
    char least[UNITS_DURATION_SIZE], most[UNITS_DURATION_SIZE];
    int64_t ms;
    int r = units_parse_duration(text, &ms, err);

    if (r < 0)
        return r;
    if (ms < key->min || ms > key->max)
        return err_set(err, -ERANGE, "\"%s\" is outside %s to %s", text,
                       units_print_duration(key->min, least), units_print_duration(key->max, most));
    *ret_ms = ms;
    return 0;
}

/* Words that a key may hold; the first is number 0 of its enum. */
static int
parse_choice(const struct conf_key *key, const char *text, int *ret_choice, struct err *err)
{
    static const char *const exhausted[] = {"defer", "exceed", NULL};
    static const char *const over_quota[] = {"defer", "reject", "hold", "tag", NULL};
    static const char *const unmet[] = {"warn", "tempfail", "reject", NULL};
    static const char *const stores[] = {"sqlite", "redis", NULL};
    const char *const *words = key->type == KEY_EXHAUSTED    ? exhausted
                               : key->type == KEY_OVER_QUOTA ? over_quota
                               : key->type == KEY_UNMET      ? unmet
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
int
conf_value_set(const struct conf_key *key, const char *text, void *member, struct err *err)
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
    case KEY_UNMET:
    case KEY_STORE:
        return parse_choice(key, text, member, err);
    case KEY_DURATION:
        return parse_duration(key, text, member, err);
    case KEY_DATE:
        if (date_parse(text, member) < 0)
            return err_set(err, -EINVAL, "\"%s\" is no date, write one such as \"2026-11-27\"",
                           text);
        return 0;
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

void
conf_value_default(const struct conf_key *key, void *member)
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
    case KEY_SHARE:
        *(uint32_t *)member = (uint32_t)(atof(key->initial) * (FAULT_ALL / 100.0) + 0.5);
        break;
    default:
        if (key->initial[0] == '\0' && key->type != KEY_TEXT)
            break; /* no default of its own: NULL or 0 */
        if (conf_value_set(key, key->initial, member, &err) < 0)
            abort(); /* a default must pass as the file does */
    }
}

void
conf_value_clear(const struct conf_key *key, void *member)
{
    switch (key->type) {
    case KEY_TEXT:
    case KEY_HOST:
    case KEY_PATH:
    case KEY_ENDPOINT:
    case KEY_HEADER:
    case KEY_TLS:
        free(*(char **)member);
        *(char **)member = NULL;
        break;
    case KEY_LIST:
        list_clear(member);
        break;
    default:
        break; /* holds no memory of its own, or is the snapshot's */
    }
}
