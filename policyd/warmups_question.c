/*
 * What the control socket is asked about warm-ups.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/warmups_inside.h"

#include "engine/date.h"
#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOLUME_MAX = 1000000000 };

static const char *
phase_text(enum warmup_phase phase)
{
    switch (phase) {
    case WARMUP_RUNNING:
        return "running";
    case WARMUP_PAUSED:
        return "paused";
    case WARMUP_FULL:
        return "full";
    case WARMUP_NONE:
        break;
    }
    return "none";
}

/* ------------------------------------------------------------------ to read */

/* "a1: standard, stage 3 of 19: 250 of 2000 recipients today, 248 accepted, 2 refused" */
static void
print_now(struct warmups *warmups, const struct warmups_item *item, struct buf *text)
{
    const struct warmup_plan plan = warmups_plan(warmups, item->address);
    const struct schedule *schedule = plan.schedule;
    int32_t day = warmups_today(warmups);
    struct warmup_allowance allowance = warmup_allowance(&item->now, &plan, NULL, day);
    struct warmup_figures today = warmup_today(&item->now);

    buf_printf(text, "%s: %s, ", item->address->name, schedule->name);
    if (item->now.phase == WARMUP_FULL) {
        buf_printf(text, "full volume, %u recipients today\n", today.used);
        return;
    }
    buf_printf(text, "stage %zu of %zu%s: %u of %u recipients today",
               warmup_stage(&item->now, schedule) + 1, schedule->stage_count,
               item->now.phase == WARMUP_PAUSED ? " (paused)" : "", today.used, allowance.day);
    buf_printf(text, ", %u accepted, %u refused", today.accepted, today.refused);
    if ((today.events & WARMUP_BLOCKED) != 0)
        buf_puts(text, ", blocked");
    else if ((today.events & WARMUP_SUSPENDED) != 0)
        buf_puts(text, ", suspended");
    else if ((today.events & WARMUP_WARNED) != 0)
        buf_puts(text, ", warned");
    buf_puts(text, "\n");
}

static void
print_past(const struct warmup *warmup, struct buf *text)
{
    char date[DATE_SIZE];

    for (size_t i = warmup->past_count; i-- > 0;) {
        const struct warmup_past *past = &warmup->past[i];

        date_print(past->day, date);
        buf_printf(text, "  %s", date);
        if (past->days > 1)
            buf_printf(text, " and %d more", (int)past->days - 1);
        if (past->allowance == WARMUP_UNLIMITED)
            buf_printf(text, ": %u recipients", past->figures.used);
        else
            buf_printf(text, ": %u of %u, %u accepted, %u refused", past->figures.used,
                       past->allowance, past->figures.accepted, past->figures.refused);
        buf_printf(text, ": %s\n", warmup_result_text(past->result));
    }
    for (size_t i = warmup->ordered_count; i-- > 0;) {
        const struct warmup_ordered *ordered = &warmup->ordered[i];

        date_print(ordered->day, date);
        buf_printf(text, "  %s: %s by %s: %s\n", date, warmup_order_text(ordered->order),
                   ordered->who, ordered->why);
    }
}

static void
print_forecast(const struct warmups *warmups, const struct warmups_item *item, uint32_t volume,
               struct buf *text)
{
    const struct warmup_plan plan = warmups_plan(warmups, item->address);
    int32_t day = warmup_forecast(&item->now, &plan, volume, NULL, NULL);
    char date[DATE_SIZE];

    if (item->now.phase == WARMUP_FULL)
        return;
    date_print(day, date);
    if (day < 0)
        buf_puts(text, item->now.phase == WARMUP_PAUSED
                           ? "  no full volume as long as it is paused\n"
                           : "  no full volume: that is too little mail for its stages\n");
    else
        buf_printf(text, "  full volume on %s, if all goes well\n", date);
}

/* ------------------------------------------------------------------- as JSON */

static void
add_date(struct json *json, const char *name, int32_t day)
{
    char date[DATE_SIZE];

    date_print(day, date);
    json_text(json, name, date);
}

static void
add_figures(struct json *json, const struct warmup_figures *figures)
{
    json_number(json, "used", figures->used);
    json_number(json, "accepted", figures->accepted);
    json_number(json, "refused", figures->refused);
    json_bool(json, "warned", (figures->events & WARMUP_WARNED) != 0);
    json_bool(json, "suspended", (figures->events & WARMUP_SUSPENDED) != 0);
    json_bool(json, "blocked", (figures->events & WARMUP_BLOCKED) != 0);
}

/* Nothing where there is no limit. */
static void
add_limit(struct json *json, const char *name, uint32_t limit)
{
    if (limit != WARMUP_UNLIMITED)
        json_number(json, name, limit);
}

static void
add_now(struct warmups *warmups, const struct warmups_item *item, struct json *json)
{
    const struct warmup_plan plan = warmups_plan(warmups, item->address);
    struct warmup_allowance allowance =
        warmup_allowance(&item->now, &plan, NULL, warmups_today(warmups));
    struct warmup_figures today = warmup_today(&item->now);

    json_text(json, "address", item->address->name);
    json_text(json, "schedule", plan.schedule->name);
    json_text(json, "phase", phase_text(item->now.phase));
    json_number(json, "stage", (long long)warmup_stage(&item->now, plan.schedule) + 1);
    json_number(json, "stages", (long long)plan.schedule->stage_count);
    add_date(json, "day", item->now.day);
    add_limit(json, "day_allowance", allowance.day);
    add_limit(json, "hour_allowance", allowance.hour);
    add_figures(json, &today);
}

static void
add_past(const struct warmup *warmup, struct json *json)
{
    json_open(json, "history", '[');
    for (size_t i = 0; i < warmup->past_count; i++) {
        const struct warmup_past *past = &warmup->past[i];

        json_open(json, NULL, '{');
        add_date(json, "day", past->day);
        json_number(json, "days", past->days);
        add_limit(json, "day_allowance", past->allowance);
        add_figures(json, &past->figures);
        json_text(json, "result", warmup_result_text(past->result));
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "orders", '[');
    for (size_t i = 0; i < warmup->ordered_count; i++) {
        json_open(json, NULL, '{');
        add_date(json, "day", warmup->ordered[i].day);
        json_text(json, "order", warmup_order_text(warmup->ordered[i].order));
        json_text(json, "who", warmup->ordered[i].who);
        json_text(json, "why", warmup->ordered[i].why);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void
warmups_status(struct warmups *warmups, struct buf *text, struct json *json)
{
    if (json != NULL)
        json_open(json, "warmups", '[');
    for (size_t i = 0; i < warmups->count; i++) {
        if (text != NULL) {
            buf_puts(text, "warm-up: ");
            print_now(warmups, &warmups->items[i], text);
            continue;
        }
        json_open(json, NULL, '{');
        add_now(warmups, &warmups->items[i], json);
        json_close(json, '}');
    }
    if (json != NULL)
        json_close(json, ']');
}

/* ----------------------------------------------------------------- questions */

static void
show(struct warmups *warmups, uint32_t volume, struct buf *text)
{
    for (size_t i = 0; i < warmups->count; i++) {
        print_now(warmups, &warmups->items[i], text);
        print_forecast(warmups, &warmups->items[i], volume, text);
        print_past(&warmups->items[i].now, text);
    }
    if (warmups->count == 0)
        buf_puts(text, "no address warms up\n");
}

static void
on_day(void *arg, int32_t day, uint32_t allowance)
{
    struct json *json = arg;

    json_open(json, NULL, '{');
    add_date(json, "day", day);
    add_limit(json, "day_allowance", allowance);
    json_close(json, '}');
}

/* The days up to the one of full volume, or to the one that has too little mail. */
static void
add_forecast(const struct warmups *warmups, const struct warmups_item *item, uint32_t volume,
             struct json *json)
{
    const struct warmup_plan plan = warmups_plan(warmups, item->address);
    int32_t day;

    json_open(json, "forecast", '[');
    day = warmup_forecast(&item->now, &plan, volume, on_day, json);
    json_close(json, ']');
    if (day >= 0)
        add_date(json, "full_volume", day);
}

static void
show_json(struct warmups *warmups, uint32_t volume, struct buf *text)
{
    struct json json = {.out = text};

    json_open(&json, NULL, '{');
    json_open(&json, "warmups", '[');
    for (size_t i = 0; i < warmups->count; i++) {
        json_open(&json, NULL, '{');
        add_now(warmups, &warmups->items[i], &json);
        add_forecast(warmups, &warmups->items[i], volume, &json);
        add_past(&warmups->items[i].now, &json);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
}

/* For who goes on from there. */
static void
show_records(const struct warmups *warmups, struct buf *answer)
{
    char text[WARMUP_TEXT_SIZE];

    for (size_t i = 0; i < warmups->count; i++) {
        size_t length = warmup_print(&warmups->items[i].now, text);

        buf_printf(answer, "%s %.*s\n", warmups->items[i].address->name, (int)length, text);
    }
    if (warmups->count == 0)
        buf_puts(answer, "\n");
}

/* "", "json", "VOLUME" or "VOLUME json". */
static bool
answer_show(struct warmups *warmups, const char *rest, struct buf *answer)
{
    unsigned long volume = WARMUP_UNLIMITED - 1;
    char *end = (char *)rest;

    if (*rest >= '0' && *rest <= '9') {
        volume = strtoul(rest, &end, 10);
        end += *end == ' ';
    }
    if (volume > WARMUP_UNLIMITED - 1)
        volume = VOLUME_MAX;
    if (*end == '\0')
        show(warmups, (uint32_t)volume, answer);
    else if (strcmp(end, "json") == 0)
        show_json(warmups, (uint32_t)volume, answer);
    else
        return false;
    return true;
}

static bool
find_order(const char *word, size_t length, enum warmup_order *ret_order)
{
    for (int i = WARMUP_START; i <= WARMUP_GO_BACK; i++) {
        const char *text = warmup_order_text((enum warmup_order)i);

        if (strlen(text) == length && strncmp(text, word, length) == 0) {
            *ret_order = (enum warmup_order)i;
            return true;
        }
    }
    return false;
}

static struct warmups_item *
find_name(struct warmups *warmups, const char *name, size_t length)
{
    for (size_t i = 0; i < warmups->count; i++)
        if (strlen(warmups->items[i].address->name) == length &&
            strncmp(warmups->items[i].address->name, name, length) == 0)
            return &warmups->items[i];
    return NULL;
}

/* Would it change anything?  Else why not. */
static bool
may_order(const struct warmups *warmups, const struct warmups_item *item, enum warmup_order order,
          struct buf *answer)
{
    const struct warmup_plan plan = warmups_plan(warmups, item->address);
    struct warmup trial = item->now;
    int r = warmup_order(&trial, &plan, order, trial.day, "", "");

    if (!item->heard)
        buf_puts(answer, "error: the store has not told yet what there is");
    else if (item->order_count == WARMUPS_ORDERS_MAX)
        buf_puts(answer, "error: too much waits for the store already");
    else if (r == -EALREADY)
        buf_puts(answer, order == WARMUP_ADVANCE ? "error: it has its full volume already"
                         : order == WARMUP_PAUSE ? "error: it is paused already"
                                                 : "error: it is under way already");
    else if (r < 0)
        buf_puts(answer, order == WARMUP_PAUSE ? "error: it has its full volume, there is nothing "
                                                 "to pause"
                                               : "error: it is at its first stage");
    else
        return true;
    return false;
}

static void
answer_order(struct warmups *warmups, enum warmup_order order, const char *rest,
             struct control_call *call, struct buf *answer)
{
    size_t length = strcspn(rest, " ");
    struct warmups_item *item = find_name(warmups, rest, length);
    const char *why = rest + length + (rest[length] == ' ');
    struct warmups_order *its;

    if (item == NULL) {
        buf_printf(answer, "error: the running configuration has no address %.*s that warms up",
                   (int)(length < 64 ? length : 64), rest);
        return;
    }
    if (*why == '\0') {
        buf_puts(answer, "error: why?  Others will want to know");
        return;
    }
    if (!may_order(warmups, item, order, answer))
        return;
    its = &item->orders[item->order_count++];
    its->order = order;
    snprintf(its->who, sizeof(its->who), "%s", control_user(call));
    snprintf(its->why, sizeof(its->why), "%s", why);
    log_info("address %s: warm-up: %s by %s: %s", item->address->name, warmup_order_text(order),
             control_user(call), why);
    warmups_update(warmups, item, true);
    warmups_recap(warmups);
    print_now(warmups, item, answer);
}

bool
warmups_question(struct warmups *warmups, const char *question, struct control_call *call,
                 struct buf *answer)
{
    size_t length;
    enum warmup_order order;

    if (strncmp(question, "warmup", 6) != 0 || (question[6] != '\0' && question[6] != ' '))
        return false;
    question += 6 + (question[6] == ' ');
    length = strcspn(question, " ");
    if (find_order(question, length, &order))
        answer_order(warmups, order, question + length + (question[length] == ' '), call, answer);
    else if (strcmp(question, "records") == 0)
        show_records(warmups, answer);
    else if (!answer_show(warmups, question, answer))
        buf_puts(answer,
                 "error: behind warmup there may be a volume and json, records, or start, pause, "
                 "advance or back, an address and why");
    return true;
}
