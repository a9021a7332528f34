/*
 * A replay as JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/replay.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/replies.h"

#define MINUTE_MS ((int64_t)60 * 1000)

static void
put(struct json *json, const char *name, uint64_t number)
{
    json_number(json, name, (long long)number);
}

static void
put_log(const struct replay *replay, struct json *json)
{
    const struct arrivals_figures *figures = arrivals_figures(replay->arrivals);

    json_open(json, "log", '{');
    put(json, "first_s", (uint64_t)figures->first_ms / 1000);
    put(json, "last_s", (uint64_t)figures->last_ms / 1000);
    put(json, "lines", figures->lines);
    put(json, "of_postfix", figures->postfix);
    put(json, "odd", figures->odd);
    put(json, "foreign", figures->foreign);
    put(json, "forgotten", figures->forgotten);
    put(json, "back_s", (uint64_t)figures->back_ms / 1000);
    put(json, "messages", figures->messages);
    put(json, "recipients", figures->recipients);
    put(json, "before", figures->before);
    put(json, "unsure", figures->unsure);
    put(json, "sent", figures->sent);
    put(json, "deferred", figures->deferred);
    put(json, "bounced", figures->bounced);
    put(json, "tries", figures->tries[ATTEMPT_OUT]);
    put(json, "tries_filter", figures->tries[ATTEMPT_FILTER]);
    put(json, "tries_relay", figures->tries[ATTEMPT_RELAY]);
    put(json, "tries_bypass", figures->tries[ATTEMPT_BYPASS]);
    put(json, "tries_unknown", figures->tries[ATTEMPT_UNKNOWN]);
    put(json, "relayed", figures->relayed);
    put(json, "relayed_there", figures->relayed_there);
    json_text(json, "relay_host", figures->relay_host);
    json_close(json, '}');
}

static void
put_told(const struct replay *replay, struct json *json)
{
    const struct snapshot *snapshot = replay->conf->snapshot;

    json_open(json, "told", '[');
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct replay_stream *its = &replay->streams[i];

        json_open(json, NULL, '{');
        json_text(json, "stream", snapshot->streams[i].name);
        put(json, "messages", its->messages);
        put(json, "recipients", its->recipients);
        json_open(json, "perhaps", '{');
        for (size_t j = 0; j < snapshot->stream_count; j++)
            if (its->perhaps[j] > 0)
                put(json, snapshot->streams[j].name, its->perhaps[j]);
        json_close(json, '}');
        if (its->waits.counts[TALLY_SENT] > 0) {
            json_number(json, "waited_p50_s", replay_waited_ms(replay, i, 50) / 1000);
            json_number(json, "waited_p95_s", replay_waited_ms(replay, i, 95) / 1000);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
put_peak(const struct replay *replay, const struct pool *pool, const struct provider *provider,
         struct json *json)
{
    struct world_peak peak = world_peak(replay->world, pool, provider);
    const struct {
        const char *name;
        uint64_t peak;
        int64_t window_ms;
    } windows[] = {
        {"minute", peak.minute, MINUTE_MS},
        {"hour", peak.hour, 60 * MINUTE_MS},
        {"day", peak.day, 24 * 60 * MINUTE_MS},
    };

    if (peak.day == 0)
        return;
    json_open(json, NULL, '{');
    json_text(json, "pool", pool->name);
    json_text(json, "provider", provider->name);
    for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
        uint64_t room = replay_room(pool, provider, windows[i].window_ms);

        json_open(json, windows[i].name, '{');
        put(json, "most", windows[i].peak);
        if (room > 0)
            put(json, "room", room);
        json_close(json, '}');
    }
    json_close(json, '}');
}

static void
put_replies(const struct replay *replay, struct json *json)
{
    const struct replies *replies = &replay->conf->replies;

    json_open(json, "replies", '[');
    for (size_t i = 0; i < replies->count; i++) {
        if (arrivals_ruled(replay->arrivals, i) == 0)
            continue;
        json_open(json, NULL, '{');
        json_text(json, "rule", replies->rules[i].name);
        json_text(json, "accused", accused_text(replies->rules[i].accused));
        put(json, "tries", arrivals_ruled(replay->arrivals, i));
        json_close(json, '}');
    }
    json_close(json, ']');
    put(json, "replies_without_rule", arrivals_figures(replay->arrivals)->not_ruled);
}

static void
put_suspension(const struct replay *replay, const struct replay_suspension *kept, struct json *json)
{
    const struct world_suspension *its = &kept->its;

    json_open(json, NULL, '{');
    put(json, "at_s", (uint64_t)its->at_ms / 1000);
    put(json, "until_s", (uint64_t)its->until_ms / 1000);
    json_text(json, "what", its->slowed ? "slowed" : "suspended");
    json_text(json, "rule",
              kept->rule < replay->conf->replies.count
                  ? replay->conf->replies.rules[kept->rule].name
                  : NULL);
    if (its->address != NULL)
        json_text(json, "address", its->address->name);
    if (its->provider != NULL)
        json_text(json, "provider", its->provider->name);
    if (its->name != NULL)
        json_text(json, its->accused == WORLD_ACCOUNT ? "account" : "domain", its->name);
    json_close(json, '}');
}

void
replay_json(const struct replay *replay, const struct prospect *prospect, struct json *json)
{
    const struct snapshot *snapshot = replay->conf->snapshot;

    put_log(replay, json);
    put_told(replay, json);
    json_open(json, "peaks", '[');
    for (size_t i = 0; i < snapshot->pool_count; i++)
        for (size_t j = 0; j < snapshot->provider_count; j++)
            put_peak(replay, &snapshot->pools[i], &snapshot->providers[j], json);
    json_close(json, ']');
    put_replies(replay, json);
    json_open(json, "suspensions", '[');
    for (size_t i = 0; i < replay->suspension_count && i < REPLAY_SUSPENSIONS_MAX; i++)
        put_suspension(replay, &replay->suspensions[i], json);
    json_close(json, ']');
    put(json, "suspension_count", replay->suspension_count);
    prospect_json(prospect, json);
}
