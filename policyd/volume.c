/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/volume.h"

#include "engine/grants.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/lookup.h"
#include "policyd/sqlite_file.h"
#include "policyd/store.h"
#include "policyd/transactions.h"
#include "policyd/volume_inside.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    SWEEP_PART = 10,     /* a sweep looks at that part of the meters, each second */
    SWEEP_GRANTS = 5000, /* steps of grants_expire() in a sweep */
    FLUSH_MAX = 500,     /* asks in one go: each takes a microsecond or two */
    ACCOUNTS_TELL_MS = 10 * 60 * 1000,
    END_MS = 500,          /* how long the end waits for leases that are under way ... */
    RECORDS_END_MS = 2000, /* ... and for records: an order by hand may be among them */
    SILENT_MS = 20,        /* a store that owes answers and gives none is not waited for */
};

int64_t
volume_now_ms(const struct volume *volume)
{
    return volume->store != NULL ? store_now_ms(volume->store) : clock_ms(CLOCK_MONOTONIC_COARSE);
}

bool
volume_is_up(const struct volume *volume)
{
    return volume->store != NULL && store_is_up(volume->store);
}

/*
 * Is an answer of the store worth waiting for?  A Redis that hangs is noticed
 * late; until then a few lookups wait in vain, not each one.
 */
static bool
may_wait(const struct volume *volume)
{
    return volume_is_up(volume) &&
           (volume->owed == 0 || clock_ms(CLOCK_MONOTONIC_COARSE) - volume->owed_ms < SILENT_MS);
}

struct meters *
volume_meters(struct volume *volume)
{
    return volume->meters;
}

static void
on_answer(void *arg, const char *key, const struct book_answer *answer)
{
    struct volume *volume = arg;
    uint32_t number = volume->meters != NULL ? meters_find(volume->meters, key) : METERS_NONE;

    volume->figures.answers++;
    volume->owed -= volume->owed > 0;
    volume->owed_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    if (number != METERS_NONE &&
        !meters_answered(volume->meters, number, answer, volume_now_ms(volume)))
        log_debug("store: %s: an answer that nobody waits for", key);
    if (volume->preparing > 0 && (number < volume->prepared || number == METERS_NONE))
        volume_ready_note(volume, answer);
    volume->on_room(volume->arg);
    volume_flush(volume);
}

static void
on_lapse(void *arg, int64_t late_ms)
{
    struct volume *volume = arg;

    volume->figures.lapses++;
    volume->owed = 0;
    if (volume->meters == NULL)
        return;
    meters_lapse(volume->meters, volume_now_ms(volume) + late_ms);
    if (volume->conf->store_share_at_once)
        log_warn("store: away for too long -- what was held is let go; each cap goes on with 1/%u "
                 "of it, by which each host that is alone may pass it",
                 meters_nodes(volume->meters));
    else
        log_warn("store: away for too long -- what was held is let go; each cap goes on with 1/%u "
                 "of it when twice its longest window is over; no cap can be passed by that",
                 meters_nodes(volume->meters));
}

static void
on_nodes(void *arg, unsigned nodes)
{
    struct volume *volume = arg;

    volume->nodes = nodes;
    if (volume->meters != NULL)
        meters_set_nodes(volume->meters, nodes);
}

static void
on_up(void *arg, bool up)
{
    struct volume *volume = arg;

    if (!up || volume->meters == NULL)
        return;
    meters_rejoin(volume->meters);
    volume_flush(volume);
}

static int
open_store(struct volume *volume, struct err *err)
{
    struct store_events events = {.on_answer = on_answer,
                                  .on_lapse = on_lapse,
                                  .on_nodes = on_nodes,
                                  .on_up = on_up,
                                  .arg = volume};

    volume_records_events(&events);
    volume->told = false;
    return store_open(volume->base, volume->conf, &events, &volume->store, err);
}

void
volume_flush(struct volume *volume)
{
    int64_t now_ms;

    if (volume->meters == NULL || volume->store == NULL || !meters_pending(volume->meters))
        return;
    now_ms = volume_now_ms(volume);
    for (int i = 0; i < FLUSH_MAX; i++) {
        struct book_ask ask;
        char key[METERS_KEY_SIZE];
        uint32_t number = meters_next(volume->meters, now_ms, &ask);

        if (number == METERS_NONE)
            break;
        volume->figures.asks++;
        if (volume->owed++ == 0)
            volume->owed_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
        meters_key(volume->meters, number, key);
        store_ask(volume->store, key, meters_at(volume->meters, number)->caps, &ask);
    }
}

/* Accounts that are not capped because there are too many: said once for a while. */
static void
tell_accounts(struct volume *volume, int64_t now_ms)
{
    uint64_t refused = 0;
    size_t count = volume->meters != NULL ? meters_accounts(volume->meters, &refused) : 0;

    if (refused == volume->accounts_refused ||
        (volume->accounts_told_ms > 0 && now_ms - volume->accounts_told_ms < ACCOUNTS_TELL_MS))
        return;
    log_warn(
        "caps: %zu accounts are in use, there can be no more -- %llu times mail of another one "
        "was not counted for its account",
        count, (unsigned long long)(refused - volume->accounts_refused));
    volume->accounts_refused = refused;
    volume->accounts_told_ms = now_ms;
}

/* What lies unused or unreported is looked at now and then; grants get old. */
static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct volume *volume = arg;
    size_t count = volume->meters != NULL ? meters_count(volume->meters) : 0;
    int64_t now_ms = volume_now_ms(volume);

    (void)fd;
    (void)what;
    grants_expire(volume->grants, clock_ms(CLOCK_MONOTONIC_COARSE), SWEEP_GRANTS);
    for (size_t i = 0; i < count / SWEEP_PART + 1 && count > 0; i++) {
        volume->swept = (volume->swept + 1) % count;
        meters_tend(volume->meters, (uint32_t)volume->swept, now_ms);
    }
    tell_accounts(volume, now_ms);
    volume_flush(volume);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval pause = {10, 0};
    struct volume *volume = arg;
    struct err err;

    (void)fd;
    (void)what;
    if (volume->store != NULL || !volume_needs_store(volume->conf))
        return;
    if (open_store(volume, &err) < 0) {
        event_add(volume->retry, &pause);
        return;
    }
    log_info("store: works now -- counting begins");
    volume_flush(volume);
}

bool
volume_needs_store(const struct conf *conf)
{
    return conf->snapshot->has_caps || conf->snapshot->has_grades ||
           strcmp(conf->feedback_log, "none") != 0;
}

int
volume_check(const struct conf *conf, struct err *err)
{
    struct sqlite_file *file;
    int r;

    if (!volume_needs_store(conf) || conf->store_type != STORE_SQLITE)
        return 0;
    r = sqlite_file_open(conf->store_path, &file, err);
    if (r < 0)
        return err_add(err, r, "store");
    sqlite_file_close(file);
    return 0;
}

int
volume_new(struct event_base *base, struct conf *conf, void (*on_room)(void *arg), void *arg,
           struct volume **ret_volume, struct err *err)
{
    static const struct timeval second = {1, 0};
    struct volume *volume = mem_new(sizeof(*volume));
    int r;

    volume->base = base;
    volume->on_room = on_room;
    volume->arg = arg;
    volume->grants = grants_new(VOLUME_GRANTS_MAX, conf->grant_lifetime_ms);
    volume->sweep = event_new(base, -1, EV_PERSIST, on_sweep, volume);
    volume->retry = evtimer_new(base, on_retry, volume);
    volume_ready_open(volume);
    event_add(volume->sweep, &second);
    if (volume->grants == NULL)
        r = err_set(err, -ENOMEM, "no memory");
    else if (getrandom(volume->grant_secret, sizeof(volume->grant_secret), 0) !=
             sizeof(volume->grant_secret))
        r = err_set(err, -EIO, "getrandom: %s", strerror(errno));
    else
        r = volume_set_conf(volume, conf, err);
    if (r < 0) {
        volume_free(volume);
        return r;
    }
    *ret_volume = volume;
    return 0;
}

static void
ignore_room(void *arg)
{
    (void)arg;
}

static void
flush_all(struct volume *volume)
{
    while (volume->store != NULL && volume->meters != NULL && meters_pending(volume->meters))
        volume_flush(volume);
}

/* Let the loop run until the store owes nothing of that, not for long. */
static void
await(struct volume *volume, const uint64_t *owed, int most_ms)
{
    static const struct timeval step = {0, 10 * 1000};
    int64_t end_ms = clock_ms(CLOCK_MONOTONIC) + most_ms;

    while (*owed > 0 && clock_ms(CLOCK_MONOTONIC) < end_ms) {
        event_base_loopexit(volume->base, &step);
        event_base_loop(volume->base, EVLOOP_ONCE);
    }
}

void
volume_end_records(struct volume *volume)
{
    volume->on_room = ignore_room;
    volume->ready = NULL;
    if (volume_is_up(volume))
        await(volume, &volume->puts_owed, RECORDS_END_MS);
    volume->listener_count = 0;
}

void
volume_free(struct volume *volume)
{
    if (volume == NULL)
        return;
    volume->on_room = ignore_room;
    volume_release(volume, NULL);
    flush_all(volume);
    await(volume, &volume->owed, END_MS); /* what is under way may be a lease to give back, too */
    flush_all(volume);
    store_close(volume->store);
    meters_free(volume->meters);
    volume_warm_clear(volume);
    grants_free(volume->grants);
    event_free(volume->sweep);
    event_free(volume->retry);
    volume_ready_close(volume);
    volume_forget_streams(volume);
    free(volume);
}

static void
remap_grants(struct volume *volume, const struct snapshot *before)
{
    uint32_t *moves = mem_must(snapshot_moves(before, volume->conf->snapshot));

    grants_remap(volume->grants, moves, before->address_count, NULL, GRANT_SAME);
    free(moves);
}

/* Nothing has caps any more: what grants charged is gone, they count as spent. */
static void
drop_meters(struct volume *volume)
{
    if (volume->meters == NULL)
        return;
    meters_free(volume->meters);
    volume->meters = NULL;
    volume_warm_clear(volume);
    grants_free(volume->grants);
    volume->grants = mem_must(grants_new(VOLUME_GRANTS_MAX, volume->conf->grant_lifetime_ms));
}

static void
set_meters(struct volume *volume, const struct snapshot *snapshot)
{
    int64_t keep_ms = volume->conf->grant_lifetime_ms;

    if (volume->meters == NULL) {
        volume->meters = mem_must(meters_new(snapshot));
        meters_set_nodes(volume->meters, volume->nodes);
        meters_set_seq(volume->meters, (uint32_t)volume->figures.asks); /* of all keys together */
    }
    volume_warm_set_snapshot(volume, snapshot);
    meters_set_share(volume->meters, volume->conf->store_share_at_once);
    meters_set_keep(volume->meters, keep_ms > TRANSACTION_LIFE_MS ? keep_ms : TRANSACTION_LIFE_MS);
}

int
volume_set_conf(struct volume *volume, struct conf *conf, struct err *err)
{
    static const struct timeval soon = {10, 0};
    const struct conf *before = volume->conf;
    int r = 0;

    volume->conf = conf;
    grants_set_lifetime(volume->grants, conf->grant_lifetime_ms);
    volume_number_streams(volume, conf->snapshot);
    if (before != NULL)
        remap_grants(volume, before->snapshot);
    if (conf->snapshot->has_caps)
        set_meters(volume, conf->snapshot);
    else
        drop_meters(volume);
    volume->prepared = 0; /* the numbers are others now; what is waited for is late */
    if (volume_needs_store(conf) && volume->store == NULL) {
        r = open_store(volume, err);
        if (r < 0)
            event_add(volume->retry, &soon);
    }
    volume_flush(volume);
    return r;
}

/* For caps, or to know what is under way. */
static bool
counts_grants(const struct volume *volume)
{
    return volume->meters != NULL || strcmp(volume->conf->feedback_log, "none") != 0;
}

void
volume_view(struct volume *volume, struct lookup_view *view)
{
    view->meters = volume->meters;
    view->grants = counts_grants(volume) ? volume->grants : NULL;
    view->stream_numbers = volume->stream_numbers;
    view->grant_secret = volume->grant_secret;
    view->store_ms = volume_now_ms(volume);
    view->may_wait = may_wait(volume);
}

bool
volume_reset(struct volume *volume, const char *key)
{
    uint32_t number = volume->meters != NULL ? meters_find(volume->meters, key) : METERS_NONE;

    if (number == METERS_NONE || volume->store == NULL)
        return false;
    store_reset(volume->store, key);
    meters_reset(volume->meters, number);
    volume_flush(volume);
    return true;
}

bool
volume_nodes(struct volume *volume, struct buf *text, struct json *json)
{
    if (volume->store == NULL)
        return false;
    store_nodes(volume->store, text, json);
    return true;
}

bool
volume_forget(struct volume *volume, const char *node,
              void (*done)(void *arg, int r, const char *why), void *arg)
{
    if (volume->store == NULL)
        return false;
    store_forget(volume->store, node, done, arg);
    return true;
}

bool
volume_knows(struct volume *volume, const char *key)
{
    return volume->meters != NULL && meters_find(volume->meters, key) != METERS_NONE;
}

uint64_t
volume_release(struct volume *volume, const char *key)
{
    size_t count = volume->meters != NULL ? meters_count(volume->meters) : 0;
    uint64_t released = 0;

    for (size_t i = 0; i < count; i++) {
        struct meter *meter = &meters_at(volume->meters, (uint32_t)i)->meter;
        char name[METERS_KEY_SIZE];

        if (!meters_is_used(volume->meters, (uint32_t)i))
            continue;
        if (key != NULL)
            meters_key(volume->meters, (uint32_t)i, name);
        if (key != NULL && strcmp(key, name) != 0)
            continue;
        if (meter->own)
            continue; /* its share, which nobody gave it */
        released += meter_held(meter);
        meter_return(meter);
        meters_touch(volume->meters, (uint32_t)i);
    }
    volume_flush(volume);
    return released;
}
