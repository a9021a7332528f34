/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/caps_world.h"

#include "tests/unit/chance.h"
#include "tests/unit/unit.h"

void
node_start(struct world *w, struct node *node)
{
    node->life = ++w->lives;
    meter_lapse(&node->meter);
    node->in_store = false;
}

/* What it works with; good until the next call. */
static const struct caps *
caps_of(const struct world *w, const struct node *node)
{
    static struct caps left;

    book_left(&w->caps, node->percent, &left);
    return &left;
}

static uint32_t
lease_size(const struct world *w, const struct node *node)
{
    return book_lease_size(caps_of(w, node), w->node_count);
}

void
node_go_alone(const struct world *w, struct node *node)
{
    meter_go_alone(&node->meter, caps_of(w, node), w->node_count, false, w->now_ms);
}

void
node_scale(const struct world *w, struct node *node, uint8_t percent)
{
    uint8_t before = node->percent > 0 ? node->percent : 100;

    node->percent = percent;
    meter_set_share(&node->meter, caps_of(w, node));
    if (percent == 0 || percent > before)
        meter_grow(&node->meter, w->now_ms);
}

void
world_end(struct world *w)
{
    book_clear(&w->book);
    for (unsigned i = 0; i < w->node_count; i++)
        book_clear(&w->nodes[i].journal);
}

void
world_start(struct world *w, const struct caps *caps, unsigned nodes, struct spent *grants)
{
    *w = (struct world){.caps = *caps,
                        .node_count = nodes,
                        .now_ms = 1700000000000,
                        .timeout_ms = caps->items[0].window_ms / 20,
                        .grants = grants};
    for (unsigned i = 0; i < nodes; i++) {
        snprintf(w->nodes[i].name, sizeof(w->nodes[i].name), "mta%u", i);
        w->nodes[i].heard_ms = w->now_ms;
        node_start(w, &w->nodes[i]);
    }
}

static void
copy_row(const struct book *from, const char *name, struct book *to)
{
    struct book one = *from;
    void *data;
    size_t length;

    one.rows = book_row_find((struct book *)from, name);
    one.row_count = one.rows != NULL ? 1 : 0;
    assert_int_equal(book_pack(&one, &data, &length), 0);
    book_clear(to);
    assert_int_equal(book_unpack(data, length, to), 0);
    free(data);
}

void
world_lose_store(struct world *w)
{
    book_clear(&w->book);
    for (unsigned i = 0; i < w->node_count; i++) {
        const struct book *journal = &w->nodes[i].journal;

        if (journal->row_count == 0)
            continue;
        w->book.rows = realloc(w->book.rows, (w->book.row_count + 1) * sizeof(*w->book.rows));
        w->book.rows[w->book.row_count++] = journal->rows[0];
    }
    if (w->book.row_count > 0) { /* rows of their own */
        void *data;
        size_t length;

        assert_int_equal(book_pack(&w->book, &data, &length), 0);
        free(w->book.rows);
        w->book = (struct book){0};
        assert_int_equal(book_unpack(data, length, &w->book), 0);
        free(data);
    }
    for (unsigned i = 0; i < w->node_count; i++)
        w->nodes[i].in_store = false; /* what it was not told of yet is gone */
}

/* What nodes held that are away is counted; and how many those are. */
static uint32_t
away(struct world *w, const struct node *but)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < w->node_count; i++) {
        struct node *node = &w->nodes[i];
        struct book_row *row = book_row_find(&w->book, node->name);

        if (w->now_ms - node->heard_ms <= w->timeout_ms || node == but)
            continue;
        count++;
        if (row != NULL && !node->joining) /* else its new life begins with the next ask */
            assert_int_equal(book_row_lapse(row, &w->caps, node->heard_ms + w->timeout_ms), 0);
    }
    return count;
}

void
world_look_around(struct world *w)
{
    for (unsigned i = 0; i < w->node_count; i++) {
        struct node *node = &w->nodes[i];

        if (!node->cut && !node->alone && !node->joining)
            node->heard_ms = w->now_ms;
        if (!node->alone && !node->joining && w->now_ms - node->heard_ms >= w->timeout_ms) {
            node_start(w, node);
            node->alone = true;
            node_go_alone(w, node);
        } else if (node->alone && !node->cut) {
            node->alone = false;
            node->joining = true;
            meter_rejoin(&node->meter);
        } else if (node->joining && node->cut) {
            node->joining = false;
            node->alone = true;
            node->forgot = true; /* whether what it used was heard is not known */
            node_start(w, node);
            node_go_alone(w, node);
        }
    }
}

void
node_carry_out(struct world *w, struct node *node)
{
    struct book_answer answer;

    if (node->cut)
        return;
    node->ask.node = node->name;
    node->ask.life = node->life;
    if (!node->in_store) {
        node->ask.away = away(w, node);
        node->ask.nodes = w->node_count;
        node->ask.lost_share = node->forgot;
    }
    assert_int_equal(book_ask(&w->book, &w->caps, &node->ask, w->now_ms, &answer), 0);
    if (node->in_store) {
        assert_int_equal(answer.count, node->answer.count);
        assert_true(answer.count == 0 || answer.from_ms == node->answer.from_ms);
    }
    node->answer = answer;
    node->in_store = true;
    w->asks++;
}

void
node_talk(struct world *w, struct node *node)
{
    uint32_t size = lease_size(w, node);

    if (!node->meter.asked) {
        if (node->percent > 0 && !node->meter.own &&
            node->meter.held + node->meter.next > size + size / 2)
            meter_return(&node->meter);
        if (meter_ask(&node->meter, caps_of(w, node), size, 10000, w->now_ms, &node->ask))
            node->ask.percent = node->percent;
    } else if (node->in_store) {
        copy_row(&w->book, node->name, &node->journal); /* before it is used */
        node->forgot = false;
        if (node->joining) {
            node->joining = false;
            node->heard_ms = w->now_ms;
        }
        meter_answered(&node->meter, &node->answer, w->now_ms);
        node->in_store = false;
    } else {
        node_carry_out(w, node);
    }
}

void
node_talk_through(struct world *w, struct node *node)
{
    for (int i = 0; i < 3; i++)
        node_talk(w, node);
}

bool
node_spend(struct world *w, struct node *node)
{
    enum meter_state state = meter_state(&node->meter, w->now_ms);

    if (state != METER_FREE) {
        node->meter.wanted |= state == METER_COLD;
        if (state == METER_COLD && chance(8) == 0)
            node->meter.lacking = (uint8_t)chance(20);
        return false;
    }
    meter_take(&node->meter, caps_of(w, node), w->now_ms);
    if (!node->meter.own && node->meter.next == 0 && node->meter.held <= lease_size(w, node) / 2)
        node->meter.wanted = true;
    if (w->grant_count < GRANTS_MAX)
        w->grants[w->grant_count++] = (struct spent){w->now_ms, node, node->process};
    return true;
}

static void
give_back(struct world *w, struct node *node, size_t which)
{
    int64_t at_ms = w->grants[which].at_ms;

    w->grant_count--;
    memmove(&w->grants[which], &w->grants[which + 1],
            (w->grant_count - which) * sizeof(*w->grants));
    meter_give_back(&node->meter, at_ms);
}

void
node_give_back(struct world *w, struct node *node)
{
    const struct meter *meter = &node->meter;
    const struct meter_use *use =
        meter->use_count > 0 ? &meter->uses[chance(meter->use_count)] : NULL;

    for (size_t i = w->grant_count; use != NULL && use->count > 0 && i > 0; i--)
        if (w->grants[i - 1].at_ms == use->at_ms) {
            give_back(w, node, i - 1);
            return;
        }
}

/* Any one that this process of it spent. */
void
node_give_back_late(struct world *w, struct node *node)
{
    size_t i = w->grant_count > 0 ? chance(w->grant_count) : 0;

    for (; i < w->grant_count; i++)
        if (w->grants[i].node == node && w->grants[i].process == node->process) {
            give_back(w, node, i);
            return;
        }
}

void
world_check_windows(const struct world *w)
{
    for (size_t i = 0; i < w->caps.count; i++) {
        size_t first = 0;

        for (size_t j = 0; j < w->grant_count; j++) {
            while (w->grants[first].at_ms <= w->grants[j].at_ms - w->caps.items[i].window_ms)
                first++;
            if (j - first + 1 > w->caps.items[i].limit)
                fail_msg("%zu grants in %s of %u, %u nodes", j - first + 1, w->caps.items[i].name,
                         w->caps.items[i].limit, w->node_count);
        }
    }
}

void
world_want_all(struct world *w, int64_t end_ms, int64_t step_ms)
{
    for (; w->now_ms < end_ms; w->now_ms += step_ms) {
        world_look_around(w);
        for (unsigned i = 0; i < w->node_count; i++) {
            struct node *node = &w->nodes[(i + w->now_ms / 10) % w->node_count];

            do
                node_talk_through(w, node);
            while (node_spend(w, node) && chance(50) != 0);
        }
    }
}
