/*
 * A warm-up as one line of text, and back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/warmup.h"

#include "engine/date.h"
#include "engine/line.h"

#include <errno.h>

enum { FORMAT = 1 };

static void
put_past(struct line_out *out, const struct warmup_past *past)
{
    line_put(out, past->day);
    line_put(out, past->days);
    line_put(out, past->allowance);
    line_put(out, past->result);
    line_put(out, past->figures.used);
    line_put(out, past->figures.accepted);
    line_put(out, past->figures.refused);
    line_put(out, past->figures.events);
}

size_t
warmup_print(const struct warmup *warmup, char text[static WARMUP_TEXT_SIZE])
{
    struct line_out out = {text, WARMUP_TEXT_SIZE, 0};

    line_put(&out, FORMAT);
    line_put(&out, warmup->phase);
    line_put(&out, warmup->started);
    line_put(&out, warmup->day);
    line_put(&out, warmup->idle_days);
    line_put(&out, warmup->volume);
    line_put(&out, warmup->events);
    line_put(&out, (int64_t)warmup->node_count);
    for (size_t i = 0; i < warmup->node_count; i++) {
        line_put(&out, (int64_t)warmup->nodes[i].node);
        line_put(&out, warmup->nodes[i].used);
        line_put(&out, warmup->nodes[i].accepted);
        line_put(&out, warmup->nodes[i].refused);
    }
    line_put(&out, (int64_t)warmup->past_count);
    for (size_t i = 0; i < warmup->past_count; i++)
        put_past(&out, &warmup->past[i]);
    line_put(&out, (int64_t)warmup->ordered_count);
    for (size_t i = 0; i < warmup->ordered_count; i++) {
        line_put(&out, warmup->ordered[i].day);
        line_put(&out, warmup->ordered[i].order);
        line_put_words(&out, warmup->ordered[i].who);
        line_put_words(&out, warmup->ordered[i].why);
    }
    return out.length;
}

static uint32_t
get_figure(struct line_in *in)
{
    return (uint32_t)line_get(in, WARMUP_FIGURE_MAX);
}

/* Recipients a day: a figure that is not 0, or no limit. */
static uint32_t
get_volume(struct line_in *in)
{
    uint32_t volume = (uint32_t)line_get(in, WARMUP_UNLIMITED);

    in->bad |= volume == 0 || (volume > WARMUP_FIGURE_MAX && volume != WARMUP_UNLIMITED);
    return volume;
}

static void
get_node(struct line_in *in, struct warmup *warmup)
{
    struct warmup_node node = {.node = (uint64_t)line_get(in, INT64_MAX)};

    node.used = get_figure(in);
    node.accepted = get_figure(in);
    node.refused = get_figure(in);
    for (size_t i = 0; i < warmup->node_count; i++)
        in->bad |= warmup->nodes[i].node == node.node;
    warmup->nodes[warmup->node_count++] = node;
}

static void
get_past(struct line_in *in, struct warmup_past *past)
{
    past->day = (int32_t)line_get(in, DATE_MAX);
    past->days = (int32_t)line_get(in, DATE_MAX);
    past->allowance = get_volume(in);
    past->result = (enum warmup_result)line_get(in, WARMUP_STAYS);
    past->figures.used = get_figure(in);
    past->figures.accepted = get_figure(in);
    past->figures.refused = get_figure(in);
    past->figures.events = (uint32_t)line_get(in, WARMUP_EVENTS_ALL);
    in->bad |= past->days == 0;
}

static void
get_ordered(struct line_in *in, struct warmup_ordered *ordered)
{
    ordered->day = (int32_t)line_get(in, DATE_MAX);
    ordered->order = (enum warmup_order)line_get(in, WARMUP_GO_BACK);
    line_get_words(in, ordered->who, sizeof(ordered->who));
    line_get_words(in, ordered->why, sizeof(ordered->why));
}

int
warmup_parse(const char *text, size_t length, struct warmup *ret_warmup)
{
    struct warmup warmup = {0};
    struct line_in in = {text, text + length, false};
    size_t count;

    if (length >= WARMUP_TEXT_SIZE || line_get(&in, FORMAT) != FORMAT)
        return -EINVAL;
    warmup.phase = (enum warmup_phase)line_get(&in, WARMUP_FULL);
    in.bad |= warmup.phase == WARMUP_NONE;
    warmup.started = (int32_t)line_get(&in, DATE_MAX);
    warmup.day = (int32_t)line_get(&in, DATE_MAX);
    warmup.idle_days = (uint32_t)line_get(&in, DATE_MAX);
    warmup.volume = get_volume(&in);
    in.bad |= (warmup.phase == WARMUP_FULL) != (warmup.volume == WARMUP_UNLIMITED);
    warmup.events = (uint32_t)line_get(&in, WARMUP_EVENTS_ALL);
    count = (size_t)line_get(&in, WARMUP_NODES_MAX);
    for (size_t i = 0; i < count; i++)
        get_node(&in, &warmup);
    warmup.past_count = (size_t)line_get(&in, WARMUP_PAST_MAX);
    for (size_t i = 0; i < warmup.past_count; i++)
        get_past(&in, &warmup.past[i]);
    warmup.ordered_count = (size_t)line_get(&in, WARMUP_ORDERS_MAX);
    for (size_t i = 0; i < warmup.ordered_count; i++)
        get_ordered(&in, &warmup.ordered[i]);
    if (in.bad || in.at != in.end)
        return -EINVAL;
    *ret_warmup = warmup;
    return 0;
}
