/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_admin.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/journal.h"
#include "policyd/redis_asks.h"
#include "policyd/redis_op.h"
#include "policyd/store_redis_inside.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESET_KEEP_DAYS = 64, /* longer than anything matters */
    RESETS_MAX = 1024,
};

struct reset {
    TAILQ_ENTRY(reset) next;
    struct redis_store *store; /* not ours */
    bool sent;
    int64_t sent_ms;
    char *key;
};

struct forgetting {
    store_forgotten_fn *done;
    void *arg;                 /* not ours */
    struct redis_store *store; /* not ours */
    int64_t sent_ms;
    LIST_ENTRY(forgetting) next;
};

void
redis_admin_init(struct redis_store *s)
{
    TAILQ_INIT(&s->admin.resets);
    LIST_INIT(&s->admin.forgettings);
}

void
redis_admin_clear(struct redis_store *s)
{
    struct reset *reset;
    struct forgetting *forgetting;

    while ((reset = TAILQ_FIRST(&s->admin.resets)) != NULL) {
        TAILQ_REMOVE(&s->admin.resets, reset, next);
        free(reset->key);
        free(reset);
    }
    while ((forgetting = LIST_FIRST(&s->admin.forgettings)) != NULL) {
        LIST_REMOVE(forgetting, next);
        free(forgetting);
    }
}

static void
on_reset(void *arg, const redisReply *reply)
{
    struct reset *reset = arg;
    struct redis_store *s = reset->store;
    struct redis_answer answer;

    reset->sent = false;
    if (!redis_op_read(s, reply, reset->sent_ms, &answer) || answer.status != REDIS_OK_THERE)
        return;
    if (answer.row_length > 0) {
        struct journal_row row = {reset->key, (void *)answer.row, answer.row_length,
                                  redis_clock_now_ms(&s->clock) +
                                      RESET_KEEP_DAYS * 24LL * 3600 * 1000};

        journal_put(s->journal, &row, NULL, NULL);
    }
    TAILQ_REMOVE(&s->admin.resets, reset, next);
    s->admin.reset_count--;
    free(reset->key);
    free(reset);
}

void
redis_admin_flush(struct redis_store *s)
{
    struct reset *reset;

    TAILQ_FOREACH(reset, &s->admin.resets, next)
    {
        struct redis_args args;

        if (reset->sent)
            continue;
        reset->sent = true;
        reset->sent_ms = redis_clock_boot_ms();
        redis_op_begin(s, &args, "reset", reset->key);
        redis_op_send(s, &args, on_reset, reset);
    }
}

void
redis_admin_reset(struct redis_store *s, const char *key)
{
    struct reset *reset;

    if (s->admin.reset_count == RESETS_MAX) {
        log_warn("store: %s is not reset: %d others wait for the store already", key, RESETS_MAX);
        return;
    }
    reset = mem_new(sizeof(*reset));
    reset->store = s;
    reset->key = mem_strdup(key);
    TAILQ_INSERT_TAIL(&s->admin.resets, reset, next);
    s->admin.reset_count++;
    redis_asks_flush(s);
}

static void
on_forgotten(void *arg, const redisReply *reply)
{
    struct forgetting *forgetting = arg;
    struct redis_store *s = forgetting->store;
    struct redis_answer answer;
    int r = 0;
    const char *why = "";

    if (!redis_op_read(s, reply, forgetting->sent_ms, &answer)) {
        r = -EAGAIN;
        why = "the store is away";
    } else if (answer.status == REDIS_ALIVE) {
        r = -EBUSY;
        why = "it is there; stop it first";
    } else if (answer.status == REDIS_UNKNOWN) {
        r = -ENOENT;
        why = "there is no such node";
    } else {
        redis_nodes_note(&s->nodes, &answer, s->node_timeout_ms, s->journal);
    }
    LIST_REMOVE(forgetting, next);
    forgetting->done(forgetting->arg, r, why);
    free(forgetting);
}

void
redis_admin_forget(struct redis_store *s, const char *node, store_forgotten_fn *done, void *arg)
{
    struct forgetting *forgetting;
    struct redis_args args;

    if (!redis_op_is_ready(s)) {
        done(arg, -EAGAIN, "the store is away");
        return;
    }
    forgetting = mem_new(sizeof(*forgetting));
    forgetting->done = done;
    forgetting->arg = arg;
    forgetting->store = s;
    forgetting->sent_ms = redis_clock_boot_ms();
    LIST_INSERT_HEAD(&s->admin.forgettings, forgetting, next);
    redis_op_begin(s, &args, "forget", NULL);
    redis_args_add(&args, node, strlen(node));
    redis_op_send(s, &args, on_forgotten, forgetting);
}
