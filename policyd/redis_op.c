/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_op.h"

#include "lib/log.h"
#include "policyd/redis_asks.h"
#include "policyd/redis_life.h"
#include "policyd/store_redis_inside.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <string.h>

enum {
    PAUSE_MS = 100,     /* after TRYAGAIN */
    SAY_STEP_MS = 1000, /* less may be a network that is slow once */
};

bool
redis_op_is_ready(const struct redis_store *s)
{
    return s->ready && s->sha[0] != '\0';
}

/*
 * It goes by no fewer when it is alone: neither this process, nor one that
 * begins meanwhile and knows what stands in the journal.
 */
static unsigned
least_nodes(const struct redis_store *s)
{
    return s->nodes.sharing > 0 && s->nodes.sharing < s->count ? s->nodes.sharing : s->count;
}

static struct redis_caller
caller(const struct redis_store *s)
{
    return (struct redis_caller){
        .sha = s->sha,
        .prefix = s->prefix,
        .node = s->node,
        .run_id = s->run_id,
        .life = s->life,
        .node_timeout_ms = s->node_timeout_ms,
        .nodes = least_nodes(s),
        .earliest_ms = redis_clock_earliest_ms(&s->clock),
        .latest_ms = redis_clock_latest_ms(&s->clock),
    };
}

void
redis_op_begin(const struct redis_store *s, struct redis_args *args, const char *op,
               const char *key)
{
    struct redis_caller me = caller(s);

    *args = (struct redis_args){0};
    redis_script_begin(args, &me, op, key);
}

void
redis_op_begin_ask(const struct redis_store *s, struct redis_args *args, const char *key,
                   const struct caps *caps, const struct book_ask *ask)
{
    struct redis_caller me = caller(s);

    *args = (struct redis_args){0};
    redis_script_ask(args, &me, key, caps, ask);
}

void
redis_op_send(struct redis_store *s, struct redis_args *args, redis_link_done_fn *done, void *arg)
{
    s->calls++;
    s->sent_ms = redis_clock_boot_ms();
    redis_link_call(s->link, args, done, arg);
    redis_args_clear(args);
}

static void
on_loaded(void *arg, const redisReply *reply)
{
    struct redis_store *s = arg;

    s->loading = false;
    if (reply == NULL)
        return;
    if (reply->type != REDIS_REPLY_STRING || reply->len != REDIS_SHA_SIZE - 1) {
        redis_link_drop(s->link, reply->type == REDIS_REPLY_ERROR ? reply->str
                                                                  : "SCRIPT LOAD tells no hash");
        return;
    }
    memcpy(s->sha, reply->str, REDIS_SHA_SIZE);
    redis_life_beat(s);
}

void
redis_op_load(struct redis_store *s)
{
    struct redis_args args = {0};

    s->sha[0] = '\0';
    if (s->loading)
        return;
    s->loading = true;
    redis_args_print(&args, "SCRIPT");
    redis_args_print(&args, "LOAD");
    redis_args_add(&args, redis_script, strlen(redis_script));
    redis_op_send(s, &args, on_loaded, s);
}

static void
pause_asks(struct redis_store *s)
{
    static const struct timeval pause = {0, PAUSE_MS * 1000};

    event_add(s->pause, &pause);
}

void
redis_op_on_pause(int fd, short what, void *arg)
{
    struct redis_store *s = arg;

    (void)fd;
    (void)what;
    if (redis_op_is_ready(s) && !s->registered)
        redis_life_beat(s);
    redis_asks_flush(s);
}

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

void
redis_op_error(struct redis_store *s, const char *text)
{
    const char *where = strrchr(text, ' ');

    s->errors++;
    if (begins(text, "NOSCRIPT"))
        redis_op_load(s);
    else if (begins(text, "MOVED ") && where != NULL)
        redis_link_move(s->link, where + 1, false);
    else if (begins(text, "ASK ") && where != NULL)
        redis_link_move(s->link, where + 1, true);
    else if (begins(text, "TRYAGAIN"))
        pause_asks(s);
    else
        redis_link_drop(s->link, text);
}

bool
redis_op_read(struct redis_store *s, const redisReply *reply, int64_t sent_ms,
              struct redis_answer *ret_answer)
{
    if (reply == NULL)
        return false;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_op_error(s, reply->str);
        return false;
    }
    redis_script_answer(reply, ret_answer);
    if (ret_answer->status == REDIS_STRANGE) {
        s->errors++;
        redis_link_drop(s->link, "an answer that the script never gives");
        return false;
    }
    redis_clock_note(&s->clock, ret_answer->now_ms, sent_ms);
    redis_records_note(s, ret_answer);
    if (ret_answer->stepped_ms >= SAY_STEP_MS)
        log_warn(
            "store: the clock of %s went %lld ms further than this host's: it was put forward, "
            "or stood still -- that time is not counted as passed; let its clock be slewed",
            redis_link_where(s->link), (long long)ret_answer->stepped_ms);
    if (ret_answer->status == REDIS_LATE) {  /* this host stood still, and its clock with it */
        s->contact_ms -= s->node_timeout_ms; /* so the next tick gives up what it holds */
        redis_link_drop(s->link, "time passed that this host knows nothing of");
        return false;
    }
    return true;
}
