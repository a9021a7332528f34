/*
 * Netstrings, "5:hello,", as socketmap(5) sends them.
 *
 * Source: D. J. Bernstein, "Netstrings", 1997; Postfix socketmap_table(5).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_NETSTRING_H
#define LIB_NETSTRING_H

#include <stddef.h>

struct netstring {
    const char *data; /* points into the bytes given */
    size_t length;
    size_t used; /* bytes of the whole netstring */
};

/*
 * Read one netstring from the start of data.  Returns 1 when it is whole, 0
 * when more bytes are needed, -EMSGSIZE when it says it is longer than max,
 * or -EINVAL when it is none: a length that is no number or starts with a
 * needless zero, no colon, no comma at its end.
 */
int netstring_parse(const char *data, size_t length, size_t max, struct netstring *ret_netstring);

enum { NETSTRING_EXTRA = 22 }; /* bytes around the data, at most */

/* Write one to out, which has room for it; returns its length. */
size_t netstring_print(const char *data, size_t length, char *out);

#endif
