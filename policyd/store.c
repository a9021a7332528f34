/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/store.h"

#include "lib/conf.h"

int
store_open(struct event_base *base, const struct conf *conf, const struct store_events *events,
           struct store **ret_store, struct err *err)
{
    const struct store_kind *kind =
        conf->store_type == STORE_REDIS ? &store_redis : &store_sqlite;

    return kind->open(base, conf, events, ret_store, err);
}

void
store_close(struct store *store)
{
    if (store != NULL)
        store->kind->close(store);
}

void
store_ask(struct store *store, const char *key, const struct caps *caps,
          const struct book_ask *ask)
{
    store->kind->ask(store, key, caps, ask);
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
