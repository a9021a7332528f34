/*
 * How a book spreads smooth caps over their windows, and how much of a cap there
 * is to spread.
 *
 * Grants that were given ahead of their time are so many, however fast the pace
 * is now: where an ask works with another part of the cap than the one before,
 * the time that they take is another.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_BOOK_PACE_H
#define ENGINE_BOOK_PACE_H

#include <stddef.h>
#include <stdint.h>

struct book;
struct book_ask;
struct caps;

/* When count grants fit the pace of smooth cap number i, no sooner than at_ms. */
int64_t book_pace_at(struct book *book, const struct caps *caps, size_t i,
                     const struct book_ask *ask, uint32_t count, int64_t at_ms, int64_t now_ms);

/* Count grants are given, from from_ms on. */
void book_pace(struct book *book, const struct caps *caps, const struct book_ask *ask,
               uint32_t count, int64_t from_ms, int64_t now_ms);

/* Grants that were not used: smooth caps go on as if they had not been given. */
void book_unpace(struct book *book, const struct caps *caps, const struct book_ask *ask,
                 uint32_t count, int64_t now_ms);

#endif
