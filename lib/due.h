/*
 * When a message of a stream may leave, and when it is too late for that.
 *
 * All times are times of day, milliseconds.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_DUE_H
#define LIB_DUE_H

#include <stdint.h>

struct stream;

enum { DUE_TEXT_SIZE = 40 };

/* When it is too old to be sent, by its id, see tag_time_s(); INT64_MAX: never. */
int64_t due_ends_ms(const struct stream *stream, const char *message_id, int64_t now_ms);

/* From when on mail of the stream may leave: now_ms, or later. */
int64_t due_opens_ms(const struct stream *stream, int64_t now_ms);

/* "2026-11-27 08:00" by the clock of the stream's hours.  Returns out. */
const char *due_print(const struct stream *stream, int64_t at_ms, char out[static DUE_TEXT_SIZE]);

#endif
