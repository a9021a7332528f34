/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 19 };

static void __attribute__((format(printf, 2, 3))) put(struct line_out *out, const char *format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = vsnprintf(out->text + out->length, out->size - out->length, format, ap);
    va_end(ap);
    out->length += (size_t)length;
    if (out->length >= out->size)
        out->length = out->size - 1;
}

void
line_put(struct line_out *out, int64_t number)
{
    put(out, "%" PRId64 " ", number);
}

void
line_put_words(struct line_out *out, const char *words)
{
    put(out, "%zu %s ", strlen(words), words);
}

void
line_put_rest(struct line_out *out, const char *words)
{
    put(out, "%s", words);
}

static void
get_blank(struct line_in *in)
{
    if (in->at == in->end || *in->at++ != ' ')
        in->bad = true;
}

int64_t
line_get(struct line_in *in, int64_t most)
{
    int64_t number = 0;
    int digits = 0;

    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && digits < DIGITS_MAX) {
        int digit = *in->at++ - '0';

        if (number > (INT64_MAX - digit) / 10)
            in->bad = true;
        else
            number = number * 10 + digit;
        digits++;
    }
    if (digits == 0 || number > most)
        in->bad = true;
    else
        get_blank(in);
    return in->bad ? 0 : number;
}

static char
printable(char c)
{
    return c >= ' ' && c <= '~' ? c : '?';
}

static void
get(struct line_in *in, char *words, size_t size, size_t length)
{
    if (in->bad || length >= size || length > (size_t)(in->end - in->at)) {
        in->bad = true;
        return;
    }
    for (size_t i = 0; i < length; i++)
        words[i] = printable(*in->at++);
    words[length] = '\0';
}

void
line_get_words(struct line_in *in, char *words, size_t size)
{
    get(in, words, size, (size_t)line_get(in, (int64_t)size - 1));
    if (!in->bad)
        get_blank(in);
}

void
line_get_rest(struct line_in *in, char *words, size_t size)
{
    get(in, words, size, (size_t)(in->end - in->at));
}

void
line_copy(char *words, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);

    for (size_t i = 0; i < length; i++)
        words[i] = printable(text[i]);
    words[length] = '\0';
}
