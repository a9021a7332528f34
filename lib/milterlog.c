/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/milterlog.h"

#include "engine/require.h"
#include "lib/logtext.h"

#include <string.h>

/* "list_unsubscribe one_from"; false: there is a word that is no name. */
static bool
read_unmet(struct span names, unsigned *ret_set)
{
    struct cursor reader = {names.start, names.start + names.length};
    unsigned set = 0;
    enum require require;

    while (cursor_left(&reader) > 0) {
        struct span word = {reader.at, cursor_left(&reader)};

        if (!cursor_take_until(&reader, " ", &word))
            reader.at = reader.end;
        if (!require_find(word.start, word.length, &require))
            return false;
        set |= REQUIRE_BIT(require);
    }
    *ret_set = set;
    return set != 0;
}

/* "require: stream=bulk, unmet=one_click one_from, then=warn, from=<...>", behind "require: ". */
static enum maillog_kind
read_require(struct maillog *line, struct cursor *reader)
{
    struct span names;

    return cursor_take(reader, "stream=") && cursor_take_until(reader, ", unmet=", &line->stream) &&
                   cursor_take_until(reader, ", then=", &names) && read_unmet(names, &line->unmet)
               ? MAILLOG_UNMET
               : MAILLOG_ODD;
}

/* ", stream=bulk": a value that the milter has written, and no text of a stranger. */
static bool
take_fact(struct cursor *reader, const char *behind, const char *key, struct span *ret_value)
{
    struct cursor at = *reader;

    if (!cursor_take(&at, behind) || !cursor_take(&at, key) || !cursor_take(&at, "="))
        return false;
    ret_value->start = at.at;
    while (cursor_left(&at) > 0 && (logtext_is_word(*at.at) || memchr("-._:", *at.at, 4) != NULL))
        at.at++;
    ret_value->length = (size_t)(at.at - ret_value->start);
    if (ret_value->length == 0)
        return false;
    *reader = at;
    return true;
}

/* What is left is strangers' text: keys whose values are in quotes, or nothing. */
static bool
is_text_left(const struct cursor *reader)
{
    struct cursor at = *reader;

    if (cursor_left(&at) == 0)
        return true;
    if (!cursor_take(&at, ", "))
        return false;
    while (cursor_left(&at) > 0 && (logtext_is_word(*at.at) || *at.at == '_'))
        at.at++;
    return cursor_take(&at, "=\"");
}

/* ", stream=bulk, id=k3vq2m7xw4ab, by=mark, account=a.test", or nothing of it. */
static bool
read_whose(struct maillog *line, struct cursor *reader)
{
    struct span by;

    if (!take_fact(reader, ", ", "stream", &line->stream))
        return true;
    if (!take_fact(reader, ", ", "id", &line->id) || !take_fact(reader, ", ", "by", &by))
        return false;
    line->by_mark = logtext_is(by, "mark");
    take_fact(reader, ", ", "account", &line->account);
    return line->by_mark || logtext_is(by, "tag");
}

/* Behind its first words, "type=abuse, incidents=1" or "recipients=1": facts, in their order. */
static enum maillog_kind
read_report(struct maillog *line, struct cursor *reader, enum maillog_kind kind)
{
    struct span other;

    take_fact(reader, ", ", kind == MAILLOG_COMPLAINT ? "incidents" : "status", &other);
    if (!read_whose(line, reader))
        return MAILLOG_ODD;
    if (!take_fact(reader, ", ", "address", &line->address))
        take_fact(reader, ", ", "source", &other);
    take_fact(reader, ", ", "domain", &line->domain);
    return is_text_left(reader) ? kind : MAILLOG_ODD;
}

enum maillog_kind
milterlog_read(struct maillog *line, struct cursor *reader)
{
    struct span word;

    if (cursor_take(reader, "require: "))
        return read_require(line, reader);
    if (cursor_take(reader, "complaint"))
        return take_fact(reader, ": ", "type", &word) ? read_report(line, reader, MAILLOG_COMPLAINT)
                                                      : MAILLOG_ODD;
    if (cursor_take(reader, "bounce"))
        return take_fact(reader, ": ", "recipients", &word)
                   ? read_report(line, reader, MAILLOG_RETURNED)
                   : MAILLOG_ODD;
    return MAILLOG_OTHER;
}
