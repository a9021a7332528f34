/*
 * Patterns with * (any text, also none) and ? (one byte).
 *
 * Own code because the text comes from strangers: fnmatch(3) may take
 * exponential time over patterns with several stars; this takes at most
 * length of pattern x length of text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_GLOB_H
#define ENGINE_GLOB_H

#include <stdbool.h>

/* Does pattern match all of text?  fold: ASCII letters match in either case. */
bool glob_match(const char *pattern, const char *text, bool fold);

#endif
