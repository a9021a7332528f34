/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/warmup.h"

#include "engine/date.h"
#include "engine/hash.h"
#include "engine/schedule.h"
#include "engine/warmup_inside.h"

#include <string.h>

/* ----------------------------------------------------------------- stages */

size_t
warmup_stage(const struct warmup *warmup, const struct schedule *schedule)
{
    return warmup->phase == WARMUP_FULL ? schedule->stage_count
                                        : schedule_stage(schedule, warmup->volume);
}

void
warmup_move(struct warmup *warmup, const struct schedule *schedule, int64_t stage)
{
    if (stage >= (int64_t)schedule->stage_count) {
        warmup->phase = WARMUP_FULL;
        warmup->volume = WARMUP_UNLIMITED;
        return;
    }
    if (warmup->phase != WARMUP_PAUSED)
        warmup->phase = WARMUP_RUNNING;
    warmup->volume = schedule->stages[stage > 0 ? stage : 0];
}

void
warmup_restart(struct warmup *warmup, const struct schedule *schedule, int32_t started,
               int32_t today)
{
    if (warmup->phase == WARMUP_NONE || today > warmup->day)
        warmup->day = today;
    warmup->phase = WARMUP_RUNNING;
    warmup->started = started;
    warmup->idle_days = 0;
    warmup->events = 0;
    warmup->node_count = 0;
    warmup_move(warmup, schedule, 0);
}

bool
warmup_begin(struct warmup *warmup, const struct warmup_plan *plan, int32_t started, int32_t today)
{
    if (warmup->phase != WARMUP_NONE && started <= warmup->started)
        return false;
    warmup_restart(warmup, plan->schedule, started, today);
    return true;
}

/* The most on the day under way, in all. */
static uint32_t
allowance_today(const struct warmup *warmup, const struct schedule *schedule)
{
    if (warmup->phase == WARMUP_FULL)
        return WARMUP_UNLIMITED;
    return schedule_day(schedule, warmup_stage(warmup, schedule), NULL);
}

/* ---------------------------------------------------------------- figures */

static uint32_t
sum(uint32_t a, uint32_t b)
{
    uint64_t both = (uint64_t)a + b;

    return both < WARMUP_FIGURE_MAX ? (uint32_t)both : WARMUP_FIGURE_MAX;
}

struct warmup_figures
warmup_today(const struct warmup *warmup)
{
    struct warmup_figures today = {.events = warmup->events};

    for (size_t i = 0; i < warmup->node_count; i++) {
        today.used = sum(today.used, warmup->nodes[i].used);
        today.accepted = sum(today.accepted, warmup->nodes[i].accepted);
        today.refused = sum(today.refused, warmup->nodes[i].refused);
    }
    return today;
}

static uint64_t
node_of(const char *name)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool node";

    return hash_sip(key, name, strlen(name)) >> 1; /* fits an int64_t */
}

/* NULL: there are too many. */
static struct warmup_node *
find_node(struct warmup *warmup, uint64_t node)
{
    for (size_t i = 0; i < warmup->node_count; i++)
        if (warmup->nodes[i].node == node)
            return &warmup->nodes[i];
    if (warmup->node_count == WARMUP_NODES_MAX)
        return NULL;
    warmup->nodes[warmup->node_count] = (struct warmup_node){.node = node};
    return &warmup->nodes[warmup->node_count++];
}

struct warmup_figures
warmup_of_node(const struct warmup *warmup, const char *node)
{
    struct warmup_figures figures = {0};

    for (size_t i = 0; i < warmup->node_count; i++)
        if (warmup->nodes[i].node == node_of(node)) {
            figures.used = warmup->nodes[i].used;
            figures.accepted = warmup->nodes[i].accepted;
            figures.refused = warmup->nodes[i].refused;
        }
    return figures;
}

static bool
raise(uint32_t *figure, uint32_t to)
{
    if (to > WARMUP_FIGURE_MAX)
        to = WARMUP_FIGURE_MAX;
    if (to <= *figure)
        return false;
    *figure = to;
    return true;
}

static bool
note_events(struct warmup *warmup, uint32_t *known, uint32_t events)
{
    uint32_t new = events &WARMUP_EVENTS_ALL & ~*known;

    *known |= new;
    warmup->events |= new;
    return new != 0;
}

static struct warmup_past *
find_past(struct warmup *warmup, int32_t day)
{
    for (size_t i = warmup->past_count; i-- > 0;) {
        struct warmup_past *past = &warmup->past[i];

        if (day >= past->day && day - past->day < past->days)
            return past;
    }
    return NULL;
}

bool
warmup_note(struct warmup *warmup, int32_t day, const char *node,
            const struct warmup_figures *figures)
{
    struct warmup_past *past;
    struct warmup_node *its;
    bool new;

    if (warmup->phase == WARMUP_NONE || day > warmup->day)
        return false;
    if (day < warmup->day) {
        past = find_past(warmup, day);
        return past != NULL && note_events(warmup, &past->figures.events, figures->events);
    }
    new = note_events(warmup, &warmup->events, figures->events);
    if (figures->used == 0 && figures->accepted == 0 && figures->refused == 0)
        return new;
    its = find_node(warmup, node_of(node));
    if (its == NULL)
        return new;
    new |= raise(&its->used, figures->used);
    new |= raise(&its->accepted, figures->accepted);
    new |= raise(&its->refused, figures->refused);
    return new;
}

/* ------------------------------------------------------------ a day's end */

static bool
is_at_least(uint32_t part, int percent, uint64_t whole)
{
    return (uint64_t)part * 100 >= (uint64_t)percent * whole;
}

/*
 * Of what has a result.  What has none yet must not count as if it was accepted: so no less than
 * what makes a sending day.
 */
static bool
is_accepted(const struct warmup_rules *rules, const struct warmup_figures *today,
            uint32_t allowance)
{
    uint64_t told = (uint64_t)today->accepted + today->refused;
    uint64_t least = (uint64_t)allowance * (uint64_t)rules->used_percent / 100;

    return is_at_least(today->accepted, rules->accepted_percent, told > least ? told : least);
}

static enum warmup_result
judge(const struct warmup *warmup, const struct warmup_rules *rules,
      const struct warmup_figures *today, uint32_t allowance)
{
    if (warmup->phase == WARMUP_PAUSED)
        return WARMUP_WAITS;
    if (today->used == 0 && warmup->idle_days + 1 >= (uint32_t)rules->idle_days)
        return WARMUP_AGAIN;
    if (warmup->phase == WARMUP_FULL)
        return today->used == 0 ? WARMUP_IDLE : WARMUP_STAYS;
    if ((today->events & WARMUP_BLOCKED) != 0)
        return WARMUP_BACK;
    if ((today->events & WARMUP_SUSPENDED) != 0)
        return WARMUP_HELD;
    if (today->used == 0)
        return WARMUP_IDLE;
    if (!is_at_least(today->used, rules->used_percent, allowance))
        return WARMUP_FEW;
    if (!is_accepted(rules, today, allowance))
        return WARMUP_REFUSED;
    if ((today->events & WARMUP_WARNED) != 0)
        return WARMUP_WARNING;
    return WARMUP_ADVANCES;
}

/* Is there nothing to tell of the day but how often it comes in a row? */
static bool
is_dull(const struct warmup_past *past)
{
    return past->figures.events == 0 && (past->figures.used == 0 || past->result == WARMUP_STAYS);
}

static bool
is_alike(const struct warmup_past *last, const struct warmup_past *past)
{
    return is_dull(last) && is_dull(past) && last->result == past->result &&
           last->allowance == past->allowance && last->days < DATE_MAX &&
           last->day + last->days == past->day;
}

static void
remember(struct warmup *warmup, const struct warmup_past *past)
{
    struct warmup_past *last =
        warmup->past_count > 0 ? &warmup->past[warmup->past_count - 1] : NULL;

    if (last != NULL && is_alike(last, past)) {
        last->days++;
        last->figures.used = sum(last->figures.used, past->figures.used);
        last->figures.accepted = sum(last->figures.accepted, past->figures.accepted);
        last->figures.refused = sum(last->figures.refused, past->figures.refused);
        return;
    }
    if (warmup->past_count == WARMUP_PAST_MAX)
        memmove(warmup->past, warmup->past + 1, --warmup->past_count * sizeof(*past));
    warmup->past[warmup->past_count++] = *past;
}

enum warmup_result
warmup_turn(struct warmup *warmup, const struct warmup_plan *plan)
{
    const struct warmup_rules *rules = &plan->rules;
    struct warmup_past past = {
        .day = warmup->day,
        .days = 1,
        .allowance = allowance_today(warmup, plan->schedule),
        .figures = warmup_today(warmup),
    };
    int64_t stage = (int64_t)warmup_stage(warmup, plan->schedule);

    past.result = judge(warmup, rules, &past.figures, past.allowance);
    remember(warmup, &past);
    if (past.figures.used > 0 || past.result == WARMUP_AGAIN)
        warmup->idle_days = 0;
    else if (past.result != WARMUP_WAITS && warmup->idle_days < DATE_MAX)
        warmup->idle_days++;
    if (past.result == WARMUP_ADVANCES)
        warmup_move(warmup, plan->schedule, stage + 1);
    else if (past.result == WARMUP_BACK)
        warmup_move(warmup, plan->schedule, stage - rules->back_stages);
    else if (past.result == WARMUP_AGAIN)
        warmup_move(warmup, plan->schedule, stage - rules->again_stages);
    warmup->events = 0;
    warmup->node_count = 0;
    if (warmup->day < DATE_MAX)
        warmup->day++;
    return past.result;
}

static void
come_back(struct warmup *warmup, int32_t today)
{
    struct warmup_past *last;

    warmup->day = today;
    warmup->events = 0;
    warmup->node_count = 0;
    while (warmup->past_count > 0 && warmup->past[warmup->past_count - 1].day >= today)
        warmup->past_count--;
    last = warmup->past_count > 0 ? &warmup->past[warmup->past_count - 1] : NULL;
    if (last != NULL && last->days > today - last->day)
        last->days = today - last->day;
}

int32_t
warmup_turn_to(struct warmup *warmup, const struct warmup_plan *plan, int32_t today)
{
    int32_t turned = 0;

    if (warmup->day - today > WARMUP_AHEAD_MAX)
        come_back(warmup, today);
    while (warmup->phase != WARMUP_NONE && warmup->day < today && warmup->day < DATE_MAX) {
        warmup_turn(warmup, plan);
        turned++;
    }
    return turned;
}

/* -------------------------------------------------------------- allowance */

static struct warmup_allowance
allowance_of(const struct schedule *schedule, uint32_t volume, const char *provider)
{
    size_t stage;

    if (volume == WARMUP_UNLIMITED)
        return (struct warmup_allowance){WARMUP_UNLIMITED, WARMUP_UNLIMITED};
    stage = schedule_stage(schedule, volume);
    return (struct warmup_allowance){schedule_day(schedule, stage, provider),
                                     schedule_hour(schedule, stage, provider)};
}

struct warmup_allowance
warmup_allowance(const struct warmup *warmup, const struct warmup_plan *plan, const char *provider,
                 int32_t day)
{
    struct warmup ahead = *warmup;
    const struct warmup_past *past;
    uint32_t volume = warmup->volume;

    if (warmup->phase == WARMUP_NONE)
        return (struct warmup_allowance){WARMUP_UNLIMITED, WARMUP_UNLIMITED};
    if (day < warmup->day) {
        past = find_past(&ahead, day);
        if (past == NULL)
            return (struct warmup_allowance){0, 0};
        volume = past->allowance;
    } else if (warmup_turn_to(&ahead, plan, day) > 0 && ahead.volume < volume) {
        volume = ahead.volume;
    }
    return allowance_of(plan->schedule, volume, provider);
}

/* ------------------------------------------------------------- for people */

const char *
warmup_result_text(enum warmup_result result)
{
    static const char *const texts[] = {
        [WARMUP_ADVANCES] = "advanced",
        [WARMUP_FEW] = "held, too little was sent",
        [WARMUP_REFUSED] = "held, too little was accepted",
        [WARMUP_WARNING] = "held, there was a warning",
        [WARMUP_HELD] = "held, it was suspended",
        [WARMUP_BACK] = "back, it was blocked",
        [WARMUP_IDLE] = "nothing was sent",
        [WARMUP_AGAIN] = "back, nothing was sent for too long",
        [WARMUP_WAITS] = "paused",
        [WARMUP_STAYS] = "full volume",
    };

    return texts[result];
}
