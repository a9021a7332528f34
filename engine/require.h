/*
 * What a stream may require of its messages, by name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_REQUIRE_H
#define ENGINE_REQUIRE_H

#include <stdbool.h>
#include <stddef.h>

/* milter/bulk.h says when each is met. */
enum require {
    REQUIRE_LIST_UNSUBSCRIBE,
    REQUIRE_ONE_CLICK,
    REQUIRE_ALIGNED_FROM,
    REQUIRE_ONE_FROM,
    REQUIRE_COUNT,
};

/* A set of them is an unsigned with these bits. */
#define REQUIRE_BIT(require) (1u << (require))

/* "one_click" */
const char *require_name(enum require require);

/* name need not end in NUL.  Returns false for one that there is not. */
bool require_find(const char *name, size_t length, enum require *ret_require);

#endif
