/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/breakers_inside.h"

#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <string.h>
#include <time.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define DRAINED "drained"

static bool
is_slow(const struct breaker *breaker, int64_t now_ms)
{
    return breaker->state == BREAKER_CLOSED && now_ms < breaker->slow_until_ms;
}

/* "suspended", ...: what holds; NULL: nothing does. */
static const char *
state_text(const struct breaker *breaker, int64_t now_ms)
{
    if (breaker_is_suspended(breaker))
        return "suspended";
    switch (breaker->state) {
    case BREAKER_PROBING:
        return "probing";
    case BREAKER_RECOVERING:
        return "recovering";
    case BREAKER_OPEN:
    case BREAKER_CLOSED:
        break;
    }
    return breaker->drained ? DRAINED : is_slow(breaker, now_ms) ? "slowed" : NULL;
}

/* Of what the configuration does not have, only what ends by itself or by resume is told. */
static bool
is_told(const struct breakers_entry *entry, int64_t now_ms)
{
    if (!breakers_is_bound(&entry->whose))
        return breaker_is_suspended(&entry->now) || entry->now.drained;
    return state_text(&entry->now, now_ms) != NULL;
}

/* Until when, of the store's clock; BREAKER_FOR_EVER: that is not known. */
static int64_t
until(const struct breaker *breaker, const struct breaker_policy *policy, int64_t now_ms)
{
    if (breaker_is_suspended(breaker))
        return breaker_until(breaker);
    if (breaker->state == BREAKER_RECOVERING)
        return breaker->since_ms + (int64_t)policy->step_count * policy->step_ms;
    return is_slow(breaker, now_ms) ? breaker->slow_until_ms : BREAKER_FOR_EVER;
}

/* " until 10:42:07 (28 s)", by the clock of this host; " until 2026-12-04 10:42 (7 d)" */
static void
tell_until(int64_t left_ms, struct buf *text)
{
    time_t at = (time_t)((clock_ms(CLOCK_REALTIME) + left_ms) / 1000);
    char when[32], span[UNITS_SPAN_SIZE];
    struct tm local;

    localtime_r(&at, &local);
    strftime(when, sizeof(when), left_ms < DAY_MS ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &local);
    buf_printf(text, " until %s (%s)", when, units_print_span(left_ms, span));
}

static void
tell(const struct breakers *breakers, const struct breakers_entry *entry, int64_t now_ms,
     struct buf *text)
{
    const struct breaker *now = &entry->now;
    const struct breaker_policy *policy = &breakers->conf->suspension;
    char title[BREAKERS_TITLE_SIZE];
    int64_t until_ms = until(now, policy, now_ms);
    const char *state = state_text(now, now_ms);
    bool drained = strcmp(state, DRAINED) == 0;

    buf_printf(text, "%s%s: %s", breakers_title(entry->key, title),
               breakers_is_bound(&entry->whose) ? "" : " (not in the configuration)", state);
    if (!breaker_is_suspended(now) && now->state == BREAKER_PROBING)
        buf_printf(text, ", %u of %d probes accepted", now->accepted, policy->probes);
    else if (!breaker_is_suspended(now) && !drained)
        buf_printf(text, " at %d %%", breaker_share(now, policy, now_ms));
    if (until_ms != BREAKER_FOR_EVER)
        tell_until(until_ms - now_ms, text);
    else if (breaker_is_suspended(now) || drained)
        buf_puts(text, " until it is resumed");
    if (breaker_why(now)[0] != '\0')
        buf_printf(text, ": %s", breaker_why(now));
    if (now->drained && !drained)
        buf_printf(text, "; drained: %s", now->drained_why);
    buf_puts(text, "\n");
}

static void
tell_names(const struct breakers_entry *entry, struct json *json)
{
    static const char *const others[BREAKERS_SCOPES] = {NULL, "provider", "domain", "account"};
    struct breakers_names names;

    if (!breakers_names(entry->key, &names))
        return;
    if (names.address[0] != '\0')
        json_text(json, "address", names.address);
    if (others[names.scope] != NULL)
        json_text(json, others[names.scope], names.other);
    json_bool(json, "configured", breakers_is_bound(&entry->whose));
}

static void
tell_json(const struct breakers *breakers, const struct breakers_entry *entry, int64_t now_ms,
          struct json *json)
{
    const struct breaker *now = &entry->now;
    const struct breaker_policy *policy = &breakers->conf->suspension;
    int64_t until_ms = until(now, policy, now_ms);

    json_open(json, NULL, '{');
    tell_names(entry, json);
    json_text(json, "state", state_text(now, now_ms));
    json_bool(json, "by_hand", breaker_is_by_hand(now));
    json_bool(json, "drained", now->drained);
    json_number(json, "share_percent", breaker_share(now, policy, now_ms));
    if (until_ms != BREAKER_FOR_EVER)
        json_number(json, "seconds_left", (until_ms - now_ms + 999) / 1000);
    json_number(json, "repetitions", now->level);
    if (!breaker_is_suspended(now) && now->state == BREAKER_PROBING)
        json_number(json, "probes_accepted", now->accepted);
    json_text(json, "why", breaker_why(now));
    json_close(json, '}');
}

size_t
breakers_status(struct breakers *breakers, struct buf *text, struct json *json)
{
    int64_t now_ms = breakers_now_ms(breakers);
    struct breakers_entry *entry;
    size_t count = 0;

    if (json != NULL)
        json_open(json, "suspensions", '[');
    TAILQ_FOREACH(entry, &breakers->all, order)
    {
        if (!is_told(entry, now_ms))
            continue;
        count++;
        if (text != NULL)
            tell(breakers, entry, now_ms, text);
        else
            tell_json(breakers, entry, now_ms, json);
    }
    if (json != NULL)
        json_close(json, ']');
    breakers_crowd_status(breakers, text, json);
    return count;
}
