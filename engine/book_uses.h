/*
 * The uses of one row under one window, in buckets: see engine/book.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_BOOK_USES_H
#define ENGINE_BOOK_USES_H

#include "engine/book.h"

int64_t book_bucket_ms(int64_t window_ms);

/* The moment from which a bucket counts no more. */
int64_t book_bucket_end(int64_t window_ms, int64_t bucket);

/* Where bucket is in uses, or would be. */
size_t book_uses_place(const struct book_uses *uses, int64_t bucket);

/* 0 or -ENOMEM. */
int book_uses_add(struct book_uses *uses, int64_t at_ms, uint32_t count);

/* Given back.  What counts no more at now_ms has nothing to give: others would be let in for it. */
void book_uses_take_out(struct book_uses *uses, int64_t at_ms, uint32_t count, int64_t now_ms);

/* Take out what counts no more. */
void book_uses_trim(struct book_uses *uses, int64_t now_ms);

/* How many count at now_ms. */
uint64_t book_uses_sum(const struct book_uses *uses, int64_t now_ms);

/* From when on none counts; INT64_MIN: there are none. */
int64_t book_uses_end(const struct book_uses *uses);

#endif
