/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/way.h"

#include "engine/ip.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMTP_PORT = 25 };

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static socklen_t
fill(union address *address, const struct ip *ip, in_port_t port)
{
    memset(address, 0, sizeof(*address));
    if (ip->family == 6) {
        address->six.sin6_family = AF_INET6;
        address->six.sin6_port = htons(port);
        memcpy(&address->six.sin6_addr, ip->bytes, sizeof(address->six.sin6_addr));
        return sizeof(address->six);
    }
    address->four.sin_family = AF_INET;
    address->four.sin_port = htons(port);
    memcpy(&address->four.sin_addr, ip->bytes, sizeof(address->four.sin_addr));
    return sizeof(address->four);
}

enum way
way_out(const struct ip *from, const struct ip *to, int *ret_error)
{
    union address address;
    enum way way = WAY_OPEN;
    int fd = socket(from->family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return WAY_OPEN; /* no descriptor: that says nothing of the address */
    if (bind(fd, &address.any, fill(&address, from, 0)) < 0)
        way = WAY_NO_BIND;
    else if (to != NULL && to->family == from->family &&
             connect(fd, &address.any, fill(&address, to, SMTP_PORT)) < 0)
        way = WAY_NONE;
    if (way != WAY_OPEN)
        *ret_error = errno;
    close(fd);
    return way;
}
