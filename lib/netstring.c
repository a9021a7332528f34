/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/netstring.h"

#include <errno.h>
#include <string.h>

int
netstring_parse(const char *data, size_t length, size_t max, struct netstring *ret_netstring)
{
    size_t size = 0, i = 0;

    for (; i < length && data[i] >= '0' && data[i] <= '9'; i++) {
        if (i == 1 && data[0] == '0')
            return -EINVAL;
        size = size * 10 + (size_t)(data[i] - '0');
        if (size > max)
            return -EMSGSIZE;
    }
    if (i == length)
        return 0;
    if (i == 0 || data[i] != ':')
        return -EINVAL;
    i++;
    if (length - i <= size)
        return 0;
    if (data[i + size] != ',')
        return -EINVAL;
    *ret_netstring = (struct netstring){.data = data + i, .length = size, .used = i + size + 1};
    return 1;
}

size_t
netstring_print(const char *data, size_t length, char *out)
{
    size_t head = 1;

    for (size_t rest = length; rest >= 10; rest /= 10)
        head++;
    for (size_t i = head, rest = length; i > 0; i--, rest /= 10)
        out[i - 1] = (char)('0' + rest % 10);
    out[head++] = ':';
    memcpy(out + head, data, length);
    out[head + length] = ',';
    return head + length + 1;
}
