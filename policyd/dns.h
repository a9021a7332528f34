/*
 * Questions to DNS servers, on the event loop (c-ares).
 *
 * A server that does not answer, lies or floods costs its questions, at most
 * dns_start.timeout_ms for each try of each server, and no more of one turn of
 * the loop than RECEIVES_MAX datagrams.  Names are asked as they are: search
 * domains of resolv.conf and /etc/hosts are not looked at.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_DNS_H
#define POLICYD_DNS_H

#include <stddef.h>
#include <stdint.h>

struct dns;
struct err;
struct event_base;
struct nameserver;

enum dns_type { DNS_A = 1, DNS_MX = 15, DNS_TXT = 16 };

/* What came of a question. */
enum dns_result {
    DNS_ANSWER,  /* bytes are the whole answer; it may hold nothing of the type */
    DNS_NO_NAME, /* the name does not exist */
    DNS_FAILED,  /* no answer, or none that can be used; why says it */
};

/*
 * Called once for each question, perhaps already from inside dns_ask(), and
 * never after dns_free().  bytes and why are gone when it returns.
 */
typedef void dns_done_fn(void *arg, enum dns_result result, const uint8_t *bytes, size_t length,
                         const char *why);

struct dns_start {
    const struct nameserver *servers; /* not ours; none: those of resolv.conf */
    size_t server_count;
    int64_t timeout_ms; /* for the first try of each server; the second waits longer */
};

/* NULL with the reason when c-ares cannot be had. */
struct dns *dns_new(struct event_base *base, const struct dns_start *start, struct err *err);

/* Open questions are forgotten.  Takes NULL.  Not from inside a dns_done_fn. */
void dns_free(struct dns *dns);

/* Ask for the records of name.  A dns_done_fn may ask again. */
void dns_ask(struct dns *dns, const char *name, enum dns_type type, dns_done_fn *done, void *arg);

#endif
