/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_unmet.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void
on_pair(void *arg, const char *stream, const char *requirement, uint64_t messages)
{
    struct hours_unmet *unmet = arg;
    enum require require;

    if (!require_find(requirement, strlen(requirement), &require))
        return; /* another version's, or of those that were too many for a page */
    if (unmet->count == 0 || strcmp(unmet->items[unmet->count - 1].name, stream) != 0) {
        unmet->items = mem_resize(unmet->items, unmet->count + 1, sizeof(*unmet->items));
        unmet->items[unmet->count++] = (struct hours_unmet_stream){.name = mem_strdup(stream)};
    }
    unmet->items[unmet->count - 1].messages[require] += messages;
}

int
hours_unmet_read(struct hours_file *file, const struct hours_scope *scope,
                 struct hours_unmet *ret_unmet, struct err *err)
{
    *ret_unmet = (struct hours_unmet){0};
    return hours_sums_pairs(file, HOURS_STREAM_UNMET, scope, on_pair, ret_unmet, err);
}

void
hours_unmet_clear(struct hours_unmet *unmet)
{
    for (size_t i = 0; i < unmet->count; i++)
        free(unmet->items[i].name);
    free(unmet->items);
    *unmet = (struct hours_unmet){0};
}

void
hours_unmet_print(const struct hours_unmet *unmet, struct buf *text)
{
    for (size_t i = 0; i < unmet->count; i++) {
        const struct hours_unmet_stream *stream = &unmet->items[i];
        const char *comma = "";

        buf_printf(text, "stream %s: messages without what it requires: ", stream->name);
        for (int j = 0; j < REQUIRE_COUNT; j++) {
            if (stream->messages[j] == 0)
                continue;
            buf_printf(text, "%s%s %" PRIu64, comma, require_name((enum require)j),
                       stream->messages[j]);
            comma = ", ";
        }
        buf_puts(text, "\n");
    }
}

void
hours_unmet_json(const struct hours_unmet *unmet, struct json *json)
{
    json_open(json, "unmet", '[');
    for (size_t i = 0; i < unmet->count; i++) {
        json_open(json, NULL, '{');
        json_text(json, "stream", unmet->items[i].name);
        for (int j = 0; j < REQUIRE_COUNT; j++)
            if (unmet->items[i].messages[j] > 0)
                json_number(json, require_name((enum require)j),
                            (long long)unmet->items[i].messages[j]);
        json_close(json, '}');
    }
    json_close(json, ']');
}
