/*
 * What is assumed, from the command line.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/assumed.h"

#include "engine/snapshot.h"
#include "engine/week.h"
#include "lib/err.h"
#include "lib/known.h"
#include "lib/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_SIZE = 256, DIGITS_MAX = 9 };

/* Mail of people: little at night, most before noon. */
static const uint32_t curve_day[ASSUMED_HOURS] = {1, 1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 9,
                                                  7, 7, 8, 8, 7, 6, 5, 4, 4, 3, 2,  1};

/* Where the subscribers of a mixed list are; the shares of those that a site does not have are
 * "other". */
static const struct usual {
    const char *provider;
    uint32_t share;
} usual_shares[] = {
    {"google", 4000}, {"outlook", 1200}, {"microsoft-365", 1300},
    {"yahoo", 1000},  {"apple", 500},    {"gmx", 300},
};
enum { USUAL_MICROSOFT = 2500 }; /* "microsoft", where there are none of its two parts */

void
assumed_clear(struct assumed *assumed)
{
    for (size_t i = 0; i < assumed->count; i++) {
        free(assumed->streams[i].when);
        free(assumed->streams[i].when_text);
        free(assumed->streams[i].made_to);
    }
    free(assumed->streams);
    free(assumed->shares);
    assumed->streams = NULL;
    assumed->shares = NULL;
    assumed->count = 0;
}

/* -------------------------------------------------------------------- words */

/* The part of *text up to a comma; *text moves behind it.  False: there is none, or it is too long.
 */
static bool
next_word(const char **text, char word[static WORD_SIZE])
{
    size_t length = strcspn(*text, ",");

    if (length == 0 || length >= WORD_SIZE)
        return false;
    memcpy(word, *text, length);
    word[length] = '\0';
    *text += length;
    if (**text == ',' && (*text)[1] != '\0')
        (*text)++;
    return true;
}

/* "name=value" is parted at the first "=". */
static char *
cut_value(char *word)
{
    char *value = strchr(word, '=');

    if (value == NULL || value == word || value[1] == '\0')
        return NULL;
    *value = '\0';
    return value + 1;
}

static int
parse_count(const char *text, size_t length, uint64_t most, uint64_t *ret_count)
{
    uint64_t count = 0;

    if (length == 0 || length > DIGITS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -EINVAL;
        count = 10 * count + (uint64_t)(text[i] - '0');
    }
    if (count > most)
        return -EINVAL;
    *ret_count = count;
    return 0;
}

int
assumed_percent(const char *text, uint32_t *ret_parts, struct err *err)
{
    size_t whole = strspn(text, "0123456789");
    uint64_t parts = 0, more = 0;
    size_t digits;
    bool good = parse_count(text, whole, 100, &parts) == 0;

    parts *= 100;
    if (good && text[whole] == '.') {
        digits = strlen(text + whole + 1);
        good =
            (digits == 1 || digits == 2) && parse_count(text + whole + 1, digits, 99, &more) == 0;
        parts += digits == 1 ? 10 * more : more;
    } else {
        good &= text[whole] == '\0';
    }
    if (!good || parts > ASSUMED_ALL)
        return err_set(err, -EINVAL, "\"%s\" is no percentage, such as 40 or 1.5", text);
    *ret_parts = (uint32_t)parts;
    return 0;
}

static int
no_stream(const struct assumed *assumed, const char *name, struct err *err)
{
    return err_set(err, -EINVAL, "there is no stream \"%s\"%s", name,
                   known_streams(assumed->snapshot, name));
}

static struct assumed_stream *
find(struct assumed *assumed, const struct stream *stream)
{
    for (size_t i = 0; i < assumed->count; i++)
        if (assumed->streams[i].stream == stream)
            return &assumed->streams[i];
    return NULL;
}

/* The stream of that name that has a volume. */
static int
find_named(struct assumed *assumed, const char *name, struct assumed_stream **ret, struct err *err)
{
    const struct stream *stream = snapshot_find_stream(assumed->snapshot, name, strlen(name));

    if (stream == NULL)
        return no_stream(assumed, name, err);
    *ret = find(assumed, stream);
    return *ret != NULL ? 0 : err_set(err, -EINVAL, "stream \"%s\" has no volume", name);
}

/* ------------------------------------------------------------------ volumes */

static int
parse_volume(const char *text, struct assumed_stream *its)
{
    static const struct {
        const char *text;
        enum assumed_per per;
    } pers[] = {{"/hour", ASSUMED_HOUR}, {"/day", ASSUMED_DAY}, {"/week", ASSUMED_WEEK}};
    size_t digits = strspn(text, "0123456789");

    if (parse_count(text, digits, ASSUMED_COUNT_MAX, &its->count) < 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(pers) / sizeof(*pers); i++)
        if (strcmp(text + digits, pers[i].text) == 0) {
            its->per = pers[i].per;
            return 0;
        }
    return -EINVAL;
}

int
assumed_volumes(struct assumed *assumed, const char *text, struct err *err)
{
    char word[WORD_SIZE];

    while (*text != '\0') {
        struct assumed_stream its = {0};
        char *value = next_word(&text, word) ? cut_value(word) : NULL;

        if (value == NULL)
            return err_set(err, -EINVAL,
                           "STREAM=NUMBER/day is needed, or /hour or /week, with commas between "
                           "several");
        its.stream = snapshot_find_stream(assumed->snapshot, word, strlen(word));
        if (its.stream == NULL)
            return no_stream(assumed, word, err);
        if (find(assumed, its.stream) != NULL)
            return err_set(err, -EINVAL, "stream \"%s\" is there twice", word);
        if (parse_volume(value, &its) < 0)
            return err_set(err, -EINVAL,
                           "%s: \"%s\" is no volume, such as 500000/day, 2000/hour or 100000/week"
                           " (at most %d)",
                           word, value, ASSUMED_COUNT_MAX);
        assumed->streams =
            mem_resize(assumed->streams, assumed->count + 1, sizeof(*assumed->streams));
        assumed->streams[assumed->count++] = its;
    }
    return 0;
}

/* ---------------------------------------------------------------- providers */

static void
usual(struct assumed *assumed)
{
    const struct snapshot *snapshot = assumed->snapshot;
    const struct provider *microsoft = snapshot_find_provider(snapshot, "microsoft");
    uint32_t rest = ASSUMED_ALL;

    for (size_t i = 0; i < sizeof(usual_shares) / sizeof(*usual_shares); i++) {
        const struct provider *provider =
            snapshot_find_provider(snapshot, usual_shares[i].provider);

        if (provider == NULL)
            continue;
        assumed->shares[provider->index] = usual_shares[i].share;
        rest -= usual_shares[i].share;
    }
    if (microsoft != NULL && snapshot_find_provider(snapshot, "outlook") == NULL &&
        snapshot_find_provider(snapshot, "microsoft-365") == NULL) {
        assumed->shares[microsoft->index] = USUAL_MICROSOFT;
        rest -= USUAL_MICROSOFT;
    }
    assumed->shares[PROVIDER_OTHER] = rest;
}

int
assumed_providers(struct assumed *assumed, const char *text, struct err *err)
{
    uint32_t rest = ASSUMED_ALL, share;
    char word[WORD_SIZE];
    bool other = false;

    free(assumed->shares);
    assumed->shares = mem_array(assumed->snapshot->provider_count, sizeof(*assumed->shares));
    if (text == NULL) {
        usual(assumed);
        return 0;
    }
    while (*text != '\0') {
        char *value = next_word(&text, word) ? cut_value(word) : NULL;
        const struct provider *provider;
        int r;

        if (value == NULL)
            return err_set(err, -EINVAL, "PROVIDER=PERCENT is needed, with commas between several");
        provider = snapshot_find_provider(assumed->snapshot, word);
        if (provider == NULL)
            return err_set(err, -EINVAL, "there is no provider \"%s\"%s", word,
                           known_providers(assumed->snapshot, word));
        r = assumed_percent(value, &share, err);
        if (r < 0)
            return err_add(err, r, "%s", word);
        if (assumed->shares[provider->index] > 0)
            return err_set(err, -EINVAL, "provider \"%s\" is there twice", word);
        if (share > rest)
            return err_set(err, -EINVAL, "the shares of providers are more than 100 %%");
        assumed->shares[provider->index] = share;
        rest -= share;
        other |= provider->index == PROVIDER_OTHER;
    }
    if (other && rest > 0)
        return err_set(err, -EINVAL, "the shares of providers are less than 100 %%");
    assumed->shares[PROVIDER_OTHER] += rest;
    return 0;
}

/* --------------------------------------------------------------------- times */

static int
parse_curve(const char *text, uint32_t curve[static ASSUMED_HOURS])
{
    char word[WORD_SIZE];
    uint64_t number, sum = 0;

    for (size_t i = 0; i < ASSUMED_HOURS; i++) {
        if (!next_word(&text, word) ||
            parse_count(word, strlen(word), ASSUMED_CURVE_MAX, &number) < 0)
            return -EINVAL;
        curve[i] = (uint32_t)number;
        sum += number;
    }
    return *text == '\0' && sum > 0 ? 0 : -EINVAL;
}

int
assumed_curve(struct assumed *assumed, const char *text, struct err *err)
{
    assumed->curve_name = NULL;
    if (strcmp(text, "day") == 0) {
        memcpy(assumed->curve, curve_day, sizeof(curve_day));
        assumed->curve_name = "day";
    } else if (strcmp(text, "even") == 0) {
        for (size_t i = 0; i < ASSUMED_HOURS; i++)
            assumed->curve[i] = 1;
        assumed->curve_name = "even";
    } else if (parse_curve(text, assumed->curve) < 0) {
        return err_set(
            err, -EINVAL,
            "\"%s\" is no curve: \"day\", \"even\", or 24 numbers up to %d, one for each "
            "hour, with commas between them",
            text, ASSUMED_CURVE_MAX);
    }
    return 0;
}

int
assumed_when(struct assumed *assumed, const char *text, struct err *err)
{
    char *word = mem_strdup(text), *value = cut_value(word);
    struct assumed_stream *its;
    struct week week;
    const char *why;
    int r = 0;

    if (value == NULL) {
        r = err_set(err, -EINVAL, "STREAM=HOURS is needed, such as \"bulk=mon-fri 09:00-11:00\"");
        goto out;
    }
    r = find_named(assumed, word, &its, err);
    if (r < 0)
        goto out;
    why = week_parse(value, &week);
    if (why != NULL) {
        r = err_set(err, -EINVAL, "%s: \"%s\": %s", word, value, why);
        goto out;
    }
    free(its->when);
    free(its->when_text);
    its->when = mem_new(sizeof(week));
    *its->when = week;
    its->when_text = mem_strdup(value);
out:
    free(word);
    return r;
}

int
assumed_accounts(struct assumed *assumed, const char *text, struct err *err)
{
    char word[WORD_SIZE];

    while (*text != '\0') {
        char *value = next_word(&text, word) ? cut_value(word) : NULL;
        struct assumed_stream *its;
        uint64_t count;
        int r;

        if (value == NULL)
            return err_set(err, -EINVAL, "STREAM=NUMBER is needed, with commas between several");
        r = find_named(assumed, word, &its, err);
        if (r < 0)
            return r;
        if (parse_count(value, strlen(value), ASSUMED_ACCOUNTS_MAX, &count) < 0 || count == 0)
            return err_set(err, -EINVAL, "%s: \"%s\" is no number from 1 to %d", word, value,
                           ASSUMED_ACCOUNTS_MAX);
        its->accounts = (uint32_t)count;
    }
    return 0;
}
