/*
 * Asks a running postpool-policyd for grants, as Postfix does: pairs of sender
 * and rcpt, each message a new one, over some connections at a time.
 *
 *   bin_grants SOCKET CONNECTIONS PAIRS PROVIDERS ACCOUNTS [NEW]
 *
 * Senders are of so many domains; with NEW each NEW-th is of one that was never seen.
 *
 * Prints one line: pairs a second, how many got an address, and of a pair's
 * microseconds the median, the 99th percentile and the most.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/measure.h"
#include "lib/mem.h"
#include "lib/netstring.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, BUFFER = 4096 };

struct connection {
    int fd;
    int answers; /* of the pair under way */
    double began_us;
    char in[BUFFER];
    size_t length;
};

static void
send_pair(struct connection *connection, long number, long providers, long accounts, long new_each)
{
    char sender[100], recipient[100], out[300];
    size_t length;
    bool is_new = new_each > 0 && number % new_each == 0;
    int n = snprintf(sender, sizeof(sender), "sender m%ld@%s%ld.test", number, is_new ? "n" : "d",
                     is_new ? number : number % accounts);

    length = netstring_print(sender, (size_t)n, out);
    n = snprintf(recipient, sizeof(recipient), "rcpt r%ld@p%ld.test", number, number % providers);
    length += netstring_print(recipient, (size_t)n, out + length);
    connection->answers = 0;
    connection->began_us = measure_now_us();
    if (send(connection->fd, out, length, 0) != (ssize_t)length)
        measure_fail("send");
}

/* Takes what came.  True when the pair is answered; *ret_granted: by an address. */
static bool
receive(struct connection *connection, bool *ret_granted)
{
    ssize_t length = recv(connection->fd, connection->in + connection->length,
                          sizeof(connection->in) - connection->length, 0);
    size_t used = 0;

    if (length <= 0)
        measure_fail("recv");
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

int
main(int argc, char **argv)
{
    struct connection connections[CONNECTIONS_MAX] = {0};
    struct pollfd polls[CONNECTIONS_MAX];
    long count, pairs, providers, accounts, new_each, sent = 0, done = 0, granted = 0, base;
    double *took, begin, median;

    if (argc < 6 || argc > 7) {
        fprintf(stderr, "usage: bin_grants SOCKET CONNECTIONS PAIRS PROVIDERS ACCOUNTS [NEW]\n");
        return 2;
    }
    count = atol(argv[2]) < CONNECTIONS_MAX ? atol(argv[2]) : CONNECTIONS_MAX;
    pairs = atol(argv[3]);
    providers = atol(argv[4]);
    accounts = atol(argv[5]);
    new_each = argc > 6 ? atol(argv[6]) : 0;
    took = mem_array((size_t)pairs, sizeof(*took));
    base = (long)getpid() * 100000000L; /* no message comes twice */
    begin = measure_now_us();
    for (long i = 0; i < count; i++) {
        connections[i].fd = measure_connect(argv[1], 0);
        polls[i] = (struct pollfd){connections[i].fd, POLLIN, 0};
        send_pair(&connections[i], base + sent++, providers, accounts, new_each);
    }
    while (done < pairs) {
        if (poll(polls, (nfds_t)count, 60000) <= 0)
            measure_fail("poll");
        for (long i = 0; i < count; i++) {
            bool got = false;

            if (!(polls[i].revents & POLLIN) || !receive(&connections[i], &got))
                continue;
            if (done < pairs)
                took[done] = measure_now_us() - connections[i].began_us;
            done++;
            granted += got;
            if (sent < pairs)
                send_pair(&connections[i], base + sent++, providers, accounts, new_each);
            else
                polls[i].fd = -1;
        }
    }
    begin = measure_now_us() - begin;
    median = measure_quantile(took, (int)pairs, 0.5); /* sorts */
    printf("%.0f %ld %.1f %.1f %.1f\n", (double)pairs * 1e6 / begin, granted, median,
           measure_quantile(took, (int)pairs, 0.99), took[pairs - 1]);
    free(took);
    return 0;
}
