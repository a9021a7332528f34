/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/transactions.h"

#include "engine/meters.h"
#include "lib/mem.h"

#include <stdlib.h>

enum { WAYS = 8 };

struct transactions {
    struct transaction *all; /* owned; WAYS for each set */
    size_t sets;             /* a power of two: a key's low bits are its set */
};

struct transactions *
transactions_new(size_t count_max)
{
    struct transactions *transactions = mem_new(sizeof(*transactions));

    transactions->sets = count_max / WAYS;
    transactions->all = mem_array(count_max, sizeof(*transactions->all));
    return transactions;
}

void
transactions_free(struct transactions *transactions)
{
    if (transactions == NULL)
        return;
    free(transactions->all);
    free(transactions);
}

static struct transaction *
set_of(struct transactions *transactions, uint64_t key)
{
    return &transactions->all[(key & (transactions->sets - 1)) * WAYS];
}

struct transaction *
transactions_find(struct transactions *transactions, uint64_t key, int64_t now_ms)
{
    struct transaction *set = set_of(transactions, key);

    for (int i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return now_ms - set[i].active_ms <= TRANSACTION_LIFE_MS ? &set[i] : NULL;
    return NULL;
}

struct transaction *
transactions_add(struct transactions *transactions, uint64_t key, int64_t now_ms)
{
    struct transaction *set = set_of(transactions, key), *place = set;

    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key || set[i].key == 0) {
            place = &set[i];
            break;
        }
        if (set[i].active_ms < place->active_ms)
            place = &set[i];
    }
    *place = (struct transaction){
        .key = key, .active_ms = now_ms, .account = METERS_NONE, .stream = UINT32_MAX};
    return place;
}

void
transactions_keep(struct transactions *transactions)
{
    for (size_t i = 0; i < transactions->sets * WAYS; i++) {
        struct transaction *one = &transactions->all[i];

        if (one->key == 0)
            continue; /* writing nothing there leaves untouched memory untouched */
        one->kept += one->taken;
        one->taken = 0;
        one->stream = UINT32_MAX;
    }
}
