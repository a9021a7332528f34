/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/warmups_inside.h"

#include "engine/date.h"
#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "engine/zone.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAY_S = 24 * 3600,
    KEY_SIZE = 64,
    LOOK_TICKS = 10, /* between two looks at what is suspended, where nothing else is new; what
                        begins is heard at once */
    MADE_MAX = 50,   /* that are made anew in one tick: each takes some 50 us */
};

#define KEY_PREFIX "warmup/"

/* ------------------------------------------------------------------- days */

int32_t
warmups_day(const struct warmups *warmups, int64_t time_s)
{
    int64_t until_s, s = time_s + zone_offset_s(warmups->conf->warmup_zone, time_s, &until_s);

    if (s < 0)
        return 0;
    return s / DAY_S < DATE_MAX ? (int32_t)(s / DAY_S) : DATE_MAX;
}

int32_t
warmups_today(const struct warmups *warmups)
{
    return warmups_day(warmups, warmups->start.time_s(warmups->start.arg));
}

/* The day that warm-ups are turned to: not today's right after midnight. */
static int32_t
turned_day(const struct warmups *warmups)
{
    return warmups_day(warmups, warmups->start.time_s(warmups->start.arg) - WARMUPS_TURN_S);
}

/* ------------------------------------------------------------------- items */

static int
compare_items(const void *address, const void *item)
{
    size_t place = ((const struct address *)address)->index;
    size_t other = ((const struct warmups_item *)item)->address->index;

    return place < other ? -1 : place > other;
}

struct warmups_item *
warmups_find(struct warmups *warmups, const struct address *address)
{
    struct warmups_item *item = NULL;

    if (address->schedule != NULL)
        item = bsearch(address, warmups->items, warmups->count, sizeof(*warmups->items),
                       compare_items);
    return item != NULL && item->address == address ? item : NULL; /* else of a configuration that
                                                                      is still to come */
}

struct warmup_plan
warmups_plan(const struct warmups *warmups, const struct address *address)
{
    return (struct warmup_plan){address->schedule, warmups->conf->warmup};
}

uint32_t
warmups_volume(const struct warmups_item *item)
{
    const struct schedule *schedule = item->address->schedule;
    size_t stage = warmup_stage(&item->now, schedule);

    return stage < schedule->stage_count ? schedule_day(schedule, stage, NULL) : WARMUP_UNLIMITED;
}

static struct warmups_item *
find_key(struct warmups *warmups, const char *key)
{
    const struct address *address;

    if (strncmp(key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
        return NULL;
    address = snapshot_find_address(warmups->conf->snapshot, key + strlen(KEY_PREFIX));
    return address != NULL ? warmups_find(warmups, address) : NULL;
}

static void
log_day(const struct warmups_item *item, const struct warmup_past *past)
{
    char date[DATE_SIZE];

    date_print(past->day, date);
    log_info("address %s: warm-up: %s: %s used=%u of=%u accepted=%u refused=%u",
             item->address->name, date, warmup_result_text(past->result), past->figures.used,
             past->allowance, past->figures.accepted, past->figures.refused);
}

/* What is new since the log was told last; not before the store has told what there is. */
static void
tell_log(struct warmups_item *item)
{
    const struct schedule *schedule = item->address->schedule;
    const struct warmup *now = &item->now, *said = &item->said;

    if (!item->heard)
        return;
    for (size_t i = 0; i < now->past_count; i++)
        if (said->phase != WARMUP_NONE && now->past[i].day >= said->day &&
            now->past[i].allowance != WARMUP_UNLIMITED)
            log_day(item, &now->past[i]);
    if (now->phase != said->phase && now->phase == WARMUP_FULL)
        log_info("address %s: warm-up: it has its full volume", item->address->name);
    else if (now->phase != said->phase && now->phase == WARMUP_PAUSED)
        log_info("address %s: warm-up: paused", item->address->name);
    else if (now->phase != said->phase || now->volume != said->volume)
        log_info("address %s: warm-up: stage %zu of %zu, %u recipients a day", item->address->name,
                 warmup_stage(now, schedule) + 1, schedule->stage_count, warmups_volume(item));
    item->said = item->now;
}

/* Is its day still to come, by a clock that may be wrong itself? */
static bool
is_ahead(const struct warmups *warmups, const struct warmup *warmup, int32_t today)
{
    return warmup->phase != WARMUP_NONE && warmup->day - today > WARMUP_AHEAD_MAX &&
           clock_ms(CLOCK_MONOTONIC_COARSE) - warmups->day_ms < WARMUPS_SURE_MS;
}

/* What the store has, and what this host knows beside that. */
static void
make(const struct warmups *warmups, const struct warmups_item *item, struct warmup *ret)
{
    const struct warmup_plan plan = warmups_plan(warmups, item->address);
    int32_t today = turned_day(warmups);
    struct warmup warmup = item->stored;
    bool ahead = is_ahead(warmups, &warmup, today);

    if (!ahead)
        warmup_begin(&warmup, &plan, item->address->started, warmups_today(warmups));
    for (size_t i = 2; i-- > 0 && !ahead;) {
        if (item->days[i].day <= today)
            warmup_turn_to(&warmup, &plan, item->days[i].day);
        warmup_note(&warmup, item->days[i].day, warmups->conf->node, &item->days[i].figures);
    }
    if (!ahead)
        warmup_turn_to(&warmup, &plan, today);
    for (size_t i = 0; i < item->order_count; i++)
        warmup_order(&warmup, &plan, item->orders[i].order, warmup.day, item->orders[i].who,
                     item->orders[i].why);
    *ret = warmup;
}

static bool
is_same(const struct warmup *a, const struct warmup *b)
{
    char text[WARMUP_TEXT_SIZE], other[WARMUP_TEXT_SIZE];
    size_t length = warmup_print(a, text);

    return a->phase == b->phase && length == warmup_print(b, other) &&
           memcmp(text, other, length) == 0;
}

static void
put(struct warmups *warmups, struct warmups_item *item, bool urgent)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    char key[KEY_SIZE], text[WARMUP_TEXT_SIZE];
    size_t length;

    if (is_same(&item->now, &item->stored)) {
        if (!item->putting)
            item->order_count = 0; /* another host ordered the same */
        return;
    }
    item->dirty = true; /* until the store has it */
    if (item->putting)
        return;
    urgent |= item->now.day != item->stored.day || item->now.volume != item->stored.volume ||
              item->now.events != item->stored.events || item->order_count > 0;
    if (!urgent && now_ms - item->put_ms < WARMUPS_NOTE_MS)
        return;
    snprintf(key, sizeof(key), KEY_PREFIX "%s", item->address->name);
    length = warmup_print(&item->now, text);
    item->putting = true;
    item->put_ms = now_ms;
    item->sent = item->order_count;
    if (!warmups->start.put(warmups->start.arg, key, item->version, text, length))
        item->putting = false;
}

void
warmups_update(struct warmups *warmups, struct warmups_item *item, bool urgent)
{
    const struct warmup_plan plan = warmups_plan(warmups, item->address);
    int32_t today = warmups_today(warmups);

    item->dirty = false;
    item->made_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    warmups_figures(warmups, item, today);
    make(warmups, item, &item->now);
    tell_log(item);
    if (warmups->start.warm != NULL) /* its day may be tomorrow's, by another host's clock */
        warmups->start.warm(warmups->start.arg, item->address, &item->now, &plan,
                            today > item->now.day ? today : item->now.day);
    put(warmups, item, urgent);
}

void
warmups_recap(struct warmups *warmups)
{
    if (warmups->start.recap != NULL)
        warmups->start.recap(warmups->start.arg);
}

/* ------------------------------------------------------------- the store */

/* This host's figures of an earlier life go on from where they were. */
static void
go_on(struct warmups *warmups, struct warmups_item *item)
{
    struct warmup_figures had, *figures;

    if (item->heard)
        return;
    had = warmup_of_node(&item->stored, warmups->conf->node);
    figures = warmups_figures(warmups, item, item->stored.day);
    if (figures == NULL)
        return;
    figures->used += had.used;
    figures->accepted += had.accepted;
    figures->refused += had.refused;
}

static void
take(struct warmups *warmups, struct warmups_item *item, bool ours, uint64_t version,
     const void *bytes, size_t length)
{
    memset(&item->stored, 0, sizeof(item->stored));
    item->version = length > 0 ? version : 0;
    if (length > 0 && warmup_parse(bytes, length, &item->stored) < 0)
        log_warn("store: " KEY_PREFIX "%s: what is there is no warm-up -- it begins anew",
                 item->address->name);
    if (!ours)
        go_on(warmups, item);
    item->heard = true;
}

void
warmups_on_put(void *arg, const char *key, bool written, uint64_t version, const void *bytes,
               size_t length)
{
    struct warmups *warmups = arg;
    struct warmups_item *item = find_key(warmups, key);
    bool full;

    if (item == NULL || !item->putting)
        return;
    full = !written && version == item->version; /* no room in the store: tried again later */
    item->putting = false;
    if (written) {
        item->order_count -= item->sent;
        memmove(item->orders, item->orders + item->sent,
                item->order_count * sizeof(item->orders[0]));
    }
    item->sent = 0;
    if (full)
        return;
    take(warmups, item, written, version, bytes, length);
    warmups_update(warmups, item, !written);
}

void
warmups_on_record(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct warmups *warmups = arg;
    struct warmups_item *item = find_key(warmups, key);

    if (item == NULL || item->putting) /* the answer to the put tells it, too */
        return;
    take(warmups, item, false, version, bytes, length);
    warmups_update(warmups, item, false);
}

/* -------------------------------------------------------------------- life */

/* Is it time to make it anew?  figures may wait, events do not. */
static bool
is_due(const struct warmups_item *item)
{
    if (!item->dirty)
        return false;
    return (item->days[0].figures.events & ~item->now.events) != 0 ||
           clock_ms(CLOCK_MONOTONIC_COARSE) - item->made_ms >= WARMUPS_NOTE_MS;
}

/* Days have changed: all are to be made anew. */
static void
look_at_the_date(struct warmups *warmups)
{
    int32_t today = warmups_today(warmups), turned = turned_day(warmups);

    if (today == warmups->today && turned == warmups->turned_day)
        return;
    if (turned != warmups->turned_day)
        warmups->day_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    warmups->today = today;
    warmups->turned_day = turned;
    for (size_t i = 0; i < warmups->count; i++) {
        warmups->items[i].dirty = true;
        warmups->items[i].made_ms = 0;
    }
}

void
warmups_tick(struct warmups *warmups)
{
    size_t made = 0;

    warmups->ticks++;
    look_at_the_date(warmups);
    for (size_t i = 0; i < warmups->count && made < MADE_MAX; i++) {
        size_t place = warmups->next++ % warmups->count;
        struct warmups_item *item = &warmups->items[place];

        if (is_due(item) || (warmups->ticks + place) % LOOK_TICKS == 0)
            warmups_look(warmups, item);
        if (!is_due(item))
            continue;
        warmups_update(warmups, item, false);
        made++;
    }
    warmups_recap(warmups);
}

void
warmups_flush(struct warmups *warmups)
{
    for (size_t i = 0; i < warmups->count; i++)
        warmups_update(warmups, &warmups->items[i], true);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    warmups_tick(arg);
}

void
warmups_set_conf(struct warmups *warmups, const struct conf *conf)
{
    const struct snapshot *snapshot = conf->snapshot;
    struct warmups_item *items = mem_array(snapshot->address_count, sizeof(*items));
    size_t count = 0;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];
        struct warmups_item *before = NULL;

        if (address->schedule == NULL)
            continue;
        for (size_t j = 0; j < warmups->count && before == NULL; j++)
            if (strcmp(warmups->items[j].address->name, address->name) == 0)
                before = &warmups->items[j];
        if (before != NULL)
            items[count] = *before;
        items[count++].address = address;
    }
    free(warmups->items);
    warmups->items = items;
    warmups->count = count;
    warmups->conf = conf;
    warmups->today = -1; /* the next tick makes all anew */
}

struct warmups *
warmups_new(const struct warmups_start *start)
{
    static const struct timeval second = {1, 0};
    struct warmups *warmups = mem_new(sizeof(*warmups));

    warmups->start = *start;
    warmups->day_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    if (start->base != NULL) {
        warmups->tick = event_new(start->base, -1, EV_PERSIST, on_tick, warmups);
        event_add(warmups->tick, &second);
    }
    warmups_set_conf(warmups, start->conf);
    return warmups;
}

void
warmups_free(struct warmups *warmups)
{
    if (warmups == NULL)
        return;
    if (warmups->tick != NULL)
        event_free(warmups->tick);
    free(warmups->items);
    free(warmups);
}
