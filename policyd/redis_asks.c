/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_asks.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/journal.h"
#include "policyd/redis_life.h"
#include "policyd/redis_op.h"
#include "policyd/redis_restate.h"
#include "policyd/store_redis_inside.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_FLIGHT_MAX = 256, /* asks that are sent and not answered */
    AGAIN_MS = 1000,     /* after a lease that no replica has */
};

enum ask_state {
    ASK_WAITING,
    ASK_SENT,
    ASK_UNACKED,   /* carried out, but no replica has it yet */
    ASK_WRITING,   /* to the journal */
    ASK_RESTATING, /* its row is put back first */
};

/* Except for waiting and unacked ones somebody will call back with it. */
struct ask {
    TAILQ_ENTRY(ask) next;
    struct redis_store *store; /* not ours */
    enum ask_state state;
    bool forgotten; /* freed when it comes back */
    bool restated;
    bool returned; /* what the node has to return for this key is in it */
    char *key;
    struct caps caps;
    struct book_ask ask;
    int64_t sent_ms;
    struct book_answer answer;
    void *row; /* owned; unacked: the node's own, as it stands now */
    size_t row_length;
};

/* A lease that was not used; it goes back with the next ask of its key. */
struct unused {
    TAILQ_ENTRY(unused) next;
    char *key;
    uint32_t count;
};

void
redis_asks_init(struct redis_store *s)
{
    TAILQ_INIT(&s->asks.waiting);
    TAILQ_INIT(&s->asks.busy);
    TAILQ_INIT(&s->asks.unused);
}

static void
ask_free(struct ask *ask)
{
    free(ask->key);
    free(ask->row);
    free(ask);
}

static void
ask_wait(struct ask *ask)
{
    struct redis_store *s = ask->store;

    TAILQ_REMOVE(&s->asks.busy, ask, next);
    if (ask->forgotten) {
        ask_free(ask);
        return;
    }
    ask->state = ASK_WAITING;
    TAILQ_INSERT_TAIL(&s->asks.waiting, ask, next);
}

static void
unused_clear(struct redis_store *s)
{
    struct unused *unused;

    while ((unused = TAILQ_FIRST(&s->asks.unused)) != NULL) {
        TAILQ_REMOVE(&s->asks.unused, unused, next);
        free(unused->key);
        free(unused);
    }
}

void
redis_asks_forget(struct redis_store *s)
{
    struct ask *ask, *after;

    while ((ask = TAILQ_FIRST(&s->asks.waiting)) != NULL) {
        TAILQ_REMOVE(&s->asks.waiting, ask, next);
        ask_free(ask);
    }
    for (ask = TAILQ_FIRST(&s->asks.busy); ask != NULL; ask = after) {
        after = TAILQ_NEXT(ask, next);
        if (ask->state == ASK_UNACKED) {
            TAILQ_REMOVE(&s->asks.busy, ask, next);
            ask_free(ask);
        } else {
            ask->forgotten = true;
        }
    }
    unused_clear(s);
}

void
redis_asks_lost(struct redis_store *s)
{
    struct ask *ask, *after;

    s->asks.waiting_ack = s->asks.acked = false;
    for (ask = TAILQ_FIRST(&s->asks.busy); ask != NULL; ask = after) {
        after = TAILQ_NEXT(ask, next);
        if (ask->state == ASK_UNACKED)
            ask_wait(ask);
    }
}

void
redis_asks_clear(struct redis_store *s)
{
    struct ask *ask;

    while ((ask = TAILQ_FIRST(&s->asks.busy)) != NULL) {
        TAILQ_REMOVE(&s->asks.busy, ask, next);
        ask_free(ask);
    }
    redis_asks_forget(s);
}

static void
on_written(void *arg)
{
    struct ask *ask = arg;
    struct redis_store *s = ask->store;

    redis_life_check(s);
    TAILQ_REMOVE(&s->asks.busy, ask, next);
    if (!ask->forgotten)
        s->store.events.on_answer(s->store.events.arg, ask->key, &ask->answer);
    ask_free(ask);
}

static void
ask_write(struct ask *ask, const void *row, size_t length)
{
    struct redis_store *s = ask->store;
    struct journal_row put = {
        .key = ask->key,
        .row = (void *)row,
        .length = length,
        .until_ms =
            redis_clock_now_ms(&s->clock) + redis_script_keep_ms(&ask->caps, s->node_timeout_ms),
    };

    ask->state = ASK_WRITING;
    journal_put(s->journal, &put, on_written, ask);
}

static void
keep_unused(struct redis_store *s, const struct ask *ask)
{
    struct unused *unused = mem_new(sizeof(*unused));

    unused->key = mem_strdup(ask->key);
    unused->count = ask->answer.count;
    TAILQ_INSERT_TAIL(&s->asks.unused, unused, next);
}

/* Once for each ask: repeated, it must say the same. */
static void
add_unused(struct redis_store *s, struct ask *ask)
{
    struct unused *unused, *after;

    if (ask->returned)
        return;
    ask->returned = true;
    for (unused = TAILQ_FIRST(&s->asks.unused); unused != NULL; unused = after) {
        after = TAILQ_NEXT(unused, next);
        if (strcmp(unused->key, ask->key) != 0)
            continue;
        ask->ask.unused += unused->count;
        TAILQ_REMOVE(&s->asks.unused, unused, next);
        free(unused->key);
        free(unused);
    }
}

static void
on_ack(void *arg, const redisReply *reply)
{
    struct redis_store *s = arg;
    struct ask *ask, *after;

    s->asks.waiting_ack = false;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        redis_op_error(s, reply->str);
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
        return; /* the asks go back to waiting in redis_asks_lost() */
    s->asks.acked = reply->integer > 0;
    if (s->asks.acked)
        redis_life_heard(s, s->asks.round_ms);
    else if (!s->asks.unacked_said)
        log_warn("store: no replica takes what is written -- no grants are taken until one does");
    if (s->asks.acked && s->asks.unacked_said)
        log_info("store: a replica is there again");
    s->asks.unacked_said = !s->asks.acked;
    for (ask = TAILQ_FIRST(&s->asks.busy); ask != NULL; ask = after) {
        int64_t again_ms;

        after = TAILQ_NEXT(ask, next);
        if (ask->state != ASK_UNACKED)
            continue;
        if (!s->asks.acked && ask->answer.count > 0) {
            keep_unused(s, ask);
            again_ms = redis_clock_now_ms(&s->clock) + AGAIN_MS;
            ask->answer = (struct book_answer){
                .again_ms = again_ms, .room_ms = again_ms, .window = ask->answer.window};
        }
        ask_write(ask, ask->row, ask->row_length);
    }
    redis_life_set_up(s);
    redis_asks_flush(s);
}

void
redis_asks_send_wait(struct redis_store *s, int64_t sent_ms)
{
    struct redis_args args = {0};

    if (!s->durable || s->asks.waiting_ack)
        return;
    s->asks.waiting_ack = true;
    s->asks.round_ms = sent_ms;
    redis_args_print(&args, "WAIT");
    redis_args_print(&args, "1");
    redis_args_print(&args, "200");
    redis_link_call(s->link, &args, on_ack, s);
    redis_args_clear(&args);
}

static void
on_row_back(void *arg, const redisReply *reply)
{
    struct ask *ask = arg;
    struct redis_answer answer;

    if (redis_op_read(ask->store, reply, ask->sent_ms, &answer) && answer.status == REDIS_HELLO)
        ask->store->registered = false;
    ask_wait(ask);
    redis_asks_flush(ask->store);
}

static void
on_row_found(void *arg, const struct journal_row *rows, size_t count)
{
    struct ask *ask = arg;
    struct redis_store *s = ask->store;

    if (ask->forgotten || !redis_op_is_ready(s) || count == 0) {
        ask_wait(ask);
        redis_asks_flush(s);
        return;
    }
    ask->sent_ms = redis_clock_boot_ms();
    redis_restate_send(s, &rows[0], on_row_back, ask);
}

/* The row there does not fit: put ours back, once; if that does not help, begin anew. */
static void
ask_restate(struct ask *ask)
{
    struct redis_store *s = ask->store;

    if (ask->restated) {
        log_warn("store: %s does not fit what this node has of it -- what it held counts as used",
                 ask->key);
        ask_wait(ask);
        redis_life_end(s);
        redis_life_beat(s);
        return;
    }
    ask->restated = true;
    ask->state = ASK_RESTATING;
    journal_find(s->journal, ask->key, on_row_found, ask);
}

static void
ask_carried_out(struct ask *ask, const struct redis_answer *answer)
{
    struct redis_store *s = ask->store;

    ask->answer = answer->book;
    if (!s->durable) {
        redis_life_heard(s, ask->sent_ms);
        ask_write(ask, answer->row, answer->row_length);
        return;
    }
    ask->state = ASK_UNACKED;
    free(ask->row);
    ask->row = mem_array(answer->row_length + 1, 1);
    memcpy(ask->row, answer->row, answer->row_length);
    ask->row_length = answer->row_length;
}

static void
on_ask_answer(void *arg, const redisReply *reply)
{
    struct ask *ask = arg;
    struct redis_store *s = ask->store;
    struct redis_answer answer;

    s->asks.in_flight--;
    s->last_us = redis_clock_boot_us() - ask->sent_ms * 1000;
    redis_life_check(s);
    if (!redis_op_read(s, reply, ask->sent_ms, &answer) || ask->forgotten) {
        ask_wait(ask);
        return;
    }
    redis_life_note_count(s, answer.count);
    switch (answer.status) {
    case REDIS_OK_THERE:
        ask_carried_out(ask, &answer);
        break;
    case REDIS_STALE:
        ask_restate(ask);
        break;
    case REDIS_RESTATE:
        ask_wait(ask);
        s->confirmed = false;
        redis_restate_begin(s, answer.generation);
        break;
    default:
        ask_wait(ask);
        redis_life_hello(s);
    }
    redis_asks_flush(s);
}

static void
ask_send(struct ask *ask)
{
    struct redis_store *s = ask->store;
    struct redis_args args;

    TAILQ_REMOVE(&s->asks.waiting, ask, next);
    TAILQ_INSERT_TAIL(&s->asks.busy, ask, next);
    ask->state = ASK_SENT;
    ask->sent_ms = redis_clock_boot_ms();
    add_unused(s, ask);
    redis_op_begin_ask(s, &args, ask->key, &ask->caps, &ask->ask);
    s->asks.in_flight++;
    s->asked++;
    redis_op_send(s, &args, on_ask_answer, ask);
}

void
redis_asks_flush(struct redis_store *s)
{
    int64_t sent_ms = 0;
    struct ask *ask;

    if (!redis_op_is_ready(s) || !s->registered || !s->confirmed || s->restate != NULL ||
        event_pending(s->pause, EV_TIMEOUT, NULL))
        return;
    redis_admin_flush(s);
    if (s->durable && (s->asks.waiting_ack || !s->asks.acked))
        return;
    while (s->asks.in_flight < IN_FLIGHT_MAX && (ask = TAILQ_FIRST(&s->asks.waiting)) != NULL) {
        ask_send(ask);
        if (sent_ms == 0)
            sent_ms = ask->sent_ms;
    }
    if (sent_ms != 0)
        redis_asks_send_wait(s, sent_ms);
}

void
redis_asks_add(struct redis_store *s, const char *key, const struct caps *caps,
               const struct book_ask *ask)
{
    struct ask *one = mem_new(sizeof(*one));

    one->store = s;
    one->key = mem_strdup(key);
    one->caps = *caps;
    one->ask = *ask;
    TAILQ_INSERT_TAIL(&s->asks.waiting, one, next);
    redis_asks_flush(s);
}
