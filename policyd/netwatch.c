/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/netwatch.h"

#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#endif

enum {
    RESCAN_S = 10,  /* in case the kernel did not say */
    SETTLE_MS = 50, /* changes come in bursts */
};

struct netwatch {
    int fd; /* netlink; -1: none */
    struct event *readable;
    struct event *timer;
    void (*changed)(void *arg);
    void *arg;     /* not ours */
    bool settling; /* the timer runs for a change, not for the next look */
};

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval rescan = {RESCAN_S, 0};
    struct netwatch *netwatch = arg;

    (void)fd;
    (void)what;
    netwatch->settling = false;
    event_add(netwatch->timer, &rescan);
    netwatch->changed(netwatch->arg);
}

#ifdef __linux__
static void
on_netlink(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval settle = {0, SETTLE_MS * 1000};
    struct netwatch *netwatch = arg;
    char ignored[8192];

    (void)what;
    while (recv(fd, ignored, sizeof(ignored), 0) > 0)
        ;                    /* what it says does not matter: the host is asked anew */
    if (!netwatch->settling) /* what goes on changing does not put it off */
        event_add(netwatch->timer, &settle);
    netwatch->settling = true;
}

static int
netlink_open(void)
{
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        log_warn("netlink: %s -- changes of the host's addresses are seen every %d s",
                 strerror(errno), RESCAN_S);
    return fd;
}
#endif

struct netwatch *
netwatch_new(struct event_base *base, void (*changed)(void *arg), void *arg)
{
    static const struct timeval rescan = {RESCAN_S, 0};
    struct netwatch *netwatch = mem_new(sizeof(*netwatch));

    netwatch->changed = changed;
    netwatch->arg = arg;
    netwatch->fd = -1;
    netwatch->timer = evtimer_new(base, on_timer, netwatch);
    event_add(netwatch->timer, &rescan);
#ifdef __linux__
    netwatch->fd = netlink_open();
    if (netwatch->fd >= 0) {
        netwatch->readable =
            event_new(base, netwatch->fd, EV_READ | EV_PERSIST, on_netlink, netwatch);
        event_add(netwatch->readable, NULL);
    }
#endif
    return netwatch;
}

void
netwatch_free(struct netwatch *netwatch)
{
    if (netwatch == NULL)
        return;
    if (netwatch->readable != NULL)
        event_free(netwatch->readable);
    event_free(netwatch->timer);
    if (netwatch->fd >= 0)
        close(netwatch->fd);
    free(netwatch);
}
