/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/json.h"

#include "lib/mem.h"

#include <string.h>

/* Bytes of the UTF-8 character that text starts with; 0 when it is none. */
static size_t
utf8_length(const unsigned char *text, unsigned long *ret_code)
{
    static const struct {
        unsigned char mask, lead;
        size_t length;
        unsigned long least;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xe0, 0xc0, 2, 0x80},
                 {0xf0, 0xe0, 3, 0x800},
                 {0xf8, 0xf0, 4, 0x10000}};

    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        unsigned long code = (unsigned long)(text[0] & (unsigned char)~forms[i].mask);

        if ((text[0] & forms[i].mask) != forms[i].lead)
            continue;
        for (size_t j = 1; j < forms[i].length; j++) {
            if ((text[j] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (text[j] & 0x3f);
        }
        if (code < forms[i].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return 0;
        *ret_code = code;
        return forms[i].length;
    }
    return 0;
}

static void
quote(struct buf *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    buf_puts(out, "\"");
    while (*p != '\0') {
        unsigned long code = 0;
        size_t length = utf8_length(p, &code);

        if (length == 0) {
            buf_puts(out, "\xef\xbf\xbd");
            p++;
        } else {
            if (*p == '"' || *p == '\\')
                buf_printf(out, "\\%c", *p);
            else if (code < ' ' || (code >= 0x7f && code < 0xa0))
                buf_printf(out, "\\u%04lx", code);
            else
                buf_add(out, p, length);
            p += length;
        }
    }
    buf_puts(out, "\"");
}

static void
start(struct json *json, const char *name)
{
    if (json->comma)
        buf_puts(json->out, ",");
    json->comma = true;
    if (name == NULL)
        return;
    quote(json->out, name);
    buf_puts(json->out, ":");
}

void
json_open(struct json *json, const char *name, char bracket)
{
    start(json, name);
    buf_printf(json->out, "%c", bracket);
    json->comma = false;
}

void
json_close(struct json *json, char bracket)
{
    buf_printf(json->out, "%c", bracket);
    json->comma = true;
}

void
json_text(struct json *json, const char *name, const char *text)
{
    start(json, name);
    if (text == NULL)
        buf_puts(json->out, "null");
    else
        quote(json->out, text);
}

void
json_number(struct json *json, const char *name, long long number)
{
    start(json, name);
    buf_printf(json->out, "%lld", number);
}

void
json_real(struct json *json, const char *name, double number)
{
    start(json, name);
    buf_printf(json->out, "%.17g", number);
}

void
json_bool(struct json *json, const char *name, bool value)
{
    start(json, name);
    buf_puts(json->out, value ? "true" : "false");
}
