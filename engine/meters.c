/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"

#include "engine/hash.h"
#include "engine/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1024,        /* meters that are allocated at a time */
    ACCOUNT_SLOTS = 65536,
    IDLE_LEAST_MS = 10 * 1000,
    IDLE_PART = 64, /* a lease is returned after that part of the window unused */
};

struct meters {
    const struct snapshot *snapshot; /* not ours */
    struct metered **chunks;         /* owned */
    size_t chunk_count;
    size_t count;
    uint32_t *by_address;
    uint32_t *by_stream;
    uint32_t *by_provider; /* address x provider; NULL: no provider has caps */
    uint32_t *accounts;    /* heads of chains by hash; NULL: none yet */
    size_t account_count;
    uint32_t *queue; /* a ring of numbers that meters_next() looks at */
    size_t queue_first, queue_count, queue_room;
    unsigned nodes;
    bool alone; /* without the store, on this node's share */
    uint64_t gains;
};

struct metered *
meters_at(struct meters *meters, uint32_t number)
{
    return &meters->chunks[number / CHUNK][number % CHUNK];
}

static const struct metered *
at(const struct meters *meters, uint32_t number)
{
    return &meters->chunks[number / CHUNK][number % CHUNK];
}

size_t
meters_count(const struct meters *meters)
{
    return meters->count;
}

static uint32_t
add(struct meters *meters, enum meters_kind kind, const struct caps *caps, size_t of,
    size_t provider)
{
    struct metered *metered;

    if (meters->count == meters->chunk_count * CHUNK) {
        struct metered **chunks =
            realloc(meters->chunks, (meters->chunk_count + 1) * sizeof(struct metered *));

        if (chunks == NULL)
            return METERS_NONE;
        meters->chunks = chunks;
        chunks[meters->chunk_count] = calloc(CHUNK, sizeof(struct metered));
        if (chunks[meters->chunk_count] == NULL)
            return METERS_NONE;
        meters->chunk_count++;
    }
    metered = meters_at(meters, (uint32_t)meters->count);
    metered->caps = caps;
    metered->kind = (uint8_t)kind;
    metered->of = (uint32_t)of;
    metered->other = (uint32_t)provider;
    return (uint32_t)meters->count++;
}

static uint32_t *
numbers(size_t count)
{
    uint32_t *list = malloc((count + 1) * sizeof(*list));

    for (size_t i = 0; list != NULL && i < count; i++)
        list[i] = METERS_NONE;
    return list;
}

static bool
make_fixed(struct meters *meters)
{
    const struct snapshot *snapshot = meters->snapshot;

    meters->by_address = numbers(snapshot->address_count);
    meters->by_stream = numbers(snapshot->stream_count);
    if (meters->by_address == NULL || meters->by_stream == NULL)
        return false;
    if (snapshot->provider_caps) {
        meters->by_provider = numbers(snapshot->address_count * snapshot->provider_count);
        if (meters->by_provider == NULL)
            return false;
    }
    for (size_t i = 0; i < snapshot->address_count; i++)
        if (snapshot->addresses[i].caps.count > 0)
            meters->by_address[i] = add(meters, METERS_ADDRESS, &snapshot->addresses[i].caps, i, 0);
    for (size_t i = 0; i < snapshot->stream_count; i++)
        if (snapshot->streams[i].caps.count > 0)
            meters->by_stream[i] = add(meters, METERS_STREAM, &snapshot->streams[i].caps, i, 0);
    return true;
}

/* The state of before's meters goes over by their keys. */
static void
carry_over(struct meters *meters, struct meters *before)
{
    for (size_t i = 0; i < before->count; i++) {
        struct metered *old = meters_at(before, (uint32_t)i);
        char key[METERS_KEY_SIZE];
        uint32_t number;

        meters_key(before, (uint32_t)i, key);
        number = meters_find(meters, key);
        if (number == METERS_NONE)
            continue;
        meters_at(meters, number)->meter = old->meter;
        meters_touch(meters, number);
    }
}

struct meters *
meters_new(const struct snapshot *snapshot, struct meters *before)
{
    struct meters *meters = calloc(1, sizeof(*meters));

    if (meters == NULL)
        return NULL;
    meters->snapshot = snapshot;
    meters->nodes = before != NULL ? before->nodes : 1;
    meters->gains = before != NULL ? before->gains + 1 : 0;
    if (!make_fixed(meters)) {
        meters_free(meters);
        return NULL;
    }
    if (before != NULL)
        carry_over(meters, before);
    return meters;
}

void
meters_free(struct meters *meters)
{
    if (meters == NULL)
        return;
    for (size_t i = 0; i < meters->count; i++)
        free(meters_at(meters, (uint32_t)i)->account);
    for (size_t i = 0; i < meters->chunk_count; i++)
        free(meters->chunks[i]);
    free(meters->chunks);
    free(meters->by_address);
    free(meters->by_stream);
    free(meters->by_provider);
    free(meters->accounts);
    free(meters->queue);
    free(meters);
}

uint32_t *
meters_map(const struct meters *before, struct meters *now)
{
    uint32_t *map = numbers(before->count);

    for (size_t i = 0; map != NULL && i < before->count; i++) {
        char key[METERS_KEY_SIZE];

        meters_key(before, (uint32_t)i, key);
        map[i] = meters_find(now, key);
    }
    return map;
}

uint32_t
meters_address(const struct meters *meters, size_t address)
{
    return meters->by_address[address];
}

uint32_t
meters_stream(const struct meters *meters, size_t stream)
{
    return meters->by_stream[stream];
}

uint32_t
meters_provider(struct meters *meters, size_t address, size_t provider)
{
    const struct caps *caps = &meters->snapshot->providers[provider].caps;
    uint32_t *place;

    if (caps->count == 0)
        return METERS_NONE;
    place = &meters->by_provider[address * meters->snapshot->provider_count + provider];
    if (*place == METERS_NONE)
        *place = add(meters, METERS_PROVIDER, caps, address, provider);
    return *place;
}

bool
meters_is_unmet(const struct meters *meters, size_t address, size_t provider)
{
    const struct snapshot *snapshot = meters->snapshot;

    return snapshot->providers[provider].caps.count > 0 &&
           meters->by_provider[address * snapshot->provider_count + provider] == METERS_NONE;
}

static size_t
account_slot(size_t stream, const char *account)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool account";

    return hash_mix(hash_sip(key, account, strlen(account)) ^ stream) % ACCOUNT_SLOTS;
}

uint32_t
meters_account(struct meters *meters, size_t stream, const char *account)
{
    const struct caps *caps = &meters->snapshot->streams[stream].account_caps;
    char name[METERS_ACCOUNT_MAX + 1];
    uint32_t *head, number;

    if (caps->count == 0)
        return METERS_NONE;
    snprintf(name, sizeof(name), "%s", account);
    if (meters->accounts == NULL)
        meters->accounts = numbers(ACCOUNT_SLOTS);
    if (meters->accounts == NULL)
        return METERS_NONE;
    head = &meters->accounts[account_slot(stream, name)];
    for (number = *head; number != METERS_NONE; number = at(meters, number)->other)
        if (at(meters, number)->of == stream && strcmp(at(meters, number)->account, name) == 0)
            return number;
    if (meters->account_count == METERS_ACCOUNTS_MAX)
        return METERS_NONE;
    number = add(meters, METERS_ACCOUNT, caps, stream, 0);
    if (number == METERS_NONE)
        return METERS_NONE;
    meters_at(meters, number)->account = strdup(name);
    meters_at(meters, number)->other = *head;
    *head = number;
    meters->account_count++;
    return number;
}

void
meters_key(const struct meters *meters, uint32_t number, char key[static METERS_KEY_SIZE])
{
    const struct metered *metered = at(meters, number);
    const struct snapshot *snapshot = meters->snapshot;

    switch ((enum meters_kind)metered->kind) {
    case METERS_ADDRESS:
        snprintf(key, METERS_KEY_SIZE, "address/%s", snapshot->addresses[metered->of].name);
        break;
    case METERS_PROVIDER:
        snprintf(key, METERS_KEY_SIZE, "provider/%s/%s", snapshot->addresses[metered->of].name,
                 snapshot->providers[metered->other].name);
        break;
    case METERS_STREAM:
        snprintf(key, METERS_KEY_SIZE, "stream/%s", snapshot->streams[metered->of].name);
        break;
    case METERS_ACCOUNT:
        snprintf(key, METERS_KEY_SIZE, "account/%s/%s", snapshot->streams[metered->of].name,
                 metered->account);
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
    return strcmp(kind, "account") == 0 ? meters_account(meters, stream->index, key) : METERS_NONE;
}

void
meters_set_nodes(struct meters *meters, unsigned nodes)
{
    meters->nodes = nodes > 0 ? nodes : 1;
}

unsigned
meters_nodes(const struct meters *meters)
{
    return meters->nodes;
}

void
meters_touch(struct meters *meters, uint32_t number)
{
    struct metered *metered = meters_at(meters, number);

    if (metered->queued)
        return;
    if (meters->queue_count == meters->queue_room) {
        size_t room = meters->queue_room > 0 ? 2 * meters->queue_room : 64;
        uint32_t *queue = malloc(room * sizeof(*queue));

        if (queue == NULL)
            return; /* whoever wants it will touch it again */
        for (size_t i = 0; i < meters->queue_count; i++)
            queue[i] = meters->queue[(meters->queue_first + i) % meters->queue_room];
        free(meters->queue);
        meters->queue = queue;
        meters->queue_first = 0;
        meters->queue_room = room;
    }
    meters->queue[(meters->queue_first + meters->queue_count++) % meters->queue_room] = number;
    metered->queued = true;
}

void
meters_want(struct meters *meters, uint32_t number)
{
    meters_at(meters, number)->meter.wanted = true;
    meters_touch(meters, number);
}

void
meters_want_many(struct meters *meters, uint32_t number, uint32_t count)
{
    struct meter *meter = &meters_at(meters, number)->meter;

    count -= count < meter->held + meter->next ? count : meter->held + meter->next;
    meter->lacking = count < UINT8_MAX ? (uint8_t)count : UINT8_MAX;
    meters_want(meters, number);
}

void
meters_take(struct meters *meters, uint32_t number, int64_t now_ms)
{
    struct metered *metered = meters_at(meters, number);

    meter_take(&metered->meter, metered->caps, now_ms);
    if (metered->meter.next == 0 &&
        metered->meter.held <= book_lease_size(metered->caps, meters->nodes) / 2)
        meters_want(meters, number);
}

void
meters_exceed(struct meters *meters, uint32_t number, int64_t now_ms)
{
    meter_exceed(&meters_at(meters, number)->meter, now_ms);
    meters_touch(meters, number);
}

uint64_t
meters_gains(const struct meters *meters)
{
    return meters->gains;
}

/* 0: it is not full. */
static int64_t
full_until(const struct meter *meter, int64_t now_ms)
{
    return meter_state(meter, now_ms) == METER_FULL ? meter_room_ms(meter, now_ms) : 0;
}

/* It was full until before_ms, and now something happened. */
static void
note_gain(struct meters *meters, const struct meter *meter, int64_t before_ms, int64_t now_ms)
{
    if (full_until(meter, now_ms) < before_ms)
        meters->gains++;
}

void
meters_give_back(struct meters *meters, uint32_t number, int64_t at_ms, int64_t now_ms)
{
    struct meter *meter = &meters_at(meters, number)->meter;
    int64_t before_ms = full_until(meter, now_ms);

    meter_give_back(meter, at_ms, now_ms);
    note_gain(meters, meter, before_ms, now_ms);
    meters_touch(meters, number);
}

void
meters_answered(struct meters *meters, uint32_t number, const struct book_answer *answer,
                int64_t now_ms)
{
    struct meter *meter = &meters_at(meters, number)->meter;
    int64_t before_ms = full_until(meter, now_ms);

    meter_answered(meter, answer, now_ms);
    note_gain(meters, meter, before_ms, now_ms);
    meters_touch(meters, number);
}

void
meters_reset(struct meters *meters, uint32_t number)
{
    struct meter *meter = &meters_at(meters, number)->meter;

    meter->again_ms = 0;
    if (!meter->asked) {
        meter->held = meter->next = 0;
        meter->use_count = 0;
    }
    meters->gains++;
    meters_want(meters, number);
}

void
meters_move(struct meters *meters, size_t address, size_t from_provider, size_t to_provider,
            uint32_t count, int64_t now_ms)
{
    uint32_t from = meters_provider(meters, address, from_provider);
    uint32_t to = meters_provider(meters, address, to_provider);

    if (to != METERS_NONE) {
        meter_count(&meters_at(meters, to)->meter, count, now_ms);
        meters_touch(meters, to);
    }
    for (uint32_t i = 0; i < count && from != METERS_NONE; i++)
        meters_give_back(meters, from, now_ms, now_ms);
}

static int64_t
idle_ms(const struct caps *caps)
{
    int64_t ms = caps->items[0].window_ms / IDLE_PART;

    return ms > IDLE_LEAST_MS ? ms : IDLE_LEAST_MS;
}

uint32_t
meters_next(struct meters *meters, int64_t now_ms, struct book_ask *ret_ask)
{
    while (meters->queue_count > 0) {
        uint32_t number = meters->queue[meters->queue_first];
        struct metered *metered = meters_at(meters, number);
        int64_t before_ms = full_until(&metered->meter, now_ms);

        meters->queue_first = (meters->queue_first + 1) % meters->queue_room;
        meters->queue_count--;
        metered->queued = false;
        if (meter_ask(&metered->meter, metered->caps,
                      book_lease_size(metered->caps, meters->nodes), idle_ms(metered->caps), now_ms,
                      ret_ask)) {
            note_gain(meters, &metered->meter, before_ms, now_ms); /* a lease for later went back */
            return number;
        }
    }
    return METERS_NONE;
}

bool
meters_pending(const struct meters *meters)
{
    return meters->queue_count > 0;
}

void
meters_lapse(struct meters *meters, int64_t now_ms)
{
    meters->alone = true;
    meters->gains++;
    for (size_t i = 0; i < meters->count; i++) {
        struct metered *metered = meters_at(meters, (uint32_t)i);

        meter_lapse(&metered->meter);
        meter_go_alone(&metered->meter, metered->caps, meters->nodes, now_ms);
    }
}

void
meters_rejoin(struct meters *meters)
{
    if (!meters->alone)
        return;
    meters->alone = false;
    meters->gains++;
    for (size_t i = 0; i < meters->count; i++) {
        struct meter *meter = &meters_at(meters, (uint32_t)i)->meter;

        meter_rejoin(meter);
        if (meter->use_count + meter->excess > 0)
            meters_touch(meters, (uint32_t)i);
    }
}
