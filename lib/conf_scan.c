/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_scan.h"

#include "lib/mem.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_SHOWN = 40, PATH_LONGEST = 4096 };

/* A name as it stands in the text. */
struct word {
    const char *start; /* NULL: none */
    size_t length;
    unsigned line;
};

/* What a bracket opened: a group with the names in it so far, or a list. */
struct scope {
    bool group;
    struct word *names; /* owned */
    size_t count;
    size_t room;
};

/* Where we are in the text; text[length] is not read. */
struct place {
    const struct conf_scan *scan;
    const char *text;
    size_t length;
    size_t at;
    unsigned line;
    bool fine;            /* libconfig may see it */
    struct word last;     /* a name, when "=" or ":" comes next */
    struct scope *scopes; /* owned; the innermost is the last */
    size_t scope_count;
    size_t scope_room;
};

static void
tell(struct place *p, unsigned line, bool fatal, const char *text)
{
    p->scan->problem(p->scan->arg, line, text);
    p->fine = p->fine && !fatal;
}

static void
open_scope(struct place *p, bool group)
{
    if (p->scope_count == p->scope_room) {
        p->scope_room = 2 * p->scope_room + 8;
        p->scopes = mem_resize(p->scopes, p->scope_room, sizeof(*p->scopes));
    }
    p->scopes[p->scope_count++] = (struct scope){.group = group};
}

static int
compare_words(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    int order = memcmp(x->start, y->start, x->length < y->length ? x->length : y->length);

    if (order != 0)
        return order;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return x->start < y->start ? -1 : 1;
}

/* libconfig would tell of the first name that is there twice, and nothing else. */
static void
close_scope(struct place *p)
{
    struct scope *scope = &p->scopes[--p->scope_count];
    char text[WORD_SHOWN + 100];
    size_t first = 0;

    if (scope->count > 0)
        qsort(scope->names, scope->count, sizeof(*scope->names), compare_words);
    for (size_t i = 1; i < scope->count; i++) {
        const struct word *one = &scope->names[first], *other = &scope->names[i];

        if (one->length != other->length || memcmp(one->start, other->start, one->length) != 0) {
            first = i;
            continue;
        }
        snprintf(text, sizeof(text),
                 "%.*s is in this group already, in line %u; every name may "
                 "stand once",
                 (int)(one->length < WORD_SHOWN ? one->length : WORD_SHOWN), one->start, one->line);
        tell(p, other->line, true, text);
    }
    free(scope->names);
}

/* The word that a "=" or ":" follows is a name; in a list there are none. */
static void
add_name(struct place *p)
{
    struct scope *scope = &p->scopes[p->scope_count - 1];

    if (!scope->group || p->last.start == NULL)
        return;
    if (scope->count == scope->room) {
        scope->room = 2 * scope->room + 8;
        scope->names = mem_resize(scope->names, scope->room, sizeof(*scope->names));
    }
    scope->names[scope->count++] = p->last;
}

static bool
starts(const struct place *p, const char *word)
{
    size_t length = strlen(word);

    return p->length - p->at >= length && memcmp(p->text + p->at, word, length) == 0;
}

/* Pass bytes up to the first of the word; false: it never comes. */
static bool
pass_until(struct place *p, const char *word)
{
    for (; p->at < p->length; p->at++) {
        if (starts(p, word))
            return true;
        p->line += p->text[p->at] == '\n';
    }
    return false;
}

static void
pass_comment(struct place *p)
{
    unsigned line = p->line;

    if (!starts(p, "/*")) {
        pass_until(p, "\n");
        return;
    }
    p->at += 2;
    if (pass_until(p, "*/"))
        p->at += 2;
    else
        tell(p, line, true, "a comment begins here and never ends; \"*/\" is missing");
}

/* Returns the bytes between the quotes as they stand there, or SIZE_MAX. */
static size_t
pass_string(struct place *p)
{
    size_t start = ++p->at;

    for (; p->at < p->length && p->text[p->at] != '\n'; p->at++) {
        if (p->text[p->at] == '"')
            return p->at++ - start;
        if (p->text[p->at] == '\\' && p->at + 1 < p->length && p->text[p->at + 1] != '\n')
            p->at++;
    }
    tell(p, p->line, true, "a text begins on this line and does not end on it; a \" is missing");
    p->at = p->length; /* from here on inside and outside are mixed up */
    return SIZE_MAX;
}

static bool
in_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-' || c == '+' || c == '*';
}

/* A name, a number or a word; only whole numbers can be too large. */
static void
pass_word(struct place *p)
{
    char word[WORD_SHOWN + 1], text[WORD_SHOWN + 80], *end;
    size_t start = p->at, length;
    long long number;

    while (p->at < p->length && in_word(p->text[p->at]))
        p->at++;
    p->last = (struct word){p->text + start, p->at - start, p->line};
    length = p->at - start < WORD_SHOWN ? p->at - start : WORD_SHOWN;
    memcpy(word, p->text + start, length);
    word[length] = '\0';
    errno = 0;
    number = strtoll(word, &end, 10);
    if (end == word || (*end != '\0' && p->at - start <= WORD_SHOWN) ||
        (errno == 0 && number >= INT_MIN && number <= INT_MAX))
        return;
    snprintf(text, sizeof(text), "%s is too large a number, the largest is %d", word, INT_MAX);
    tell(p, p->line, false, text);
}

static void
pass_include(struct place *p)
{
    char path[PATH_LONGEST];
    size_t start, length;

    p->at += strlen("@include");
    while (p->at < p->length && (p->text[p->at] == ' ' || p->text[p->at] == '\t'))
        p->at++;
    if (p->at == p->length || p->text[p->at] != '"')
        return; /* libconfig has the words for it */
    start = p->at + 1;
    length = pass_string(p);
    if (length >= sizeof(path))
        return;
    memcpy(path, p->text + start, length);
    path[length] = '\0';
    p->fine = p->scan->include(p->scan->arg, p->line, path) && p->fine;
}

static void
pass_sign(struct place *p)
{
    char c = p->text[p->at++];

    if (c == '\n')
        p->line++;
    else if (c == '{' || c == '(' || c == '[')
        open_scope(p, c == '{');
    else if ((c == '}' || c == ')' || c == ']') && p->scope_count > 1)
        close_scope(p);
    else if (c == '=' || c == ':')
        add_name(p);
    if (c != '\n' && c != ' ' && c != '\t' && c != '\r')
        p->last.start = NULL;
}

static void
pass_one(struct place *p)
{
    char c = p->text[p->at];

    if (c == '#' || starts(p, "//") || starts(p, "/*")) {
        pass_comment(p);
    } else if (c == '"') {
        p->last.start = NULL;
        pass_string(p);
    } else if (starts(p, "@include")) {
        pass_include(p);
    } else if (in_word(c)) {
        pass_word(p);
    } else {
        pass_sign(p);
    }
}

bool
conf_scan(const struct conf_scan *scan, const char *text)
{
    struct place p = {.scan = scan, .text = text, .length = strlen(text), .line = 1, .fine = true};

    if (starts(&p, "\xef\xbb\xbf"))
        tell(&p, 1, true, "begins with a byte order mark; save it as UTF-8 without one");
    open_scope(&p, true); /* the file itself */
    while (p.at < p.length)
        pass_one(&p);
    while (p.scope_count > 0)
        close_scope(&p);
    free(p.scopes);
    return p.fine;
}
