/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/logtext.h"

#include "lib/maillog.h"

#include <string.h>

bool
logtext_is_word(char c)
{
    return cursor_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool
logtext_is(struct span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.start, text, span.length) == 0;
}

bool
logtext_take_number(struct cursor *reader, size_t digits, int *ret_number)
{
    int number = 0;

    if (cursor_left(reader) < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (!cursor_is_digit(reader->at[i]))
            return false;
        number = number * 10 + (reader->at[i] - '0');
    }
    reader->at += digits;
    *ret_number = number;
    return true;
}

bool
logtext_take_date(struct cursor *reader, struct maillog_time *time)
{
    return logtext_take_number(reader, 4, &time->year) && cursor_take(reader, "-") &&
           logtext_take_number(reader, 2, &time->month) && cursor_take(reader, "-") &&
           logtext_take_number(reader, 2, &time->day);
}

bool
logtext_take_clock(struct cursor *reader, struct maillog_time *time)
{
    return logtext_take_number(reader, 2, &time->hour) && cursor_take(reader, ":") &&
           logtext_take_number(reader, 2, &time->minute) && cursor_take(reader, ":") &&
           logtext_take_number(reader, 2, &time->second);
}

void
logtext_take_fraction(struct cursor *reader, struct maillog_time *time)
{
    int scale = 100;

    if (cursor_take(reader, "."))
        for (; cursor_left(reader) > 0 && cursor_is_digit(*reader->at); reader->at++, scale /= 10)
            time->millisecond += (*reader->at - '0') * scale;
}

/* ---------------------------------------------------------------- addresses */

/* In a local part without quotes. */
static bool
is_plain(char c)
{
    return logtext_is_word(c) || (unsigned char)c >= 0x80 ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

/* In a domain, an address literal, or one that somebody made up. */
static bool
is_domain(char c)
{
    return is_plain(c) || c == '[' || c == ']' || c == ':';
}

/* Put reader behind the quoted string that begins there. */
static bool
skip_quoted(struct cursor *reader)
{
    for (reader->at++; cursor_left(reader) > 0; reader->at++) {
        if (*reader->at == '"') {
            reader->at++;
            return true;
        }
        if (*reader->at == '\\' && cursor_left(reader) > 1)
            reader->at++;
    }
    return false;
}

bool
logtext_take_address(struct cursor *reader, struct span *ret_span)
{
    const char *start = reader->at;

    if (cursor_left(reader) > 0 && *reader->at == '"' && !skip_quoted(reader))
        return false;
    while (cursor_left(reader) > 0 && is_plain(*reader->at))
        reader->at++;
    if (cursor_take(reader, "@"))
        while (cursor_left(reader) > 0 && is_domain(*reader->at))
            reader->at++;
    *ret_span = (struct span){start, (size_t)(reader->at - start)};
    return true;
}
