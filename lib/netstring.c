/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/netstring.h"

#include <errno.h>

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
