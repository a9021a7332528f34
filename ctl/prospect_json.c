/*
 * A prospect as JSON: all of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/prospect.h"

#include "engine/date.h"
#include "engine/need.h"
#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "engine/world.h"
#include "lib/conf.h"
#include "lib/json.h"

static void
put_date(struct json *json, const char *name, int32_t day)
{
    char date[DATE_SIZE];

    if (day >= 0)
        date_print(day, date);
    json_text(json, name, day >= 0 ? date : NULL);
}

static void
put_stream(struct json *json, const struct stream *stream, const struct world_stream *its)
{
    json_text(json, "stream", stream->name);
    json_number(json, "came_in", (long long)its->offered);
    json_number(json, "sent", (long long)its->sent);
    json_number(json, "at_once", (long long)its->at_once);
    json_number(json, "waited", (long long)its->delayed);
    json_number(json, "returned", (long long)its->ended);
    json_number(json, "late", (long long)its->late);
    json_number(json, "waiting", (long long)its->waiting);
    json_number(json, "waiting_most", (long long)its->waiting_most);
    json_number(json, "waited_most_s", its->waited_most_ms / 1000);
    json_real(json, "waited_mean_s",
              its->sent > 0 ? (double)its->waited_ms / 1000 / (double)its->sent : 0);
}

static void
put_waits(struct json *json, const struct world_stream *its)
{
    json_open(json, "waits", '[');
    for (size_t i = 0; i < WORLD_WAITS; i++) {
        json_open(json, NULL, '{');
        if (world_wait_ms[i] == INT64_MAX)
            json_text(json, "less_than_s", NULL);
        else
            json_number(json, "less_than_s", world_wait_ms[i] / 1000);
        json_number(json, "sent", (long long)its->waits[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
put_streams(const struct prospect *prospect, struct json *json)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;

    json_open(json, "streams", '[');
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        struct world_stream its = world_stream(prospect->world, &snapshot->streams[i]);

        json_open(json, NULL, '{');
        put_stream(json, &snapshot->streams[i], &its);
        put_waits(json, &its);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
put_events(struct json *json, unsigned events)
{
    json_open(json, "events", '[');
    if ((events & WARMUP_WARNED) != 0)
        json_text(json, NULL, "slowed");
    if ((events & WARMUP_SUSPENDED) != 0)
        json_text(json, NULL, "suspended");
    if ((events & WARMUP_BLOCKED) != 0)
        json_text(json, NULL, "blocked");
    json_close(json, ']');
}

/* Those that neither sent nor warm up are left out. */
static void
put_addresses(const struct prospect *prospect, const struct world_day *day, bool over,
              struct json *json)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;

    json_open(json, "addresses", '[');
    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];
        const struct world_address *its = &day->addresses[i];

        if (its->sent == 0 && address->schedule == NULL)
            continue;
        json_open(json, NULL, '{');
        json_text(json, "address", address->name);
        json_number(json, "sent", its->sent);
        if (address->schedule != NULL) {
            json_number(json, "stage", its->stage + 1);
            if (its->allowance == WARMUP_UNLIMITED)
                json_text(json, "allowance", NULL);
            else
                json_number(json, "allowance", its->allowance);
            json_text(json, "result",
                      over ? warmup_result_text((enum warmup_result)its->result) : NULL);
            put_events(json, its->events);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
put_days(const struct prospect *prospect, struct json *json)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    size_t count = world_days(prospect->world);

    json_open(json, "days", '[');
    for (size_t i = 0; i < count; i++) {
        struct world_day day = world_day(prospect->world, i);

        json_open(json, NULL, '{');
        put_date(json, "date", day.day);
        json_open(json, "streams", '[');
        for (size_t j = 0; j < snapshot->stream_count; j++) {
            json_open(json, NULL, '{');
            put_stream(json, &snapshot->streams[j], &day.streams[j]);
            json_close(json, '}');
        }
        json_close(json, ']');
        json_open(json, "providers", '[');
        for (size_t j = 0; j < snapshot->provider_count; j++) {
            if (day.providers[j] == 0)
                continue;
            json_open(json, NULL, '{');
            json_text(json, "provider", snapshot->providers[j].name);
            json_number(json, "sent", (long long)day.providers[j]);
            json_close(json, '}');
        }
        json_close(json, ']');
        if (world_has_standings(prospect->world)) {
            json_open(json, "accounts", '{');
            for (int j = 0; j < GRADES; j++)
                json_number(json, grade_text((enum grade)j), (long long)day.grades[j]);
            json_close(json, '}');
        }
        put_addresses(prospect, &day, i + 1 < count, json);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
put_warmups(const struct prospect *prospect, struct json *json)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;

    json_open(json, "warmups", '[');
    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];
        const struct warmup *warmup = world_warmup(prospect->world, address);
        size_t stage;

        if (warmup == NULL)
            continue;
        stage = warmup_stage(warmup, address->schedule);
        json_open(json, NULL, '{');
        json_text(json, "address", address->name);
        json_text(json, "schedule", address->schedule->name);
        json_number(json, "stages", (long long)address->schedule->stage_count);
        json_number(json, "stage", (long long)stage + 1);
        put_date(json, "full", prospect_full_day(prospect, address));
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
put_pools(const struct prospect *prospect, struct json *json)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;

    json_open(json, "pools", '[');
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool *pool = &snapshot->pools[i];
        struct world_peak peak = world_peak(prospect->world, pool, NULL);
        struct need need = need_of(prospect->world, pool);
        char time[PROSPECT_TIME_SIZE];

        json_open(json, NULL, '{');
        json_text(json, "pool", pool->name);
        json_number(json, "addresses", (long long)pool->member_count);
        json_number(json, "needed", (long long)need.addresses);
        json_text(json, "cap", need.cap != NULL ? need.cap->name : NULL);
        json_text(json, "provider", need.provider != NULL ? need.provider->name : NULL);
        json_number(json, "peak", (long long)need.peak);
        json_number(json, "sent", (long long)world_sent_from(prospect->world, pool));
        json_number(json, "most_in_hour", (long long)peak.hour);
        json_text(json, "hour", peak.hour > 0 ? prospect_time(prospect, peak.hour_ms, time) : NULL);
        json_number(json, "most_in_day", (long long)peak.day);
        put_date(json, "day", peak.day > 0 ? peak.day_at : -1);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
put_warnings(const struct prospect *prospect, struct json *json)
{
    struct prospect_warnings warnings;

    prospect_warnings(prospect, &warnings);
    json_open(json, "warnings", '[');
    for (size_t i = 0; i < warnings.count; i++) {
        json_open(json, NULL, '{');
        json_text(json, "what", warnings.items[i].what);
        json_text(json, "of", warnings.items[i].of);
        json_text(json, "text", warnings.items[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
    prospect_clear(&warnings);
}

void
prospect_json(const struct prospect *prospect, struct json *json)
{
    put_streams(prospect, json);
    put_pools(prospect, json);
    put_warmups(prospect, json);
    put_warnings(prospect, json);
    put_days(prospect, json);
}
