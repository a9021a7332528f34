/*
 * What postpool simulate says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/simulate.h"

#include "ctl/ctl.h"
#include "ctl/prospect.h"

#include "engine/date.h"
#include "engine/snapshot.h"
#include "lib/json.h"
#include "lib/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const per_text[] = {
    [ASSUMED_HOUR] = "an hour", [ASSUMED_DAY] = "a day", [ASSUMED_WEEK] = "a week"};

static void
print_volumes(const struct assumed *assumed, struct buf *out)
{
    for (size_t i = 0; i < assumed->count; i++) {
        const struct assumed_stream *its = &assumed->streams[i];
        char number[PROSPECT_NUMBER_SIZE];

        buf_printf(out, "%s%s %s %s", i > 0 ? "; " : "", its->stream->name,
                   prospect_number(its->count, number), per_text[its->per]);
        if (its->when_text != NULL)
            buf_printf(out, ", %s", its->when_text);
        else if (its->stream->hours != NULL)
            buf_puts(out, ", in its hours");
        if (its->accounts > 0)
            buf_printf(out, ", from %u accounts", its->accounts);
    }
}

static void
print_shares(const struct assumed *assumed, struct buf *out)
{
    size_t count = assumed->snapshot->provider_count;
    bool begun = false;

    for (size_t i = 1; i <= count; i++) { /* what is nobody's comes last */
        size_t place = i % count;

        if (assumed->shares[place] == 0)
            continue;
        buf_printf(out, "%s%s %g %%", begun ? ", " : "", assumed->snapshot->providers[place].name,
                   assumed->shares[place] / 100.0);
        begun = true;
    }
}

/* What the configuration has and this says nothing of. */
static void
print_notes(const struct simulation *simulation, struct buf *out)
{
    const struct snapshot *snapshot = simulation->conf->snapshot;
    const struct assumed *assumed = &simulation->assumed;
    bool begun = false;

    for (size_t i = 0; i < snapshot->stream_count; i++) {
        bool there = false;

        for (size_t j = 0; j < assumed->count; j++)
            there |= assumed->streams[j].stream == &snapshot->streams[i];
        if (!there)
            buf_printf(out, "%s%s", begun ? ", " : "No mail of: ", snapshot->streams[i].name);
        begun |= !there;
    }
    buf_puts(out, begun ? "\n" : "");
    for (size_t i = 0; i < assumed->count; i++)
        if (assumed->streams[i].stream->account_caps.count > 0 && assumed->streams[i].accounts == 0)
            buf_printf(out, "Caps of accounts of %s are not counted: --accounts %s=NUMBER\n",
                       assumed->streams[i].stream->name, assumed->streams[i].stream->name);
    if (simulation->now)
        buf_puts(out, "Warm-ups go on from where the policy daemon has them.\n");
    for (size_t i = 0; i < assumed->count; i++)
        if (assumed->streams[i].stream->is_graded && assumed->streams[i].accounts == 0)
            buf_printf(out,
                       "Mail of %s is taken for that of trusted accounts: --accounts %s=NUMBER\n",
                       assumed->streams[i].stream->name, assumed->streams[i].stream->name);
}

static void
print(const struct simulation *simulation, const struct prospect *prospect, struct buf *out)
{
    const struct assumed *assumed = &simulation->assumed;
    char first[DATE_SIZE], last[DATE_SIZE];

    date_print(simulation->first_day, first);
    date_print(simulation->first_day + simulation->days - 1, last);
    buf_printf(out,
               "From %s to %s, %d day%s, with all %zu addresses; all numbers are recipients.\n",
               first, last, simulation->days, simulation->days == 1 ? "" : "s",
               assumed->snapshot->address_count);
    buf_puts(out, "Assumed: ");
    print_volumes(assumed, out);
    buf_puts(out, "\nTo: ");
    print_shares(assumed, out);
    buf_printf(
        out, "\nOf what leaves %g %% are accepted, %g %% have no such recipient, %g %% are refused",
        (ASSUMED_ALL - assumed->bounced - assumed->refused) / 100.0, assumed->bounced / 100.0,
        assumed->refused / 100.0);
    buf_printf(out, "; curve %s, seed %" PRIu64 "\n",
               assumed->curve_name != NULL ? assumed->curve_name : "as given", simulation->seed);
    print_notes(simulation, out);
    buf_puts(out, "\n");
    prospect_print(prospect, out);
}

static void
put_assumed(const struct simulation *simulation, struct json *json)
{
    const struct assumed *assumed = &simulation->assumed;

    json_open(json, "assumed", '{');
    json_open(json, "volumes", '[');
    for (size_t i = 0; i < assumed->count; i++) {
        const struct assumed_stream *its = &assumed->streams[i];

        json_open(json, NULL, '{');
        json_text(json, "stream", its->stream->name);
        json_number(json, "count", (long long)its->count);
        json_text(json, "per", strchr(per_text[its->per], ' ') + 1);
        json_text(json, "when", its->when_text);
        json_number(json, "accounts", its->accounts);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "providers", '[');
    for (size_t i = 0; i < assumed->snapshot->provider_count; i++) {
        if (assumed->shares[i] == 0)
            continue;
        json_open(json, NULL, '{');
        json_text(json, "provider", assumed->snapshot->providers[i].name);
        json_real(json, "percent", assumed->shares[i] / 100.0);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "curve", '[');
    for (size_t i = 0; i < ASSUMED_HOURS; i++)
        json_number(json, NULL, assumed->curve[i]);
    json_close(json, ']');
    json_real(json, "bounced_percent", assumed->bounced / 100.0);
    json_real(json, "refused_percent", assumed->refused / 100.0);
    json_number(json, "lifetime_s", simulation->lifetime_ms / 1000);
    json_bool(json, "now", simulation->now);
    json_number(json, "seed", (long long)simulation->seed);
    json_close(json, '}');
}

static void
put(const struct simulation *simulation, const struct prospect *prospect, struct buf *out)
{
    struct json json = {.out = out};
    char first[DATE_SIZE], last[DATE_SIZE];

    date_print(simulation->first_day, first);
    date_print(simulation->first_day + simulation->days - 1, last);
    json_open(&json, NULL, '{');
    json_text(&json, "from", first);
    json_text(&json, "to", last);
    put_assumed(simulation, &json);
    prospect_json(prospect, &json);
    json_close(&json, '}');
    buf_puts(out, "\n");
}

int
simulate_show(const struct simulation *simulation, bool json)
{
    struct prospect prospect = {
        .conf = simulation->conf,
        .world = simulation->world,
        .zone = simulation->assumed.zone,
    };
    struct buf out = {0};

    if (json)
        put(simulation, &prospect, &out);
    else
        print(simulation, &prospect, &out);
    fputs(buf_text(&out), stdout);
    buf_clear(&out);
    return CTL_GOOD;
}
