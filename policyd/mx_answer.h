/*
 * The MX records in an answer of a DNS server.
 *
 * Pure, and made for answers of strangers: whatever the bytes are, it takes a
 * bounded time and ends in good records or in "malformed".
 *
 * Source: RFC 1035, section 4.1; RFC 5321, section 5.1; RFC 7505 (null MX).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_MX_ANSWER_H
#define POLICYD_MX_ANSWER_H

#include "policyd/dns_answer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MX_HOSTS_MAX = 64,         /* more, and it is nobody's domain */
    MX_HOSTS_BYTES_MAX = 4096, /* of their names */
    MX_RECORDS_MAX = 256,      /* of any type that are looked at */
    MX_HOST_SIZE = DNS_NAME_SIZE,
};

struct mx_answer {
    char hosts[MX_HOSTS_BYTES_MAX]; /* one behind the other, each with its NUL; "" is the root */
    size_t hosts_length;            /* bytes in hosts */
    size_t count;
    uint32_t ttl_s; /* the least of the records; 0 when there are none */
    bool too_many;  /* the limits above cut it; what stands here is not all */
};

/*
 * Read the answer section.  Names come as text without a dot at their end; a
 * byte that no host name has becomes '?'.  Records of other types (CNAME) count
 * for the TTL only.  Returns 0, or -EBADMSG and *ret_answer is of no use.
 */
int mx_answer_parse(const uint8_t *bytes, size_t length, struct mx_answer *ret_answer);

#endif
