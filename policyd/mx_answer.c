/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/mx_answer.h"

#include "policyd/dns.h"

#include <errno.h>
#include <string.h>

enum { PREFERENCE_SIZE = 2 };

static void
add_host(struct mx_answer *answer, const char *host)
{
    size_t size = strlen(host) + 1;

    if (answer->count == MX_HOSTS_MAX || size > sizeof(answer->hosts) - answer->hosts_length) {
        answer->too_many = true;
        return;
    }
    memcpy(answer->hosts + answer->hosts_length, host, size);
    answer->hosts_length += size;
    answer->count++;
}

static bool
take_record(const struct dns_answer *dns, const struct dns_record *record, struct mx_answer *answer,
            bool first)
{
    size_t at = record->start + PREFERENCE_SIZE;
    char name[DNS_NAME_SIZE];

    if (first || record->ttl_s < answer->ttl_s)
        answer->ttl_s = record->ttl_s;
    if (record->type != DNS_MX || record->of_class != DNS_CLASS_IN)
        return true;
    if (at > record->end || !dns_answer_name(dns, &at, record->end, name) || at != record->end)
        return false;
    add_host(answer, name);
    return true;
}

int
mx_answer_parse(const uint8_t *bytes, size_t length, struct mx_answer *ret_answer)
{
    struct dns_answer dns;
    struct dns_record record;
    int r;

    ret_answer->hosts_length = 0;
    ret_answer->count = 0;
    ret_answer->ttl_s = 0;
    ret_answer->too_many = false;
    if (dns_answer_open(&dns, bytes, length) < 0)
        return -EBADMSG;
    for (size_t i = 0; i < MX_RECORDS_MAX; i++) {
        r = dns_answer_next(&dns, &record);
        if (r <= 0)
            return r;
        if (!take_record(&dns, &record, ret_answer, i == 0))
            return -EBADMSG;
    }
    ret_answer->too_many = dns.left > 0;
    return 0;
}
