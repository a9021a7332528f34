/*
 * Caps: the most recipients in a window of time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_CAPS_H
#define ENGINE_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CAP_WINDOWS_MAX = 4,
    CAP_LIMIT_MAX = 1000000000, /* recipients */
    CAP_NAME_SIZE = 24,
};

struct cap {
    int64_t window_ms;        /* 10 s to 31 days */
    uint32_t limit;           /* recipients in any window of that length; > 0 */
    bool smooth;              /* spread over the window */
    char name[CAP_NAME_SIZE]; /* "hour", "15m": what people call the window */
};

/* The caps of one thing, the shortest window first; every window once. */
struct caps {
    struct cap items[CAP_WINDOWS_MAX];
    size_t count; /* 0: none */
};

#endif
