/*
 * What a result, what came back later, or what a message misses is counted as: under which names,
 * and as what.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_COUNT_H
#define POLICYD_HOURS_COUNT_H

#include <stdbool.h>
#include <stdint.h>

struct outcome;
struct reported;
struct stream;
struct tallies;

/* All return false when there is no room for it; then part of it may be counted. */
bool hours_count_outcome(struct tallies *tallies, int64_t hour, const struct outcome *outcome);

/* Where its account is not told, it is that of none. */
bool hours_count_reported(struct tallies *tallies, int64_t hour, const struct reported *reported);

/* A message of the stream that misses what it requires; unmet: a set, REQUIRE_BIT(). */
bool hours_count_unmet(struct tallies *tallies, int64_t hour, const struct stream *stream,
                       unsigned unmet);

#endif
