/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/explained.h"

#include "engine/decide.h"
#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/units.h"

void
explained_cap(struct meters *meters, uint32_t number, struct buf *out)
{
    const struct metered *metered = meters_at(meters, number);
    size_t window = metered->meter.window < metered->caps->count ? metered->meter.window : 0;
    const struct cap *cap = &metered->caps->items[window];
    char key[METERS_KEY_SIZE];

    meters_key(meters, number, key);
    buf_printf(out, "%s (%u per %s)", key, cap->limit, cap->name);
}

static void
add_reason(const struct candidate *candidate, struct meters *meters, int64_t now_ms,
           struct buf *out)
{
    char span[UNITS_SPAN_SIZE];

    buf_puts(out, verdict_text(candidate->verdict));
    if (meters == NULL || candidate->meter == METERS_NONE)
        return;
    buf_puts(out, ": ");
    explained_cap(meters, candidate->meter, out);
    if (candidate->verdict != VERDICT_FULL)
        return;
    buf_printf(out, ", expected in %s", units_print_span(candidate->room_ms - now_ms, span));
}

void
explained_text(const struct decision *decision, struct meters *meters, int64_t now_ms,
               struct buf *out)
{
    char ip[IP_TEXT_SIZE], span[UNITS_SPAN_SIZE];

    if (decision->address != NULL) {
        ip_print(&decision->address->ip, ip);
        buf_printf(out, "address    %s, %s, as %s, by the Postfix service pp-%s%s\n",
                   decision->address->name, ip, decision->address->helo, decision->address->name,
                   decision->exceeds ? ", over its cap"
                   : decision->cold  ? ", if its cap has room"
                                     : "");
    } else if (decision->full) {
        buf_puts(out, "address    none: the recipient is deferred (4.7.1) for want of room");
        if (meters != NULL && decision->refused_by != METERS_NONE)
            buf_printf(out, ", expected in %s", units_print_span(decision->room_ms - now_ms, span));
        buf_puts(out, "\n");
    } else {
        buf_puts(out, "address    none: the recipient is deferred (4.3.2)\n");
    }
    buf_puts(out, "candidates\n");
    for (size_t i = 0; i < decision->candidate_count; i++) {
        const struct candidate *candidate = &decision->candidates[i];

        ip_print(&candidate->address->ip, ip);
        buf_printf(out, "  %-12s %-12s %-20s ", candidate->pool->name, candidate->address->name,
                   ip);
        add_reason(candidate, meters, now_ms, out);
        buf_puts(out, "\n");
    }
    if (decision->omitted > 0)
        buf_printf(out, "  and %zu more\n", decision->omitted);
}

static void
json_candidate(const struct candidate *candidate, struct meters *meters, int64_t now_ms,
               struct json *json)
{
    bool taken = candidate->verdict == VERDICT_TAKEN || candidate->verdict == VERDICT_EXCEEDS ||
                 candidate->verdict == VERDICT_COLD;
    char ip[IP_TEXT_SIZE], key[METERS_KEY_SIZE];

    ip_print(&candidate->address->ip, ip);
    json_open(json, NULL, '{');
    json_text(json, "pool", candidate->pool->name);
    json_text(json, "address", candidate->address->name);
    json_text(json, "ip", ip);
    json_bool(json, "taken", taken);
    json_text(json, "why", verdict_text(candidate->verdict));
    if (meters != NULL && candidate->meter != METERS_NONE) {
        meters_key(meters, candidate->meter, key);
        json_text(json, "cap", key);
    }
    if (candidate->verdict == VERDICT_FULL)
        json_number(json, "room_in_ms", candidate->room_ms - now_ms);
    json_close(json, '}');
}

void
explained_json(const struct decision *decision, struct meters *meters, int64_t now_ms,
               struct json *json)
{
    json_text(json, "address", decision->address != NULL ? decision->address->name : NULL);
    json_bool(json, "full", decision->full);
    json_bool(json, "exceeds", decision->exceeds);
    json_bool(json, "caps_known", meters != NULL);
    json_open(json, "candidates", '[');
    for (size_t i = 0; i < decision->candidate_count; i++)
        json_candidate(&decision->candidates[i], meters, now_ms, json);
    json_close(json, ']');
    json_number(json, "omitted", (long long)decision->omitted);
}
