/*
 * The store for many hosts: what store.h asks of it, the connection, the timer.
 * What is carried out in Redis is in store_redis.lua; the modules that call
 * it are listed in store_redis_inside.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/store.h"

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/journal.h"
#include "policyd/redis_hash.h"
#include "policyd/redis_life.h"
#include "policyd/redis_op.h"
#include "policyd/redis_restate.h"
#include "policyd/store_redis_inside.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 250,
    BEATS = 3,            /* in a node_timeout, where nothing else was said ... */
    HEARD_MS = 1500,      /* longer it is not without an answer, which tells of new records */
    BEAT_LEAST_MS = 1000, /* ... but not more often; who has nothing to report: each time,
                             because a host that is new waits until it has heard of that */
    TRIM_MS = 3600 * 1000,
    BYE_MS = 200,
};

static void
on_ready(void *arg, const char *run_id)
{
    struct redis_store *s = arg;

    snprintf(s->run_id, sizeof(s->run_id), "%s", run_id);
    s->ready = true;
    s->greeting = s->loading = s->asks.waiting_ack = false;
    redis_op_load(s);
}

static void
on_lost(void *arg, const char *why)
{
    struct redis_store *s = arg;

    if (why != NULL)
        redis_life_say_away(s, why);
    s->ready = s->greeting = s->loading = false;
    s->sha[0] = '\0';
    redis_restate_stop(s);
    redis_asks_lost(s);
    redis_life_check(s);
    redis_life_set_up(s);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct redis_store *s = arg;
    int64_t now_ms = redis_clock_boot_ms();
    int64_t every_ms = s->node_timeout_ms / BEATS, quiet_ms;

    (void)fd;
    (void)what;
    redis_life_check(s);
    if (every_ms < BEAT_LEAST_MS || now_ms - s->asks.used_ms > every_ms ||
        (s->durable && !s->asks.acked) || !s->registered)
        every_ms = BEAT_LEAST_MS;
    quiet_ms = now_ms - (s->holding && s->contact_ms > s->beat_ms ? s->contact_ms : s->beat_ms);
    if (quiet_ms >= every_ms || quiet_ms >= HEARD_MS ||
        now_ms - s->beat_ms >= s->node_timeout_ms / 2)
        redis_life_beat(s);
    if (now_ms - s->trim_ms > TRIM_MS && s->clock.measured_ms != 0) {
        s->trim_ms = now_ms;
        journal_trim(s->journal, redis_clock_now_ms(&s->clock));
    }
    redis_asks_flush(s);
    redis_records_flush(s);
}

/* ------------------------------------------------------------ the interface */

static struct redis_store *
of(const struct store *store)
{
    return (struct redis_store *)store;
}

static void
ignore_lapse(void *arg, int64_t late_ms)
{
    (void)arg;
    (void)late_ms;
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
    static const struct store_events nobody = {.on_answer = ignore_answer,
                                               .on_lapse = ignore_lapse,
                                               .on_nodes = ignore_nodes,
                                               .on_up = ignore_up};
    struct redis_store *s = of(store);
    struct redis_args args;

    s->store.events = nobody;
    redis_hash_forget(s);
    if (s->ready)
        redis_link_flush(s->link, BYE_MS); /* what is returned goes before the goodbye */
    if (redis_op_is_ready(s) && s->registered &&
        redis_nodes_bye(&s->nodes, s->node, s->journal) == 0) {
        redis_op_begin(s, &args, "bye", NULL);
        redis_op_send(s, &args, NULL, NULL);
        redis_link_flush(s->link, BYE_MS);
    }
    s->ready = false;
    redis_link_free(s->link);
    journal_close(s->journal);
    redis_restate_clear(s);
    redis_asks_clear(s);
    redis_admin_clear(s);
    redis_records_clear(s);
    redis_nodes_clear(&s->nodes);
    if (s->tick != NULL)
        event_free(s->tick);
    if (s->pause != NULL)
        event_free(s->pause);
    free(s->node);
    free(s->prefix);
    free(s);
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
    redis_asks_init(s);
    redis_admin_init(s);
    redis_records_init(s);
    s->node = mem_strdup(conf->node);
    s->prefix = mem_strdup(conf->store_prefix);
    s->durable = conf->store_durable;
    s->node_timeout_ms = conf->store_node_timeout_ms;
    s->starting = true;
    redis_clock_init(&s->clock);
    s->since = time(NULL);
    s->tick = event_new(base, -1, EV_PERSIST, on_tick, s);
    s->pause = evtimer_new(base, redis_op_on_pause, s);
    if (strlen(s->node) > BOOK_NODE_MAX)
        r = err_set(err, -EINVAL, "node: longer than %d characters", BOOK_NODE_MAX);
    else
        r = journal_open(base, conf->store_path, &s->journal, err);
    if (r < 0) {
        redis_close(&s->store);
        return r;
    }
    s->link = redis_link_new(base, conf, &link_events);
    s->life = journal_life(s->journal);
    redis_nodes_load(&s->nodes, s->node, s->journal);
    redis_life_begin(s);
    event_add(s->tick, &tick);
    *ret_store = &s->store;
    return 0;
}

static void
redis_ask(struct store *store, const char *key, const struct caps *caps, const struct book_ask *ask)
{
    redis_asks_add(of(store), key, caps, ask);
}

static void
redis_put(struct store *store, struct record_put *put)
{
    redis_records_put(of(store), put);
}

static int64_t
redis_now_ms(const struct store *store)
{
    struct redis_store *s = of(store);

    redis_life_check(s);
    return redis_clock_now_ms(&s->clock);
}

static bool
redis_is_up(const struct store *store)
{
    return of(store)->up;
}

static void
redis_reset(struct store *store, const char *key)
{
    redis_admin_reset(of(store), key);
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
                   s->calls, s->asked, s->errors, (double)s->last_us / 1000);
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
    json_number(json, "asks", (long long)s->asked);
    json_number(json, "errors", (long long)s->errors);
    json_real(json, "latency_ms", (double)s->last_us / 1000);
}

static void
redis_nodes(const struct store *store, struct buf *text, struct json *json)
{
    const struct redis_store *s = of(store);

    redis_nodes_print(&s->nodes, redis_clock_now_ms(&s->clock), text, json);
}

static void
redis_forget(struct store *store, const char *node, store_forgotten_fn *done, void *arg)
{
    redis_admin_forget(of(store), node, done, arg);
}

static bool
hash(struct store *store, const struct store_hash *wanted, store_hash_fn *done, void *arg)
{
    return redis_hash_call(of(store), wanted, done, arg);
}

static void
hash_forget(struct store *store)
{
    redis_hash_forget(of(store));
}

static int64_t
generation(const struct store *store)
{
    return of(store)->records.generation_there;
}

const struct store_kind store_redis = {
    .open = redis_open,
    .close = redis_close,
    .ask = redis_ask,
    .put = redis_put,
    .now_ms = redis_now_ms,
    .is_up = redis_is_up,
    .reset = redis_reset,
    .status = redis_status,
    .nodes = redis_nodes,
    .forget = redis_forget,
    .hash = hash,
    .hash_forget = hash_forget,
    .generation = generation,
};
