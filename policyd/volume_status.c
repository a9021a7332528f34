/*
 * What "status" tells of volume.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/grants.h"
#include "engine/meters.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/units.h"
#include "policyd/store.h"
#include "policyd/volume_inside.h"

#include <string.h>

enum {
    LINES_MAX = 2000,  /* of a text */
    ITEMS_MAX = 20000, /* of JSON: no lookup waits for longer than those take */
};

/* What the store said last, as long as it can be true; else what is held here. */
static uint64_t
counted(const struct metered *metered, size_t i, int64_t now_ms)
{
    const struct meter *meter = &metered->meter;
    const struct cap *cap = &metered->caps->items[i];
    uint64_t here = meter_held(meter);

    for (size_t j = 0; j < meter->use_count; j++)
        here += meter->uses[j].count > 0 ? (uint64_t)meter->uses[j].count : 0;
    if (meter->counted[i] > here && now_ms - (int64_t)meter->counted_s * 1000 <
                                        cap->window_ms + 3 * cap->window_ms / BOOK_BUCKETS)
        return meter->counted[i];
    return here;
}

static const char *
state_name(const struct volume *volume, const struct meter *meter, int64_t now_ms)
{
    switch (meter_state(meter, now_ms)) {
    case METER_FREE:
        return "room";
    case METER_COLD:
        return volume_is_up(volume) ? "idle" : "unknown";
    case METER_FULL:
        return "full";
    }
    return "?";
}

static void
text_meter(const struct volume *volume, const struct metered *metered, const char *key,
           int64_t now_ms, struct buf *text)
{
    const struct meter *meter = &metered->meter;
    char span[UNITS_SPAN_SIZE];

    for (size_t i = 0; i < metered->caps->count; i++) {
        const struct cap *cap = &metered->caps->items[i];
        enum meter_state state = meter_state(meter, now_ms);

        buf_printf(text, "%-32s  %-8s  %10llu of %-10u  %10u  %s", i == 0 ? key : "", cap->name,
                   (unsigned long long)counted(metered, i, now_ms), cap->limit,
                   i == 0 ? meter_held(meter) : 0, i == 0 ? state_name(volume, meter, now_ms) : "");
        if (i == 0 && state == METER_FULL)
            buf_printf(text, ", room in %s",
                       units_print_span(meter_room_ms(meter, now_ms) - now_ms, span));
        if (i == 0 && metered->off > 0)
            buf_printf(text, ", %u %% of it for now", meters_percent(metered));
        if (i == 0 && meter->excess_total > 0)
            buf_printf(text, ", %u sent over it", meter->excess_total);
        buf_puts(text, "\n");
    }
}

static void
json_meter(const struct volume *volume, const struct metered *metered, const char *key,
           int64_t now_ms, struct json *json)
{
    const struct meter *meter = &metered->meter;

    json_open(json, NULL, '{');
    json_text(json, "key", key);
    json_text(json, "state", state_name(volume, meter, now_ms));
    if (meter_state(meter, now_ms) == METER_FULL)
        json_number(json, "room_in_ms", meter_room_ms(meter, now_ms) - now_ms);
    json_number(json, "held", meter_held(meter));
    json_number(json, "exceeded", meter->excess_total);
    json_number(json, "percent", meters_percent(metered));
    json_open(json, "caps", '[');
    for (size_t i = 0; i < metered->caps->count; i++) {
        const struct cap *cap = &metered->caps->items[i];

        json_open(json, NULL, '{');
        json_text(json, "window", cap->name);
        json_number(json, "window_ms", cap->window_ms);
        json_number(json, "limit", cap->limit);
        json_number(json, "counted", (long long)counted(metered, i, now_ms));
        json_bool(json, "smooth", cap->smooth);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void
status_text(struct volume *volume, struct buf *text)
{
    size_t count = meters_count(volume->meters), lines = 0, accounts;
    uint64_t refused;
    int64_t now_ms = volume_now_ms(volume);

    buf_puts(text, "\n");
    if (volume->store != NULL)
        store_status(volume->store, text, NULL);
    else
        buf_puts(text,
                 "the store CANNOT BE OPENED, nothing is given out under caps; see the log\n");
    if (meters_are_alone(volume->meters))
        buf_printf(text, "ALONE: this host gives 1/%u of each cap%s; largest possible error: %s\n",
                   meters_nodes(volume->meters),
                   volume->conf->store_share_at_once ? ""
                                                     : ", when twice its longest window is over",
                   volume->conf->store_share_at_once ? "that for each host that is alone" : "0");
    buf_printf(text, "\n%-32s  %-8s  %24s  %10s  %s\n", "cap", "window", "used or leased, of all",
               "held here", "state");
    for (size_t i = 0; i < count; i++) {
        char key[METERS_KEY_SIZE];

        if (!meters_is_used(volume->meters, (uint32_t)i) || lines++ >= LINES_MAX)
            continue;

        meters_key(volume->meters, (uint32_t)i, key);
        text_meter(volume, meters_at(volume->meters, (uint32_t)i), key, now_ms, text);
    }
    if (lines > LINES_MAX)
        buf_printf(text, "and %zu more; --json has up to %d\n", lines - LINES_MAX, ITEMS_MAX);
    accounts = meters_accounts(volume->meters, &refused);
    if (refused > 0)
        buf_printf(
            text,
            "\n%zu accounts are known of at most %d; %llu times one was NOT COUNTED for there "
            "being too many\n",
            accounts, METERS_ACCOUNTS_MAX, (unsigned long long)refused);
}

static void
status_json(struct volume *volume, struct json *json)
{
    size_t count = volume->meters != NULL ? meters_count(volume->meters) : 0;
    int64_t now_ms = volume_now_ms(volume);
    struct grants_figures grants;
    uint64_t refused = 0;
    size_t items = 0;
    size_t accounts = volume->meters != NULL ? meters_accounts(volume->meters, &refused) : 0;

    json_open(json, "store", '{');
    if (volume->store != NULL)
        store_status(volume->store, NULL, json);
    json_close(json, '}');
    grants_figures(volume->grants, &grants);
    json_open(json, "grants", '{');
    json_number(json, "open", (long long)grants.open);
    json_number(json, "expired", (long long)grants.expired);
    json_number(json, "dropped", (long long)grants.dropped);
    json_number(json, "spent", (long long)grants.spent);
    json_number(json, "given_back", (long long)grants.given_back);
    json_close(json, '}');
    json_number(json, "asks", (long long)volume->figures.asks);
    json_number(json, "answers", (long long)volume->figures.answers);
    json_number(json, "lapses", (long long)volume->figures.lapses);
    json_bool(json, "alone", volume->meters != NULL && meters_are_alone(volume->meters));
    json_number(json, "accounts", (long long)accounts);
    json_number(json, "accounts_refused", (long long)refused);
    json_open(json, "caps", '[');
    for (size_t i = 0; i < count; i++) {
        char key[METERS_KEY_SIZE];

        if (!meters_is_used(volume->meters, (uint32_t)i) || items++ >= ITEMS_MAX)
            continue;

        meters_key(volume->meters, (uint32_t)i, key);
        json_meter(volume, meters_at(volume->meters, (uint32_t)i), key, now_ms, json);
    }
    json_close(json, ']');
    json_number(json, "caps_known", (long long)items);
}

void
volume_status(struct volume *volume, struct buf *text, struct json *json)
{
    if (text != NULL && volume->meters != NULL)
        status_text(volume, text);
    if (json != NULL)
        status_json(volume, json);
}
