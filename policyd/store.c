/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/store.h"

#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/record.h"

#include <errno.h>

int
store_open(struct event_base *base, const struct conf *conf, const struct store_events *events,
           struct store **ret_store, struct err *err)
{
    const struct store_kind *kind = conf->store_type == STORE_REDIS ? &store_redis : &store_sqlite;

    return kind->open(base, conf, events, ret_store, err);
}

void
store_close(struct store *store)
{
    if (store != NULL)
        store->kind->close(store);
}

void
store_ask(struct store *store, const char *key, const struct caps *caps, const struct book_ask *ask)
{
    store->kind->ask(store, key, caps, ask);
}

void
store_put(struct store *store, const char *key, uint64_t version, const void *bytes, size_t length)
{
    if (store->kind->put != NULL)
        store->kind->put(store, record_put_new(key, version, bytes, length));
}

void
store_tell_put(const struct store *store, const struct record_put *put)
{
    const struct store_events *events = &store->events;

    if (put->full)
        log_warn("store: %s is not written: there are %d records, and can be no more", put->key,
                 STORE_RECORDS_MAX);
    if (events->on_put != NULL)
        events->on_put(events->arg, put->key, put->written, put->there.version, put->there.bytes,
                       put->there.length);
}

void
store_tell_record(const struct store *store, const char *key, const struct record *record)
{
    const struct store_events *events = &store->events;

    if (events->on_record != NULL)
        events->on_record(events->arg, key, record->version, record->bytes, record->length);
}

void
store_tell_records(const struct store *store)
{
    if (store->events.on_records != NULL)
        store->events.on_records(store->events.arg);
}

int64_t
store_now_ms(const struct store *store)
{
    return store->kind->now_ms(store);
}

bool
store_is_up(const struct store *store)
{
    return store->kind->is_up(store);
}

void
store_reset(struct store *store, const char *key)
{
    store->kind->reset(store, key);
}

void
store_status(const struct store *store, struct buf *text, struct json *json)
{
    store->kind->status(store, text, json);
}

void
store_nodes(const struct store *store, struct buf *text, struct json *json)
{
    if (store->kind->nodes != NULL) {
        store->kind->nodes(store, text, json);
    } else if (text != NULL) {
        buf_puts(text, "only this node: the store is a file of this host\n");
    } else {
        json_open(json, "nodes", '[');
        json_close(json, ']');
    }
}

void
store_forget(struct store *store, const char *node, store_forgotten_fn *done, void *arg)
{
    if (store->kind->forget != NULL)
        store->kind->forget(store, node, done, arg);
    else
        done(arg, -EOPNOTSUPP, "the store is a file of this host; it knows of no other node");
}

bool
store_has_hashes(const struct store *store)
{
    return store->kind->hash != NULL;
}

bool
store_hash(struct store *store, const struct store_hash *hash, store_hash_fn *done, void *arg)
{
    return store->kind->hash != NULL && store->kind->hash(store, hash, done, arg);
}

void
store_hash_forget(struct store *store)
{
    if (store->kind->hash_forget != NULL)
        store->kind->hash_forget(store);
}

int64_t
store_generation(const struct store *store)
{
    return store->kind->generation != NULL ? store->kind->generation(store) : 0;
}
