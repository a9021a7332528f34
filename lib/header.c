/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/header.h"

#include <stdbool.h>

void
header_unfold(const char *value, char out[static HEADER_VALUE_MAX + 1])
{
    size_t used = 0;
    bool space = false;

    for (; *value != '\0' && used < HEADER_VALUE_MAX; value++) {
        unsigned char c = (unsigned char)*value;

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            space = true;
            continue;
        }
        if (space && used > 0 && used < HEADER_VALUE_MAX - 1)
            out[used++] = ' ';
        space = false;
        out[used++] = c < ' ' || c == 127 ? '?' : (char)c;
    }
    out[used] = '\0';
}
