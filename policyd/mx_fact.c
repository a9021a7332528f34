/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/mx_fact.h"

#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/mem.h"
#include "policyd/mx_answer.h"

#include <stdlib.h>
#include <string.h>

static void
set_hosts(struct mx_fact *fact, enum mx_why why, const char *hosts, size_t length, size_t count)
{
    free(fact->hosts);
    fact->hosts = NULL;
    if (length > 0) {
        fact->hosts = mem_array(length, 1);
        memcpy(fact->hosts, hosts, length);
    }
    fact->hosts_length = length;
    fact->host_count = count;
    fact->why = why;
}

static int64_t
ttl_ms(uint32_t ttl_s)
{
    int64_t ms = (int64_t)ttl_s * 1000;

    return ms < MX_TTL_MIN_MS ? MX_TTL_MIN_MS : ms > MX_TTL_MAX_MS ? MX_TTL_MAX_MS : ms;
}

/* Returns how long the answer counts; 0 when it is of no use. */
static int64_t
take_answer(struct mx_fact *fact, const char *domain, enum dns_result result, const uint8_t *bytes,
            size_t length)
{
    struct mx_answer answer = {.count = 0};

    if (result == DNS_FAILED ||
        (result == DNS_ANSWER && mx_answer_parse(bytes, length, &answer) < 0))
        return 0;
    if (answer.too_many) {
        set_hosts(fact, MX_WHY_TOO_MANY, NULL, 0, 0);
        return ttl_ms(answer.ttl_s);
    }
    if (answer.count > 0) {
        bool null_mx = answer.count == 1 && answer.hosts[0] == '\0';

        set_hosts(fact, null_mx ? MX_WHY_NULL_MX : MX_WHY_HOSTS, answer.hosts, answer.hosts_length,
                  answer.count);
        return ttl_ms(answer.ttl_s);
    }
    if (result == DNS_ANSWER) /* the host itself takes its mail */
        set_hosts(fact, MX_WHY_NO_MX, domain, strlen(domain) + 1, 1);
    else
        set_hosts(fact, MX_WHY_NO_NAME, NULL, 0, 0);
    return MX_NEGATIVE_MS;
}

bool
mx_fact_take(struct mx_fact *fact, const char *domain, enum dns_result result, const uint8_t *bytes,
             size_t length, int64_t now_ms)
{
    int64_t ttl = take_answer(fact, domain, result, bytes, length);

    if (ttl > 0) {
        fact->known = true;
        fact->fresh_ms = now_ms + ttl;
        fact->valid_ms = fact->fresh_ms + MX_STALE_MS;
        return true;
    }
    fact->fresh_ms = now_ms + MX_FAILED_MS;
    if (fact->known && now_ms < fact->valid_ms)
        return false;
    fact->known = true;
    fact->valid_ms = fact->fresh_ms;
    set_hosts(fact, MX_WHY_FAILED, NULL, 0, 0);
    return false;
}

void
mx_fact_match(struct mx_fact *fact, const struct snapshot *snapshot, unsigned generation)
{
    const char *hosts[MX_HOSTS_MAX], *host = fact->hosts;

    for (size_t i = 0; i < fact->host_count; i++) {
        hosts[i] = host;
        host += strlen(host) + 1;
    }
    fact->provider = provider_by_mx(snapshot, hosts, fact->host_count)->index;
    fact->generation = generation;
}

void
mx_fact_clear(struct mx_fact *fact)
{
    free(fact->hosts);
    *fact = (struct mx_fact){0};
}
