/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/dns.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/nameserver.h"

#define CARES_NO_DEPRECATED /* what 1.18 has works in all that came after it */
#include <ares.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    TRIES = 2,          /* of each server */
    RECEIVES_MAX = 100, /* in one turn of the loop: c-ares itself reads until nothing is left */
    CLASS_IN = 1,
    HEADER_SIZE = 12,
    FLAG_RESPONSE = 0x80, /* in the third byte */
    FLAG_TRUNCATED = 0x02,
    RESPONSE_CODE = 0x0f, /* in the fourth byte */
};

/* A socket of c-ares that the loop looks at. */
struct watch {
    LIST_ENTRY(watch) next;
    int fd;
    struct event *event;
};

LIST_HEAD(watch_list, watch);

struct dns {
    struct event_base *base; /* not ours */
    ares_channel channel;
    struct event *timer;
    struct watch_list watches;
    int receives; /* in this turn */
    bool ending;  /* nobody wants to hear of open questions any more */
};

struct question {
    struct dns *dns; /* not ours */
    dns_done_fn *done;
    void *arg; /* not ours */
};

/* When does c-ares want to be called next? */
static void
set_timer(struct dns *dns)
{
    struct timeval wait;

    if (ares_timeout(dns->channel, NULL, &wait) != NULL)
        event_add(dns->timer, &wait);
    else
        event_del(dns->timer);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct dns *dns = arg;

    (void)fd;
    (void)what;
    dns->receives = 0;
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(dns);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct dns *dns = arg;

    dns->receives = 0;
    ares_process_fd(dns->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    set_timer(dns);
}

static void
watch_free(struct watch *watch)
{
    event_free(watch->event);
    LIST_REMOVE(watch, next);
    free(watch);
}

/* c-ares wants fd watched for this, or not any more. */
static void
on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns *dns = arg;
    short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    struct watch *watch;

    LIST_FOREACH(watch, &dns->watches, next)
    {
        if (watch->fd == fd)
            break;
    }
    if (watch != NULL)
        watch_free(watch);
    if (what == 0)
        return;
    watch = mem_new(sizeof(*watch));
    watch->fd = fd;
    watch->event = event_new(dns->base, fd, (short)(what | EV_PERSIST), on_socket, dns);
    event_add(watch->event, NULL);
    LIST_INSERT_HEAD(&dns->watches, watch, next);
}

/* The five calls of c-ares to the system: its own, but for the limit on reading. */
static ares_socket_t
call_socket(int family, int type, int protocol, void *arg)
{
    (void)arg;
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int
call_close(ares_socket_t fd, void *arg)
{
    (void)arg;
    return close(fd);
}

static int
call_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length, void *arg)
{
    (void)arg;
    return connect(fd, address, length);
}

static ares_ssize_t
call_receive(ares_socket_t fd, void *data, size_t length, int flags, struct sockaddr *from,
             ares_socklen_t *from_length, void *arg)
{
    struct dns *dns = arg;

    if (dns->receives++ >= RECEIVES_MAX) {
        errno = EAGAIN; /* the loop comes back to it */
        return -1;
    }
    return recvfrom(fd, data, length, flags, from, from_length);
}

static ares_ssize_t
call_send(ares_socket_t fd, const struct iovec *vector, int count, void *arg)
{
    (void)arg;
    return writev(fd, vector, count);
}

/* c-ares 1.18 also takes a question that is sent back, rare error codes, and what TCP cut off. */
static bool
is_whole_answer(const uint8_t *bytes, int length)
{
    return bytes != NULL && length >= HEADER_SIZE && (bytes[2] & FLAG_RESPONSE) &&
           !(bytes[2] & FLAG_TRUNCATED) && (bytes[3] & RESPONSE_CODE) == 0;
}

static void
on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int length)
{
    struct question *question = arg;
    const struct question copy = *question;

    (void)timeouts;
    free(question);
    if (copy.dns->ending)
        return;
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
        if (is_whole_answer(bytes, length))
            copy.done(copy.arg, DNS_ANSWER, bytes, (size_t)length, NULL);
        else
            copy.done(copy.arg, DNS_FAILED, NULL, 0, ares_strerror(ARES_EBADRESP));
        break;
    case ARES_ENOTFOUND:
        copy.done(copy.arg, DNS_NO_NAME, NULL, 0, NULL);
        break;
    default:
        copy.done(copy.arg, DNS_FAILED, NULL, 0, ares_strerror(status));
    }
}

void
dns_ask(struct dns *dns, const char *name, enum dns_type type, dns_done_fn *done, void *arg)
{
    struct question *question = mem_new(sizeof(*question));

    *question = (struct question){dns, done, arg};
    ares_query(dns->channel, name, CLASS_IN, (int)type, on_answer, question);
    set_timer(dns);
}

static int
set_servers(struct dns *dns, const struct dns_start *start)
{
    struct ares_addr_port_node *nodes;
    int status;

    if (start->server_count == 0)
        return ARES_SUCCESS;
    nodes = mem_array(start->server_count, sizeof(*nodes));
    for (size_t i = 0; i < start->server_count; i++) {
        const struct nameserver *server = &start->servers[i];

        nodes[i].family = server->ip.family == 6 ? AF_INET6 : AF_INET;
        memcpy(&nodes[i].addr, server->ip.bytes,
               server->ip.family == 6 ? sizeof(struct in6_addr) : sizeof(struct in_addr));
        nodes[i].udp_port = nodes[i].tcp_port = server->port;
        nodes[i].next = i + 1 < start->server_count ? &nodes[i + 1] : NULL;
    }
    status = ares_set_servers_ports(dns->channel, nodes);
    free(nodes);
    return status;
}

struct dns *
dns_new(struct event_base *base, const struct dns_start *start, struct err *err)
{
    static const struct ares_socket_functions calls = {call_socket, call_close, call_connect,
                                                       call_receive, call_send};
    struct dns *dns = mem_new(sizeof(*dns));
    struct ares_options options = {
        .timeout = (int)start->timeout_ms,
        .tries = TRIES,
        .sock_state_cb = on_state,
        .sock_state_cb_data = dns,
    };
    int which = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB, status;

#ifdef ARES_OPT_QUERY_CACHE
    which |= ARES_OPT_QUERY_CACHE; /* for 0 s: mx.c knows how long an answer is good */
#endif
    dns->base = base;
    LIST_INIT(&dns->watches);
    status = ares_init_options(&dns->channel, &options, which);
    if (status != ARES_SUCCESS) {
        free(dns);
        err_set(err, -EIO, "c-ares: %s", ares_strerror(status));
        return NULL;
    }
    dns->timer = evtimer_new(base, on_timer, dns);
    ares_set_socket_functions(dns->channel, &calls, dns);
    status = set_servers(dns, start);
    if (status != ARES_SUCCESS) {
        err_set(err, -EIO, "c-ares: %s", ares_strerror(status));
        dns_free(dns);
        return NULL;
    }
    return dns;
}

void
dns_free(struct dns *dns)
{
    if (dns == NULL)
        return;
    dns->ending = true;
    ares_destroy(dns->channel);
    while (!LIST_EMPTY(&dns->watches))
        watch_free(LIST_FIRST(&dns->watches));
    event_free(dns->timer);
    free(dns);
}
