/*
 * Hints: a header in which the site's own application tells when the recipient of a message was
 * active last.  Pure.
 *
 * A value is one of the words that the configuration has days for, a number of days, or a date.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_HINT_H
#define LIB_HINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct facts;
struct match;

enum {
    HINT_WORDS_MAX = 32,
    HINT_DAYS_MAX = 3660,
    HINT_TEXT_SIZE = 16,
    HINT_NEVER = 0, /* in the place of a day: the recipient never was active */
};

struct hint_word {
    char *text;   /* owned */
    int32_t days; /* since then; -1: it stands for HINT_NEVER */
};

/* What the configuration says of them. */
struct hint_rules {
    char *header;            /* owned; NULL: there are no hints */
    struct hint_word *words; /* owned */
    size_t word_count;
    struct match *matches; /* owned; who may give one: one is enough */
    size_t match_count;    /* 0: anybody may whose mail is the site's own */
};

enum hint {
    HINT_NONE,    /* the message has none */
    HINT_REFUSED, /* who gave it may not */
    HINT_ODD,     /* it is not understood */
    HINT_DAY,     /* it tells a day */
};

/*
 * The hint of a message; of several the first one counts.  *ret_day is set with HINT_DAY: a day
 * as in engine/date.h, from 1 to TAG_DAY_MAX, or HINT_NEVER.
 */
enum hint hint_read(const struct hint_rules *rules, const struct facts *facts, int32_t today,
                    int32_t *ret_day);

/* "2026-11-20", "never", or why it does not count, "refused" or "odd"; "": there is none. */
const char *hint_print(enum hint hint, int32_t day, char out[static HINT_TEXT_SIZE]);

/* Days from a hint's day to today, as in struct decide_question. */
int32_t hint_quiet(int32_t day, int32_t today);

/* Free all but the header, which the table of keys owns. */
void hint_rules_clear(struct hint_rules *rules);

#endif
