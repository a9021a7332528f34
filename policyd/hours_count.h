/*
 * What a result, or what came back later, is counted as: under which names, and as what.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_COUNT_H
#define POLICYD_HOURS_COUNT_H

#include <stdbool.h>
#include <stdint.h>

struct outcome;
struct reported;
struct tallies;

/* Both return false when there is no room for it; then part of it may be counted. */
bool hours_count_outcome(struct tallies *tallies, int64_t hour, const struct outcome *outcome);

/* Where its account is not told, it is that of none. */
bool hours_count_reported(struct tallies *tallies, int64_t hour, const struct reported *reported);

#endif
