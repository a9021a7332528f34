/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/bulk_value.h"

#include "lib/addr.h"
#include "lib/cursor.h"
#include "lib/header.h"

#include <string.h>
#include <strings.h>

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_alnum(char c)
{
    return cursor_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* What an atom is made of: RFC 5322, section 3.2.3; RFC 6532, section 3.2. */
static bool
is_atext(char c)
{
    return is_alnum(c) || (unsigned char)c >= 0x80 ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static struct cursor
cursor_of(const char *value)
{
    return (struct cursor){value, value + strlen(value)};
}

/* White space and comments, in comments.  Returns false for one that does not end. */
static bool
skip_comments(struct cursor *reader)
{
    size_t depth = 0;

    for (; cursor_left(reader) > 0; reader->at++) {
        char c = *reader->at;

        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == '\\' && depth > 0 && cursor_left(reader) > 1)
            reader->at++;
        else if (depth == 0 && !is_space(c))
            return true;
    }
    return depth == 0;
}

/* --------------------------------------------------------------------- From */

static bool
take_atom(struct cursor *reader)
{
    const char *start = reader->at;

    while (cursor_left(reader) > 0 && is_atext(*reader->at))
        reader->at++;
    return reader->at > start;
}

static bool
take_quoted(struct cursor *reader)
{
    if (!cursor_take(reader, "\""))
        return false;
    for (; cursor_left(reader) > 0; reader->at++) {
        if (*reader->at == '\\' && cursor_left(reader) > 1)
            reader->at++;
        else if (*reader->at == '"')
            return cursor_take(reader, "\"");
    }
    return false;
}

static bool
take_word(struct cursor *reader)
{
    return take_atom(reader) || take_quoted(reader);
}

static bool
take_local_part(struct cursor *reader)
{
    do {
        if (!skip_comments(reader) || !take_word(reader) || !skip_comments(reader))
            return false;
    } while (cursor_take(reader, "."));
    return true;
}

static bool
take_literal(struct cursor *reader)
{
    struct span literal;

    return cursor_take(reader, "[") && cursor_take_until(reader, "]", &literal) &&
           memchr(literal.start, '[', literal.length) == NULL;
}

static bool
take_domain(struct cursor *reader, char domain[static BULK_DOMAIN_SIZE])
{
    size_t used = 0;

    if (cursor_left(reader) > 0 && *reader->at == '[')
        return take_literal(reader);
    do {
        const char *start;
        size_t length;

        if (!skip_comments(reader))
            return false;
        start = reader->at;
        if (!take_atom(reader))
            return false;
        length = (size_t)(reader->at - start);
        if (used + length + 1 < BULK_DOMAIN_SIZE) { /* and a dot or NUL */
            memcpy(domain + used, start, length);
            domain[used + length] = '.';
        }
        used += length + 1;
        if (!skip_comments(reader))
            return false;
    } while (cursor_take(reader, "."));
    domain[used <= BULK_DOMAIN_SIZE - 1 ? used - 1 : 0] = '\0';
    addr_lower(domain);
    return true;
}

static bool
take_address(struct cursor *reader, char domain[static BULK_DOMAIN_SIZE])
{
    domain[0] = '\0';
    return take_local_part(reader) && cursor_take(reader, "@") && skip_comments(reader) &&
           take_domain(reader, domain) && skip_comments(reader);
}

/* An address, or one in <> with a name before it. */
static bool
take_mailbox(struct cursor *reader, char domain[static BULK_DOMAIN_SIZE])
{
    struct cursor start = *reader;

    if (take_address(reader, domain))
        return true;
    *reader = start;
    while (take_word(reader) || cursor_take(reader, "."))
        if (!skip_comments(reader))
            return false;
    return cursor_take(reader, "<") && take_address(reader, domain) && cursor_take(reader, ">");
}

bool
bulk_value_author(const char *value, char domain[static BULK_DOMAIN_SIZE])
{
    struct cursor reader = cursor_of(value);
    bool found = false;

    domain[0] = '\0';
    while (skip_comments(&reader)) {
        if (cursor_left(&reader) == 0)
            return found;
        if (cursor_take(&reader, ",")) /* elements may be empty: RFC 5322, section 4.4 */
            continue;
        if (found || !take_mailbox(&reader, domain)) /* behind one only a comma may stand */
            break;
        found = true;
    }
    domain[0] = '\0';
    return false;
}

/* --------------------------------------------------------- List-Unsubscribe */

/* Its scheme and what follows; white space in it was put there by folding. */
static void
read_uri(struct span uri, struct bulk_uris *uris)
{
    static const char https[] = "https://";
    char start[64] = "";
    size_t used = 0, scheme = 0;

    for (size_t i = 0; i < uri.length && used < sizeof(start) - 1; i++)
        if (!is_space(uri.start[i]))
            start[used++] = uri.start[i];
    while (is_alnum(start[scheme]) ||
           (scheme > 0 && start[scheme] != '\0' && strchr("+-.", start[scheme]) != NULL))
        scheme++;
    if (scheme == 0 || cursor_is_digit(start[0]) || start[scheme] != ':' ||
        start[scheme + 1] == '\0' || memchr(uri.start, '<', uri.length) != NULL)
        return;
    uris->any = true;
    if (strncasecmp(start, https, strlen(https)) == 0) {
        char host = start[strlen(https)];

        uris->https |= is_alnum(host) || host == '[' || (unsigned char)host >= 0x80;
    }
}

void
bulk_value_uris(const char *value, struct bulk_uris *ret_uris)
{
    struct cursor reader = cursor_of(value);
    struct span uri;

    *ret_uris = (struct bulk_uris){0};
    do { /* what begins otherwise is passed over, with all behind it */
        if (!skip_comments(&reader) || !cursor_take(&reader, "<") ||
            !cursor_take_until(&reader, ">", &uri))
            return;
        read_uri(uri, ret_uris);
    } while (skip_comments(&reader) && cursor_take(&reader, ","));
}

bool
bulk_value_is_one_click(const char *value)
{
    char line[HEADER_VALUE_MAX + 1];

    header_unfold(value, line);
    return strcasecmp(line, "List-Unsubscribe=One-Click") == 0;
}

/* ----------------------------------------------------------- DKIM-Signature */

static struct span
trim(struct span span)
{
    while (span.length > 0 && is_space(span.start[0]))
        span = (struct span){span.start + 1, span.length - 1};
    while (span.length > 0 && is_space(span.start[span.length - 1]))
        span.length--;
    return span;
}

static bool
copy_domain(struct span text, char domain[static BULK_DOMAIN_SIZE])
{
    if (text.length == 0 || text.length >= BULK_DOMAIN_SIZE || text.start[0] == '.')
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.start[i];

        if (!is_alnum(c) && c != '-' && c != '_' && c != '.' && (unsigned char)c < 0x80)
            return false;
    }
    memcpy(domain, text.start, text.length);
    domain[text.length] = '\0';
    addr_lower(domain);
    return true;
}

bool
bulk_value_signer(const char *value, char domain[static BULK_DOMAIN_SIZE])
{
    struct cursor reader = cursor_of(value);
    bool found = false;

    domain[0] = '\0';
    while (cursor_left(&reader) > 0) {
        struct span tag = {reader.at, cursor_left(&reader)}, name;
        struct cursor inside;

        if (!cursor_take_until(&reader, ";", &tag))
            reader.at = reader.end;
        inside = (struct cursor){tag.start, tag.start + tag.length};
        if (!cursor_take_until(&inside, "=", &name))
            continue;
        name = trim(name);
        if (name.length != 1 || *name.start != 'd')
            continue;
        if (found || !copy_domain(trim((struct span){inside.at, cursor_left(&inside)}), domain)) {
            domain[0] = '\0';
            return false;
        }
        found = true;
    }
    return found;
}
