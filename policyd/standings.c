/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/standings_inside.h"

#include "engine/date.h"
#include "engine/hash.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 24 * 3600, ACCOUNT_MAX = 255, SWEPT_MAX = STANDINGS_BUCKETS / 256 };

#define KEY_PREFIX "standing/"

int32_t
standings_day(int64_t time_s)
{
    if (time_s < 0)
        return 0;
    return time_s / DAY_S < DATE_MAX ? (int32_t)(time_s / DAY_S) : DATE_MAX;
}

int64_t
standings_now_s(const struct standings *standings)
{
    return standings->start.time_s(standings->start.arg);
}

/* ------------------------------------------------------------------- table */

/* No secret: whoever could fill one chain by many domains cannot have more than STANDINGS_MAX. */
static uint64_t
hash(const char *text, size_t length)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool account";

    return hash_sip(key, text, length);
}

static struct standings_chain *
bucket_of(struct standings *standings, const char *account)
{
    return &standings->buckets[hash(account, strlen(account)) % STANDINGS_BUCKETS];
}

struct standings_item *
standings_find(struct standings *standings, const char *account)
{
    struct standings_item *item;

    LIST_FOREACH(item, bucket_of(standings, account), chain)
    if (strcmp(item->name, account) == 0)
        return item;
    return NULL;
}

/* Is it a domain, or may pass for one? */
static bool
is_name(const char *account)
{
    size_t length = strlen(account);

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)account[i] <= ' ' || account[i] == 0x7f)
            return false;
    return length > 0 && length <= ACCOUNT_MAX;
}

struct standings_item *
standings_make(struct standings *standings, const char *account)
{
    struct standings_item *item = standings_find(standings, account);
    size_t size = strlen(account) + 1;

    if (item != NULL)
        return item;
    if (!is_name(account))
        return NULL;
    if (standings->count == STANDINGS_MAX) {
        if (!standings->full)
            log_warn("standing: %d accounts are all that can be counted -- further ones are new",
                     STANDINGS_MAX);
        standings->full = true;
        return NULL;
    }
    item = mem_new(sizeof(*item) + size);
    memcpy(item->name, account, size);
    LIST_INSERT_HEAD(bucket_of(standings, account), item, chain);
    standings->count++;
    return item;
}

static void
drop_record(struct standings *standings, struct standings_item *item)
{
    standings->records -= item->standing != NULL;
    free(item->standing);
    item->standing = NULL;
}

static void
item_free(struct standings *standings, struct standings_item *item)
{
    if (item->queued)
        TAILQ_REMOVE(&standings->queue, item, queue);
    LIST_REMOVE(item, chain);
    drop_record(standings, item);
    standings->count--;
    free(item->order);
    free(item->streams);
    free(item);
}

enum grade
standings_grade(void *arg, const char *account)
{
    struct standings *standings = arg;
    const struct standings_item *item = standings_find(standings, account);

    return item != NULL && item->standing != NULL
               ? standing_grade(item->standing, standings_now_s(standings))
               : GRADE_NEW;
}

/* ------------------------------------------------------------------ records */

static bool
is_worth_it(const struct standings *standings, const struct standings_item *item)
{
    if (item->accused || item->order != NULL)
        return standings->records < STANDINGS_RECORDS_MAX;
    for (size_t i = 0; i < 2; i++)
        if (item->days[i].figures.results + item->days[i].figures.faults[FAULT_COMPLAINT] >=
            (uint32_t)standings->conf->standing.day_volume)
            return standings->records < STANDINGS_NEW_MAX;
    return false;
}

/* The record, and what this host knows beside it. */
static void
make(const struct standings *standings, const struct standings_item *item)
{
    const struct standing_rules *rules = &standings->conf->standing;
    int64_t now_s = standings_now_s(standings);
    int32_t today = standings_day(now_s - STANDINGS_TURN_S);
    struct standing *standing = item->standing;

    if (clock_ms(CLOCK_MONOTONIC_COARSE) - standings->day_ms >= STANDINGS_SURE_MS)
        standing_come_back(standing, today);
    for (size_t i = 2; i-- > 0;) {
        if (item->days[i].day > today)
            continue;
        standing_turn_to(standing, rules, item->days[i].day);
        standing_note(standing, item->days[i].day, standings->conf->node, item->heard_s,
                      &item->days[i].figures);
    }
    standing_turn_to(standing, rules, today);
    if (item->accused)
        standing_accuse(standing, item->accused_day, item->accused_why);
    standing_judge(standing, rules);
    if (item->order != NULL)
        standing_order(standing, item->order);
    else if (standing->hand.set && standing->hand.until_s != 0 && now_s >= standing->hand.until_s)
        standing->hand = (struct standing_hand){.set = false};
}

static void
tell_log(struct standings_item *item)
{
    const struct standing *standing = item->standing;
    enum grade grade = standing != NULL ? standing->grade : GRADE_NEW;

    if (grade == item->said)
        return;
    (grade == GRADE_ATTENTION ? log_warn : log_info)(
        "account %s: %s, it was %s: %s", item->name, grade_text(grade), grade_text(item->said),
        standing != NULL ? standing->why : "nothing is known of it any more");
    item->said = grade;
}

/* Later, when the store may have room, or is there. */
static void
touch_at(struct standings *standings, struct standings_item *item, int64_t due_ms)
{
    if (item->queued)
        return;
    item->queued = true;
    item->due_ms = due_ms;
    TAILQ_INSERT_TAIL(&standings->queue, item, queue);
}

void
standings_touch(struct standings *standings, struct standings_item *item)
{
    if (!item->queued && (item->standing != NULL || is_worth_it(standings, item)))
        touch_at(standings, item, clock_ms(CLOCK_MONOTONIC_COARSE) + STANDINGS_NOTE_MS);
}

static void
put(struct standings *standings, struct standings_item *item)
{
    char key[sizeof(KEY_PREFIX) + ACCOUNT_MAX], text[STANDING_TEXT_SIZE];
    size_t length = 0;
    uint64_t same = 0;

    if (!standing_is_nothing(item->standing)) {
        length = standing_print(item->standing, text);
        same = hash(text, length);
    }
    if (item->putting)
        return;
    if (same == item->stored && item->order == NULL) { /* an order is over when the store had it */
        item->accused = false;
        if (length == 0)
            drop_record(standings, item);
        return;
    }
    snprintf(key, sizeof(key), KEY_PREFIX "%s", item->name);
    item->order_sent = item->order != NULL;
    item->putting = standings->start.put(standings->start.arg, key, item->version, text, length);
    if (!item->putting)
        standings_touch(standings, item);
}

void
standings_update(struct standings *standings, struct standings_item *item)
{
    if (item->queued)
        TAILQ_REMOVE(&standings->queue, item, queue);
    item->queued = false;
    if (item->standing == NULL && !is_worth_it(standings, item))
        return;
    if (item->standing == NULL) {
        item->standing = mem_new(sizeof(*item->standing));
        standings->records++;
    }
    make(standings, item);
    tell_log(item);
    put(standings, item);
}

/* ---------------------------------------------------------------- the store */

/* This host's figures of an earlier life go on from where they were. */
static void
go_on(struct standings *standings, struct standings_item *item)
{
    struct standing_node had = standing_of_node(item->standing, standings->conf->node);
    struct standing_figures *figures = standings_figures(standings, item, item->standing->day);

    if (figures == NULL)
        return;
    figures->results += had.figures.results;
    for (size_t i = 0; i < FAULTS; i++) {
        figures->faults[i] += had.figures.faults[i];
        figures->allowed[i] += had.figures.allowed[i];
    }
    item->skip_s = had.heard_s;
    if (had.heard_s > item->heard_s)
        item->heard_s = had.heard_s;
}

static void
take(struct standings *standings, struct standings_item *item, bool ours, uint64_t version,
     const void *bytes, size_t length)
{
    if (length == 0) {
        drop_record(standings, item);
        item->version = item->stored = 0;
    } else {
        bool is_new = item->standing == NULL;

        if (is_new) {
            item->standing = mem_new(sizeof(*item->standing));
            standings->records++;
        }
        item->version = version;
        item->stored = hash(bytes, length);
        if (!ours && standing_parse(bytes, length, item->standing) < 0) {
            log_warn("store: " KEY_PREFIX "%s: what is there is no standing -- it begins anew",
                     item->name);
            memset(item->standing, 0, sizeof(*item->standing));
        }
        if (is_new)
            item->said = item->standing->grade;
        if (!ours && !item->heard)
            go_on(standings, item);
    }
    item->heard = true;
}

void
standings_on_put(void *arg, const char *key, bool written, uint64_t version, const void *bytes,
                 size_t length)
{
    struct standings *standings = arg;
    struct standings_item *item;

    if (strncmp(key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
        return;
    item = standings_find(standings, key + strlen(KEY_PREFIX));
    if (item == NULL || !item->putting)
        return;
    item->putting = false;
    if (!written && version == item->version) { /* no room in the store: tried again later */
        item->order_sent = false;
        standings_touch(standings, item);
        return;
    }
    if (written && item->order_sent) {
        free(item->order);
        item->order = NULL;
    }
    item->order_sent = false;
    take(standings, item, written, length > 0 ? version : 0, bytes, length);
    if (item->standing != NULL || item->order != NULL || item->accused)
        standings_update(standings, item);
}

void
standings_on_record(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct standings *standings = arg;
    struct standings_item *item;

    if (strncmp(key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
        return;
    item = standings_make(standings, key + strlen(KEY_PREFIX));
    if (item == NULL || item->putting) /* the answer to the put tells it, too */
        return;
    take(standings, item, false, version, bytes, length);
    if (item->standing == NULL) {
        tell_log(item);
        return;
    }
    make(standings, item);
    tell_log(item);
    standings_touch(standings, item);
}

/* -------------------------------------------------------------------- life */

/* Accounts without a record that sent nothing today and yesterday are forgotten, little by little.
 */
static void
sweep(struct standings *standings)
{
    int32_t today = standings_day(standings_now_s(standings));

    for (int i = 0; i < SWEPT_MAX; i++) {
        struct standings_item *item, *next;

        standings->swept = (standings->swept + 1) % STANDINGS_BUCKETS;
        for (item = LIST_FIRST(&standings->buckets[standings->swept]); item != NULL; item = next) {
            next = LIST_NEXT(item, chain);
            if (item->standing == NULL && !item->putting && item->order == NULL &&
                item->days[0].day < today - 1)
                item_free(standings, item);
        }
    }
    if (standings->count < STANDINGS_MAX)
        standings->full = false;
}

/* A day is over: all records are to be looked at. */
static void
look_at_the_date(struct standings *standings)
{
    int32_t turned = standings_day(standings_now_s(standings) - STANDINGS_TURN_S);

    if (turned == standings->turned_day)
        return;
    standings->turned_day = turned;
    standings->day_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    for (size_t i = 0; i < STANDINGS_BUCKETS; i++) {
        struct standings_item *item;

        LIST_FOREACH(item, &standings->buckets[i], chain)
        if (item->standing != NULL)
            touch_at(standings, item, 0);
    }
}

void
standings_tick(struct standings *standings)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    struct standings_item *item;

    look_at_the_date(standings);
    sweep(standings);
    for (int i = 0; i < STANDINGS_MADE_MAX; i++) {
        item = TAILQ_FIRST(&standings->queue);
        if (item == NULL || item->due_ms > now_ms)
            return;
        standings_update(standings, item);
    }
}

void
standings_flush(struct standings *standings)
{
    struct standings_item *item, *last = TAILQ_LAST(&standings->queue, standings_queue);
    bool more = last != NULL;

    while (more) { /* those that fail come again, behind the last */
        item = TAILQ_FIRST(&standings->queue);
        more = item != last;
        standings_update(standings, item);
    }
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    standings_tick(arg);
}

void
standings_set_conf(struct standings *standings, const struct conf *conf)
{
    standings->conf = conf;
    standings->generation++;
}

struct standings *
standings_new(const struct standings_start *start)
{
    static const struct timeval second = {1, 0};
    struct standings *standings = mem_new(sizeof(*standings));

    standings->start = *start;
    standings->conf = start->conf;
    TAILQ_INIT(&standings->queue);
    standings->turned_day = standings_day(standings_now_s(standings) - STANDINGS_TURN_S);
    standings->day_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    if (start->base != NULL) {
        standings->tick = event_new(start->base, -1, EV_PERSIST, on_tick, standings);
        event_add(standings->tick, &second);
    }
    return standings;
}

void
standings_free(struct standings *standings)
{
    if (standings == NULL)
        return;
    if (standings->tick != NULL)
        event_free(standings->tick);
    for (size_t i = 0; i < STANDINGS_BUCKETS; i++)
        while (!LIST_EMPTY(&standings->buckets[i]))
            item_free(standings, LIST_FIRST(&standings->buckets[i]));
    free(standings);
}
