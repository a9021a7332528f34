/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_sent.h"

#include "lib/mem.h"
#include "policyd/redis_script.h"

#include <hiredis/async.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sent {
    TAILQ_ENTRY(sent) next;
    struct redis_sent *list; /* not ours; NULL: nobody wants to hear of it */
    redis_link_done_fn *done;
    void *arg; /* not ours */
    int64_t sent_ms;
    bool refused; /* hiredis did not take it */
};

static int64_t
clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
redis_sent_init(struct redis_sent *sent)
{
    TAILQ_INIT(sent);
}

/* reply is NULL when hiredis ends the connection; its owner hears of that next. */
static void
on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
    struct sent *one = arg;

    (void)ac;
    if (one->list != NULL) {
        TAILQ_REMOVE(one->list, one, next);
        if (one->done != NULL)
            one->done(one->arg, reply);
    }
    free(one);
}

void
redis_sent_command(struct redis_sent *sent, struct redisAsyncContext *ac,
                   const struct redis_args *args, redis_link_done_fn *done, void *arg)
{
    struct sent *one = mem_new(sizeof(*one));

    one->list = sent;
    one->done = done;
    one->arg = arg;
    one->sent_ms = clock_ms();
    TAILQ_INSERT_TAIL(sent, one, next);
    one->refused =
        ac == NULL || redisAsyncCommandArgv(ac, on_reply, one, (int)args->count,
                                            (const char **)args->items, args->lengths) != REDIS_OK;
}

void
redis_sent_words(struct redis_sent *sent, struct redisAsyncContext *ac, redis_link_done_fn *done,
                 void *arg, ...)
{
    struct redis_args args = {0};
    const char *word;
    va_list list;

    va_start(list, arg);
    while ((word = va_arg(list, const char *)) != NULL)
        redis_args_add(&args, word, strlen(word));
    va_end(list);
    redis_sent_command(sent, ac, &args, done, arg);
    redis_args_clear(&args);
}

void
redis_sent_lose(struct redis_sent *sent)
{
    struct redis_sent lost = TAILQ_HEAD_INITIALIZER(lost);
    struct sent *one;

    TAILQ_CONCAT(&lost, sent, next);
    while ((one = TAILQ_FIRST(&lost)) != NULL) {
        TAILQ_REMOVE(&lost, one, next);
        one->list = NULL;
        if (one->done != NULL)
            one->done(one->arg, NULL);
        if (one->refused)
            free(one);
    }
}

void
redis_sent_mute(struct redis_sent *sent)
{
    struct sent *one;

    TAILQ_FOREACH(one, sent, next)
    one->done = NULL;
}

bool
redis_sent_is_empty(const struct redis_sent *sent)
{
    return TAILQ_EMPTY(sent);
}

int64_t
redis_sent_age_ms(const struct redis_sent *sent)
{
    return TAILQ_EMPTY(sent) ? 0 : clock_ms() - TAILQ_FIRST(sent)->sent_ms;
}
