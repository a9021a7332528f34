/*
 * Meters by the keys that people and the store know them by, "address/a1".
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"

#include "engine/meters_inside.h"
#include "engine/snapshot.h"

#include <stdio.h>
#include <string.h>

void
meters_key(const struct meters *meters, uint32_t number, char key[static METERS_KEY_SIZE])
{
    const struct metered *metered = meters_peek(meters, number);
    const struct snapshot *snapshot = meters->snapshot;

    switch ((enum meters_kind)metered->kind) {
    case METERS_ADDRESS:
        snprintf(key, METERS_KEY_SIZE, "address/%s",
                 snapshot->addresses[meters->addresses.place[metered->of]].name);
        break;
    case METERS_PROVIDER:
        snprintf(key, METERS_KEY_SIZE, "provider/%s/%s",
                 snapshot->addresses[meters->addresses.place[metered->of]].name,
                 snapshot->providers[meters->providers.place[metered->other]].name);
        break;
    case METERS_STREAM:
        snprintf(key, METERS_KEY_SIZE, "stream/%s",
                 snapshot->streams[meters->streams.place[metered->of]].name);
        break;
    case METERS_ACCOUNT:
        snprintf(key, METERS_KEY_SIZE, "account/%s/%s",
                 snapshot->streams[meters->groups.place[metered->of]].name, metered->account);
        break;
    }
}

/* The part of key up to the next slash, or all of it; key moves behind it. */
static bool
part(const char **key, char text[static METERS_KEY_SIZE])
{
    size_t length = strcspn(*key, "/");

    if (length == 0 || length >= METERS_KEY_SIZE)
        return false;
    memcpy(text, *key, length);
    text[length] = '\0';
    *key += length + ((*key)[length] == '/');
    return true;
}

static uint32_t
find_provider(struct meters *meters, const struct address *address, const char *name)
{
    const struct snapshot *snapshot = meters->snapshot;

    for (size_t i = 0; i < snapshot->provider_count; i++)
        if (strcmp(snapshot->providers[i].name, name) == 0)
            return meters_provider(meters, address->index, i);
    return METERS_NONE;
}

uint32_t
meters_find(struct meters *meters, const char *key)
{
    char kind[METERS_KEY_SIZE], name[METERS_KEY_SIZE];
    const struct address *address;
    const struct stream *stream;

    if (!part(&key, kind) || !part(&key, name))
        return METERS_NONE;
    if (strcmp(kind, "address") == 0 || strcmp(kind, "provider") == 0) {
        address = snapshot_find_address(meters->snapshot, name);
        if (address == NULL)
            return METERS_NONE;
        return kind[0] == 'a' ? meters_address(meters, address->index)
                              : find_provider(meters, address, key);
    }
    stream = snapshot_find_stream(meters->snapshot, name, strlen(name));
    if (stream == NULL)
        return METERS_NONE;
    if (strcmp(kind, "stream") == 0)
        return meters_stream(meters, stream->index);
    return strcmp(kind, "account") == 0 && key[0] != '\0'
               ? meters_account(meters, stream->index, key)
               : METERS_NONE;
}
