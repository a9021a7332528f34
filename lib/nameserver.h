/*
 * The address of a DNS server, as it is written in the configuration.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_NAMESERVER_H
#define LIB_NAMESERVER_H

#include "engine/ip.h"

#include <stdint.h>

struct err;

struct nameserver {
    struct ip ip;
    uint16_t port;
};

/*
 * Read "192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:5353";
 * the port is 53 unless given.  Returns 0, or -EINVAL with the reason and
 * *ret_server untouched.
 */
int nameserver_parse(const char *text, struct nameserver *ret_server, struct err *err);

#endif
