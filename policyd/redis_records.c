/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_records.h"

#include "engine/hash.h"
#include "lib/mem.h"
#include "policyd/record.h"
#include "policyd/redis_life.h"
#include "policyd/redis_op.h"
#include "policyd/store_redis_inside.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY "records"
#define FETCH_MS (24 * 3600 * 1000) /* at the latest: the script then keeps them for longer */

enum { RESTORES_MAX = 64 }; /* that are put back at a time; another fetch finds the others */

struct known_record {
    LIST_ENTRY(known_record) chain;
    struct record record;
    bool listed; /* in the answer that is looked at */
    char key[];
};

/* A put that waits, is sent, or one that puts back what was lost. */
struct waiting_put {
    TAILQ_ENTRY(waiting_put) next;
    struct redis_store *store; /* not ours */
    struct record_put *put;    /* owned */
    bool sent;
    bool restores; /* nobody waits for the answer */
    int64_t sent_ms;
};

/* ------------------------------------------------------------------- known */

/* No secret: keys are of the configuration, and of few domains. */
static size_t
bucket_of(const char *key)
{
    static const uint8_t secret[HASH_KEY_SIZE] = "postpool record";

    return hash_sip(secret, key, strlen(key)) % REDIS_RECORDS_BUCKETS;
}

static struct known_record *
find(struct redis_store *s, const char *key)
{
    struct known_record *known;

    LIST_FOREACH(known, &s->records.known[bucket_of(key)], chain)
    if (strcmp(known->key, key) == 0)
        return known;
    return NULL;
}

static void
drop(struct redis_store *s, struct known_record *known)
{
    LIST_REMOVE(known, chain);
    s->records.known_count--;
    record_clear(&known->record);
    free(known);
}

/* length 0: there is none.  False: that is known already. */
static bool
note(struct redis_store *s, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct known_record *known = find(s, key);
    size_t size = strlen(key) + 1;

    if (length == 0) {
        if (known != NULL)
            drop(s, known);
        return known != NULL;
    }
    if (known == NULL) {
        known = mem_new(sizeof(*known) + size);
        memcpy(known->key, key, size);
        LIST_INSERT_HEAD(&s->records.known[bucket_of(key)], known, chain);
        s->records.known_count++;
    }
    known->listed = true;
    if (known->record.version == version)
        return false;
    record_set(&known->record, version, bytes, length);
    return true;
}

void
redis_records_init(struct redis_store *s)
{
    TAILQ_INIT(&s->records.puts);
}

static void
forget_put(struct redis_store *s, struct waiting_put *waiting)
{
    TAILQ_REMOVE(&s->records.puts, waiting, next);
    record_put_free(waiting->put);
    free(waiting);
}

void
redis_records_clear(struct redis_store *s)
{
    struct waiting_put *waiting;
    struct known_record *known;

    while ((waiting = TAILQ_FIRST(&s->records.puts)) != NULL)
        forget_put(s, waiting);
    for (size_t i = 0; i < REDIS_RECORDS_BUCKETS; i++)
        while ((known = LIST_FIRST(&s->records.known[i])) != NULL)
            drop(s, known);
}

/* -------------------------------------------------------------------- puts */

static bool
is_pending(const struct redis_store *s, const char *key)
{
    const struct waiting_put *waiting;

    TAILQ_FOREACH(waiting, &s->records.puts, next)
    if (!waiting->restores && strcmp(waiting->put->key, key) == 0)
        return true;
    return false;
}

static void
add_put(struct redis_store *s, struct record_put *put, bool restores)
{
    struct waiting_put *waiting = mem_new(sizeof(*waiting));

    waiting->store = s;
    waiting->put = put;
    waiting->restores = restores;
    s->records.restoring += restores;
    TAILQ_INSERT_TAIL(&s->records.puts, waiting, next);
}

/* The link answers each call once, with NULL when it is lost. */
static void
on_put_answer(void *arg, const redisReply *reply)
{
    struct waiting_put *waiting = arg;
    struct redis_store *s = waiting->store;
    struct record_put *put = waiting->put;
    struct redis_answer answer;

    waiting->sent = false;
    if (!redis_op_read(s, reply, waiting->sent_ms, &answer))
        return;
    if (answer.status != REDIS_OK_THERE || answer.value == NULL) {
        redis_life_hello(s);
        return;
    }
    put->written = answer.written;
    put->full = answer.full;
    record_set(&put->there, answer.version, answer.value, answer.value_length);
    if (answer.written && answer.version == s->records.since + 1)
        s->records.since = answer.version; /* nothing else is new */
    if (note(s, put->key, answer.version, answer.value, answer.value_length) && waiting->restores &&
        !is_pending(s, put->key))
        store_tell_record(&s->store, put->key, &put->there);
    TAILQ_REMOVE(&s->records.puts, waiting, next);
    s->records.restoring -= waiting->restores;
    if (!waiting->restores)
        store_tell_put(&s->store, put);
    record_put_free(put);
    free(waiting);
    redis_records_flush(s);
}

static void
send_put(struct redis_store *s, struct waiting_put *waiting)
{
    const struct record_put *put = waiting->put;
    struct redis_args args;

    waiting->sent = true;
    waiting->sent_ms = redis_clock_boot_ms();
    redis_op_begin(s, &args, "record", KEY);
    redis_args_add(&args, put->key, strlen(put->key));
    redis_args_print(&args, "%" PRIu64, put->wanted.version);
    redis_args_print(&args, "%d", waiting->restores);
    redis_args_add(&args, put->wanted.length > 0 ? put->wanted.bytes : "", put->wanted.length);
    redis_op_send(s, &args, on_put_answer, waiting);
}

/* ------------------------------------------------------------------- fetch */

/* It is older than what is known here, or gone with what Redis lost. */
static void
restore(struct redis_store *s, const struct known_record *known, size_t *count)
{
    const struct record *record = &known->record;

    if ((*count)++ < RESTORES_MAX)
        add_put(s, record_put_new(known->key, record->version, record->bytes, record->length),
                true);
}

static void
take_one(struct redis_store *s, const redisReply *list, size_t i, size_t *restores)
{
    const char *key = list->element[i]->str;
    uint64_t version = (uint64_t)list->element[i + 1]->integer;
    const redisReply *value = list->element[i + 2];
    struct known_record *known = find(s, key);
    struct record record = {version, value->str, (size_t)value->len};

    if (known != NULL && known->record.version > version) {
        known->listed = true;
        restore(s, known, restores);
        return;
    }
    if (note(s, key, version, value->str, record.length) && !is_pending(s, key)) {
        if (record.length == 0)
            record = (struct record){0};
        store_tell_record(&s->store, key, &record);
    }
}

/* All that there are were listed: what else is known was removed, or is lost. */
static void
take_missing(struct redis_store *s, bool lost, size_t *restores)
{
    static const struct record none = {0};

    for (size_t i = 0; i < REDIS_RECORDS_BUCKETS; i++) {
        struct known_record *known, *after;

        for (known = LIST_FIRST(&s->records.known[i]); known != NULL; known = after) {
            after = LIST_NEXT(known, chain);
            if (known->listed)
                continue;
            if (lost) {
                restore(s, known, restores);
                continue;
            }
            if (!is_pending(s, known->key))
                store_tell_record(&s->store, known->key, &none);
            drop(s, known);
        }
    }
}

static void
on_fetched(void *arg, const redisReply *reply)
{
    struct redis_store *s = arg;
    struct redis_answer answer;
    size_t restores = 0;
    bool lost;

    s->records.fetching = false;
    if (!redis_op_read(s, reply, s->records.fetch_ms, &answer))
        return;
    if (answer.status != REDIS_OK_THERE || answer.list == NULL) {
        redis_life_hello(s);
        return;
    }
    lost = s->records.generation != 0 && s->records.generation != answer.generation;
    for (size_t i = 0; i < REDIS_RECORDS_BUCKETS; i++) {
        struct known_record *known;

        LIST_FOREACH(known, &s->records.known[i], chain)
        known->listed = false;
    }
    for (size_t i = 0; i < answer.list->elements; i += 3)
        take_one(s, answer.list, i, &restores);
    if (answer.all)
        take_missing(s, lost, &restores);
    if (restores <= RESTORES_MAX) {
        s->records.since = answer.version;
        s->records.generation = answer.generation;
    }
    if (!s->records.told) {
        s->records.told = true;
        store_tell_records(&s->store);
    }
    redis_records_flush(s);
}

static void
fetch(struct redis_store *s)
{
    struct redis_records *records = &s->records;
    bool anew = records->generation != records->generation_there || records->there < records->since;
    struct redis_args args;

    records->fetching = true;
    records->fetch_ms = redis_clock_boot_ms();
    redis_op_begin(s, &args, "records", KEY);
    redis_args_print(&args, "%" PRIu64, anew ? 0 : records->since);
    redis_op_send(s, &args, on_fetched, s);
}

void
redis_records_note(struct redis_store *s, const struct redis_answer *answer)
{
    s->records.there = answer->records;
    s->records.generation_there = answer->generation;
}

void
redis_records_flush(struct redis_store *s)
{
    struct redis_records *records = &s->records;
    struct waiting_put *waiting, *after;

    if (!redis_op_is_ready(s) || !s->registered)
        return;
    for (waiting = TAILQ_FIRST(&records->puts); waiting != NULL; waiting = after) {
        after = TAILQ_NEXT(waiting, next);
        if (!waiting->sent)
            send_put(s, waiting);
    }
    if (!records->fetching && records->restoring == 0 &&
        (!records->told || records->there != records->since ||
         records->generation_there != records->generation))
        fetch(s);
}

void
redis_records_put(struct redis_store *s, struct record_put *put)
{
    add_put(s, put, false);
    redis_records_flush(s);
}
