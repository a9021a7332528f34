/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/glob.h"

#include <stddef.h>

static int
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool
same(char a, char b, bool fold)
{
    return a == b || (fold && lower(a) == lower(b));
}

/*
 * Go on after the latest star only: if the text behind it cannot match from
 * here, an earlier star could not do better.
 */
bool
glob_match(const char *pattern, const char *text, bool fold)
{
    const char *star = NULL;   /* behind the latest star */
    const char *resume = NULL; /* text that it has not swallowed yet */

    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern != '\0' && (*pattern == '?' || same(*pattern, *text, fold))) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
