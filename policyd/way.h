/*
 * Asking the kernel whether packets of an address would leave this host.
 *
 * Nothing is sent and nothing waits: a UDP socket is bound and connected, which
 * looks up the route with its policy rules.  What happens behind the first
 * link cannot be told that way.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_WAY_H
#define POLICYD_WAY_H

struct ip;

enum way {
    WAY_OPEN,    /* there is a route, or no telling */
    WAY_NO_BIND, /* the address cannot be used at all */
    WAY_NONE,    /* no route leads from it to there */
};

/* to: NULL: is it usable?  *ret_error: the errno when the way is not open. */
enum way way_out(const struct ip *from, const struct ip *to, int *ret_error);

#endif
