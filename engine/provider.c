/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/provider.h"

#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum { LABEL_MAX = 63 };

bool
provider_domain(const char *domain, char out[static PROVIDER_DOMAIN_SIZE])
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t length = strlen(domain), label = 0;

    if (length > 0 && domain[length - 1] == '.')
        length--;
    if (length == 0 || length >= PROVIDER_DOMAIN_SIZE || strspn(domain, letters) < length)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = domain[i];

        if (c == '.' ? label == 0 : label == LABEL_MAX)
            return false;
        label = c == '.' ? 0 : label + 1;
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[length] = '\0';
    return label > 0;
}

static int
compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct provider_name *)entry)->name);
}

static const struct provider *
find(const struct provider_name *names, size_t count, const char *name)
{
    const struct provider_name *found =
        count > 0 ? bsearch(name, names, count, sizeof(*names), compare_name) : NULL;

    return found != NULL ? found->provider : NULL;
}

const struct provider *
provider_by_domain(const struct snapshot *snapshot, const char *domain)
{
    char name[PROVIDER_DOMAIN_SIZE];

    if (!provider_domain(domain, name))
        return NULL;
    return find(snapshot->provider_domains, snapshot->provider_domain_count, name);
}

/* From the whole name to its last label, so that the longest suffix is found first. */
static const struct provider *
by_host(const struct snapshot *snapshot, const char *host)
{
    char text[PROVIDER_DOMAIN_SIZE + 1] = ".";

    if (!provider_domain(host, text + 1))
        return NULL;
    for (const char *suffix = text; suffix != NULL; suffix = strchr(suffix + 1, '.')) {
        const struct provider *provider =
            find(snapshot->provider_mx, snapshot->provider_mx_count, suffix);

        if (provider != NULL)
            return provider;
    }
    return NULL;
}

const struct provider *
provider_by_mx(const struct snapshot *snapshot, const char *const *hosts, size_t count)
{
    const struct provider *other = &snapshot->providers[PROVIDER_OTHER], *all = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct provider *provider = by_host(snapshot, hosts[i]);

        if (provider == NULL || (all != NULL && provider != all))
            return other;
        all = provider;
    }
    return all != NULL ? all : other;
}
