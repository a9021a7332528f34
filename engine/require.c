/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/require.h"

#include <string.h>

static const char *const names[REQUIRE_COUNT] = {
    [REQUIRE_LIST_UNSUBSCRIBE] = "list_unsubscribe",
    [REQUIRE_ONE_CLICK] = "one_click",
    [REQUIRE_ALIGNED_FROM] = "aligned_from",
    [REQUIRE_ONE_FROM] = "one_from",
};

const char *
require_name(enum require require)
{
    return names[require];
}

bool
require_find(const char *name, size_t length, enum require *ret_require)
{
    for (int i = 0; i < REQUIRE_COUNT; i++)
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) {
            *ret_require = (enum require)i;
            return true;
        }
    return false;
}
