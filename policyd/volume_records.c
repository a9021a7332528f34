/*
 * Records and hashes of the store, handed on to who keeps them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/store.h"
#include "policyd/volume_inside.h"

void
volume_listen(struct volume *volume, const struct volume_listener *listener)
{
    volume->listeners[volume->listener_count++] = *listener;
}

bool
volume_put(struct volume *volume, const char *key, uint64_t version, const void *bytes,
           size_t length)
{
    if (volume->store == NULL)
        return false;
    volume->puts_owed++;
    store_put(volume->store, key, version, bytes, length);
    return true;
}

static void
on_put(void *arg, const char *key, bool written, uint64_t version, const void *bytes, size_t length)
{
    struct volume *volume = arg;

    volume->puts_owed -= volume->puts_owed > 0;
    for (size_t i = 0; i < volume->listener_count; i++)
        volume->listeners[i].on_put(volume->listeners[i].arg, key, written, version, bytes, length);
}

static void
on_record(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct volume *volume = arg;

    for (size_t i = 0; i < volume->listener_count; i++)
        volume->listeners[i].on_record(volume->listeners[i].arg, key, version, bytes, length);
}

static void
on_records(void *arg)
{
    struct volume *volume = arg;

    volume->told = true;
    volume_recap(volume);
    volume_ready_told(volume);
}

void
volume_records_events(struct store_events *events)
{
    events->on_put = on_put;
    events->on_record = on_record;
    events->on_records = on_records;
}

bool
volume_has_hashes(const struct volume *volume)
{
    return volume->store != NULL && store_has_hashes(volume->store);
}

bool
volume_hash(struct volume *volume, const struct store_hash *hash, store_hash_fn *done, void *arg)
{
    return volume->store != NULL && store_hash(volume->store, hash, done, arg);
}

void
volume_hash_forget(struct volume *volume)
{
    if (volume->store != NULL)
        store_hash_forget(volume->store);
}

int64_t
volume_generation(const struct volume *volume)
{
    return volume->store != NULL ? store_generation(volume->store) : 0;
}
