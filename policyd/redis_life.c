/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_life.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/journal.h"
#include "policyd/redis_op.h"
#include "policyd/redis_restate.h"
#include "policyd/store_redis_inside.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WHY_MS = 10 * 1000 }; /* another reason is said no sooner */

void
redis_life_set_up(struct redis_store *s)
{
    bool up = s->ready && s->registered && s->confirmed && (!s->durable || s->asks.acked);

    if (up == s->up)
        return;
    s->up = up;
    s->since = time(NULL);
    if (up) {
        redis_link_settle(s->link);
        if (s->away_said)
            log_info("store: %s is back after %lld s", redis_link_where(s->link),
                     (long long)(redis_clock_boot_ms() - s->away_ms) / 1000);
        else
            log_info("store: %s is there", redis_link_where(s->link));
        s->away_said = false;
    }
    s->store.events.on_up(s->store.events.arg, up);
}

void
redis_life_say_away(struct redis_store *s, const char *why)
{
    if (s->away_said &&
        (strcmp(why, s->away_why) == 0 || redis_clock_boot_ms() - s->why_ms < WHY_MS))
        return;
    snprintf(s->away_why, sizeof(s->away_why), "%s", why);
    s->why_ms = redis_clock_boot_ms();
    if (s->away_said) {
        log_warn("store: %s: %s", redis_link_where(s->link), why);
        return;
    }
    s->away_said = true;
    s->away_ms = redis_clock_boot_ms();
    log_warn("store: %s: %s -- each node spends what it holds, for at most %lld s; then recipients "
             "find no room, and pools with exceed send",
             redis_link_where(s->link), why, (long long)s->node_timeout_ms / 1000);
}

void
redis_life_begin(struct redis_store *s)
{
    s->contact_ms = redis_clock_boot_ms();
    if (s->nodes.sharing == 0)
        return;
    s->awaited = true;
    s->count = s->nodes.sharing;
    s->store.events.on_nodes(s->store.events.arg, s->count);
}

void
redis_life_end(struct redis_store *s)
{
    int64_t late_ms = s->sent_ms + REDIS_CALL_LATE_MS + s->node_timeout_ms - redis_clock_boot_ms();

    s->holding = false;
    s->awaited = false;
    s->registered = false;
    s->former = s->life;
    s->life = journal_new_life(s->journal);
    redis_asks_forget(s);
    s->store.events.on_lapse(s->store.events.arg, s->sent_ms > 0 && late_ms > 0 ? late_ms : 0);
    redis_life_set_up(s);
}

bool
redis_life_check(struct redis_store *s)
{
    if ((!s->holding && !s->awaited) || redis_clock_boot_ms() - s->contact_ms < s->node_timeout_ms)
        return false;
    if (s->holding)
        log_warn("store: not heard of for %lld s -- what this node held counts as used, and it "
                 "takes nothing until the store is back",
                 (long long)(redis_clock_boot_ms() - s->contact_ms) / 1000);
    else
        log_warn("store: not heard of since the start, %lld s ago",
                 (long long)(redis_clock_boot_ms() - s->contact_ms) / 1000);
    redis_life_end(s);
    return true;
}

void
redis_life_heard(struct redis_store *s, int64_t sent_ms)
{
    if (!s->holding || sent_ms > s->contact_ms)
        s->contact_ms = sent_ms;
    s->holding = true;
    s->awaited = false;
}

void
redis_life_note_count(struct redis_store *s, unsigned count)
{
    if (count == s->count || count == 0)
        return;
    s->count = count;
    s->store.events.on_nodes(s->store.events.arg, count);
    redis_life_beat(s); /* who it is, that tells */
}

/* While the learning goes on, say whom it waits for; once, and when it is over. */
static void
note_learning(struct redis_store *s, bool learning)
{
    struct buf names = {0};

    s->learning = learning;
    if (!learning && s->learning_said)
        log_info("store: every node has put back what it counted, or is not waited for");
    if (learning && !s->learning_said) {
        redis_nodes_missing(&s->nodes, s->node, &names);
        log_warn("store: %s is new, or has lost data -- no leases until every node has put back "
                 "what it counted%s%s",
                 redis_link_where(s->link), names.length > 0 ? "; missing: " : "",
                 buf_text(&names));
        buf_clear(&names);
    }
    s->learning_said = learning;
}

static void
on_taken(struct redis_store *s)
{
    bool held = s->holding;

    s->registered = s->awaited = false;
    if (!s->taken_said)
        log_error("store: another process goes by the name of this node, %s -- nothing is taken "
                  "until it is gone for %lld s; each host needs a name of its own",
                  s->node, (long long)s->node_timeout_ms / 1000);
    s->taken_said = true;
    if (held)
        redis_life_end(s);
    redis_life_set_up(s);
}

bool
redis_life_read_nodes(struct redis_store *s, const redisReply *reply, int64_t sent_ms,
                      struct redis_answer *answer)
{
    bool lapsed = redis_life_check(s);

    if (!redis_op_read(s, reply, sent_ms, answer))
        return false;
    if (answer->nodes == NULL) {
        redis_link_drop(s->link, "an answer that the script never gives");
        return false;
    }
    redis_nodes_note(&s->nodes, answer, s->node_timeout_ms, s->journal);
    if (answer->status == REDIS_OK_THERE && !s->durable && !lapsed)
        redis_life_heard(s, sent_ms);
    redis_life_note_count(s, answer->count);
    note_learning(s, answer->learning);
    return true;
}

static void
on_beat(void *arg, const redisReply *reply)
{
    struct redis_store *s = arg;
    struct redis_answer answer;
    uint64_t life = s->life;

    s->greeting = false;
    if (!redis_life_read_nodes(s, reply, s->beat_ms, &answer))
        return;
    if (s->life != life) { /* it took too long: that life is over */
        redis_life_beat(s);
        return;
    }
    if (answer.status == REDIS_TAKEN) {
        on_taken(s);
        return;
    }
    s->registered = true;
    s->starting = s->awaited = false;
    s->taken_said = false;
    s->confirmed = answer.confirmed;
    if (!s->confirmed)
        redis_restate_begin(s, answer.generation);
    redis_life_set_up(s);
    redis_asks_flush(s);
    redis_records_flush(s);
}

void
redis_life_beat(struct redis_store *s)
{
    struct redis_args args;

    if (!redis_op_is_ready(s) || s->greeting)
        return;
    s->greeting = true;
    s->beat_ms = redis_clock_boot_ms();
    if (s->awaited)
        s->contact_ms = s->beat_ms; /* it may be carried out, and the answer lost */
    redis_op_begin(s, &args, "beat", NULL);
    redis_args_print(&args, "%" PRIu64, s->former);
    redis_args_print(&args, "%" PRIu64, journal_id(s->journal));
    redis_args_print(&args, "%d", s->starting);
    redis_op_send(s, &args, on_beat, s);
    redis_asks_send_wait(s, s->beat_ms);
}

void
redis_life_hello(struct redis_store *s)
{
    s->registered = false;
    redis_life_beat(s);
}
