/*
 * What a DNS list's answer says of an address.
 *
 * Pure, and made for answers of strangers.  A list that refuses to answer says
 * so by an address, too (127.255.255.254 and the like): that is never "listed".
 *
 * Sources: RFC 5782; what Spamhaus and others answer to resolvers that they do
 * not serve.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_LISTING_H
#define POLICYD_LISTING_H

#include "engine/ip.h"
#include "policyd/dns.h"

struct dnslist;

enum { LISTING_RECORDS_MAX = 64, LISTING_REASON_SIZE = 201 };

enum listing_says {
    LISTING_CLEAR,   /* not listed */
    LISTING_LISTED,  /* under one of the codes */
    LISTING_OTHER,   /* under another code, which is not asked for */
    LISTING_REFUSED, /* the list does not serve who asks */
    LISTING_ODD,     /* an address that no list answers: a parked domain, or a resolver that lies */
    LISTING_FAILED,  /* no answer, or a malformed one: nothing is known */
};

struct listing {
    enum listing_says says;
    struct ip code; /* the address that says it; family 0: none does */
};

/* bytes: of DNS_ANSWER. */
struct listing listing_read(const struct dnslist *list, enum dns_result result,
                            const uint8_t *bytes, size_t length);

/* The first TXT record, its strings in a row, in printable ASCII; "" when there is none. */
void listing_read_reason(const uint8_t *bytes, size_t length, char out[static LISTING_REASON_SIZE]);

/* What a refusal means: "public resolvers are refused". */
const char *listing_refusal_text(const struct ip *code);

/*
 * The addresses that a list must have, and must not have, to be believed:
 * 127.0.0.2 and 127.0.0.1, and for IPv6 the same, mapped.
 */
struct ip listing_test_point(int family, bool must_be_listed);

#endif
