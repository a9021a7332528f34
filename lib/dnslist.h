/*
 * A DNS list that is asked for the pool IPs, as it is configured, and the name
 * that an address has in it.
 *
 * Source: RFC 5782.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_DNSLIST_H
#define LIB_DNSLIST_H

#include <stddef.h>
#include <stdint.h>

struct ip;
struct ip_net;

enum {
    DNSLISTS_MAX = 32,
    DNSLIST_ZONE_MAX = 180,     /* characters, so that every question fits a DNS name */
    DNSLIST_QUESTION_SIZE = 256 /* longest name that is asked for, and its NUL */
};

/* What follows of it when an address is listed, beside a word in the log. */
enum dnslist_action { DNSLIST_REPORT, DNSLIST_SUSPEND };

struct dnslist {
    char *name;           /* for people; the zone unless another is given: a zone may hold a key */
    char *zone;           /* without a dot at its end */
    struct ip_net *codes; /* owned; answers that mean listed */
    size_t code_count;
    enum dnslist_action action;
    int64_t every_ms; /* each address is asked for so often */
};

/* "2.0.0.127.zen.example": octets, or nibbles, the last first, and the zone.  Returns out. */
const char *dnslist_question(const char *zone, const struct ip *ip,
                             char out[static DNSLIST_QUESTION_SIZE]);

void dnslists_free(struct dnslist *lists, size_t count); /* takes NULL */

#endif
