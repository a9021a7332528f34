/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/known.h"

#include "engine/snapshot.h"
#include "lib/conf_value.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* names is ours. */
static const char *
tell(const char *word, const char **names, size_t count)
{
    static _Thread_local char text[KNOWN_NAMES * (64 + 2) + 64];
    const char *near = conf_nearest(word, names, count);
    int length = snprintf(text, sizeof(text), "%s", near);

    for (size_t i = 0; near[0] == '\0' && i < count && i < KNOWN_NAMES; i++)
        length += snprintf(text + length, sizeof(text) - (size_t)length, "%s%.64s",
                           i == 0 ? "; there are: " : ", ", names[i]);
    if (near[0] == '\0' && count > KNOWN_NAMES)
        snprintf(text + length, sizeof(text) - (size_t)length, " and %zu more",
                 count - KNOWN_NAMES);
    free(names);
    return text;
}

const char *
known_addresses(const struct snapshot *snapshot, const char *word)
{
    const char **names = mem_array(snapshot->address_count, sizeof(*names));

    for (size_t i = 0; i < snapshot->address_count; i++)
        names[i] = snapshot->addresses[i].name;
    return tell(word, names, snapshot->address_count);
}

const char *
known_pools(const struct snapshot *snapshot, const char *word)
{
    const char **names = mem_array(snapshot->pool_count, sizeof(*names));

    for (size_t i = 0; i < snapshot->pool_count; i++)
        names[i] = snapshot->pools[i].name;
    return tell(word, names, snapshot->pool_count);
}

const char *
known_providers(const struct snapshot *snapshot, const char *word)
{
    const char **names = mem_array(snapshot->provider_count, sizeof(*names));
    const char *text;

    for (size_t i = 0; i < snapshot->provider_count; i++)
        names[i] = snapshot->providers[i].name;
    text = tell(word, names, snapshot->provider_count);
    if (text[0] == ';' && snapshot->provider_count == PROVIDER_OTHER + 1)
        return "; there is none but other, take some in with @include \"providers.conf\"";
    return text;
}

const char *
known_streams(const struct snapshot *snapshot, const char *word)
{
    const char **names = mem_array(snapshot->stream_count, sizeof(*names));

    for (size_t i = 0; i < snapshot->stream_count; i++)
        names[i] = snapshot->streams[i].name;
    return tell(word, names, snapshot->stream_count);
}
