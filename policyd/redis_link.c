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
#include "policyd/redis_script.h"
#include "policyd/redis_tls.h"
#include "policyd/redis_url.h"
#include "policyd/resolve.h"

#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

enum {
    AGAIN_LEAST_MS = 100,
    AGAIN_MOST_MS = 5000,
    FLUSH_MS = 5,
    LOOK_MS = 100, /* how often deadlines are looked at */
    RUN_ID_MAX = 64,
    MOVES_MAX = 5, /* redirections in a row that are followed at once */
    SENTINEL_PORT = 26379,
};

/* One command that was sent.  hiredis has it until it called back, whatever became of us. */
struct link_call {
    TAILQ_ENTRY(link_call) next;
    struct redis_link *link; /* not ours; NULL: nobody wants to hear of it */
    redis_link_done_fn *done;
    void *arg; /* not ours */
    int64_t sent_ms;
    bool refused; /* hiredis did not take it */
};

TAILQ_HEAD(link_calls, link_call);

enum link_state { LINK_AWAY, LINK_RESOLVING, LINK_CONNECTING, LINK_READY };

struct redis_link {
    struct event_base *base; /* not ours */
    struct redis_link_events events;
    struct redis_url url; /* as configured */
    char **sentinels;     /* owned, and each of them */
    size_t sentinel_count;
    size_t sentinel;        /* whose turn it is */
    size_t sentinels_tried; /* in a row, in vain */
    char *master;           /* owned */
    enum link_state state;
    bool connected;   /* connecting: what is left is to greet */
    bool at_sentinel; /* the connection is to a Sentinel */
    bool asking;      /* each command is announced, because its keys are on their way */
    char *host;       /* owned; whom we connect to, where that is no path */
    uint16_t port;
    char *moved; /* owned; host:port where a redirection sent us; NULL: nowhere */
    bool moved_asking;
    int moves;   /* in a row */
    char *where; /* owned; for people */
    struct resolve *resolve;
    char *addresses;       /* owned; of host, those that were not tried yet */
    redisAsyncContext *ac; /* hiredis frees it, too: see drop() and on_connect() */
    struct link_calls calls;
    int64_t since_ms;    /* of the state */
    struct event *again; /* the next attempt */
    struct event *look;
    int64_t again_ms;
    char run_id[RUN_ID_MAX + 1];
    struct redis_tls *tls; /* NULL: url does not ask for it */
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

static void
calls_lose(struct redis_link *link)
{
    struct link_calls lost = TAILQ_HEAD_INITIALIZER(lost);
    struct link_call *call;

    TAILQ_CONCAT(&lost, &link->calls, next);
    while ((call = TAILQ_FIRST(&lost)) != NULL) {
        TAILQ_REMOVE(&lost, call, next);
        call->link = NULL;
        if (call->done != NULL)
            call->done(call->arg, NULL);
        if (call->refused)
            free(call);
    }
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
    calls_lose(link);
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

    snprintf(text, sizeof(text), "Sentinel %s: %s", link->sentinels[link->sentinel], why);
    link->sentinel = (link->sentinel + 1) % link->sentinel_count;
    if (++link->sentinels_tried < link->sentinel_count) {
        let_go(link);
        calls_lose(link);
        attempt(link);
        return;
    }
    link->sentinels_tried = 0;
    redis_link_drop(link, text);
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
    calls_lose(link);
    open_connection(link, NULL, address);
    free(address);
}

void
redis_link_settle(struct redis_link *link)
{
    link->again_ms = AGAIN_LEAST_MS;
    link->moves = 0;
}

static void
on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
    struct link_call *call = arg;
    struct redis_link *link = call->link;

    (void)ac;
    if (link != NULL && reply != NULL) {
        TAILQ_REMOVE(&link->calls, call, next);
        if (call->done != NULL)
            call->done(call->arg, reply);
        free(call);
        return;
    }
    if (link != NULL) { /* hiredis ends the connection, and on_disconnect comes next */
        TAILQ_REMOVE(&link->calls, call, next);
        if (call->done != NULL)
            call->done(call->arg, NULL);
    }
    free(call);
}

static void
send_args(struct redis_link *link, const struct redis_args *args, redis_link_done_fn *done,
          void *arg)
{
    struct link_call *call = mem_new(sizeof(*call));

    call->link = link;
    call->done = done;
    call->arg = arg;
    call->sent_ms = clock_ms();
    TAILQ_INSERT_TAIL(&link->calls, call, next);
    /* Refused: the connection is ending, and the call is lost with the rest. */
    call->refused = link->ac == NULL ||
                    redisAsyncCommandArgv(link->ac, on_reply, call, (int)args->count,
                                          (const char **)args->items, args->lengths) != REDIS_OK;
}

static void send_words(struct redis_link *link, redis_link_done_fn *done, const char *first, ...)
    __attribute__((sentinel));

static void
send_words(struct redis_link *link, redis_link_done_fn *done, const char *first, ...)
{
    struct redis_args args = {0};
    va_list list;

    va_start(list, first);
    for (const char *word = first; word != NULL; word = va_arg(list, const char *))
        redis_args_add(&args, word, strlen(word));
    va_end(list);
    send_args(link, &args, done, link);
    redis_args_clear(&args);
}

void
redis_link_call(struct redis_link *link, const struct redis_args *args, redis_link_done_fn *done,
                void *arg)
{
    if (link->asking)
        send_words(link, NULL, "ASKING", NULL);
    send_args(link, args, done, arg);
}

/* An error ends the attempt, whatever the step. */
static bool
is_well(struct redis_link *link, const redisReply *reply)
{
    if (reply == NULL || link->state != LINK_CONNECTING)
        return false;
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    fail(link, reply->str);
    return false;
}

static void
on_step(void *arg, const redisReply *reply)
{
    is_well(arg, reply);
}

static void
on_info(void *arg, const redisReply *reply)
{
    struct redis_link *link = arg;
    const char *line;
    size_t length;

    if (!is_well(link, reply))
        return;
    line = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, "run_id:") : NULL;
    length = line != NULL ? strspn(line + 7, "0123456789abcdef") : 0;
    if (length == 0 || length > RUN_ID_MAX) {
        fail(link, "INFO does not tell a run_id");
        return;
    }
    memcpy(link->run_id, line + 7, length);
    link->run_id[length] = '\0';
}

static void
on_role(void *arg, const redisReply *reply)
{
    struct redis_link *link = arg;

    if (!is_well(link, reply))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        strcmp(reply->element[0]->str, "master") != 0) {
        fail(link, "it is no master");
        return;
    }
    link->state = LINK_READY;
    link->sentinels_tried = 0;
    link->events.on_ready(link->events.arg, link->run_id);
}

static void
greet(struct redis_link *link)
{
    const struct redis_url *url = &link->url;
    char database[16];

    if (url->user != NULL)
        send_words(link, on_step, "AUTH", url->user, url->password, NULL);
    else if (url->password != NULL)
        send_words(link, on_step, "AUTH", url->password, NULL);
    snprintf(database, sizeof(database), "%d", url->database);
    if (url->database > 0)
        send_words(link, on_step, "SELECT", database, NULL);
    send_words(link, on_info, "INFO", "server", NULL);
    send_words(link, on_role, "ROLE", NULL);
}

static void connect_to(struct redis_link *link, const char *host, uint16_t port);

static void
on_master(void *arg, const redisReply *reply)
{
    struct redis_link *link = arg;
    char *host;
    int port;

    if (!is_well(link, reply))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        fail(link, "it does not know the master");
        return;
    }
    port = atoi(reply->element[1]->str);
    if (port < 1 || port > 65535) {
        fail(link, "it tells a strange port");
        return;
    }
    host = mem_strdup(reply->element[0]->str);
    let_go(link);
    link->at_sentinel = false;
    connect_to(link, host, (uint16_t)port);
    free(host);
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
        send_words(link, on_master, "SENTINEL", "get-master-addr-by-name", link->master, NULL);
    else
        greet(link);
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
    struct redis_url url = link->url;

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
follow(struct redis_link *link)
{
    char *host = NULL;
    uint16_t port = 0;

    link->asking = link->moved_asking;
    if (link->moved[0] == ':' && link->host != NULL)
        connect_to(link, link->host, (uint16_t)atoi(link->moved + 1));
    else if (redis_url_host(link->moved, &host, &port, NULL) == 0)
        connect_to(link, host, port);
    else
        redis_link_drop(link, "a redirection to no address");
    free(host);
}

static void
attempt(struct redis_link *link)
{
    char *host;
    uint16_t port;

    link->asking = false;
    link->state = LINK_CONNECTING;
    if (link->moved != NULL) {
        char *moved = link->moved;

        follow(link);
        if (link->moved == moved)
            link->moved = NULL; /* once: if it fails, we begin where we were told to */
        free(moved);
    } else if (link->sentinel_count > 0) {
        link->at_sentinel = true;
        redis_url_host(link->sentinels[link->sentinel], &host, &port, NULL); /* was read before */
        connect_to(link, host, port != 0 ? port : SENTINEL_PORT);
        free(host);
    } else if (link->url.path != NULL) {
        set_where(link);
        open_connection(link, link->url.path, NULL);
    } else {
        connect_to(link, link->url.host, link->url.port);
    }
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

    free(link->moved);
    link->moved = mem_strdup(where);
    link->moved_asking = asking;
    snprintf(why, sizeof(why), "the Cluster has our keys at %s", where);
    lose(link, why, link->moves++ < MOVES_MAX ? 0 : back_off(link));
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
    const struct link_call *oldest = TAILQ_FIRST(&link->calls);
    int64_t now_ms = clock_ms();

    (void)fd;
    (void)what;
    if (oldest != NULL && now_ms - oldest->sent_ms > REDIS_LINK_ANSWER_MS)
        fail(link, "no answer in time");
    else if (link->state == LINK_CONNECTING && now_ms - link->since_ms > REDIS_LINK_ANSWER_MS)
        (link->connected ? fail : fail_to_connect)(link, "no connection in time");
}

static int
read_conf(struct redis_link *link, const struct conf *conf, struct err *err)
{
    int r = redis_url_parse(conf->store_url, &link->url, err);

    if (r < 0)
        return err_add(err, r, "store.url");
    if (link->url.tls && !redis_tls_is_there())
        return err_set(err, -ENOTSUP,
                       "store.url: rediss:// needs hiredis with TLS, and this "
                       "postpool was built with one that has none");
    if (link->url.tls)
        link->tls = redis_tls_new(conf);
    link->tls_sentinels = conf->store_tls_sentinels;
    link->sentinels = mem_array(conf->store_sentinels.count, sizeof(char *));
    for (size_t i = 0; i < conf->store_sentinels.count; i++) {
        char *host;
        uint16_t port;

        r = redis_url_host(conf->store_sentinels.items[i], &host, &port, err);
        if (r < 0)
            return err_add(err, r, "store.sentinels: \"%s\"", conf->store_sentinels.items[i]);
        free(host);
        link->sentinels[link->sentinel_count++] = mem_strdup(conf->store_sentinels.items[i]);
    }
    if (link->sentinel_count == 0 && link->url.path == NULL && link->url.host == NULL)
        return err_set(err, -EINVAL, "store.url: it names no host, and there are no sentinels");
    link->master = mem_strdup(conf->store_master);
    return 0;
}

int
redis_link_new(struct event_base *base, const struct conf *conf,
               const struct redis_link_events *events, struct redis_link **ret_link,
               struct err *err)
{
    static const struct timeval look = {0, LOOK_MS * 1000};
    struct redis_link *link = mem_new(sizeof(*link));
    int r;

    link->base = base;
    link->events = *events;
    link->again_ms = AGAIN_LEAST_MS;
    TAILQ_INIT(&link->calls);
    link->again = evtimer_new(base, on_again, link);
    link->look = event_new(base, -1, EV_PERSIST, on_look, link);
    r = read_conf(link, conf, err);
    if (r < 0) {
        redis_link_free(link);
        return r;
    }
    set_where(link);
    event_add(link->look, &look);
    start_timer(link->again, 0);
    *ret_link = link;
    return 0;
}

void
redis_link_free(struct redis_link *link)
{
    struct link_call *call;

    if (link == NULL)
        return;
    TAILQ_FOREACH(call, &link->calls, next)
    call->done = NULL;
    calls_lose(link);
    let_go(link);
    event_free(link->again);
    event_free(link->look);
    redis_tls_free(link->tls);
    redis_url_clear(&link->url);
    for (size_t i = 0; i < link->sentinel_count; i++)
        free(link->sentinels[i]);
    free(link->sentinels);
    free(link->master);
    free(link->moved);
    free(link->host);
    free(link->addresses);
    free(link->where);
    free(link);
}

void
redis_link_flush(struct redis_link *link, int most_ms)
{
    int64_t end_ms = clock_ms() + most_ms;

    while (link->ac != NULL && !TAILQ_EMPTY(&link->calls) && clock_ms() < end_ms) {
        struct pollfd ready = {link->ac->c.fd, POLLIN, 0};

        redisAsyncHandleWrite(link->ac);
        if (link->ac != NULL && poll(&ready, 1, FLUSH_MS) > 0)
            redisAsyncHandleRead(link->ac);
    }
}
