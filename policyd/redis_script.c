/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/redis_script.h"

#include "lib/mem.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 64, MARGIN_MS = 60 * 1000 };

static void
add_owned(struct redis_args *args, char *item, size_t length)
{
    if (args->count == args->room) {
        args->room = args->room > 0 ? 2 * args->room : 64;
        args->items = mem_resize(args->items, args->room, sizeof(*args->items));
        args->lengths = mem_resize(args->lengths, args->room, sizeof(*args->lengths));
    }
    args->items[args->count] = item;
    args->lengths[args->count++] = length;
}

void
redis_args_add(struct redis_args *args, const void *data, size_t length)
{
    char *item = mem_array(length + 1, 1);

    memcpy(item, data, length);
    add_owned(args, item, length);
}

void
redis_args_print(struct redis_args *args, const char *format, ...)
{
    char text[NUMBER_SIZE];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    redis_args_add(args, text, strlen(text));
}

void
redis_args_clear(struct redis_args *args)
{
    for (size_t i = 0; i < args->count; i++)
        free(args->items[i]);
    free(args->items);
    free(args->lengths);
    *args = (struct redis_args){0};
}

static void
add_text(struct redis_args *args, const char *text)
{
    redis_args_add(args, text, strlen(text));
}

static void
add_key(struct redis_args *args, const char *prefix, const char *key)
{
    char *text = mem_printf("{%s}:%s", prefix, key);

    add_owned(args, text, strlen(text));
}

void
redis_script_begin(struct redis_args *args, const struct redis_caller *caller, const char *op,
                   const char *key)
{
    add_text(args, "EVALSHA");
    add_text(args, caller->sha);
    add_text(args, key != NULL ? "2" : "1");
    add_key(args, caller->prefix, "nodes");
    if (key != NULL)
        add_key(args, caller->prefix, key);
    add_text(args, op);
    add_text(args, caller->node);
    redis_args_print(args, "%" PRIu64, caller->life);
    add_text(args, caller->run_id);
    redis_args_print(args, "%" PRId64, caller->node_timeout_ms);
    redis_args_print(args, "%" PRId64, caller->earliest_ms);
    if (caller->clock_ms > 0)
        redis_args_print(args, "%" PRId64, caller->clock_ms);
    else
        add_text(args, "");
    redis_args_print(args, "%u", caller->nodes);
    redis_args_print(args, "%" PRId64, caller->latest_ms);
}

void
redis_script_ask(struct redis_args *args, const struct redis_caller *caller, const char *key,
                 const struct caps *caps, const struct book_ask *ask)
{
    redis_script_begin(args, caller, "ask", key);
    redis_args_print(args, "%" PRIu64, ask->seq);
    redis_args_print(args, "%" PRIu32, ask->unused);
    redis_args_print(args, "%" PRIu32, ask->want);
    redis_args_print(args, "%zu", caps->count);
    redis_args_print(args, "%zu", ask->report_count);
    redis_args_print(args, "%d", ask->first);
    redis_args_print(args, "%u", ask->percent > 0 ? (unsigned)ask->percent : 100U);
    for (size_t i = 0; i < caps->count; i++) {
        redis_args_print(args, "%" PRId64, caps->items[i].window_ms);
        redis_args_print(args, "%" PRIu32, caps->items[i].limit);
        redis_args_print(args, "%d", caps->items[i].smooth);
    }
    for (size_t i = 0; i < ask->report_count; i++) {
        redis_args_print(args, "%" PRId64, ask->reports[i].at_ms);
        redis_args_print(args, "%" PRId32, ask->reports[i].count);
        redis_args_print(args, "%d", ask->reports[i].excess);
    }
}

int64_t
redis_script_keep_ms(const struct caps *caps, int64_t node_timeout_ms)
{
    int64_t longest = 0;

    for (size_t i = 0; i < caps->count; i++)
        if (caps->items[i].window_ms > longest)
            longest = caps->items[i].window_ms;
    return 2 * longest + node_timeout_ms + MARGIN_MS;
}

static enum redis_status
status_of(const char *text)
{
    static const char *const texts[] = {"ok",      "stale", "hello",   "taken",
                                        "restate", "alive", "unknown", "late"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strcmp(text, texts[i]) == 0)
            return (enum redis_status)i;
    return REDIS_STRANGE;
}

static bool
is_integer(const redisReply *reply, size_t i)
{
    return i < reply->elements && reply->element[i]->type == REDIS_REPLY_INTEGER;
}

static bool
is_string(const redisReply *reply, size_t i)
{
    return i < reply->elements && reply->element[i]->type == REDIS_REPLY_STRING;
}

static bool
is_node_list(const redisReply *reply, size_t i)
{
    const redisReply *list;

    if (i >= reply->elements || reply->element[i]->type != REDIS_REPLY_ARRAY)
        return false;
    list = reply->element[i];
    for (size_t j = 0; j < list->elements; j += 4)
        if (!is_string(list, j) || !is_integer(list, j + 1) || !is_integer(list, j + 2) ||
            !is_integer(list, j + 3))
            return false;
    return true;
}

static bool
read_counted(const redisReply *reply, size_t i, struct book_answer *answer)
{
    const redisReply *list;

    if (i >= reply->elements || reply->element[i]->type != REDIS_REPLY_ARRAY)
        return false;
    list = reply->element[i];
    for (size_t j = 0; j < list->elements && j < CAP_WINDOWS_MAX; j++) {
        if (!is_integer(list, j))
            return false;
        answer->counted[j] = (uint32_t)list->element[j]->integer;
    }
    return true;
}

static bool
is_record_list(const redisReply *reply, size_t i)
{
    const redisReply *list;

    if (i >= reply->elements || reply->element[i]->type != REDIS_REPLY_ARRAY)
        return false;
    list = reply->element[i];
    for (size_t j = 0; j < list->elements; j += 3)
        if (!is_string(list, j) || !is_integer(list, j + 1) || !is_string(list, j + 2))
            return false;
    return true;
}

static bool
read_records(const redisReply *reply, struct redis_answer *answer)
{
    if (reply->elements == 11 && is_integer(reply, 7) && is_integer(reply, 8) &&
        is_string(reply, 9) && is_integer(reply, 10)) {
        answer->written = reply->element[7]->integer == 1;
        answer->version = (uint64_t)reply->element[8]->integer;
        answer->value = reply->element[9]->str;
        answer->value_length = (size_t)reply->element[9]->len;
        answer->full = reply->element[10]->integer == 1;
        return true;
    }
    if (reply->elements == 10 && is_integer(reply, 7) && is_integer(reply, 8) &&
        is_record_list(reply, 9)) {
        answer->version = (uint64_t)reply->element[7]->integer;
        answer->all = reply->element[8]->integer == 1;
        answer->list = reply->element[9];
        return true;
    }
    return false;
}

static void
read_special(const redisReply *reply, struct redis_answer *answer)
{
    if (reply->elements == 14 && is_integer(reply, 7) && is_integer(reply, 8) &&
        is_integer(reply, 9) && is_integer(reply, 10) && is_integer(reply, 11) &&
        is_string(reply, 12) && read_counted(reply, 13, &answer->book)) {
        answer->book.count = (uint32_t)reply->element[7]->integer;
        answer->book.from_ms = reply->element[8]->integer;
        answer->book.again_ms = reply->element[9]->integer;
        answer->book.room_ms = reply->element[10]->integer;
        answer->book.window = (uint8_t)reply->element[11]->integer;
        answer->row = reply->element[12]->str;
        answer->row_length = (size_t)reply->element[12]->len;
    } else if (reply->elements == 9 && is_integer(reply, 7) && is_node_list(reply, 8)) {
        answer->confirmed = reply->element[7]->integer == 1;
        answer->nodes = reply->element[8];
    } else if (reply->elements == 8 && is_string(reply, 7)) {
        answer->row = reply->element[7]->str;
        answer->row_length = (size_t)reply->element[7]->len;
    } else if (reply->elements != 7 && !read_records(reply, answer)) {
        answer->status = REDIS_STRANGE;
    }
}

void
redis_script_answer(const redisReply *reply, struct redis_answer *ret_answer)
{
    struct redis_answer answer = {.status = REDIS_STRANGE};

    if (reply->type == REDIS_REPLY_ARRAY && is_string(reply, 0) && is_integer(reply, 1) &&
        is_integer(reply, 2) && is_integer(reply, 3) && is_integer(reply, 4) &&
        is_integer(reply, 5) && is_integer(reply, 6)) {
        answer.status = status_of(reply->element[0]->str);
        answer.now_ms = reply->element[1]->integer;
        answer.generation = reply->element[2]->integer;
        answer.count = (unsigned)reply->element[3]->integer;
        answer.learning = reply->element[4]->integer == 1;
        answer.stepped_ms = reply->element[5]->integer;
        answer.records = (uint64_t)reply->element[6]->integer;
        read_special(reply, &answer);
    }
    *ret_answer = answer;
}
