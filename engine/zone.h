/*
 * Time zones: how far local time is from UTC, and until when.
 *
 * Pure: from the bytes of a compiled zone file (RFC 8536, version 2 and later), or
 * from a rule as POSIX has it, "CET-1CEST,M3.5.0,M10.5.0/3".  Leap seconds are not
 * known: time is that of POSIX.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_ZONE_H
#define ENGINE_ZONE_H

#include <stddef.h>
#include <stdint.h>

enum { ZONE_BYTES_MAX = 64 * 1024 }; /* of a file; the largest has 4 KB */

struct zone;

/* NULL: it is no such file or rule; or there is no memory. */
struct zone *zone_parse(const uint8_t *bytes, size_t length);
struct zone *zone_parse_rule(const char *text);
void zone_free(struct zone *zone); /* takes NULL */

/*
 * Local time less UTC, seconds.  It stays so until *ret_until_s, at least: later than at_s;
 * INT64_MAX: for good.  zone NULL is UTC.
 */
int32_t zone_offset_s(const struct zone *zone, int64_t at_s, int64_t *ret_until_s);

#endif
