/*
 * The MX records in an answer of a DNS server, and whose domain they make it.
 *
 * Input: the answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "policyd/mx_answer.h"

#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mx_answer answer;
    const struct snapshot *snapshot = fuzz_conf()->snapshot;
    const char *hosts[MX_HOSTS_MAX], *host = answer.hosts;
    const struct provider *provider;

    if (mx_answer_parse(data, size, &answer) < 0)
        return 0;
    MUST(answer.count <= MX_HOSTS_MAX && answer.hosts_length <= MX_HOSTS_BYTES_MAX);
    for (size_t i = 0; i < answer.count; i++) {
        size_t length = strnlen(host, answer.hosts_length - (size_t)(host - answer.hosts));

        MUST(host + length < answer.hosts + answer.hosts_length && length < MX_HOST_SIZE);
        for (size_t j = 0; j < length; j++)
            MUST(host[j] >= '-' && host[j] <= 'z');
        hosts[i] = host;
        host += length + 1;
    }
    MUST(host == answer.hosts + answer.hosts_length);
    MUST(answer.count == 0 || answer.hosts_length > 0);
    provider = provider_by_mx(snapshot, hosts, answer.count);
    MUST(provider == &snapshot->providers[provider->index]);
    return 0;
}
