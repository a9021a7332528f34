/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/report_value.h"

#include "lib/cursor.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_word(char c)
{
    return cursor_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-';
}

/* What stands behind the type that value begins with, or all of it. */
static const char *
behind_type(const char *value)
{
    const char *at = value;

    while (is_word(*at))
        at++;
    if (at > value && *at == ' ')
        at++;
    if (at == value || *at != ';')
        return value;
    at++;
    return *at == ' ' ? at + 1 : at;
}

bool
report_value_is_of(const char *value, const char *type)
{
    size_t length = strlen(type);

    return behind_type(value) != value && strncasecmp(value, type, length) == 0 &&
           !is_word(value[length]);
}

void
report_take_text(const char *value, char out[static REPORT_TEXT_MAX + 1])
{
    size_t length = strlen(value);

    if (out[0] != '\0')
        return;
    if (length > REPORT_TEXT_MAX) {
        length = REPORT_TEXT_MAX;
        while (length > 0 && ((unsigned char)value[length] & 0xc0) == 0x80) /* whole characters */
            length--;
    }
    memcpy(out, value, length);
    out[length] = '\0';
}

void
report_take_typed(const char *value, char out[static REPORT_TEXT_MAX + 1])
{
    report_take_text(behind_type(value), out);
}

void
report_take_word(const char *value, char out[static REPORT_WORD_MAX + 1])
{
    size_t length = strcspn(value, " ;(");

    if (out[0] != '\0' || length > REPORT_WORD_MAX)
        return;
    memcpy(out, value, length);
    out[length] = '\0';
}

/* The UTF-8 of a character, at most 4 bytes; 0: it is none, or would not do in an address. */
static size_t
print_character(unsigned long c, char *out)
{
    if (c <= ' ' || c == 0x7f || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* "\x{E9}" becomes its character, in place: that is never longer. */
static void
unescape(char *text)
{
    const char *at = text;
    char *to = text;

    while (*at != '\0') {
        size_t digits = strncmp(at, "\\x{", 3) == 0 ? strspn(at + 3, "0123456789ABCDEFabcdef") : 0;
        size_t length = 0;

        if (digits > 0 && digits <= 6 && at[3 + digits] == '}')
            length = print_character(strtoul(at + 3, NULL, 16), to);
        if (length > 0)
            at += digits + 4;
        else
            to[length++] = *at++;
        to += length;
    }
    *to = '\0';
}

/* The length of the quoted string that text starts with; 0: of none. */
static size_t
quoted_length(const char *text)
{
    if (text[0] != '"')
        return 0;
    for (size_t i = 1; text[i] != '\0'; i++) {
        if (text[i] == '"')
            return i + 1;
        if (text[i] == '\\' && text[++i] == '\0')
            break;
    }
    return 0;
}

/* Where the address begins: behind a name, and behind a "<". */
static const char *
address_start(const char *text)
{
    const char *open = strchr(text + quoted_length(text), '<');

    return open != NULL ? open + 1 : text;
}

void
report_take_address(const char *value, char *out, size_t size)
{
    const char *start = address_start(behind_type(value));
    size_t length = quoted_length(start);

    length += strcspn(start + length, "> ");
    if (out[0] != '\0' || length >= size)
        return;
    memcpy(out, start, length);
    out[length] = '\0';
    if (strncasecmp(value, "utf-8", 5) == 0)
        unescape(out);
}

void
report_take_ip(const char *value, struct ip *out)
{
    char text[IP_TEXT_SIZE];
    bool bracket = value[0] == '[';
    size_t length;

    value += bracket;
    if (strncasecmp(value, "IPv6:", 5) == 0)
        value += 5;
    length = strcspn(value, bracket ? "]" : " ");
    if (out->family != 0 || length >= sizeof(text))
        return;
    memcpy(text, value, length);
    text[length] = '\0';
    ip_parse(text, out);
}

/*
 * "from helo (name [192.0.2.1]) by ...": what is an IP between brackets, of either kind.  RFC 5321,
 * section 4.4; some write "from helo (EHLO helo) (192.0.2.1)" or "([192.0.2.1] helo=helo)".
 */
bool
report_read_received(const char *value, struct ip *ret_ip)
{
    const char *by = strstr(value, " by ");
    const char *end = by != NULL ? by : value + strlen(value);

    if (strncasecmp(value, "from ", 5) != 0)
        return false;
    for (const char *at = value; at < end; at++) {
        size_t length = strcspn(at + 1, "]) ;");
        struct ip ip = {0};

        if (*at != '[' && (*at != '(' || at[1] == '['))
            continue;
        if (length < IP_TEXT_SIZE + sizeof("IPv6:")) {
            char text[IP_TEXT_SIZE + sizeof("IPv6:")];

            memcpy(text, at + 1, length);
            text[length] = '\0';
            report_take_ip(text, &ip);
        }
        if (ip.family != 0) {
            *ret_ip = ip;
            return true;
        }
    }
    return false;
}

void
report_take_count(const char *value, unsigned max, unsigned *out)
{
    unsigned count = 0;

    if (*out != 0)
        return;
    for (; cursor_is_digit(*value) && count < max; value++)
        count = count * 10 + (unsigned)(*value - '0');
    *out = count < max ? count : max;
}

/* RFC 3463, section 2: a class, and two numbers. */
void
report_take_status(const char *value, char out[static REPORT_STATUS_MAX + 1])
{
    size_t at = 2;

    if (out[0] != '\0' || strchr("245", value[0]) == NULL || value[0] == '\0' || value[1] != '.')
        return;
    for (int number = 0; number < 2; number++) {
        size_t digits = strspn(value + at, "0123456789");

        if (digits == 0 || digits > 3)
            return;
        at += digits;
        if (number == 0 && value[at++] != '.')
            return;
    }
    if (is_word(value[at]) || value[at] == '.')
        return;
    memcpy(out, value, at);
    out[at] = '\0';
}

void
report_take_action(const char *value, enum report_action *out)
{
    static const struct {
        const char *word;
        enum report_action action;
    } words[] = {
        {"failed", REPORT_FAILED},       {"delayed", REPORT_DELAYED},
        {"delivered", REPORT_DELIVERED}, {"relayed", REPORT_DELIVERED},
        {"expanded", REPORT_DELIVERED},
    };
    size_t length = strcspn(value, " ;(");

    for (size_t i = 0; i < sizeof(words) / sizeof(*words) && *out == REPORT_UNTOLD; i++)
        if (strlen(words[i].word) == length && strncasecmp(value, words[i].word, length) == 0)
            *out = words[i].action;
}
