/*
 * One node without mail: takes all grants that it can get, and says when.
 *
 *     driver FILE KEY:LIMIT/WINDOW_MS[~] ...      ~: a smooth cap
 *
 * FILE is a configuration; its store is opened.  On standard output a line for
 * each turn in which a grant was taken, written before the next turn begins:
 *
 *     grant MONOTONIC_US STORE_MS KEY COUNT
 *
 * and "up", "away", "lapse", "nodes N", "status JSON".  SIGTERM ends it in good order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meter.h"
#include "lib/conf.h"
#include "lib/daemon.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/store.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TURN_MS = 5, TAKE_MOST = 20000, KEYS_MAX = 16, STATUS_TURNS = 200, IDLE_MS = 10000 };

struct key {
    char *name;
    struct caps caps;
    struct meter meter;
};

static struct store *store;
static struct event_base *base;
static struct key keys[KEYS_MAX];
static size_t key_count;
static unsigned node_count = 1;
static bool ending;

/* The real one, also where this process is lied to about the time. */
static long long
real_us(void)
{
    struct timespec now;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static struct key *
find(const char *name)
{
    for (size_t i = 0; i < key_count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static void
say(const char *text)
{
    ssize_t ignored = write(STDOUT_FILENO, text, strlen(text));

    (void)ignored;
}

static void
turn_key(struct key *key, struct buf *out)
{
    long long us;
    int64_t now_ms;
    uint32_t size = book_lease_size(&key->caps, node_count), count = 0;
    struct book_ask ask;

    do { /* both at once: whoever stands still between them would report another time */
        us = real_us();
        now_ms = store_now_ms(store);
    } while (real_us() - us > 1000);
    while (meter_state(&key->meter, now_ms) == METER_FREE && count < TAKE_MOST) {
        meter_take(&key->meter, &key->caps, now_ms);
        count++;
    }
    if (count > 0)
        buf_printf(out, "grant %lld %lld %s %u\n", us, (long long)now_ms, key->name, count);
    if (!key->meter.own && (meter_state(&key->meter, now_ms) == METER_COLD ||
                            (key->meter.next == 0 && key->meter.held <= size / 2)))
        key->meter.wanted = true;
    if (meter_ask(&key->meter, &key->caps, size, IDLE_MS, now_ms, &ask))
        store_ask(store, key->name, &key->caps, &ask);
}

static void
say_status(void)
{
    struct buf out = {0};
    struct json json = {.out = &out};

    buf_puts(&out, "status ");
    json_open(&json, NULL, '{');
    store_status(store, NULL, &json);
    store_nodes(store, NULL, &json);
    json_close(&json, '}');
    buf_puts(&out, "\n");
    say(buf_text(&out));
    buf_clear(&out);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    static unsigned turns;
    struct buf out = {0};

    (void)fd;
    (void)what;
    (void)arg;
    for (size_t i = 0; i < key_count; i++)
        turn_key(&keys[i], &out);
    say(buf_text(&out));
    buf_clear(&out);
    if (++turns % STATUS_TURNS == 0)
        say_status();
}

static void
on_answer(void *arg, const char *name, const struct book_answer *answer)
{
    struct key *key = find(name);

    (void)arg;
    meter_answered(&key->meter, answer, store_now_ms(store));
}

static void
on_lapse(void *arg, int64_t late_ms)
{
    char text[64];

    (void)arg;
    snprintf(text, sizeof(text), "lapse %lld %lld\n", real_us(), (long long)late_ms);
    say(text);
    for (size_t i = 0; i < key_count; i++) {
        meter_lapse(&keys[i].meter);
        meter_go_alone(&keys[i].meter, &keys[i].caps, node_count, false,
                       store_now_ms(store) + late_ms);
    }
}

static void
on_nodes(void *arg, unsigned nodes)
{
    char text[32];

    (void)arg;
    node_count = nodes;
    snprintf(text, sizeof(text), "nodes %u\n", nodes);
    say(text);
}

static void
on_up(void *arg, bool up)
{
    (void)arg;
    say(up ? "up\n" : "away\n");
    for (size_t i = 0; i < key_count && up; i++)
        meter_rejoin(&keys[i].meter);
}

static void
on_end(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    ending = true;
    event_base_loopbreak(base);
}

static int
read_key(const char *text)
{
    struct key *key = &keys[key_count];
    struct cap *cap = &key->caps.items[0];
    long long window_ms;
    char name[200], smooth = '\0';

    if (key_count == KEYS_MAX ||
        sscanf(text, "%199[^:]:%u/%lld%c", name, &cap->limit, &window_ms, &smooth) < 3)
        return -1;
    key->name = mem_strdup(name);
    cap->window_ms = window_ms;
    cap->smooth = smooth == '~';
    key->caps.count = 1;
    key_count++;
    return 0;
}

int
main(int argc, char **argv)
{
    static const struct timeval turn = {0, TURN_MS * 1000};
    struct store_events events = {
        .on_answer = on_answer, .on_lapse = on_lapse, .on_nodes = on_nodes, .on_up = on_up};
    struct event *turns, *end;
    struct conf *conf = NULL;
    struct err err;

    log_open("postpool/driver", true);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 2; i < argc; i++)
        if (read_key(argv[i]) < 0)
            return 2;
    if (argc < 3 || daemon_load(argv[1], &conf) < 0)
        return 2;
    base = event_base_new();
    if (store_open(base, conf, &events, &store, &err) < 0) {
        log_error("%s", err.msg);
        return 1;
    }
    turns = event_new(base, -1, EV_PERSIST, on_turn, NULL);
    end = evsignal_new(base, SIGTERM, on_end, NULL);
    event_add(turns, &turn);
    event_add(end, NULL);
    event_base_dispatch(base);
    say_status();
    store_close(store);
    event_free(turns);
    event_free(end);
    event_base_free(base);
    for (size_t i = 0; i < key_count; i++)
        free(keys[i].name);
    conf_unref(conf);
    return ending ? 0 : 1;
}
