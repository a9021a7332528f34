/*
 * Recipients and the day of their last activity, as `postpool engagement import` keeps
 * them: sorted words, each 48 bits of a hash and 16 of a day.  Pure.
 *
 * The hash is the beginning of SHA-256 over the address in lower case, so that
 * sites may hand in hashes in the place of addresses, and the file holds none.  Among
 * ten million one that is not there is taken for another once in 28 million.
 *
 * Source of the format: docs/PROTOCOLS.md.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_ENGAGEMENT_H
#define LIB_ENGAGEMENT_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    ENGAGEMENT_MAX = 12 * 1000 * 1000, /* recipients; two files of it are below 200 MiB */
    ENGAGEMENT_HEAD = 4,               /* words before the first recipient */
    ENGAGEMENT_DAY_MAX = UINT16_MAX,   /* as in engine/date.h */
};

/* A file that is right. */
struct engagement {
    const uint8_t *words; /* behind the head; not ours */
    size_t count;
};

/* A hash with the day 0; that of an address, and of SHA-256 in hexadecimal.  0; or -EINVAL. */
uint64_t engagement_hash(const char *address);
int engagement_parse_hash(const char *text, uint64_t *ret_hash);

/*
 * When it was active: a date, also with a time behind, or a number of days that ended today, "12"
 * or "12d".  0; -EINVAL: it is none; or -ERANGE: it is yet to come.
 */
int engagement_parse_day(const char *text, int32_t today, int32_t *ret_day);

/*
 * One line: an address or the hash of one, and when it was active last, a date or a number of
 * days that ended today.  Returns 1 with *ret_word set, 0 for one that says nothing, or -EINVAL
 * with the reason.
 */
int engagement_line(const char *line, int32_t today, uint64_t *ret_word, struct err *err);

/*
 * Make a file of ENGAGEMENT_HEAD words, which are overwritten, and count others behind them,
 * in any order; of equal hashes the newest day stays.  Returns how many recipients there are;
 * the file is the bytes of that and the head.
 */
size_t engagement_make(uint64_t *words, size_t count);

/*
 * Look whether bytes are a file that is whole and undamaged.  0, or -EINVAL with the reason.
 * *ret_engagement points into bytes.
 */
int engagement_read(const void *bytes, size_t length, struct engagement *ret_engagement,
                    struct err *err);

/* The day of the last activity; -1: there is no such recipient. */
int32_t engagement_day(const struct engagement *engagement, uint64_t hash);

/* Hash and day of recipient number place. */
uint64_t engagement_word_at(const struct engagement *engagement, size_t place);

#endif
