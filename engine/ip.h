/*
 * IP addresses and networks as values.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_IP_H
#define ENGINE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IP_TEXT_SIZE = 46 }; /* longest text of an address, with NUL */

/* An IPv4 address stands in the first four bytes, the rest is zero. */
struct ip {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t bytes[16];
};

struct ip_net {
    struct ip ip;
    uint8_t prefix; /* bits that count */
};

/*
 * Read "192.0.2.1" or "2001:db8::1".  An IPv4-mapped IPv6 address becomes the
 * IPv4 address.  Returns false, and leaves *ret_ip alone, for anything else.
 */
bool ip_parse(const char *text, struct ip *ret_ip);

/*
 * Read "192.0.2.0/24", "2001:db8::/32" or a single address.  Bits behind the
 * prefix must be zero, because 192.0.2.1/24 is more often a slip than meant.
 */
bool ip_net_parse(const char *text, struct ip_net *ret_net);

void ip_print(const struct ip *ip, char text[static IP_TEXT_SIZE]);
int ip_compare(const struct ip *a, const struct ip *b); /* < 0, 0, > 0 */
bool ip_net_has(const struct ip_net *net, const struct ip *ip);

#endif
