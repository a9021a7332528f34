/*
 * Ask a policy server as smtpd(8) does: one request after the other on each
 * of some connections, for some seconds.  Prints the answers per second.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench/measure.h"
#include "lib/endpoint.h"
#include "lib/err.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, USERS = 100, DOMAINS = 500, MESSAGE_MAX = 2048 };

/* What Postfix 3.7 sends, all of it. */
static const char request[] = "request=smtpd_access_policy\n"
                              "protocol_state=RCPT\n"
                              "protocol_name=ESMTP\n"
                              "client_address=10.1.2.3\n"
                              "client_name=client.test\n"
                              "client_port=45678\n"
                              "reverse_client_name=client.test\n"
                              "server_address=10.0.0.1\n"
                              "server_port=587\n"
                              "helo_name=client.test\n"
                              "sender=m%llu@site.test\n"
                              "recipient=r%llu@d%llu.test\n"
                              "recipient_count=0\n"
                              "queue_id=\n"
                              "instance=%x.%llx.0\n"
                              "size=12345\n"
                              "etrn_domain=\n"
                              "stress=\n"
                              "sasl_method=PLAIN\n"
                              "sasl_username=app-%llu\n"
                              "sasl_sender=\n"
                              "ccert_subject=\n"
                              "ccert_issuer=\n"
                              "ccert_fingerprint=\n"
                              "ccert_pubkey_fingerprint=\n"
                              "encryption_protocol=TLSv1.3\n"
                              "encryption_cipher=TLS_AES_256_GCM_SHA384\n"
                              "encryption_keysize=256\n"
                              "policy_context=\n"
                              "\n";

static unsigned long long number;

static void
ask(int fd)
{
    char text[MESSAGE_MAX];
    int length;

    number++;
    length = snprintf(text, sizeof(text), request, number % 1000, number, number % DOMAINS,
                      (unsigned)getpid(), number, number % USERS);
    if (write(fd, text, (size_t)length) != length)
        measure_fail("write");
}

/* The rest of an answer; true when it is whole.  first: print it, to see that it is one. */
static bool
hear(int fd, bool first)
{
    char text[MESSAGE_MAX];
    ssize_t length = read(fd, text, sizeof(text));

    if (length <= 0)
        measure_fail("the server closed a connection");
    if (first)
        fprintf(stderr, "%.*s", (int)length - 1, text);
    return text[length - 1] == '\n' && (length == 1 || text[length - 2] == '\n');
}

int
main(int argc, char **argv)
{
    struct pollfd polls[CONNECTIONS_MAX];
    int count = argc == 4 ? atoi(argv[2]) : 0, open = count;
    double seconds = argc == 4 ? atof(argv[3]) : 0, begin, end;
    uint64_t answers = 0;
    struct err err;

    if (count < 1 || count > CONNECTIONS_MAX || seconds <= 0) {
        fprintf(stderr, "usage: bin_policy ENDPOINT CONNECTIONS SECONDS\n");
        return 2;
    }
    number = (unsigned long long)time(NULL) * 1000000;
    for (int i = 0; i < count; i++) {
        polls[i] = (struct pollfd){.fd = endpoint_connect(argv[1], &err), .events = POLLIN};
        if (polls[i].fd < 0) {
            fprintf(stderr, "bench/policy: %s\n", err.msg);
            return 1;
        }
        ask(polls[i].fd);
    }
    begin = measure_now_us();
    end = begin + seconds * 1e6;
    while (open > 0) { /* to the last answer: there are servers that end when one is not taken */
        if (poll(polls, (nfds_t)count, 10000) <= 0)
            measure_fail("no answer in 10 s");
        for (int i = 0; i < count; i++) {
            if (polls[i].revents == 0 || !hear(polls[i].fd, answers == 0))
                continue;
            answers++;
            if (measure_now_us() < end) {
                ask(polls[i].fd);
            } else {
                polls[i].fd = -1;
                open--;
            }
        }
    }
    printf("%.1f\n", (double)answers * 1e6 / (measure_now_us() - begin));
    return 0;
}
