/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_restate.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/journal.h"
#include "policyd/redis_asks.h"
#include "policyd/redis_life.h"
#include "policyd/redis_op.h"
#include "policyd/store_redis_inside.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>

enum { ROWS_MAX = 64 }; /* that are put back at a time */

/* It ends when all its calls are back, dead or not. */
struct redis_restate {
    LIST_ENTRY(redis_restate) next;
    struct redis_store *store; /* not ours */
    bool dead;
    bool reading;
    size_t open;     /* rows that were sent */
    int64_t sent_ms; /* the first of those */
    size_t rows;
    int64_t generation;
    char *after;
};

static void restate_go_on(struct redis_restate *restate);

static void
restate_free(struct redis_restate *restate)
{
    LIST_REMOVE(restate, next);
    free(restate->after);
    free(restate);
}

static bool
restate_ended(struct redis_restate *restate)
{
    if (!restate->dead || restate->reading || restate->open > 0)
        return false;
    restate_free(restate);
    return true;
}

void
redis_restate_clear(struct redis_store *s)
{
    while (!LIST_EMPTY(&s->restates))
        restate_free(LIST_FIRST(&s->restates));
    s->restate = NULL;
}

void
redis_restate_stop(struct redis_store *s)
{
    struct redis_restate *restate = s->restate;

    s->restate = NULL;
    if (restate == NULL)
        return;
    restate->dead = true;
    restate_ended(restate);
}

static void
on_confirm(void *arg, const redisReply *reply)
{
    struct redis_restate *restate = arg;
    struct redis_store *s = restate->store;
    struct redis_answer answer;
    size_t rows = restate->rows;
    int64_t sent_ms = restate->sent_ms;

    restate->open--;
    if (restate->dead) {
        restate_ended(restate);
        return;
    }
    redis_restate_stop(s);
    if (!redis_life_read_nodes(s, reply, sent_ms, &answer))
        return;
    if (answer.status == REDIS_OK_THERE) {
        s->confirmed = answer.confirmed;
        if (rows > 0)
            log_info("store: %zu rows were put back into %s", rows, redis_link_where(s->link));
    } else if (answer.status == REDIS_RESTATE) {
        redis_restate_begin(s, answer.generation);
    } else {
        redis_life_hello(s);
    }
    redis_life_set_up(s);
    redis_asks_flush(s);
}

static void
send_confirm(struct redis_restate *restate)
{
    struct redis_store *s = restate->store;
    struct redis_args args;

    restate->open++;
    restate->sent_ms = redis_clock_boot_ms();
    redis_op_begin(s, &args, "confirm", NULL);
    redis_args_print(&args, "%" PRId64, restate->generation);
    redis_nodes_confirm(&s->nodes, &args);
    redis_op_send(s, &args, on_confirm, restate);
}

static void
on_row_restated(void *arg, const redisReply *reply)
{
    struct redis_restate *restate = arg;
    struct redis_store *s = restate->store;
    struct redis_answer answer;

    restate->open--;
    if (restate->dead) {
        restate_ended(restate);
        return;
    }
    if (!redis_op_read(s, reply, restate->sent_ms, &answer)) {
        if (s->restate == restate)
            redis_restate_stop(s); /* TRYAGAIN, NOSCRIPT: the next beat begins it again */
        return;
    }
    if (answer.status == REDIS_HELLO) {
        redis_restate_stop(s);
        redis_life_hello(s);
        return;
    }
    restate->rows++;
    if (restate->open == 0)
        restate_go_on(restate);
}

static void
on_rows(void *arg, const struct journal_row *rows, size_t count)
{
    struct redis_restate *restate = arg;
    struct redis_store *s = restate->store;

    restate->reading = false;
    if (restate_ended(restate) || restate->dead)
        return;
    restate->sent_ms = redis_clock_boot_ms();
    for (size_t i = 0; i < count; i++) {
        restate->open++;
        redis_restate_send(s, &rows[i], on_row_restated, restate);
    }
    if (count == 0) {
        send_confirm(restate);
        return;
    }
    free(restate->after);
    restate->after = mem_strdup(rows[count - 1].key);
}

static void
restate_go_on(struct redis_restate *restate)
{
    restate->reading = true;
    journal_read(restate->store->journal, restate->after, ROWS_MAX, on_rows, restate);
}

void
redis_restate_begin(struct redis_store *s, int64_t generation)
{
    if (s->restate != NULL)
        return;
    s->restate = mem_new(sizeof(*s->restate));
    LIST_INSERT_HEAD(&s->restates, s->restate, next);
    s->restate->store = s;
    s->restate->generation = generation;
    s->restate->after = mem_strdup("");
    restate_go_on(s->restate);
}

void
redis_restate_send(struct redis_store *s, const struct journal_row *row, redis_link_done_fn *done,
                   void *arg)
{
    struct redis_args args;
    int64_t keep_ms = row->until_ms - redis_clock_now_ms(&s->clock);

    redis_op_begin(s, &args, "state", row->key);
    redis_args_add(&args, row->row, row->length);
    redis_args_print(&args, "%" PRId64, keep_ms > 1 ? keep_ms : 1);
    redis_op_send(s, &args, done, arg);
}
