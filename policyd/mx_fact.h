/*
 * What is known of one recipient domain: its MX hosts, whose they are, and for
 * how long that counts.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_MX_FACT_H
#define POLICYD_MX_FACT_H

#include "policyd/dns.h"
#include "policyd/mx.h"

struct snapshot;

/* All zero: nothing is known. */
struct mx_fact {
    bool known; /* it counts, until valid_ms */
    enum mx_why why;
    size_t provider; /* index; of the snapshot of that generation */
    unsigned generation;
    int64_t fresh_ms; /* from then on it is asked for anew */
    int64_t valid_ms; /* from then on it does not count */
    char *hosts;      /* owned, each with its NUL; NULL: none */
    size_t hosts_length;
    size_t host_count;
};

/*
 * DNS said this about the domain.  Returns false when it is of no use: what was
 * known before goes on then; without that the domain has no hosts for a while.
 * To be matched next.  now_ms: monotonic.
 */
bool mx_fact_take(struct mx_fact *fact, const char *domain, enum dns_result result,
                  const uint8_t *bytes, size_t length, int64_t now_ms);

/* Whose are the hosts, by the snapshot of that generation? */
void mx_fact_match(struct mx_fact *fact, const struct snapshot *snapshot, unsigned generation);

void mx_fact_clear(struct mx_fact *fact);

#endif
