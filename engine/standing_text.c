/*
 * A standing as one line of text, and back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/standing.h"

#include "engine/date.h"
#include "engine/line.h"

#include <errno.h>

enum { FORMAT = 1 };

#define ALLOWED_MAX ((int64_t)STANDING_FIGURE_MAX * FAULT_ALL)

static void
put_figures(struct line_out *out, const struct standing_figures *figures)
{
    line_put(out, figures->results);
    for (int i = 0; i < FAULTS; i++) {
        line_put(out, figures->faults[i]);
        line_put(out, (int64_t)figures->allowed[i]);
    }
}

static void
put_hand(struct line_out *out, const struct standing_hand *hand)
{
    line_put(out, hand->set);
    if (!hand->set)
        return;
    line_put(out, hand->grade);
    line_put(out, hand->until_s);
    line_put_words(out, hand->who);
    line_put_words(out, hand->why);
}

size_t
standing_print(const struct standing *standing, char text[static STANDING_TEXT_SIZE])
{
    struct line_out out = {text, STANDING_TEXT_SIZE, 0};

    line_put(&out, FORMAT);
    line_put(&out, standing->grade);
    line_put(&out, standing->since);
    line_put_words(&out, standing->why);
    put_hand(&out, &standing->hand);
    line_put(&out, standing->day);
    line_put(&out, (int64_t)standing->node_count);
    for (size_t i = 0; i < standing->node_count; i++) {
        line_put(&out, (int64_t)standing->nodes[i].node);
        line_put(&out, standing->nodes[i].heard_s);
        put_figures(&out, &standing->nodes[i].figures);
    }
    line_put(&out, (int64_t)standing->past_count);
    for (size_t i = 0; i < standing->past_count; i++) {
        line_put(&out, standing->past[i].day);
        put_figures(&out, &standing->past[i].figures);
    }
    return out.length;
}

static void
get_figures(struct line_in *in, struct standing_figures *figures)
{
    figures->results = (uint32_t)line_get(in, STANDING_FIGURE_MAX);
    for (int i = 0; i < FAULTS; i++) {
        figures->faults[i] = (uint32_t)line_get(in, STANDING_FIGURE_MAX);
        figures->allowed[i] = (uint64_t)line_get(in, ALLOWED_MAX);
    }
}

static void
get_hand(struct line_in *in, struct standing_hand *hand)
{
    hand->set = line_get(in, 1) == 1;
    if (!hand->set)
        return;
    hand->grade = (enum grade)line_get(in, GRADES - 1);
    hand->until_s = line_get(in, INT64_MAX);
    line_get_words(in, hand->who, sizeof(hand->who));
    line_get_words(in, hand->why, sizeof(hand->why));
}

static void
get_node(struct line_in *in, struct standing *standing)
{
    struct standing_node *node = &standing->nodes[standing->node_count];

    node->node = (uint64_t)line_get(in, INT64_MAX);
    node->heard_s = (uint32_t)line_get(in, UINT32_MAX);
    get_figures(in, &node->figures);
    for (size_t i = 0; i < standing->node_count; i++)
        in->bad |= standing->nodes[i].node == node->node;
    standing->node_count++;
}

/* Days grow, and end before the one under way. */
static void
get_past(struct line_in *in, struct standing *standing)
{
    struct standing_day *past = &standing->past[standing->past_count];

    past->day = (int32_t)line_get(in, DATE_MAX);
    get_figures(in, &past->figures);
    in->bad |=
        past->day >= standing->day || (standing->past_count > 0 && past->day <= past[-1].day);
    standing->past_count++;
}

int
standing_parse(const char *text, size_t length, struct standing *ret_standing)
{
    struct standing standing = {0};
    struct line_in in = {text, text + length, false};
    size_t count;

    if (length >= STANDING_TEXT_SIZE || line_get(&in, FORMAT) != FORMAT)
        return -EINVAL;
    standing.grade = (enum grade)line_get(&in, GRADES - 1);
    standing.since = (int32_t)line_get(&in, DATE_MAX);
    line_get_words(&in, standing.why, sizeof(standing.why));
    get_hand(&in, &standing.hand);
    standing.day = (int32_t)line_get(&in, DATE_MAX);
    count = (size_t)line_get(&in, STANDING_NODES_MAX);
    for (size_t i = 0; i < count && !in.bad; i++)
        get_node(&in, &standing);
    count = (size_t)line_get(&in, STANDING_PAST_MAX);
    for (size_t i = 0; i < count && !in.bad; i++)
        get_past(&in, &standing);
    if (in.bad || in.at != in.end)
        return -EINVAL;
    *ret_standing = standing;
    return 0;
}
