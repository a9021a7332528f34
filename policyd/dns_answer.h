/*
 * Walking the answer section of a DNS message.
 *
 * Pure, and made for answers of strangers: whatever the bytes are, each call
 * takes a bounded time and ends in something good or in "malformed".
 *
 * Source: RFC 1035, section 4.1.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_DNS_ANSWER_H
#define POLICYD_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DNS_NAME_SIZE = 256, /* longest name as text, and its NUL */
    DNS_CLASS_IN = 1,
};

struct dns_answer {
    const uint8_t *bytes; /* not ours */
    size_t length;
    size_t at;   /* the next record */
    size_t left; /* records that are said to follow */
};

struct dns_record {
    unsigned type;
    unsigned of_class;
    uint32_t ttl_s;
    size_t start, end; /* its data, places in bytes */
};

/* Go behind the question.  Returns 0, or -EBADMSG. */
int dns_answer_open(struct dns_answer *answer, const uint8_t *bytes, size_t length);

/* Returns 1 with the next record, 0 when there is none, or -EBADMSG. */
int dns_answer_next(struct dns_answer *answer, struct dns_record *ret_record);

/*
 * Read the name at *at into text, without a dot at its end, and put *at behind
 * it; a byte that no host name has becomes '?'.  Returns false for a name that
 * reaches beyond end, is too long, or whose pointers do not end.
 */
bool dns_answer_name(const struct dns_answer *answer, size_t *at, size_t end,
                     char text[static DNS_NAME_SIZE]);

#endif
