/*
 * Asks a running postpool-policyd for grants, as Postfix does: pairs of sender
 * and rcpt, each message a new one, over some connections at a time.
 *
 *   bin_grants SOCKET CONNECTIONS PAIRS PROVIDERS [NEW]
 *
 * Every NEW-th message is of a sender domain that was never seen before; the
 * others are of one and the same.
 *
 * Prints one line: pairs a second, how many got an address, the median and the
 * 99th percentile of a pair's microseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/mem.h"
#include "lib/netstring.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, BUFFER = 4096 };

struct connection {
    int fd;
    int answers; /* of the pair under way */
    double began_us;
    char in[BUFFER];
    size_t length;
};

static double
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static int
connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die(path);
    return fd;
}

static void
send_pair(struct connection *connection, long number, long providers, long new_each)
{
    char sender[100], recipient[100], out[300];
    size_t length;
    long domain = new_each > 0 && number % new_each == 0 ? number : 0;
    int n = snprintf(sender, sizeof(sender), "sender m%ld@bulk%ld.test", number, domain);

    length = netstring_print(sender, (size_t)n, out);
    n = snprintf(recipient, sizeof(recipient), "rcpt r%ld@p%ld.test", number, number % providers);
    length += netstring_print(recipient, (size_t)n, out + length);
    connection->answers = 0;
    connection->began_us = now_us();
    if (send(connection->fd, out, length, 0) != (ssize_t)length)
        die("send");
}

/* Takes what came.  True when the pair is answered; *ret_granted: by an address. */
static bool
receive(struct connection *connection, bool *ret_granted)
{
    ssize_t length = recv(connection->fd, connection->in + connection->length,
                          sizeof(connection->in) - connection->length, 0);
    size_t used = 0;

    if (length <= 0)
        die("recv");
    connection->length += (size_t)length;
    while (connection->answers < 2) {
        struct netstring answer;

        if (netstring_parse(connection->in + used, connection->length - used, BUFFER, &answer) <= 0)
            break;
        used += answer.used;
        connection->answers++;
        *ret_granted = answer.length > 6 && memcmp(answer.data, "OK pp-", 6) == 0;
    }
    memmove(connection->in, connection->in + used, connection->length - used);
    connection->length -= used;
    return connection->answers == 2;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
    struct connection connections[CONNECTIONS_MAX] = {0};
    struct pollfd polls[CONNECTIONS_MAX];
    long count, pairs, providers, new_each, sent = 0, done = 0, granted = 0, base;
    double *took, begin;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: bin_grants SOCKET CONNECTIONS PAIRS PROVIDERS [NEW]\n");
        return 2;
    }
    count = atol(argv[2]) < CONNECTIONS_MAX ? atol(argv[2]) : CONNECTIONS_MAX;
    pairs = atol(argv[3]);
    providers = atol(argv[4]);
    new_each = argc > 5 ? atol(argv[5]) : 0;
    took = mem_array((size_t)pairs, sizeof(*took));
    base = (long)getpid() * 100000000L; /* no message comes twice */
    begin = now_us();
    for (long i = 0; i < count; i++) {
        connections[i].fd = connect_to(argv[1]);
        polls[i] = (struct pollfd){connections[i].fd, POLLIN, 0};
        send_pair(&connections[i], base + sent++, providers, new_each);
    }
    while (done < pairs) {
        if (poll(polls, (nfds_t)count, 60000) <= 0)
            die("poll");
        for (long i = 0; i < count; i++) {
            bool got = false;

            if (!(polls[i].revents & POLLIN) || !receive(&connections[i], &got))
                continue;
            if (done < pairs)
                took[done] = now_us() - connections[i].began_us;
            done++;
            granted += got;
            if (sent < pairs)
                send_pair(&connections[i], base + sent++, providers, new_each);
            else
                polls[i].fd = -1;
        }
    }
    begin = now_us() - begin;
    qsort(took, (size_t)pairs, sizeof(*took), compare);
    printf("%.0f %ld %.1f %.1f\n", (double)pairs * 1e6 / begin, granted, took[pairs / 2],
           took[pairs * 99 / 100]);
    free(took);
    return 0;
}
