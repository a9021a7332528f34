/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_nodes.h"

#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/journal.h"
#include "policyd/redis_script.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
redis_nodes_clear(struct redis_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        free(nodes->items[i].name);
    free(nodes->items);
    *nodes = (struct redis_nodes){0};
}

void
redis_nodes_load(struct redis_nodes *nodes, const struct journal *journal)
{
    const struct journal_node *known = journal_nodes(journal, &nodes->count);

    nodes->items = mem_array(nodes->count, sizeof(*nodes->items));
    for (size_t i = 0; i < nodes->count; i++)
        nodes->items[i] = (struct redis_node){
            .name = mem_strdup(known[i].name),
            .heard_ms = known[i].heard_ms,
            .alive = known[i].heard_ms == 0,
            .gone = known[i].gone,
        };
}

static const struct redis_node *
find(const struct redis_nodes *nodes, const char *name)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(nodes->items[i].name, name) == 0)
            return &nodes->items[i];
    return NULL;
}

static void
write_list(const struct redis_nodes *nodes, struct journal *journal)
{
    struct journal_node *list = mem_array(nodes->count, sizeof(*list));

    for (size_t i = 0; i < nodes->count; i++) {
        const struct redis_node *node = &nodes->items[i];

        list[i] = (struct journal_node){node->name, node->alive ? 0 : node->heard_ms, node->gone};
    }
    journal_set_nodes(journal, list, nodes->count);
    free(list);
}

/* Those that are known here and not there: a Redis that lost its data is yet to hear of them. */
static void
keep(const struct redis_nodes *known, struct redis_nodes *now)
{
    struct redis_nodes there = *now;

    for (size_t i = 0; i < known->count; i++) {
        struct redis_node *node;

        if (find(&there, known->items[i].name) != NULL)
            continue;
        node = &now->items[now->count++];
        *node = known->items[i];
        node->confirmed = false;
        node->name = mem_strdup(known->items[i].name);
    }
}

void
redis_nodes_note(struct redis_nodes *nodes, const struct redis_answer *answer,
                 int64_t node_timeout_ms, struct journal *journal)
{
    size_t count = answer->nodes->elements / 4;
    struct redis_nodes now = {mem_array(count + nodes->count, sizeof(*now.items)), count};
    bool changed = false;

    for (size_t i = 0; i < count; i++) {
        struct redisReply **one = answer->nodes->element + 4 * i;
        const struct redis_node *known = find(nodes, one[0]->str);
        struct redis_node *node = &now.items[i];

        *node = (struct redis_node){
            .name = mem_strdup(one[0]->str),
            .life = (uint64_t)one[1]->integer,
            .heard_ms = one[2]->integer,
            .confirmed = one[3]->integer == 1,
            .gone = one[1]->integer == 0,
            .alive = one[1]->integer != 0 && one[2]->integer + node_timeout_ms > answer->now_ms,
        };
        changed =
            changed || known == NULL || known->alive != node->alive || known->gone != node->gone;
    }
    if (!answer->confirmed)
        keep(nodes, &now);
    changed = changed || now.count != nodes->count;
    redis_nodes_clear(nodes);
    *nodes = now;
    if (changed)
        write_list(nodes, journal);
}

void
redis_nodes_missing(const struct redis_nodes *nodes, const char *me, struct buf *names)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (!nodes->items[i].confirmed && strcmp(nodes->items[i].name, me) != 0)
            buf_printf(names, "%s%s", names->length > 0 ? ", " : "", nodes->items[i].name);
}

void
redis_nodes_confirm(const struct redis_nodes *nodes, struct redis_args *args)
{
    for (size_t i = 0; i < nodes->count; i++) {
        const struct redis_node *node = &nodes->items[i];

        redis_args_add(args, node->name, strlen(node->name));
        redis_args_print(args, "%" PRId64, node->alive ? 0 : node->heard_ms);
        redis_args_print(args, "%d", node->gone);
    }
}

static void
print_one(const struct redis_node *node, int64_t now_ms, struct buf *text, struct json *json)
{
    int64_t ago_ms = node->heard_ms > 0 ? now_ms - node->heard_ms : -1;

    if (text != NULL) {
        buf_printf(text, "%s: %s, heard %lld ms ago, life %" PRIu64 "%s\n", node->name,
                   node->alive  ? "here"
                   : node->gone ? "gone"
                                : "away",
                   (long long)ago_ms, node->life, node->confirmed ? "" : ", not confirmed");
        return;
    }
    json_open(json, NULL, '{');
    json_text(json, "name", node->name);
    json_bool(json, "alive", node->alive);
    json_number(json, "heard_ms_ago", (long long)ago_ms);
    json_number(json, "life", (long long)node->life);
    json_bool(json, "confirmed", node->confirmed);
    json_close(json, '}');
}

void
redis_nodes_print(const struct redis_nodes *nodes, int64_t now_ms, struct buf *text,
                  struct json *json)
{
    if (json != NULL)
        json_open(json, "nodes", '[');
    for (size_t i = 0; i < nodes->count; i++)
        print_one(&nodes->items[i], now_ms, text, json);
    if (json != NULL)
        json_close(json, ']');
}
