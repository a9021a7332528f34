/*
 * What differs between two configurations, setting by setting, and in few lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Compare the paths of two lines, what stands before " = ". */
static int
compare_paths(const char *a, const char *b)
{
    size_t length_a = (size_t)(strstr(a, " = ") - a);
    size_t length_b = (size_t)(strstr(b, " = ") - b);
    int order = strncmp(a, b, length_a < length_b ? length_a : length_b);

    if (order != 0)
        return order;
    return length_a < length_b ? -1 : length_a > length_b;
}

/* May the value hold a password, or a key?  A list that has a name of its own has one for that. */
static bool
is_secret(const char *line)
{
    static const char url[] = "store.url = ", lists[] = "lists.", zone[] = ".zone = ";
    const char *end;

    if (strncmp(line, url, strlen(url)) == 0)
        return true;
    if (strncmp(line, lists, strlen(lists)) != 0)
        return false;
    end = strchr(line + strlen(lists), '.');
    return end != NULL && strncmp(end, zone, strlen(zone)) == 0 &&
           strspn(line + strlen(lists), "0123456789") != (size_t)(end - line) - strlen(lists);
}

/* sign: '+', '-', or '~' for a line that was another. */
static char *
tell(char sign, const char *line, const char *was)
{
    if (is_secret(line))
        return mem_printf("%c %.*s(not shown)", sign, (int)(strstr(line, " = ") + 3 - line), line);
    if (was == NULL)
        return mem_printf("%c %s", sign, line);
    return mem_printf("%c %s (was %s)", sign, line, strstr(was, " = ") + 3);
}

size_t
conf_diff(const struct conf *before, const struct conf *after,
          void (*changed)(void *arg, const char *line), void *arg)
{
    size_t i = 0, j = 0, count = 0;

    while (i < before->line_count || j < after->line_count) {
        const char *a = i < before->line_count ? before->lines[i] : NULL;
        const char *b = j < after->line_count ? after->lines[j] : NULL;
        int order = a == NULL ? 1 : b == NULL ? -1 : compare_paths(a, b);
        char *line = NULL;

        i += order <= 0;
        j += order >= 0;
        if (order < 0)
            line = tell('-', a, NULL);
        else if (order > 0)
            line = tell('+', b, NULL);
        else if (strcmp(a, b) != 0)
            line = tell('~', b, a);
        if (line == NULL)
            continue;
        changed(arg, line);
        free(line);
        count++;
    }
    return count;
}

/* ------------------------------------------------------------ in few lines */

enum {
    MEMBERS_MAX = 8, /* of one group that are told one by one, when there is much to tell */
    SHOWN_MAX = 500, /* bytes of a line */
};

struct changes {
    char **lines; /* owned */
    size_t count;
};

/* Who is told, and how much was held back. */
struct teller {
    void (*told)(void *arg, const char *line);
    void *arg;
    size_t lines, untold;
};

static void
collect(void *arg, const char *line)
{
    struct changes *changes = arg;

    changes->lines = mem_resize(changes->lines, changes->count + 1, sizeof(*changes->lines));
    changes->lines[changes->count++] = mem_strdup(line);
}

/* line is of so many settings. */
static void
say(struct teller *teller, const char *line, size_t settings)
{
    size_t length = SHOWN_MAX;
    char *shown;

    if (teller->lines == CONF_DIFF_LINES) {
        teller->untold += settings;
        return;
    }
    teller->lines++;
    if (strlen(line) <= SHOWN_MAX) {
        teller->told(teller->arg, line);
        return;
    }
    while (((unsigned char)line[length] & 0xc0) == 0x80) /* not within a character */
        length--;
    shown = mem_printf("%.*s ...", (int)length, line);
    teller->told(teller->arg, shown);
    free(shown);
}

/* The part that names the group: "replies" of "~ replies.busy.code = 5", or its member, too. */
static size_t
name_length(const char *line, bool member)
{
    const char *path = line + strlen("~ ");
    const char *end = strstr(path, " = ");
    const char *dot = memchr(path, '.', (size_t)(end - path));

    if (dot != NULL && member)
        dot = memchr(dot + 1, '.', (size_t)(end - dot - 1));
    return (size_t)((dot != NULL ? dot : end) - path);
}

/* How many lines from the first one on are of the same group, or member of a group. */
static size_t
alike(char *const *lines, size_t count, bool member)
{
    size_t length = name_length(lines[0], member), n = 1;

    while (n < count && name_length(lines[n], member) == length &&
           memcmp(lines[n] + 2, lines[0] + 2, length) == 0)
        n++;
    return n;
}

static char
sign_of(char *const *lines, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (lines[i][0] != lines[0][0])
            return '~';
    return lines[0][0];
}

/* "+ replies.busy: 8 settings"; a single one as it is. */
static void
say_member(struct teller *teller, char *const *lines, size_t count)
{
    char *line;

    if (count == 1) {
        say(teller, lines[0], 1);
        return;
    }
    line = mem_printf("%c %.*s: %zu settings", sign_of(lines, count),
                      (int)name_length(lines[0], true), lines[0] + 2, count);
    say(teller, line, count);
    free(line);
}

/* "+ replies: 90 members, 712 settings", or its members one by one. */
static void
say_group(struct teller *teller, char *const *lines, size_t count)
{
    size_t length = name_length(lines[0], false), members = 0, n;
    char *line;

    for (size_t i = 0; i < count; i += n) {
        n = alike(lines + i, count - i, true);
        members += name_length(lines[i], true) > length; /* not the group's own list of them */
    }
    if (members > MEMBERS_MAX) {
        line = mem_printf("%c %.*s: %zu members, %zu settings", sign_of(lines, count), (int)length,
                          lines[0] + 2, members, count);
        say(teller, line, count);
        free(line);
        return;
    }
    for (size_t i = 0; i < count; i += n) {
        n = alike(lines + i, count - i, true);
        say_member(teller, lines + i, n);
    }
}

size_t
conf_diff_short(const struct conf *before, const struct conf *after,
                void (*told)(void *arg, const char *line), void *arg)
{
    struct changes changes = {0};
    struct teller teller = {.told = told, .arg = arg};
    size_t count = conf_diff(before, after, collect, &changes), n;
    char *rest;

    for (size_t i = 0; i < count; i += n) {
        n = count > CONF_DIFF_LINES ? alike(changes.lines + i, count - i, false) : 1;
        say_group(&teller, changes.lines + i, n);
    }
    if (teller.untold > 0) {
        rest = mem_printf("and %zu more", teller.untold);
        told(arg, rest);
        free(rest);
    }
    for (size_t i = 0; i < changes.count; i++)
        free(changes.lines[i]);
    free(changes.lines);
    return count;
}
