/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/story_print.h"

#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/ring.h"

#include <stdio.h>
#include <time.h>

enum { TIME_SIZE = 40 };

/* Of a result, most logs tell the whole second: whole stands there for milliseconds then. */
static const char *
print_time(const struct ring_event *event, const char *format, const char *whole,
           char text[static TIME_SIZE])
{
    time_t seconds = (time_t)(event->at_ms / 1000);
    int ms = (int)(event->at_ms % 1000);
    struct tm local;
    size_t length;

    localtime_r(&seconds, &local);
    length = strftime(text, TIME_SIZE, format, &local);
    if (event->kind == RING_RESULT && ms == 0)
        snprintf(text + length, TIME_SIZE - length, "%s", whole);
    else
        snprintf(text + length, TIME_SIZE - length, ".%03d", ms);
    return text;
}

/* What strangers wrote, as one line of a terminal. */
static void
put_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        buf_add(out, (unsigned char)*text < ' ' || *text == 0x7f ? "?" : text, 1);
}

static void
put_decided(struct buf *out, const struct ring_event *event)
{
    buf_puts(out, event->address[0] != '\0' ? "decided  " : "refused  ");
    put_text(out, event->recipient);
    if (event->address[0] != '\0')
        buf_printf(out, ": %s", event->address);
    else
        buf_printf(out, ": %s", event->rule);
    if (event->result[0] != '\0')
        buf_printf(out, " of pool %s", event->result);
    if (event->text[0] != '\0')
        buf_printf(out, " (%s)", event->text);
}

static void
put_result(struct buf *out, const struct ring_event *event)
{
    buf_printf(out, "%-8s ", event->result);
    put_text(out, event->recipient);
    if (event->address[0] != '\0')
        buf_printf(out, " from %s", event->address);
    if (event->delay_ms >= 0)
        buf_printf(out, " after %.1f s", (double)event->delay_ms / 1000);
    if (event->rule[0] != '\0')
        buf_printf(out, ", rule %s", event->rule);
    buf_puts(out, ": ");
    put_text(out, event->text);
}

void
story_print_line(struct buf *out, const struct ring_event *event)
{
    char time[TIME_SIZE];

    buf_printf(out, "%s  ", print_time(event, "%Y-%m-%d %H:%M:%S", "    ", time));
    if (event->stream[0] != '\0')
        buf_printf(out, "%s  ", event->stream);
    if (event->message_id[0] != '\0') {
        put_text(out, event->message_id);
        buf_printf(out, "%s%s  ", event->queue_id[0] != '\0' ? "/" : "", event->queue_id);
    }
    switch (event->kind) {
    case RING_DECIDED:
        put_decided(out, event);
        break;
    case RING_RESULT:
        put_result(out, event);
        break;
    case RING_NOTE:
        put_text(out, event->text);
        break;
    }
    buf_puts(out, "\n");
}

static void
member(struct json *json, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_text(json, name, text);
}

void
story_print_json(struct buf *out, const struct ring_event *event)
{
    static const char *const kinds[] = {
        [RING_DECIDED] = "decided", [RING_RESULT] = "result", [RING_NOTE] = "note"};
    struct json json = {.out = out};
    char time[TIME_SIZE];

    json_open(&json, NULL, '{');
    json_number(&json, "number", (long long)event->number);
    json_text(&json, "time", print_time(event, "%Y-%m-%dT%H:%M:%S", "", time));
    json_text(&json, "kind", kinds[event->kind]);
    member(&json, "stream", event->stream);
    member(&json, "message", event->message_id);
    member(&json, "queue_id", event->queue_id);
    member(&json, "recipient", event->recipient);
    member(&json, "address", event->address);
    if (event->kind == RING_DECIDED) {
        member(&json, "pool", event->result);
        member(&json, "answer", event->rule);
        member(&json, "why", event->text);
    } else {
        member(&json, "result", event->result);
        member(&json, "rule", event->rule);
        member(&json, "text", event->text);
        if (event->delay_ms >= 0)
            json_real(&json, "delay_s", (double)event->delay_ms / 1000);
    }
    json_close(&json, '}');
    buf_puts(out, "\n");
}
