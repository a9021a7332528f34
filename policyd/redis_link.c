/*
 * hiredis 0.14 has traps, which shape this file: a refused connection is told
 * to on_connect and then freed by hiredis itself; a name is resolved blocking,
 * so only numbers are handed over; there is no deadline for an answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_link.h"

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/redis_greet.h"
#include "policyd/redis_sent.h"
#include "policyd/redis_tls.h"
#include "policyd/redis_way.h"
#include "policyd/resolve.h"

#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    AGAIN_LEAST_MS = 100,
    AGAIN_MOST_MS = 5000,
    FLUSH_MS = 5,
    LOOK_MS = 100, /* how often deadlines are looked at */
};

enum link_state { LINK_AWAY, LINK_RESOLVING, LINK_CONNECTING, LINK_READY };

struct redis_link {
    struct event_base *base; /* not ours */
    struct redis_link_events events;
    struct redis_way way;
    enum link_state state;
    bool connected;   /* connecting: what is left is to greet */
    bool at_sentinel; /* the connection is to a Sentinel */
    bool asking;      /* each command is announced, because its keys are on their way */
    char *host;       /* owned; whom we connect to, where that is no path */
    uint16_t port;
    char *where; /* owned; for people */
    struct resolve *resolve;
    char *addresses;       /* owned; of host, those that were not tried yet */
    redisAsyncContext *ac; /* hiredis frees it, too: see drop() and on_connect() */
    struct redis_sent sent;
    struct redis_greet greet;
    int64_t since_ms;    /* of the state */
    struct event *again; /* the next attempt */
    struct event *look;
    int64_t again_ms;
    struct redis_tls *tls; /* NULL: the url does not ask for it */
    bool tls_sentinels;
};

static void attempt(struct redis_link *link);

static int64_t
clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
start_timer(struct event *timer, int64_t ms)
{
    struct timeval time = {ms / 1000, (suseconds_t)(ms % 1000 * 1000)};

    event_add(timer, &time);
}

/* Take the next address of host; NULL: none is left.  The caller owns it. */
static char *
next_address(struct redis_link *link)
{
    size_t length = link->addresses != NULL ? strcspn(link->addresses, " ") : 0;
    char *address;

    if (length == 0)
        return NULL;
    address = mem_strndup(link->addresses, length);
    memmove(link->addresses, link->addresses + length + 1,
            strlen(link->addresses + length + 1) + 1);
    return address;
}

/* The connection is let go; hiredis still calls back for what was open, on nobody's behalf. */
static void
let_go(struct redis_link *link)
{
    redisAsyncContext *ac = link->ac;

    link->ac = NULL;
    if (link->resolve != NULL)
        resolve_forget(link->resolve);
    link->resolve = NULL;
    if (ac != NULL) {
        ac->data = NULL;
        redisAsyncFree(ac);
    }
}

static void
lose(struct redis_link *link, const char *why, int64_t again_ms)
{
    char reason[256];

    snprintf(reason, sizeof(reason), "%s", why); /* it may belong to what is freed now */
    let_go(link);
    link->state = LINK_AWAY;
    link->at_sentinel = false;
    start_timer(link->again, again_ms);
    redis_sent_lose(&link->sent);
    link->events.on_lost(link->events.arg, reason);
}

/* Longer each time, and not the same on all hosts. */
static int64_t
back_off(struct redis_link *link)
{
    int64_t ms = link->again_ms;
    uint8_t jitter;

    evutil_secure_rng_get_bytes(&jitter, sizeof(jitter));
    link->again_ms = 2 * ms < AGAIN_MOST_MS ? 2 * ms : AGAIN_MOST_MS;
    return ms - ms / 4 + ms / 2 * jitter / 255;
}

void
redis_link_drop(struct redis_link *link, const char *why)
{
    if (link->state != LINK_AWAY)
        lose(link, why, back_off(link));
}

/* A Sentinel is of no use: the next one at once, until none is left. */
static void
next_sentinel(struct redis_link *link, const char *why)
{
    char text[300];

    snprintf(text, sizeof(text), "Sentinel %s: %s", link->way.sentinels[link->way.sentinel], why);
    if (!redis_way_next_sentinel(&link->way)) {
        redis_link_drop(link, text);
        return;
    }
    let_go(link);
    redis_sent_lose(&link->sent);
    attempt(link);
}

static void
fail(struct redis_link *link, const char *why)
{
    if (link->at_sentinel)
        next_sentinel(link, why);
    else
        redis_link_drop(link, why);
}

static void open_connection(struct redis_link *link, const char *path, const char *address);

/* No connection: to another address of the same host, perhaps? */
static void
fail_to_connect(struct redis_link *link, const char *why)
{
    char *address = next_address(link);

    if (address == NULL) {
        fail(link, why);
        return;
    }
    let_go(link);
    redis_sent_lose(&link->sent);
    open_connection(link, NULL, address);
    free(address);
}

void
redis_link_settle(struct redis_link *link)
{
    link->again_ms = AGAIN_LEAST_MS;
    redis_way_settle(&link->way);
}

void
redis_link_call(struct redis_link *link, const struct redis_args *args, redis_link_done_fn *done,
                void *arg)
{
    if (link->asking)
        redis_sent_words(&link->sent, link->ac, NULL, NULL, "ASKING", NULL);
    redis_sent_command(&link->sent, link->ac, args, done, arg);
}

static void
on_ready(void *arg, const char *run_id)
{
    struct redis_link *link = arg;

    link->state = LINK_READY;
    redis_way_found(&link->way);
    link->events.on_ready(link->events.arg, run_id);
}

static void connect_to(struct redis_link *link, const char *host, uint16_t port);

static void
on_master(void *arg, const char *host, uint16_t port)
{
    struct redis_link *link = arg;
    char *copy = mem_strdup(host); /* it goes with the connection */

    let_go(link);
    link->at_sentinel = false;
    connect_to(link, copy, port);
    free(copy);
}

static void
on_fail(void *arg, const char *why)
{
    fail(arg, why);
}

static void
on_connect(const redisAsyncContext *ac, int status)
{
    struct redis_link *link = ac->data;

    if (link == NULL)
        return;
    if (status != REDIS_OK) {
        char why[160];

        snprintf(why, sizeof(why), "%s",
                 ac->errstr != NULL && ac->errstr[0] != '\0'
                     ? ac->errstr
                     : strerror(errno != 0 ? errno : ECONNREFUSED));
        link->ac->data = NULL;
        link->ac = NULL; /* hiredis frees it */
        fail_to_connect(link, why);
        return;
    }
    link->connected = true;
    if (link->at_sentinel)
        redis_greet_sentinel(&link->greet, &link->sent, link->ac, link->way.master);
    else
        redis_greet(&link->greet, &link->sent, link->ac, &link->way.url);
}

static bool
uses_tls(const struct redis_link *link)
{
    return link->tls != NULL && (!link->at_sentinel || link->tls_sentinels);
}

static void
on_disconnect(const redisAsyncContext *ac, int status)
{
    struct redis_link *link = ac->data;
    const char *why;
    struct err err;

    (void)status;
    if (link == NULL)
        return;
    if (uses_tls(link) && redis_tls_failed(link->tls, &err))
        why = err.msg;
    else
        why = ac->err != 0 ? ac->errstr : "the connection was closed";
    link->ac = NULL; /* hiredis frees it */
    fail(link, why);
}

static void
open_connection(struct redis_link *link, const char *path, const char *address)
{
    struct err err;

    link->state = LINK_CONNECTING;
    link->connected = false;
    link->since_ms = clock_ms();
    link->ac = path != NULL ? redisAsyncConnectUnix(path) : redisAsyncConnect(address, link->port);
    if (link->ac == NULL) {
        fail(link, "no memory");
        return;
    }
    link->ac->data = link;
    if (link->ac->err != 0) {
        char why[160];

        snprintf(why, sizeof(why), "%s", link->ac->errstr);
        fail_to_connect(link, why);
        return;
    }
    fcntl(link->ac->c.fd, F_SETFD, FD_CLOEXEC);
    if (uses_tls(link) && redis_tls_start(link->tls, &link->ac->c, link->host, &err) < 0) {
        fail_to_connect(link, err.msg);
        return;
    }
    redisLibeventAttach(link->ac, link->base);
    redisAsyncSetConnectCallback(link->ac, on_connect);
    redisAsyncSetDisconnectCallback(link->ac, on_disconnect);
}

static void
on_resolved(void *arg, const char *addresses, const char *why)
{
    struct redis_link *link = arg;
    char text[300];

    link->resolve = NULL;
    if (addresses != NULL) {
        free(link->addresses);
        link->addresses = mem_strdup(addresses);
        fail_to_connect(link, "the host has no address");
        return;
    }
    snprintf(text, sizeof(text), "no address of %s: %s", link->host, why);
    fail(link, text);
}

static bool
is_address(const char *host)
{
    struct in6_addr ip;

    return inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1;
}

static void
set_where(struct redis_link *link)
{
    struct redis_url url = link->way.url;

    free(link->where);
    if (link->host != NULL) {
        url.path = NULL;
        url.host = link->host;
        url.port = link->port;
    }
    link->where = redis_url_print(&url);
}

static void
connect_to(struct redis_link *link, const char *host, uint16_t port)
{
    char *copy = mem_strdup(host); /* it may be link->host */

    free(link->host);
    link->host = copy;
    link->port = port;
    free(link->addresses);
    link->addresses = NULL;
    if (!link->at_sentinel)
        set_where(link);
    if (is_address(host)) {
        open_connection(link, NULL, link->host);
        return;
    }
    link->state = LINK_RESOLVING;
    link->resolve = resolve_start(link->base, link->host, on_resolved, link);
    if (link->resolve == NULL)
        fail(link, "no thread to look a name up");
}

static void
attempt(struct redis_link *link)
{
    struct redis_step step;

    link->state = LINK_CONNECTING;
    if (redis_way_next(&link->way, link->host, &step) < 0) {
        redis_link_drop(link, "a redirection to no address");
        return;
    }
    link->asking = step.asking;
    link->at_sentinel = step.sentinel;
    if (step.path != NULL) {
        set_where(link);
        open_connection(link, step.path, NULL);
    } else {
        connect_to(link, step.host, step.port);
    }
    free(step.host);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    attempt(arg);
}

void
redis_link_move(struct redis_link *link, const char *where, bool asking)
{
    char why[300];
    bool at_once = redis_way_move(&link->way, where, asking);

    snprintf(why, sizeof(why), "the Cluster has our keys at %s", where);
    lose(link, why, at_once ? 0 : back_off(link));
}

const char *
redis_link_where(const struct redis_link *link)
{
    return link->where;
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
    struct redis_link *link = arg;
    int64_t now_ms = clock_ms();

    (void)fd;
    (void)what;
    if (redis_sent_age_ms(&link->sent) > REDIS_LINK_ANSWER_MS)
        fail(link, "no answer in time");
    else if (link->state == LINK_CONNECTING && now_ms - link->since_ms > REDIS_LINK_ANSWER_MS)
        (link->connected ? fail : fail_to_connect)(link, "no connection in time");
}

struct redis_link *
redis_link_new(struct event_base *base, const struct conf *conf,
               const struct redis_link_events *events)
{
    static const struct timeval look = {0, LOOK_MS * 1000};
    struct redis_link *link = mem_new(sizeof(*link));

    link->base = base;
    link->events = *events;
    link->again_ms = AGAIN_LEAST_MS;
    redis_sent_init(&link->sent);
    link->greet = (struct redis_greet){on_ready, on_master, on_fail, link, ""};
    link->again = evtimer_new(base, on_again, link);
    link->look = event_new(base, -1, EV_PERSIST, on_look, link);
    redis_way_read(&link->way, conf);
    if (link->way.url.tls)
        link->tls = redis_tls_new(conf);
    link->tls_sentinels = conf->store_tls_sentinels;
    set_where(link);
    event_add(link->look, &look);
    start_timer(link->again, 0);
    return link;
}

void
redis_link_free(struct redis_link *link)
{
    if (link == NULL)
        return;
    redis_sent_mute(&link->sent);
    redis_sent_lose(&link->sent);
    let_go(link);
    event_free(link->again);
    event_free(link->look);
    redis_tls_free(link->tls);
    redis_way_clear(&link->way);
    free(link->host);
    free(link->addresses);
    free(link->where);
    free(link);
}

void
redis_link_flush(struct redis_link *link, int most_ms)
{
    int64_t end_ms = clock_ms() + most_ms;

    while (link->ac != NULL && !redis_sent_is_empty(&link->sent) && clock_ms() < end_ms) {
        struct pollfd ready = {link->ac->c.fd, POLLIN, 0};

        redisAsyncHandleWrite(link->ac);
        if (link->ac != NULL && poll(&ready, 1, FLUSH_MS) > 0)
            redisAsyncHandleRead(link->ac);
    }
}
