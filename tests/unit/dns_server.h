/*
 * A DNS server on loopback that answers what the name in the question says:
 * "google.test" has Google's MX hosts, "servfail.test" fails, and so on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_DNS_SERVER_H
#define TESTS_UNIT_DNS_SERVER_H

#include "tests/unit/unit.h"

#include "lib/nameserver.h"

struct event;
struct event_base;

struct dns_server {
    int fd;
    struct event *readable;
    struct nameserver address;
    bool silent;
    bool failing;
    size_t flood; /* datagrams that answer nothing before each answer */
    size_t asked;
};

/* It lives on base until it ends. */
void dns_server_start(struct dns_server *server, struct event_base *base);
void dns_server_end(struct dns_server *server);

#endif
