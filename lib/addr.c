/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/addr.h"

#include <errno.h>
#include <string.h>

/* Length of the quoted string that text starts with, 0 when it does not end. */
static size_t
quoted_length(const char *text)
{
    for (size_t i = 1; text[i] != '\0'; i++) {
        if (text[i] == '"')
            return i + 1;
        if (text[i] == '\\' && text[++i] == '\0')
            break;
    }
    return 0;
}

int
addr_split(const char *text, struct addr *ret_addr)
{
    struct addr addr = {.local = text};
    size_t length = strnlen(text, ADDR_MAX + 1);
    const char *at;

    if (length == 0 || length > ADDR_MAX || text[0] == '@')
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            return -EINVAL;
    if (text[0] == '"') {
        addr.quoted = true;
        addr.local_length = quoted_length(text);
        if (addr.local_length == 0)
            return -EINVAL;
        at = text + addr.local_length;
        if (*at != '\0' && *at != '@')
            return -EINVAL;
    } else {
        at = strrchr(text, '@');
        if (at == NULL)
            at = text + length;
        addr.local_length = (size_t)(at - text);
        if (memchr(text, '"', addr.local_length) != NULL)
            return -EINVAL;
    }
    if (*at == '@')
        addr.domain = at + 1;
    *ret_addr = addr;
    return 0;
}

int
addr_unwrap(const char *text, char out[static ADDR_MAX + 1])
{
    size_t length = strnlen(text, ADDR_MAX + 3);

    if (length > 0 && text[0] == '<') {
        if (text[length - 1] != '>')
            return -EINVAL;
        text++;
        length -= 2;
    }
    if (length > ADDR_MAX)
        return -EINVAL;
    memcpy(out, text, length);
    out[length] = '\0';
    return 0;
}

void
addr_lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

void
addr_domain(const char *address, char *out, size_t size)
{
    const char *at = strrchr(address, '@');
    size_t length;

    out[0] = '\0';
    if (at == NULL)
        return;
    length = strlen(at + 1);
    if (length > 0 && at[length] == '.')
        length--;
    if (length >= size)
        return;
    memcpy(out, at + 1, length);
    out[length] = '\0';
    addr_lower(out);
}
