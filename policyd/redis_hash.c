/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_hash.h"

#include "lib/mem.h"
#include "policyd/redis_link.h"
#include "policyd/redis_op.h"
#include "policyd/store_redis_inside.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
tell(struct redis_hash *hash, const char *why, const struct store_hash_item *items, size_t count)
{
    store_hash_fn *done = hash->done;

    hash->busy = false;
    hash->done = NULL;
    if (done != NULL)
        done(hash->arg, why, items, count);
}

/* A Cluster says where else the keys are: that is for the store, as all its keys are there. */
static bool
is_elsewhere(const char *text)
{
    return strncmp(text, "MOVED ", 6) == 0 || strncmp(text, "ASK ", 4) == 0;
}

/* What is wrong with an answer; NULL: nothing.  Follows a Cluster, which ends the connection. */
static const char *
look_at(struct redis_store *s, const redisReply *reply, char why[static 160])
{
    if (reply == NULL)
        return STORE_HASH_AWAY;
    if (reply->type != REDIS_REPLY_ERROR)
        return NULL;
    snprintf(why, 160, "%.159s", reply->str);
    if (is_elsewhere(reply->str))
        redis_op_error(s, reply->str);
    return why;
}

static void
on_first(void *arg, const redisReply *reply)
{
    struct redis_store *s = arg;
    char why[160];
    const char *wrong = look_at(s, reply, why);

    snprintf(s->hash.why, sizeof(s->hash.why), "%s", wrong != NULL ? wrong : "");
}

static void
tell_all(struct redis_hash *hash, const redisReply *reply)
{
    struct store_hash_item *items;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements / 2 > REDIS_HASH_FIELDS_MAX) {
        tell(hash, "a key has more fields than it can have", NULL, 0);
        return;
    }
    items = mem_array(reply->elements / 2 + 1, sizeof(*items));
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        items[i / 2] = (struct store_hash_item){reply->element[i]->str, reply->element[i + 1]->str,
                                                (size_t)reply->element[i + 1]->len};
    tell(hash, NULL, items, reply->elements / 2);
    free(items);
}

static void
on_last(void *arg, const redisReply *reply)
{
    struct redis_store *s = arg;
    struct redis_hash *hash = &s->hash;
    struct store_hash_item item = {0};
    char why[160];
    const char *wrong = hash->why[0] != '\0' ? hash->why : look_at(s, reply, why);

    if (wrong != NULL) {
        tell(hash, wrong, NULL, 0);
    } else if (hash->what == STORE_HASH_ALL) {
        tell_all(hash, reply);
    } else if (hash->what == STORE_HASH_GET && reply->type == REDIS_REPLY_STRING) {
        item.bytes = reply->str;
        item.length = (size_t)reply->len;
        tell(hash, NULL, &item, 1);
    } else {
        tell(hash, NULL, NULL, 0);
    }
}

/* COMMAND {PREFIX}:KEY ... */
static void
begin(const struct redis_store *s, struct redis_args *args, const char *command, const char *key)
{
    char *name = mem_printf("{%s}:%s", s->prefix, key);

    *args = (struct redis_args){0};
    redis_args_add(args, command, strlen(command));
    redis_args_add(args, name, strlen(name));
    free(name);
}

static void
send(struct redis_store *s, struct redis_args *args, redis_link_done_fn *done)
{
    redis_link_call(s->link, args, done, s);
    redis_args_clear(args);
}

bool
redis_hash_call(struct redis_store *s, const struct store_hash *wanted, store_hash_fn *done,
                void *arg)
{
    static const char *const commands[] = {"HSET", "HGET", "HGETALL", "HDEL"};
    struct redis_args args;

    if (!redis_op_is_ready(s) || !s->registered || s->hash.busy)
        return false;
    s->hash = (struct redis_hash){.busy = true, .what = wanted->what, .done = done, .arg = arg};
    begin(s, &args, commands[wanted->what], wanted->key);
    if (wanted->what != STORE_HASH_ALL)
        redis_args_add(&args, wanted->field, strlen(wanted->field));
    if (wanted->what == STORE_HASH_SET)
        redis_args_add(&args, wanted->bytes, wanted->length);
    send(s, &args, wanted->what == STORE_HASH_SET ? on_first : on_last);
    if (wanted->what == STORE_HASH_SET) {
        begin(s, &args, "PEXPIRE", wanted->key);
        redis_args_print(&args, "%" PRId64, wanted->keep_ms);
        send(s, &args, on_last);
    }
    return true;
}

void
redis_hash_forget(struct redis_store *s)
{
    s->hash.done = NULL;
}
