/*
 * The store for many hosts.  What is carried out in Redis is in
 * store_redis.lua; here is when it is called, and what a node may believe.
 *
 * An ask goes: waiting -> sent -> (durable: until a replica has it) -> written
 * to the journal -> answered.  At a loss of the connection what was sent waits
 * again; the script carries nothing out twice.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/store.h"

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/journal.h"
#include "policyd/redis_link.h"
#include "policyd/redis_script.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

enum {
    IN_FLIGHT_MAX = 256, /* asks that are sent and not answered */
    RESTATE_MAX = 64,    /* rows that are put back at a time */
    TICK_MS = 250,
    BEATS = 6,            /* in a node_timeout ... */
    BEAT_LEAST_MS = 1000, /* ... but not more often */
    PAUSE_MS = 100,       /* after TRYAGAIN */
    TRIM_MS = 3600 * 1000,
    RESET_KEEP_DAYS = 64, /* longer than anything matters */
    RESETS_MAX = 1024,
    BYE_MS = 200,
    AGAIN_MS = 1000,    /* after a lease that no replica has */
    WHY_MS = 10 * 1000, /* another reason is said no sooner */
    DRIFT = 1000,       /* clocks drift apart by no more than that part */
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

TAILQ_HEAD(asks, ask);

/* A lease that was not used; it goes back with the next ask of its key. */
struct unused {
    TAILQ_ENTRY(unused) next;
    char *key;
    uint32_t count;
};

struct reset {
    TAILQ_ENTRY(reset) next;
    struct redis_store *store; /* not ours */
    bool sent;
    char *key;
};

struct forgetting {
    store_forgotten_fn *done;
    void *arg;                 /* not ours */
    struct redis_store *store; /* not ours */
    LIST_ENTRY(forgetting) next;
};

/* Putting the rows back; it ends when all its calls are back, dead or not. */
struct restate {
    struct redis_store *store; /* not ours */
    bool dead;
    bool reading;
    size_t open; /* rows that were sent */
    size_t rows;
    int64_t generation;
    char *after;
};

struct node {
    char *name;
    uint64_t life;
    int64_t heard_ms;
    bool confirmed;
    bool alive;
    bool gone; /* it said goodbye */
};

struct redis_store {
    struct store store;
    struct journal *journal;
    struct redis_link *link;
    struct event *tick;
    struct event *pause; /* pending: nothing is asked meanwhile */
    char *node;
    char *prefix;
    bool durable;
    int64_t node_timeout_ms;

    uint64_t life;
    uint64_t former;    /* the life before, of this process; 0: none */
    bool starting;      /* no life of this process was known in Redis yet */
    bool holding;       /* contact_ms counts */
    int64_t contact_ms; /* when the last call began that was carried out for certain */
    int64_t offset_ms;  /* the store's clock less ours */
    int64_t offset_rtt_ms;
    int64_t measured_ms; /* 0: it was not */

    bool ready;               /* the connection can be used */
    char sha[REDIS_SHA_SIZE]; /* "": to be loaded */
    char run_id[65];
    bool loading;
    bool greeting;   /* a beat is under way */
    bool registered; /* this life is known there */
    bool confirmed;  /* and the rows are */
    bool taken_said;
    bool learning;
    bool learning_said;
    int64_t generation;
    struct restate *restate;
    int64_t beat_ms; /* when the last one was sent */
    int64_t trim_ms;

    bool waiting_ack; /* durable: WAIT is under way */
    bool acked;       /* durable: the last one found a replica */
    bool unacked_said;
    int64_t round_ms; /* durable: when the first call before it was sent */

    struct asks waiting;
    struct asks busy;
    size_t in_flight;
    TAILQ_HEAD(, unused) unused;
    TAILQ_HEAD(, reset) resets;
    LIST_HEAD(, forgetting) forgettings;
    size_t reset_count;

    bool up;
    bool away_said;
    int64_t away_ms;    /* when it began */
    char away_why[160]; /* as it was said last, at why_ms */
    int64_t why_ms;
    time_t since; /* up or away */
    struct node *nodes;
    size_t node_count;
    unsigned count;               /* of nodes, with those that are away; 0: not known */
    uint64_t calls, asks, errors; /* asks are calls, too */
    int64_t last_us;
};

static void beat(struct redis_store *s);
static void flush(struct redis_store *s);
static void restate_begin(struct redis_store *s, int64_t generation);

static int64_t
boot_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now); /* it goes on while this host sleeps */
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t
boot_ms(void)
{
    return boot_us() / 1000;
}

static void
ask_free(struct ask *ask)
{
    free(ask->key);
    free(ask->row);
    free(ask);
}

/* ------------------------------------------------------------- up and away */

static void
set_up(struct redis_store *s)
{
    bool up = s->ready && s->registered && s->confirmed && (!s->durable || s->acked);

    if (up == s->up)
        return;
    s->up = up;
    s->since = time(NULL);
    if (up) {
        redis_link_settle(s->link);
        if (s->away_said)
            log_info("store: %s is back after %lld s", redis_link_where(s->link),
                     (long long)(boot_ms() - s->away_ms) / 1000);
        else
            log_info("store: %s is there", redis_link_where(s->link));
        s->away_said = false;
    }
    s->store.events.on_up(s->store.events.arg, up);
}

static void
say_away(struct redis_store *s, const char *why)
{
    if (s->away_said && (strcmp(why, s->away_why) == 0 || boot_ms() - s->why_ms < WHY_MS))
        return;
    snprintf(s->away_why, sizeof(s->away_why), "%s", why);
    s->why_ms = boot_ms();
    if (s->away_said) {
        log_warn("store: %s: %s", redis_link_where(s->link), why);
        return;
    }
    s->away_said = true;
    s->away_ms = boot_ms();
    log_warn("store: %s: %s -- each node spends what it holds, for at most %lld s; then recipients "
             "find no room, and pools with exceed send",
             redis_link_where(s->link), why, (long long)s->node_timeout_ms / 1000);
}

/* --------------------------------------------------------------- the clock */

/*
 * The script ran somewhere between sent and now, so its clock is at most so
 * far ahead of ours.  Of several such bounds the narrow ones are kept.
 */
static void
note_time(struct redis_store *s, int64_t there_ms, int64_t sent_ms)
{
    int64_t now_ms = boot_ms();
    int64_t offset_ms = there_ms - sent_ms + 2; /* both were cut to milliseconds */
    int64_t rtt_ms = now_ms - sent_ms;
    int64_t known_rtt_ms = s->offset_rtt_ms + (now_ms - s->measured_ms) / DRIFT;

    if (s->measured_ms != 0 && offset_ms >= s->offset_ms && s->offset_ms >= there_ms - now_ms &&
        rtt_ms > known_rtt_ms)
        return;
    s->offset_ms = offset_ms;
    s->offset_rtt_ms = rtt_ms;
    s->measured_ms = now_ms;
}

static int64_t
there_ms(const struct redis_store *s)
{
    return boot_ms() + s->offset_ms;
}

/* --------------------------------------------------------------- the calls */

static void
begin(const struct redis_store *s, struct redis_args *args, struct redis_caller *ret_caller)
{
    *args = (struct redis_args){0};
    *ret_caller = (struct redis_caller){
        .sha = s->sha,
        .prefix = s->prefix,
        .node = s->node,
        .run_id = s->run_id,
        .life = s->life,
        .node_timeout_ms = s->node_timeout_ms,
        .nodes = s->count,
        .estimate_ms = s->measured_ms != 0 ? there_ms(s) - s->offset_rtt_ms - 3 : 0,
    };
}

static void
send_call(struct redis_store *s, struct redis_args *args, redis_link_done_fn *done, void *arg)
{
    s->calls++;
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
    beat(s);
}

static void
load_script(struct redis_store *s)
{
    struct redis_args args = {0};

    s->sha[0] = '\0';
    if (s->loading)
        return;
    s->loading = true;
    redis_args_print(&args, "SCRIPT");
    redis_args_print(&args, "LOAD");
    redis_args_add(&args, redis_script, strlen(redis_script));
    send_call(s, &args, on_loaded, s);
}

static void
pause_asks(struct redis_store *s)
{
    static const struct timeval pause = {0, PAUSE_MS * 1000};

    event_add(s->pause, &pause);
}

static void
on_pause(evutil_socket_t fd, short what, void *arg)
{
    struct redis_store *s = arg;

    (void)fd;
    (void)what;
    if (s->ready && !s->registered && s->sha[0] != '\0')
        beat(s);
    flush(s);
}

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void
on_error(struct redis_store *s, const char *text)
{
    const char *where = strrchr(text, ' ');

    s->errors++;
    if (begins(text, "NOSCRIPT"))
        load_script(s);
    else if (begins(text, "MOVED ") && where != NULL)
        redis_link_move(s->link, where + 1, false);
    else if (begins(text, "ASK ") && where != NULL)
        redis_link_move(s->link, where + 1, true);
    else if (begins(text, "TRYAGAIN"))
        pause_asks(s);
    else
        redis_link_drop(s->link, text);
}

/* False: nothing was carried out, and what is to be done about it is. */
static bool
read_answer(struct redis_store *s, const redisReply *reply, int64_t sent_ms,
            struct redis_answer *ret_answer)
{
    if (reply == NULL)
        return false;
    if (reply->type == REDIS_REPLY_ERROR) {
        on_error(s, reply->str);
        return false;
    }
    redis_script_answer(reply, ret_answer);
    if (ret_answer->status == REDIS_STRANGE) {
        s->errors++;
        redis_link_drop(s->link, "an answer that the script never gives");
        return false;
    }
    note_time(s, ret_answer->now_ms, sent_ms);
    return true;
}

/* -------------------------------------------------------------- life, asks */

static void
ask_wait(struct ask *ask)
{
    struct redis_store *s = ask->store;

    TAILQ_REMOVE(&s->busy, ask, next);
    if (ask->forgotten) {
        ask_free(ask);
        return;
    }
    ask->state = ASK_WAITING;
    TAILQ_INSERT_TAIL(&s->waiting, ask, next);
}

static void
unused_clear(struct redis_store *s)
{
    struct unused *unused;

    while ((unused = TAILQ_FIRST(&s->unused)) != NULL) {
        TAILQ_REMOVE(&s->unused, unused, next);
        free(unused->key);
        free(unused);
    }
}

static void
asks_forget(struct redis_store *s)
{
    struct ask *ask, *after;

    while ((ask = TAILQ_FIRST(&s->waiting)) != NULL) {
        TAILQ_REMOVE(&s->waiting, ask, next);
        ask_free(ask);
    }
    for (ask = TAILQ_FIRST(&s->busy); ask != NULL; ask = after) {
        after = TAILQ_NEXT(ask, next);
        if (ask->state == ASK_UNACKED) {
            TAILQ_REMOVE(&s->busy, ask, next);
            ask_free(ask);
        } else {
            ask->forgotten = true;
        }
    }
    unused_clear(s);
}

/* Another life begins; it is not known in Redis yet. */
static void
lapse(struct redis_store *s)
{
    s->holding = false;
    s->registered = false;
    s->former = s->life;
    s->life = journal_new_life(s->journal);
    asks_forget(s);
    s->store.events.on_lapse(s->store.events.arg);
    set_up(s);
}

static bool
check_lapse(struct redis_store *s)
{
    if (!s->holding || boot_ms() - s->contact_ms < s->node_timeout_ms)
        return false;
    log_warn("store: not heard of for %lld s -- what this node held counts as used, and it takes "
             "nothing until the store is back",
             (long long)(boot_ms() - s->contact_ms) / 1000);
    lapse(s);
    return true;
}

static void
heard(struct redis_store *s, int64_t sent_ms)
{
    if (!s->holding || sent_ms > s->contact_ms)
        s->contact_ms = sent_ms;
    s->holding = true;
}

static void
note_count(struct redis_store *s, unsigned count)
{
    if (count == s->count || count == 0)
        return;
    s->count = count;
    s->store.events.on_nodes(s->store.events.arg, count);
    beat(s); /* who it is, that tells */
}

static void
on_written(void *arg)
{
    struct ask *ask = arg;
    struct redis_store *s = ask->store;

    check_lapse(s);
    TAILQ_REMOVE(&s->busy, ask, next);
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
        .until_ms = there_ms(s) + redis_script_keep_ms(&ask->caps, s->node_timeout_ms),
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
    TAILQ_INSERT_TAIL(&s->unused, unused, next);
}

/* Once for each ask: repeated, it must say the same. */
static void
add_unused(struct redis_store *s, struct ask *ask)
{
    struct unused *unused, *after;

    if (ask->returned)
        return;
    ask->returned = true;
    for (unused = TAILQ_FIRST(&s->unused); unused != NULL; unused = after) {
        after = TAILQ_NEXT(unused, next);
        if (strcmp(unused->key, ask->key) != 0)
            continue;
        ask->ask.unused += unused->count;
        TAILQ_REMOVE(&s->unused, unused, next);
        free(unused->key);
        free(unused);
    }
}

static void
on_ack(void *arg, const redisReply *reply)
{
    struct redis_store *s = arg;
    struct ask *ask, *after;

    s->waiting_ack = false;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        on_error(s, reply->str);
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
        return; /* the asks go back to waiting in on_lost() */
    s->acked = reply->integer > 0;
    if (s->acked)
        heard(s, s->round_ms);
    else if (!s->unacked_said)
        log_warn("store: no replica takes what is written -- no grants are taken until one does");
    if (s->acked && s->unacked_said)
        log_info("store: a replica is there again");
    s->unacked_said = !s->acked;
    for (ask = TAILQ_FIRST(&s->busy); ask != NULL; ask = after) {
        after = TAILQ_NEXT(ask, next);
        if (ask->state != ASK_UNACKED)
            continue;
        if (!s->acked && ask->answer.count > 0) {
            keep_unused(s, ask);
            ask->answer = (struct book_answer){.again_ms = there_ms(s) + AGAIN_MS,
                                               .window = ask->answer.window};
        }
        ask_write(ask, ask->row, ask->row_length);
    }
    set_up(s);
    flush(s);
}

static void
send_wait(struct redis_store *s, int64_t sent_ms)
{
    struct redis_args args = {0};

    if (!s->durable || s->waiting_ack)
        return;
    s->waiting_ack = true;
    s->round_ms = sent_ms;
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

    if (read_answer(ask->store, reply, ask->sent_ms, &answer) && answer.status == REDIS_HELLO)
        ask->store->registered = false;
    ask_wait(ask);
    flush(ask->store);
}

static void
send_row(struct redis_store *s, const struct journal_row *row, redis_link_done_fn *done, void *arg)
{
    struct redis_args args;
    struct redis_caller caller;
    int64_t keep_ms = row->until_ms - there_ms(s);

    begin(s, &args, &caller);
    redis_script_begin(&args, &caller, "state", row->key);
    redis_args_add(&args, row->row, row->length);
    redis_args_print(&args, "%" PRId64, keep_ms > 1 ? keep_ms : 1);
    send_call(s, &args, done, arg);
}

static void
on_row_found(void *arg, const struct journal_row *rows, size_t count)
{
    struct ask *ask = arg;
    struct redis_store *s = ask->store;

    if (ask->forgotten || !s->ready || s->sha[0] == '\0' || count == 0) {
        ask_wait(ask);
        flush(s);
        return;
    }
    ask->sent_ms = boot_ms();
    send_row(s, &rows[0], on_row_back, ask);
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
        lapse(s);
        beat(s);
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
        heard(s, ask->sent_ms);
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

    s->in_flight--;
    s->last_us = boot_us() - ask->sent_ms * 1000;
    check_lapse(s);
    if (!read_answer(s, reply, ask->sent_ms, &answer) || ask->forgotten) {
        ask_wait(ask);
        return;
    }
    note_count(s, answer.count);
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
        restate_begin(s, answer.generation);
        break;
    default:
        ask_wait(ask);
        s->registered = false;
        beat(s);
    }
    flush(s);
}

static void
ask_send(struct ask *ask)
{
    struct redis_store *s = ask->store;
    struct redis_args args;
    struct redis_caller caller;

    TAILQ_REMOVE(&s->waiting, ask, next);
    TAILQ_INSERT_TAIL(&s->busy, ask, next);
    ask->state = ASK_SENT;
    ask->sent_ms = boot_ms();
    add_unused(s, ask);
    begin(s, &args, &caller);
    redis_script_ask(&args, &caller, ask->key, &ask->caps, &ask->ask);
    s->in_flight++;
    s->asks++;
    send_call(s, &args, on_ask_answer, ask);
}

static void
on_reset(void *arg, const redisReply *reply)
{
    struct reset *reset = arg;
    struct redis_store *s = reset->store;
    struct redis_answer answer;

    reset->sent = false;
    if (!read_answer(s, reply, boot_ms(), &answer) || answer.status != REDIS_OK_THERE)
        return;
    if (answer.row_length > 0) {
        struct journal_row row = {reset->key, (void *)answer.row, answer.row_length,
                                  there_ms(s) + RESET_KEEP_DAYS * 24LL * 3600 * 1000};

        journal_put(s->journal, &row, NULL, NULL);
    }
    TAILQ_REMOVE(&s->resets, reset, next);
    s->reset_count--;
    free(reset->key);
    free(reset);
}

static void
send_resets(struct redis_store *s)
{
    struct reset *reset;

    TAILQ_FOREACH(reset, &s->resets, next)
    {
        struct redis_args args;
        struct redis_caller caller;

        if (reset->sent)
            continue;
        reset->sent = true;
        begin(s, &args, &caller);
        redis_script_begin(&args, &caller, "reset", reset->key);
        send_call(s, &args, on_reset, reset);
    }
}

/* Send what waits, if it can be. */
static void
flush(struct redis_store *s)
{
    int64_t sent_ms = 0;
    struct ask *ask;

    if (!s->ready || s->sha[0] == '\0' || !s->registered || !s->confirmed || s->restate != NULL ||
        event_pending(s->pause, EV_TIMEOUT, NULL))
        return;
    send_resets(s);
    if (s->durable && (s->waiting_ack || !s->acked))
        return;
    while (s->in_flight < IN_FLIGHT_MAX && (ask = TAILQ_FIRST(&s->waiting)) != NULL) {
        ask_send(ask);
        if (sent_ms == 0)
            sent_ms = ask->sent_ms;
    }
    if (sent_ms != 0)
        send_wait(s, sent_ms);
}

/* ------------------------------------------------------------------- beats */

static void
nodes_clear(struct redis_store *s)
{
    for (size_t i = 0; i < s->node_count; i++)
        free(s->nodes[i].name);
    free(s->nodes);
    s->nodes = NULL;
    s->node_count = 0;
}

static const struct node *
node_find(const struct redis_store *s, const char *name)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (strcmp(s->nodes[i].name, name) == 0)
            return &s->nodes[i];
    return NULL;
}

static void
nodes_write(struct redis_store *s)
{
    struct journal_node *list = mem_array(s->node_count, sizeof(*list));

    for (size_t i = 0; i < s->node_count; i++)
        list[i] = (struct journal_node){
            s->nodes[i].name, s->nodes[i].alive ? 0 : s->nodes[i].heard_ms, s->nodes[i].gone};
    journal_set_nodes(s->journal, list, s->node_count);
    free(list);
}

/* Those that are known here and not there: a Redis that lost its data is yet to hear of them. */
static size_t
keep_nodes(struct redis_store *s, struct node *nodes, size_t count)
{
    size_t there = count;

    for (size_t i = 0; i < s->node_count; i++) {
        bool found = false;

        for (size_t j = 0; j < there && !found; j++)
            found = strcmp(nodes[j].name, s->nodes[i].name) == 0;
        if (found)
            continue;
        nodes[count] = s->nodes[i];
        nodes[count].confirmed = false;
        nodes[count++].name = mem_strdup(s->nodes[i].name);
    }
    return count;
}

static void
note_nodes(struct redis_store *s, const struct redis_answer *answer)
{
    size_t count = answer->nodes->elements / 4;
    struct node *nodes = mem_array(count + s->node_count, sizeof(*nodes));
    bool changed = false;

    for (size_t i = 0; i < count; i++) {
        struct redisReply **one = answer->nodes->element + 4 * i;
        const struct node *known = node_find(s, one[0]->str);

        nodes[i] = (struct node){
            .name = mem_strdup(one[0]->str),
            .life = (uint64_t)one[1]->integer,
            .heard_ms = one[2]->integer,
            .confirmed = one[3]->integer == 1,
            .gone = one[1]->integer == 0,
            .alive = one[1]->integer != 0 && one[2]->integer + s->node_timeout_ms > answer->now_ms,
        };
        changed = changed || known == NULL || known->alive != nodes[i].alive ||
                  known->gone != nodes[i].gone;
    }
    if (!answer->confirmed)
        count = keep_nodes(s, nodes, count);
    changed = changed || count != s->node_count;
    nodes_clear(s);
    s->nodes = nodes;
    s->node_count = count;
    if (changed)
        nodes_write(s);
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
        for (size_t i = 0; i < s->node_count; i++)
            if (!s->nodes[i].confirmed && strcmp(s->nodes[i].name, s->node) != 0)
                buf_printf(&names, "%s%s", names.length > 0 ? ", " : "", s->nodes[i].name);
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

    s->registered = false;
    if (!s->taken_said)
        log_error("store: another process goes by the name of this node, %s -- nothing is taken "
                  "until it is gone for %lld s; each host needs a name of its own",
                  s->node, (long long)s->node_timeout_ms / 1000);
    s->taken_said = true;
    if (held)
        lapse(s);
    set_up(s);
}

/* What beat and confirm have in common.  False: the node is not to go on. */
static bool
on_nodes_answer(struct redis_store *s, const redisReply *reply, struct redis_answer *answer)
{
    bool lapsed = check_lapse(s);

    if (!read_answer(s, reply, s->beat_ms, answer))
        return false;
    if (answer->nodes == NULL) {
        redis_link_drop(s->link, "an answer that the script never gives");
        return false;
    }
    s->generation = answer->generation;
    note_nodes(s, answer);
    if (answer->status == REDIS_OK_THERE && !s->durable && !lapsed)
        heard(s, s->beat_ms);
    note_count(s, answer->count);
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
    if (!on_nodes_answer(s, reply, &answer))
        return;
    if (s->life != life) { /* it took too long: that life is over */
        beat(s);
        return;
    }
    if (answer.status == REDIS_TAKEN) {
        on_taken(s);
        return;
    }
    s->registered = true;
    s->starting = false;
    s->taken_said = false;
    s->confirmed = answer.confirmed;
    if (!s->confirmed)
        restate_begin(s, answer.generation);
    set_up(s);
    flush(s);
}

static void
beat(struct redis_store *s)
{
    struct redis_args args;
    struct redis_caller caller;

    if (!s->ready || s->sha[0] == '\0' || s->greeting)
        return;
    s->greeting = true;
    s->beat_ms = boot_ms();
    begin(s, &args, &caller);
    redis_script_begin(&args, &caller, "beat", NULL);
    redis_args_print(&args, "%" PRIu64, s->former);
    redis_args_print(&args, "%" PRIu64, journal_id(s->journal));
    redis_args_print(&args, "%d", s->starting);
    send_call(s, &args, on_beat, s);
    send_wait(s, s->beat_ms);
}

/* ------------------------------------------------------- putting rows back */

static void restate_go_on(struct restate *restate);

static bool
restate_ended(struct restate *restate)
{
    if (!restate->dead || restate->reading || restate->open > 0)
        return false;
    free(restate->after);
    free(restate);
    return true;
}

static void
restate_stop(struct redis_store *s)
{
    struct restate *restate = s->restate;

    s->restate = NULL;
    if (restate == NULL)
        return;
    restate->dead = true;
    restate_ended(restate);
}

static void
on_confirm(void *arg, const redisReply *reply)
{
    struct restate *restate = arg;
    struct redis_store *s = restate->store;
    struct redis_answer answer;
    size_t rows = restate->rows;

    restate->open--;
    if (restate->dead) {
        restate_ended(restate);
        return;
    }
    restate_stop(s);
    if (!on_nodes_answer(s, reply, &answer))
        return;
    if (answer.status == REDIS_OK_THERE) {
        s->confirmed = answer.confirmed;
        if (rows > 0)
            log_info("store: %zu rows were put back into %s", rows, redis_link_where(s->link));
    } else if (answer.status == REDIS_RESTATE) {
        restate_begin(s, answer.generation);
    } else {
        s->registered = false;
        beat(s);
    }
    set_up(s);
    flush(s);
}

static void
send_confirm(struct restate *restate)
{
    struct redis_store *s = restate->store;
    struct redis_args args;
    struct redis_caller caller;

    restate->open++;
    s->beat_ms = boot_ms();
    begin(s, &args, &caller);
    redis_script_begin(&args, &caller, "confirm", NULL);
    redis_args_print(&args, "%" PRId64, restate->generation);
    for (size_t i = 0; i < s->node_count; i++) {
        redis_args_add(&args, s->nodes[i].name, strlen(s->nodes[i].name));
        redis_args_print(&args, "%" PRId64, s->nodes[i].alive ? 0 : s->nodes[i].heard_ms);
        redis_args_print(&args, "%d", s->nodes[i].gone);
    }
    send_call(s, &args, on_confirm, restate);
}

static void
on_row_restated(void *arg, const redisReply *reply)
{
    struct restate *restate = arg;
    struct redis_store *s = restate->store;
    struct redis_answer answer;

    restate->open--;
    if (restate->dead) {
        restate_ended(restate);
        return;
    }
    if (!read_answer(s, reply, boot_ms(), &answer)) {
        if (s->restate == restate)
            restate_stop(s); /* TRYAGAIN, NOSCRIPT: the next beat begins it again */
        return;
    }
    if (answer.status == REDIS_HELLO) {
        restate_stop(s);
        s->registered = false;
        beat(s);
        return;
    }
    restate->rows++;
    if (restate->open == 0)
        restate_go_on(restate);
}

static void
on_rows(void *arg, const struct journal_row *rows, size_t count)
{
    struct restate *restate = arg;
    struct redis_store *s = restate->store;

    restate->reading = false;
    if (restate_ended(restate) || restate->dead)
        return;
    for (size_t i = 0; i < count; i++) {
        restate->open++;
        send_row(s, &rows[i], on_row_restated, restate);
    }
    if (count == 0) {
        send_confirm(restate);
        return;
    }
    free(restate->after);
    restate->after = mem_strdup(rows[count - 1].key);
}

static void
restate_go_on(struct restate *restate)
{
    restate->reading = true;
    journal_read(restate->store->journal, restate->after, RESTATE_MAX, on_rows, restate);
}

static void
restate_begin(struct redis_store *s, int64_t generation)
{
    if (s->restate != NULL)
        return;
    s->restate = mem_new(sizeof(*s->restate));
    s->restate->store = s;
    s->restate->generation = generation;
    s->restate->after = mem_strdup("");
    restate_go_on(s->restate);
}

/* -------------------------------------------------- the connection, timers */

static void
on_ready(void *arg, const char *run_id)
{
    struct redis_store *s = arg;

    snprintf(s->run_id, sizeof(s->run_id), "%s", run_id);
    s->ready = true;
    s->greeting = s->loading = s->waiting_ack = false;
    load_script(s);
}

static void
on_lost(void *arg, const char *why)
{
    struct redis_store *s = arg;
    struct ask *ask, *after;

    say_away(s, why);
    s->ready = s->greeting = s->loading = s->waiting_ack = s->acked = false;
    s->sha[0] = '\0';
    restate_stop(s);
    for (ask = TAILQ_FIRST(&s->busy); ask != NULL; ask = after) {
        after = TAILQ_NEXT(ask, next);
        if (ask->state == ASK_UNACKED)
            ask_wait(ask);
    }
    check_lapse(s);
    set_up(s);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct redis_store *s = arg;
    int64_t now_ms = boot_ms();
    int64_t every_ms = s->node_timeout_ms / BEATS;

    (void)fd;
    (void)what;
    check_lapse(s);
    if (every_ms < BEAT_LEAST_MS || (s->durable && !s->acked) || !s->registered)
        every_ms = BEAT_LEAST_MS;
    if (now_ms - s->beat_ms >= every_ms)
        beat(s);
    if (now_ms - s->trim_ms > TRIM_MS && s->measured_ms != 0) {
        s->trim_ms = now_ms;
        journal_trim(s->journal, there_ms(s));
    }
    flush(s);
}

/* ------------------------------------------------------------ the interface */

static struct redis_store *
of(const struct store *store)
{
    return (struct redis_store *)store;
}

static void
ignore(void *arg)
{
    (void)arg;
}

static void
ignore_answer(void *arg, const char *key, const struct book_answer *answer)
{
    (void)arg;
    (void)key;
    (void)answer;
}

static void
ignore_nodes(void *arg, unsigned nodes)
{
    (void)arg;
    (void)nodes;
}

static void
ignore_up(void *arg, bool up)
{
    (void)arg;
    (void)up;
}

static void
redis_close(struct store *store)
{
    static const struct store_events nobody = {ignore_answer, ignore, ignore_nodes, ignore_up,
                                               NULL};
    struct redis_store *s = of(store);
    struct redis_args args;
    struct redis_caller caller;
    struct reset *reset;
    struct forgetting *forgetting;
    struct ask *ask;

    s->store.events = nobody;
    if (s->ready)
        redis_link_flush(s->link, BYE_MS); /* what is returned goes before the goodbye */
    if (s->ready && s->registered && s->sha[0] != '\0') {
        begin(s, &args, &caller);
        redis_script_begin(&args, &caller, "bye", NULL);
        send_call(s, &args, NULL, NULL);
        redis_link_flush(s->link, BYE_MS);
    }
    s->ready = false;
    redis_link_free(s->link);
    restate_stop(s);
    journal_close(s->journal);
    while ((ask = TAILQ_FIRST(&s->busy)) != NULL) {
        TAILQ_REMOVE(&s->busy, ask, next);
        ask_free(ask);
    }
    asks_forget(s);
    while ((reset = TAILQ_FIRST(&s->resets)) != NULL) {
        TAILQ_REMOVE(&s->resets, reset, next);
        free(reset->key);
        free(reset);
    }
    while ((forgetting = LIST_FIRST(&s->forgettings)) != NULL) {
        LIST_REMOVE(forgetting, next);
        free(forgetting);
    }
    nodes_clear(s);
    if (s->tick != NULL)
        event_free(s->tick);
    if (s->pause != NULL)
        event_free(s->pause);
    free(s->node);
    free(s->prefix);
    free(s);
}

/* Whom the last process knew of, in case that Redis does not any more. */
static void
load_nodes(struct redis_store *s)
{
    const struct journal_node *known = journal_nodes(s->journal, &s->node_count);

    s->nodes = mem_array(s->node_count, sizeof(*s->nodes));
    for (size_t i = 0; i < s->node_count; i++)
        s->nodes[i] = (struct node){
            .name = mem_strdup(known[i].name),
            .heard_ms = known[i].heard_ms,
            .alive = known[i].heard_ms == 0,
            .gone = known[i].gone,
        };
}

static int64_t
offset_by_host(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000 - boot_ms();
}

static int
redis_open(struct event_base *base, const struct conf *conf, const struct store_events *events,
           struct store **ret_store, struct err *err)
{
    static const struct timeval tick = {0, TICK_MS * 1000};
    struct redis_store *s = mem_new(sizeof(*s));
    struct redis_link_events link_events = {on_ready, on_lost, s};
    int r;

    s->store.kind = &store_redis;
    s->store.events = *events;
    TAILQ_INIT(&s->waiting);
    TAILQ_INIT(&s->busy);
    TAILQ_INIT(&s->unused);
    TAILQ_INIT(&s->resets);
    LIST_INIT(&s->forgettings);
    s->node = mem_strdup(conf->node);
    s->prefix = mem_strdup(conf->store_prefix);
    s->durable = conf->store_durable;
    s->node_timeout_ms = conf->store_node_timeout_ms;
    s->starting = true;
    s->offset_ms = offset_by_host();
    s->since = time(NULL);
    s->tick = event_new(base, -1, EV_PERSIST, on_tick, s);
    s->pause = evtimer_new(base, on_pause, s);
    if (strlen(s->node) > BOOK_NODE_MAX)
        r = err_set(err, -EINVAL, "node: longer than %d characters", BOOK_NODE_MAX);
    else
        r = journal_open(base, conf->store_path, &s->journal, err);
    if (r == 0)
        r = redis_link_new(base, conf, &link_events, &s->link, err);
    if (r < 0) {
        redis_close(&s->store);
        return r;
    }
    s->life = journal_life(s->journal);
    load_nodes(s);
    event_add(s->tick, &tick);
    *ret_store = &s->store;
    return 0;
}

static void
redis_ask(struct store *store, const char *key, const struct caps *caps, const struct book_ask *ask)
{
    struct redis_store *s = of(store);
    struct ask *one = mem_new(sizeof(*one));

    one->store = s;
    one->key = mem_strdup(key);
    one->caps = *caps;
    one->ask = *ask;
    TAILQ_INSERT_TAIL(&s->waiting, one, next);
    flush(s);
}

static int64_t
redis_now_ms(const struct store *store)
{
    struct redis_store *s = of(store);

    check_lapse(s);
    return there_ms(s);
}

static bool
redis_is_up(const struct store *store)
{
    return of(store)->up;
}

static void
redis_reset(struct store *store, const char *key)
{
    struct redis_store *s = of(store);
    struct reset *reset;

    if (s->reset_count == RESETS_MAX) {
        log_warn("store: %s is not reset: %d others wait for the store already", key, RESETS_MAX);
        return;
    }
    reset = mem_new(sizeof(*reset));
    reset->store = s;
    reset->key = mem_strdup(key);
    TAILQ_INSERT_TAIL(&s->resets, reset, next);
    s->reset_count++;
    flush(s);
}

static void
redis_status(const struct store *store, struct buf *text, struct json *json)
{
    const struct redis_store *s = of(store);
    const char *what = !s->up ? "away" : s->learning ? "learning" : "up";

    if (text != NULL) {
        buf_printf(text, "redis %s, %s for %lld s%s; %u nodes, server %.8s\n",
                   redis_link_where(s->link), what, (long long)(time(NULL) - s->since),
                   s->durable ? ", durable" : "", s->count, s->run_id);
        buf_printf(text,
                   "calls %" PRIu64 ", asks among them %" PRIu64 ", errors %" PRIu64
                   ", the last took %.1f ms\n",
                   s->calls, s->asks, s->errors, (double)s->last_us / 1000);
        return;
    }
    json_text(json, "type", "redis");
    json_text(json, "where", redis_link_where(s->link));
    json_bool(json, "up", s->up);
    json_number(json, "since", (long long)s->since);
    json_number(json, "node_count", s->count);
    json_text(json, "server", s->run_id);
    json_bool(json, "learning", s->learning);
    json_bool(json, "durable", s->durable);
    json_number(json, "calls", (long long)s->calls);
    json_number(json, "asks", (long long)s->asks);
    json_number(json, "errors", (long long)s->errors);
    json_real(json, "latency_ms", (double)s->last_us / 1000);
}

static void
redis_nodes(const struct store *store, struct buf *text, struct json *json)
{
    const struct redis_store *s = of(store);

    if (json != NULL)
        json_open(json, "nodes", '[');
    for (size_t i = 0; i < s->node_count; i++) {
        const struct node *node = &s->nodes[i];
        int64_t ago_ms = node->heard_ms > 0 ? there_ms(s) - node->heard_ms : -1;

        if (text != NULL) {
            buf_printf(text, "%s: %s, heard %lld ms ago, life %" PRIu64 "%s\n", node->name,
                       node->alive  ? "here"
                       : node->gone ? "gone"
                                    : "away",
                       (long long)ago_ms, node->life, node->confirmed ? "" : ", not confirmed");
            continue;
        }
        json_open(json, NULL, '{');
        json_text(json, "name", node->name);
        json_bool(json, "alive", node->alive);
        json_number(json, "heard_ms_ago", (long long)ago_ms);
        json_number(json, "life", (long long)node->life);
        json_bool(json, "confirmed", node->confirmed);
        json_close(json, '}');
    }
    if (json != NULL)
        json_close(json, ']');
}

static void
on_forgotten(void *arg, const redisReply *reply)
{
    struct forgetting *forgetting = arg;
    struct redis_store *s = forgetting->store;
    struct redis_answer answer;
    int r = 0;
    const char *why = "";

    if (!read_answer(s, reply, boot_ms(), &answer)) {
        r = -EAGAIN;
        why = "the store is away";
    } else if (answer.status == REDIS_ALIVE) {
        r = -EBUSY;
        why = "it is there; stop it first";
    } else if (answer.status == REDIS_UNKNOWN) {
        r = -ENOENT;
        why = "there is no such node";
    } else {
        note_nodes(s, &answer);
    }
    LIST_REMOVE(forgetting, next);
    forgetting->done(forgetting->arg, r, why);
    free(forgetting);
}

static void
redis_forget(struct store *store, const char *node, store_forgotten_fn *done, void *arg)
{
    struct redis_store *s = of(store);
    struct forgetting *forgetting;
    struct redis_args args;
    struct redis_caller caller;

    if (!s->ready || s->sha[0] == '\0') {
        done(arg, -EAGAIN, "the store is away");
        return;
    }
    forgetting = mem_new(sizeof(*forgetting));
    forgetting->done = done;
    forgetting->arg = arg;
    forgetting->store = s;
    LIST_INSERT_HEAD(&s->forgettings, forgetting, next);
    begin(s, &args, &caller);
    redis_script_begin(&args, &caller, "forget", NULL);
    redis_args_add(&args, node, strlen(node));
    send_call(s, &args, on_forgotten, forgetting);
}

const struct store_kind store_redis = {
    .open = redis_open,
    .close = redis_close,
    .ask = redis_ask,
    .now_ms = redis_now_ms,
    .is_up = redis_is_up,
    .reset = redis_reset,
    .status = redis_status,
    .nodes = redis_nodes,
    .forget = redis_forget,
};
