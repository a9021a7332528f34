/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_caps.h"

#include "engine/caps.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS (60 * 1000LL)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

/* Caps as they are written; a limit of 0: not written. */
struct caps_input {
    int minute, hour, day;
    bool smooth;
};

struct window_input {
    int64_t length_ms;
    int recipients;
    bool smooth;
};

const struct conf_key conf_caps_keys[] = {
    {"minute", KEY_COUNT, offsetof(struct caps_input, minute), "0", 1, CAP_LIMIT_MAX,
     "Most recipients in any minute.", NULL, NULL},
    {"hour", KEY_COUNT, offsetof(struct caps_input, hour), "0", 1, CAP_LIMIT_MAX,
     "Most recipients in any hour.", NULL, NULL},
    {"day", KEY_COUNT, offsetof(struct caps_input, day), "0", 1, CAP_LIMIT_MAX,
     "Most recipients in any 24 hours.", NULL, NULL},
    {"smooth", KEY_BOOL, offsetof(struct caps_input, smooth), "true", 0, 0,
     "Spread hour and day over their windows.", NULL, NULL},
    {"windows", KEY_OWN, 0, "", 0, 0, "Caps over windows of other lengths.", conf_window_keys,
     NULL},
    CONF_KEY_END,
};

const struct conf_key conf_window_keys[] = {
    {"length", KEY_DURATION, offsetof(struct window_input, length_ms), NULL, 10 * 1000, 31 * DAY_MS,
     "Length of the window.", NULL, NULL},
    {"recipients", KEY_COUNT, offsetof(struct window_input, recipients), NULL, 1, CAP_LIMIT_MAX,
     "Most recipients in any window of that length.", NULL, NULL},
    {"smooth", KEY_BOOL, offsetof(struct window_input, smooth), "false", 0, 0,
     "Spread them over the window.", NULL, NULL},
    CONF_KEY_END,
};

static void
add(struct conf_reader *reader, const config_setting_t *setting, struct caps *caps,
    const struct cap *cap)
{
    for (size_t i = 0; i < caps->count; i++)
        if (caps->items[i].window_ms == cap->window_ms) {
            conf_problem(reader, setting,
                         "there is a cap for %s already, every window may stand once",
                         caps->items[i].name);
            return;
        }
    if (caps->count == CAP_WINDOWS_MAX) {
        conf_problem(reader, setting, "is one window too many, at most %d are possible",
                     CAP_WINDOWS_MAX);
        return;
    }
    caps->items[caps->count++] = *cap;
}

static void
read_window(struct conf_reader *reader, config_setting_t *item, struct caps *caps)
{
    struct window_input input = {0};
    struct cap cap = {0};
    const char *text;

    if (!config_setting_is_group(item)) {
        conf_problem(reader, item, "a group is needed, { length = \"15m\"; recipients = 800; }");
        return;
    }
    conf_read_defaults(conf_window_keys, &input);
    conf_read_group(reader, item, conf_window_keys, &input);
    if (input.length_ms == 0 || input.recipients == 0)
        return;
    cap.window_ms = input.length_ms;
    cap.limit = (uint32_t)input.recipients;
    cap.smooth = input.smooth;
    config_setting_lookup_string(item, "length", &text);
    snprintf(cap.name, sizeof(cap.name), "%s", text);
    add(reader, item, caps, &cap);
}

static int
compare_windows(const void *a, const void *b)
{
    const struct cap *x = a, *y = b;

    return x->window_ms < y->window_ms ? -1 : x->window_ms > y->window_ms;
}

/* A longer window that allows no more than a shorter one makes that one pointless. */
static void
warn_of_order(struct conf_reader *reader, const config_setting_t *setting, const struct caps *caps)
{
    for (size_t i = 1; i < caps->count; i++)
        if (caps->items[i].limit <= caps->items[i - 1].limit)
            conf_warning(reader, setting, "%u for %s is never reached, %s allows only %u",
                         caps->items[i - 1].limit, caps->items[i - 1].name, caps->items[i].name,
                         caps->items[i].limit);
}

void
conf_read_caps(struct conf_reader *reader, config_setting_t *setting, struct caps *caps)
{
    struct caps_input input = {0};
    const struct cap named[] = {
        {MINUTE_MS, 0, false, "minute"}, {HOUR_MS, 0, true, "hour"}, {DAY_MS, 0, true, "day"}};
    config_setting_t *windows;

    *caps = (struct caps){0};
    if (!config_setting_is_group(setting)) {
        conf_problem(reader, setting, "a group of caps is needed, { hour = 5000; day = 60000; }");
        return;
    }
    conf_read_defaults(conf_caps_keys, &input);
    conf_read_group(reader, setting, conf_caps_keys, &input);
    for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
        int limit = i == 0 ? input.minute : i == 1 ? input.hour : input.day;
        struct cap cap = named[i];

        cap.limit = (uint32_t)limit;
        cap.smooth = cap.smooth && input.smooth;
        if (limit > 0)
            add(reader, config_setting_get_member(setting, cap.name), caps, &cap);
    }
    windows = config_setting_get_member(setting, "windows");
    if (windows != NULL && conf_read_is_list(reader, windows, "windows"))
        for (int i = 0; i < config_setting_length(windows); i++)
            read_window(reader, config_setting_get_elem(windows, (unsigned)i), caps);
    qsort(caps->items, caps->count, sizeof(*caps->items), compare_windows);
    warn_of_order(reader, setting, caps);
}
