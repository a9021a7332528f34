/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/dns_server.h"

#include "tests/unit/message.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TTL_S = 5 };

static struct message message;

/* The domain's first label says what to answer. */
static void
respond(struct dns_server *server, const char *domain)
{
    static const char *const hosts[] = {"aspmx.l.google.com", "alt1.aspmx.l.google.com"};
    size_t label = strcspn(domain, ".");

    if (strncmp(domain, "google", 6) == 0) {
        message_record(&message, TYPE_MX, TTL_S, hosts[0]);
        message_record(&message, TYPE_MX, TTL_S, hosts[1]);
    } else if (strncmp(domain, "mixed", label) == 0) {
        message_record(&message, TYPE_MX, TTL_S, hosts[0]);
        message_record(&message, TYPE_MX, TTL_S, "mx.example.test");
    } else if (strncmp(domain, "null", label) == 0) {
        message_record(&message, TYPE_MX, TTL_S, "");
    } else if (strncmp(domain, "nxdomain", label) == 0) {
        message.bytes[3] |= 3;
    } else if (strncmp(domain, "servfail", label) == 0 || server->failing) {
        message.bytes[3] |= 2;
    } else if (strncmp(domain, "yxdomain", label) == 0) {
        message.bytes[3] |= 6;
    } else if (strncmp(domain, "echo", label) == 0) {
        message.bytes[2] &= 0x7f;
    } else if (strncmp(domain, "cut", label) == 0) {
        message_record(&message, TYPE_MX, TTL_S, hosts[0]);
        message.length -= 5;
    }
}

/* Returns false when there is none. */
static bool
serve(struct dns_server *server)
{
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    char domain[256];
    size_t at = 12, written = 0;
    ssize_t length = recvfrom(server->fd, message.bytes, sizeof(message.bytes), 0,
                              (struct sockaddr *)&peer, &size);

    if (length < 17)
        return false;
    server->asked++;
    if (server->silent)
        return true;
    while (message.bytes[at] != 0) {
        memcpy(domain + written, message.bytes + at + 1, message.bytes[at]);
        written += message.bytes[at];
        domain[written++] = '.';
        at += message.bytes[at] + 1u;
    }
    domain[written - 1] = '\0';
    message.length = at + 5;
    message.records = 0;
    message.bytes[2] = 0x81;
    message.bytes[3] = 0x80;
    message.bytes[11] = 0; /* the EDNS record of the question is not sent back */
    respond(server, domain);
    for (size_t i = 0; i < server->flood; i++) {
        message.bytes[0] ^= 0xff;
        sendto(server->fd, message.bytes, message.length, 0, (struct sockaddr *)&peer, size);
        message.bytes[0] ^= 0xff;
    }
    sendto(server->fd, message.bytes, message.length, 0, (struct sockaddr *)&peer, size);
    return true;
}

static void
on_question(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    while (serve(arg))
        ;
}

void
dns_server_start(struct dns_server *server, struct event_base *base)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    *server = (struct dns_server){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
    getsockname(server->fd, (struct sockaddr *)&address, &size);
    server->address = (struct nameserver){{4, {127, 0, 0, 1}}, ntohs(address.sin_port)};
    server->readable = event_new(base, server->fd, EV_READ | EV_PERSIST, on_question, server);
    event_add(server->readable, NULL);
}

void
dns_server_end(struct dns_server *server)
{
    event_free(server->readable);
    close(server->fd);
}
