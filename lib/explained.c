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

/* "address/a1 (50 per hour)": the cap that room is waited for under. */
static void
add_cap(struct meters *meters, uint32_t number, struct buf *out)
{
    const struct metered *metered = meters_at(meters, number);
    size_t window = metered->meter.window < metered->caps->count ? metered->meter.window : 0;
    const struct cap *cap = &metered->caps->items[window];
    char key[METERS_KEY_SIZE];

    meters_key(meters, number, key);
    if (metered->off > 0)
        buf_printf(out, "%s (%u of %u per %s for now)", key,
                   book_limit(cap, meters_percent(metered)), cap->limit, cap->name);
    else
        buf_printf(out, "%s (%u per %s)", key, cap->limit, cap->name);
}

static bool
is_held_back(const struct candidate *candidate)
{
    return candidate->verdict == VERDICT_SUSPENDED || candidate->verdict == VERDICT_DRAINED ||
           candidate->verdict == VERDICT_SLOWED || candidate->verdict == VERDICT_PACED;
}

/* ", WORD in 5 min" */
static void
add_time(int64_t at_ms, const char *word, const struct explained_with *with, struct buf *out)
{
    int64_t span_ms = at_ms > with->now_ms ? at_ms - with->now_ms : 0;
    char span[UNITS_SPAN_SIZE];

    if (at_ms != CURB_NOT_KNOWN)
        buf_printf(out, ", %s in %s", word, units_print_span(span_ms, span));
}

static const char *
cause_of(const struct candidate *candidate, const struct explained_with *with)
{
    return with->cause != NULL ? with->cause(with->arg, candidate) : NULL;
}

static void
add_curb(const struct candidate *candidate, const struct explained_with *with, struct buf *out)
{
    const char *cause = cause_of(candidate, with);

    if (candidate->scope == CURB_PROVIDER)
        buf_puts(out, " at this provider");
    if (candidate->scope == CURB_ACCOUNT)
        buf_puts(out, " with all mail of this sender");
    add_time(candidate->room_ms, "better", with, out);
    if (cause != NULL && cause[0] != '\0')
        buf_printf(out, ": %s", cause);
}

/* "within 30 days; this one 45 days ago" */
static void
add_engaged(const struct candidate *candidate, const struct explained_with *with, struct buf *out)
{
    buf_printf(out, ", within %u days; of this one ", candidate->engaged_days);
    if (with->quiet_days == DECIDE_NEVER_ACTIVE)
        buf_puts(out, "nothing is known");
    else
        buf_printf(out, "the last was %d days ago", (int)with->quiet_days);
}

static void
add_reason(const struct candidate *candidate, const struct explained_with *with, struct buf *out)
{
    char text[CANDIDATE_TEXT_SIZE];

    buf_puts(out, candidate_text(candidate, text));
    if (is_held_back(candidate))
        add_curb(candidate, with, out);
    if (candidate->verdict == VERDICT_UNENGAGED)
        add_engaged(candidate, with, out);
    if (with->meters == NULL || candidate->meter == METERS_NONE)
        return;
    if (candidate->warming.address == NULL) {
        buf_puts(out, ": ");
        add_cap(with->meters, candidate->meter, out);
    }
    if (candidate->verdict == VERDICT_FULL)
        add_time(candidate->room_ms, "expected", with, out);
}

/* Why there is no address. */
static void
add_none(const struct decision *decision, const struct explained_with *with, struct buf *out)
{
    buf_puts(out, "address    none: the recipient is ");
    if (decision->full) {
        buf_puts(out, "deferred (4.7.1) for want of room");
        if (with->meters != NULL && decision->refused_by != METERS_NONE)
            add_time(decision->room_ms, "expected", with, out);
    } else if (decision->suspended) {
        buf_puts(out, decision->held     ? "deferred (4.7.1), mail of this sender is held back"
                      : decision->slowed ? "deferred (4.7.1), all addresses are slowed down"
                                         : "deferred (4.7.1), all addresses are suspended");
        add_time(decision->room_ms, "better", with, out);
    } else if (decision->unengaged) {
        buf_puts(out, "deferred (4.7.1), it waits for an address that is warm");
    } else if (decision->refused) {
        buf_puts(out, "returned, every address has refused it");
    } else {
        buf_puts(out, "deferred (4.3.2)");
    }
    buf_puts(out, "\n");
}

void
explained_text(const struct decision *decision, const struct explained_with *with, struct buf *out)
{
    char ip[IP_TEXT_SIZE];

    if (decision->address != NULL) {
        ip_print(&decision->address->ip, ip);
        buf_printf(out, "address    %s, %s, as %s, by the Postfix service pp-%s%s\n",
                   decision->address->name, ip, decision->address->helo, decision->address->name,
                   decision->exceeds ? ", over its cap"
                   : decision->cold  ? ", if its cap has room"
                                     : "");
    } else {
        add_none(decision, with, out);
    }
    buf_puts(out, "candidates\n");
    for (size_t i = 0; i < decision->candidate_count; i++) {
        const struct candidate *candidate = &decision->candidates[i];

        ip_print(&candidate->address->ip, ip);
        buf_printf(out, "  %-12s %-12s %-20s ", candidate->pool->name, candidate->address->name,
                   ip);
        add_reason(candidate, with, out);
        buf_puts(out, "\n");
    }
    if (decision->omitted > 0)
        buf_printf(out, "  and %zu more\n", decision->omitted);
}

static void
json_curb(const struct candidate *candidate, const struct explained_with *with, struct json *json)
{
    static const char *const scopes[] = {
        [CURB_ADDRESS] = "address", [CURB_PROVIDER] = "provider", [CURB_ACCOUNT] = "account"};

    json_text(json, "scope", scopes[candidate->scope]);
    if (candidate->room_ms != CURB_NOT_KNOWN)
        json_number(json, "better_in_ms", candidate->room_ms - with->now_ms);
    json_text(json, "cause", cause_of(candidate, with));
}

static void
json_warming(const struct warming *warming, struct json *json)
{
    json_open(json, "warmup", '{');
    json_number(json, "stage", warming->stage);
    json_number(json, "stages", warming->stages);
    json_number(json, "recipients", warming->recipients);
    json_text(json, "window", warming->hour ? "hour" : "day");
    json_close(json, '}');
}

static void
json_candidate(const struct candidate *candidate, const struct explained_with *with,
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
    if (with->meters != NULL && candidate->meter != METERS_NONE) {
        meters_key(with->meters, candidate->meter, key);
        json_text(json, "cap", key);
    }
    if (candidate->warming.address != NULL)
        json_warming(&candidate->warming, json);
    if (candidate->verdict == VERDICT_FULL)
        json_number(json, "room_in_ms", candidate->room_ms - with->now_ms);
    if (is_held_back(candidate))
        json_curb(candidate, with, json);
    if (candidate->verdict == VERDICT_UNENGAGED)
        json_number(json, "engaged_days", candidate->engaged_days);
    json_close(json, '}');
}

void
explained_json(const struct decision *decision, const struct explained_with *with,
               struct json *json)
{
    json_text(json, "address", decision->address != NULL ? decision->address->name : NULL);
    json_bool(json, "full", decision->full);
    json_bool(json, "suspended", decision->suspended);
    json_bool(json, "unengaged", decision->unengaged);
    json_bool(json, "exceeds", decision->exceeds);
    json_bool(json, "caps_known", with->meters != NULL);
    json_open(json, "candidates", '[');
    for (size_t i = 0; i < decision->candidate_count; i++)
        json_candidate(&decision->candidates[i], with, json);
    json_close(json, ']');
    json_number(json, "omitted", (long long)decision->omitted);
}
