/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/presence.h"

#include "engine/snapshot.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LOOPBACK_NETS_MAX = 16 };

/* What the host has. */
struct local {
    struct ip *ips; /* sorted */
    size_t count;
    struct ip_net loopback[LOOPBACK_NETS_MAX];
    size_t loopback_count;
};

static bool
ip_of(const struct sockaddr *sa, struct ip *ret_ip)
{
    struct ip ip = {0};

    if (sa == NULL)
        return false;
    if (sa->sa_family == AF_INET) {
        ip.family = 4;
        memcpy(ip.bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        ip.family = 6;
        memcpy(ip.bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    } else {
        return false;
    }
    *ret_ip = ip;
    return true;
}

/* The network of an interface's address; bits behind the mask are cleared. */
static struct ip_net
net_of(const struct ip *ip, const struct ip *mask)
{
    struct ip_net net = {.ip = {.family = ip->family}};

    for (size_t i = 0; i < sizeof(ip->bytes); i++) {
        net.ip.bytes[i] = ip->bytes[i] & mask->bytes[i];
        for (uint8_t bits = mask->bytes[i]; bits != 0; bits = (uint8_t)(bits << 1))
            net.prefix++;
    }
    return net;
}

static int
compare_ips(const void *a, const void *b)
{
    return ip_compare(a, b);
}

static int
local_get(struct local *local, struct err *err)
{
    struct ifaddrs *list, *item;
    size_t count = 0;

    *local = (struct local){0};
    if (getifaddrs(&list) < 0)
        return err_set(err, -errno, "getifaddrs: %s", strerror(errno));
    for (item = list; item != NULL; item = item->ifa_next)
        count++;
    local->ips = mem_array(count, sizeof(*local->ips));
    for (item = list; item != NULL; item = item->ifa_next) {
        struct ip ip, mask;

        if (!(item->ifa_flags & IFF_UP) || !ip_of(item->ifa_addr, &ip))
            continue;
        local->ips[local->count++] = ip;
        if ((item->ifa_flags & IFF_LOOPBACK) && ip_of(item->ifa_netmask, &mask) &&
            local->loopback_count < LOOPBACK_NETS_MAX)
            local->loopback[local->loopback_count++] = net_of(&ip, &mask);
    }
    freeifaddrs(list);
    qsort(local->ips, local->count, sizeof(*local->ips), compare_ips);
    return 0;
}

static bool
local_has(const struct local *local, const struct ip *ip)
{
    if (bsearch(ip, local->ips, local->count, sizeof(*local->ips), compare_ips) != NULL)
        return true;
    for (size_t i = 0; i < local->loopback_count; i++)
        if (ip_net_has(&local->loopback[i], ip))
            return true;
    return false;
}

int
presence_scan(const struct snapshot *snapshot, bool *present, struct err *err)
{
    struct local local;
    int r = local_get(&local, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < snapshot->address_count; i++)
        present[i] =
            !snapshot->addresses[i].elsewhere && local_has(&local, &snapshot->addresses[i].ip);
    free(local.ips);
    return 0;
}
