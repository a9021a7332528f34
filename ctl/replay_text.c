/*
 * A replay for people: tables that fit a terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/replay.h"

#include "ctl/table.h"
#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "lib/replies.h"
#include "lib/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_MS ((int64_t)60 * 1000)

enum {
    NAME_WIDTH = 24,
    WIDTH = 12,
    CELL_SIZE = 80,
    RELAYED_MIN = 100,    /* fewer tell of no relayhost ... */
    RELAYED_PERCENT = 90, /* ... nor does a smaller part of them at one host */
    THINGS_MAX = 5,       /* suspended ones that are named for a rule; --json has all */
};

static void
put(struct buf *out, uint64_t number)
{
    char text[PROSPECT_NUMBER_SIZE];

    buf_printf(out, " %*s", WIDTH, prospect_number(number, text));
}

static double
percent(uint64_t part, uint64_t all)
{
    return all > 0 ? (double)part * 100 / (double)all : 0;
}

/* ------------------------------------------------------------------ the log */

/* "left out: 12 tries handed to filters, ...": what there is of each. */
static void
put_counts(struct buf *out, const char *begin, const char *const *names, const uint64_t *counts,
           size_t count)
{
    char number[PROSPECT_NUMBER_SIZE];
    bool begun = false;

    for (size_t i = 0; i < count; i++) {
        if (counts[i] == 0)
            continue;
        buf_printf(out, "%s%s %s", begun ? ", " : begin, prospect_number(counts[i], number),
                   names[i]);
        begun = true;
    }
    if (begun)
        buf_puts(out, "\n");
}

static void
print_left_out(const struct arrivals_figures *figures, struct buf *out)
{
    static const char *const kinds[] = {"to filters on this host", "for relay_domains",
                                        "to domains that are left alone",
                                        "of messages that came before the log"};
    static const char *const lines[] = {"lines of Postfix that are in doubt",
                                        "lines that are of no log",
                                        "messages forgotten, too many were under way"};
    uint64_t tries[] = {figures->tries[ATTEMPT_FILTER], figures->tries[ATTEMPT_RELAY],
                        figures->tries[ATTEMPT_BYPASS], figures->tries[ATTEMPT_UNKNOWN]};
    uint64_t odd[] = {figures->odd, figures->foreign, figures->forgotten};

    put_counts(out, "left out, tries: ", kinds, tries, sizeof(tries) / sizeof(*tries));
    put_counts(out, "not understood: ", lines, odd, sizeof(odd) / sizeof(*odd));
}

/* Is there one host that takes nearly all, and is no provider's? */
static bool
is_relayhost(const struct replay *replay)
{
    const struct arrivals_figures *figures = arrivals_figures(replay->arrivals);
    const char *hosts[] = {figures->relay_host};

    return figures->relayed >= RELAYED_MIN &&
           percent(figures->relayed_there, figures->relayed) >= RELAYED_PERCENT &&
           provider_by_mx(replay->conf->snapshot, hosts, 1)->index == PROVIDER_OTHER;
}

static void
print_log(const struct replay *replay, const struct prospect *prospect, struct buf *out)
{
    const struct arrivals_figures *figures = arrivals_figures(replay->arrivals);
    char first[PROSPECT_TIME_SIZE], last[PROSPECT_TIME_SIZE], span[UNITS_SPAN_SIZE];
    char numbers[4][PROSPECT_NUMBER_SIZE];

    buf_printf(out, "%s to %s, %s lines, in %s of them Postfix tells of messages\n",
               prospect_time(prospect, figures->first_ms, first),
               prospect_time(prospect, figures->last_ms, last),
               prospect_number(figures->lines, numbers[0]),
               prospect_number(figures->postfix, numbers[1]));
    buf_printf(out,
               "%s recipients of %s messages left for other hosts, in %s tries; at the first try\n"
               "%.1f %% were sent, %.1f %% deferred and %.1f %% bounced\n",
               prospect_number(figures->recipients, numbers[0]),
               prospect_number(figures->messages, numbers[1]),
               prospect_number(figures->tries[ATTEMPT_OUT], numbers[2]),
               percent(figures->sent, figures->recipients),
               percent(figures->deferred, figures->recipients),
               percent(figures->bounced, figures->recipients));
    if (figures->before > 0)
        buf_printf(out, "%s recipients are of messages whose beginning the log does not have\n",
                   prospect_number(figures->before, numbers[0]));
    print_left_out(figures, out);
    if (is_relayhost(replay))
        buf_printf(
            out,
            "! %.0f %% of all tries were at %.60s: if that is a relayhost, providers are only "
            "told by\n  the domains that the configuration names, not by MX hosts\n",
            percent(figures->relayed_there, figures->relayed), figures->relay_host);
    if (figures->back_ms > 60 * MINUTE_MS)
        buf_printf(out,
                   "! times of the log go back by up to %s: is a file named twice, or are there "
                   "logs of several hosts?\n",
                   units_print_span(figures->back_ms, span));
}

/* Which streams else, and of how much. */
static void
put_perhaps(const struct replay *replay, const struct replay_stream *its, struct table *table)
{
    const struct snapshot *snapshot = replay->conf->snapshot;
    struct buf text = {0};
    const char *between = "";

    for (size_t i = 0; i < snapshot->stream_count; i++)
        if (its->perhaps[i] > 0) {
            buf_printf(&text, "%s%.1f %% of %s", between, percent(its->perhaps[i], its->recipients),
                       snapshot->streams[i].name);
            between = ", ";
        }
    table_text(table, buf_text(&text));
    buf_clear(&text);
}

static void
print_told(const struct replay *replay, struct buf *out)
{
    const struct arrivals_figures *figures = arrivals_figures(replay->arrivals);
    const struct snapshot *snapshot = replay->conf->snapshot;
    struct table table = {.columns = 4, .left = 1 | 1u << 3};

    table_text(&table, "stream, as the log tells");
    table_text(&table, "messages");
    table_text(&table, "recipients");
    table_text(&table, "may be, by what no log tells");
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct replay_stream *its = &replay->streams[i];

        if (its->recipients == 0)
            continue;
        table_text(&table, snapshot->streams[i].name);
        table_number(&table, its->messages);
        table_number(&table, its->recipients);
        put_perhaps(replay, its, &table);
    }
    buf_puts(out, "\n");
    table_print(&table, out);
    if (figures->unsure > 0)
        buf_printf(out,
                   "! a log has no headers: the streams of %.1f %% cannot be told -- tell which "
                   "senders are whose,\n  say --stream %s=*@news.example.com\n",
                   percent(figures->unsure, figures->recipients), snapshot->streams[0].name);
}

/* --------------------------------------------------------------------- waits */

static void
print_waits(const struct replay *replay, struct buf *out)
{
    const struct snapshot *snapshot = replay->conf->snapshot;
    bool begun = false;

    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct tally *waits = &replay->streams[i].waits;
        char half[UNITS_SPAN_SIZE], most[UNITS_SPAN_SIZE], number[PROSPECT_NUMBER_SIZE];

        if (waits->counts[TALLY_SENT] == 0)
            continue;
        if (!begun)
            buf_puts(out, "\n");
        begun = true;
        buf_printf(out, "%s: %s waited and left, half of them within %s, 95 %% within %s\n",
                   snapshot->streams[i].name, prospect_number(waits->counts[TALLY_SENT], number),
                   units_print_span(replay_waited_ms(replay, i, 50), half),
                   units_print_span(replay_waited_ms(replay, i, 95), most));
    }
}

/* --------------------------------------------------------------------- peaks */

static void
put_peak(struct table *table, uint64_t peak, uint64_t room)
{
    char number[PROSPECT_NUMBER_SIZE], limit[PROSPECT_NUMBER_SIZE], cell[CELL_SIZE];

    if (room > 0)
        snprintf(cell, sizeof(cell), "%s of %s%s", prospect_number(peak, number),
                 prospect_number(room, limit), peak > room ? " !" : "");
    else
        snprintf(cell, sizeof(cell), "%s", prospect_number(peak, number));
    table_text(table, cell);
}

static void
put_peaks(const struct replay *replay, const struct pool *pool, const struct provider *provider,
          struct table *table)
{
    struct world_peak peak = world_peak(replay->world, pool, provider);

    table_text(table, pool->name);
    table_text(table, provider->name);
    put_peak(table, peak.minute, replay_room(pool, provider, MINUTE_MS));
    put_peak(table, peak.hour, replay_room(pool, provider, 60 * MINUTE_MS));
    put_peak(table, peak.day, replay_room(pool, provider, 24 * 60 * MINUTE_MS));
}

static void
print_peaks(const struct replay *replay, struct buf *out)
{
    static const char *const heads[] = {"came in for", "to", "most a minute", "most an hour",
                                        "most a day"};
    const struct snapshot *snapshot = replay->conf->snapshot;
    struct table table = {.columns = 5, .left = 3};

    for (size_t i = 0; i < table.columns; i++)
        table_text(&table, heads[i]);
    for (size_t i = 0; i < snapshot->pool_count; i++)
        for (size_t j = 0; j < snapshot->provider_count; j++)
            if (world_peak(replay->world, &snapshot->pools[i], &snapshot->providers[j]).day > 0)
                put_peaks(replay, &snapshot->pools[i], &snapshot->providers[j], &table);
    buf_puts(out, "\n");
    table_print(&table, out);
    if (snapshot->has_caps)
        buf_puts(out, "of: what the caps of the pool's addresses let pass in that time\n");
}

/* ------------------------------------------------------------------- replies */

/* A thing that a rule suspended or slowed, and how often. */
struct thing {
    char name[CELL_SIZE];
    size_t times;
};

static void
name_thing(const struct world_suspension *its, char name[CELL_SIZE])
{
    if (its->accused == WORLD_ACCOUNT)
        snprintf(name, CELL_SIZE, "%.64s", its->name);
    else if (its->accused == WORLD_ADDRESS)
        snprintf(name, CELL_SIZE, "%s", its->address->name);
    else
        snprintf(name, CELL_SIZE, "%s at %.40s", its->address->name,
                 its->name != NULL ? its->name : its->provider->name);
}

/* Those of one rule.  Returns how many times it was in all; *ret_first is the first of them. */
static size_t
gather(const struct replay *replay, size_t rule, bool slowed, struct thing things[THINGS_MAX],
       const struct world_suspension **ret_first)
{
    size_t all = 0;

    memset(things, 0, THINGS_MAX * sizeof(*things));
    for (size_t i = 0; i < replay->suspension_count && i < REPLAY_SUSPENSIONS_MAX; i++) {
        const struct replay_suspension *kept = &replay->suspensions[i];
        char name[CELL_SIZE];
        size_t at = 0;

        if (kept->rule != rule || kept->its.slowed != slowed)
            continue;
        if (all++ == 0)
            *ret_first = &kept->its;
        name_thing(&kept->its, name);
        while (at < THINGS_MAX && things[at].times > 0 && strcmp(things[at].name, name) != 0)
            at++;
        if (at == THINGS_MAX)
            continue;
        memcpy(things[at].name, name, sizeof(name));
        things[at].times++;
    }
    return all;
}

static void
print_things(const struct replay *replay, const struct prospect *prospect, size_t rule, bool slowed,
             struct buf *out)
{
    char first[PROSPECT_TIME_SIZE], span[UNITS_SPAN_SIZE];
    const struct world_suspension *its = NULL;
    struct thing things[THINGS_MAX];
    size_t all = gather(replay, rule, slowed, things, &its), named = 0;

    if (all == 0)
        return;
    buf_printf(out, "  would have %s", slowed ? "slowed" : "suspended");
    for (size_t i = 0; i < THINGS_MAX && things[i].times > 0; i++) {
        buf_printf(out, "%s %s (%zu)", i > 0 ? "," : "", things[i].name, things[i].times);
        named += things[i].times;
    }
    if (all > named)
        buf_printf(out, " and others (%zu)", all - named);
    buf_printf(out, ", first on %s for %s\n", prospect_time(prospect, its->at_ms, first),
               units_print_span(its->until_ms - its->at_ms, span));
}

static void
print_replies(const struct replay *replay, const struct prospect *prospect, struct buf *out)
{
    const struct arrivals_figures *figures = arrivals_figures(replay->arrivals);
    const struct replies *replies = &replay->conf->replies;

    if (figures->ruled + figures->not_ruled == 0)
        return;
    buf_printf(out, "\n%-*s %*s  %s\n", NAME_WIDTH + WIDTH, "replies of the log, by rule", WIDTH,
               "tries", "accused");
    for (size_t i = 0; i < replies->count; i++) {
        if (arrivals_ruled(replay->arrivals, i) == 0)
            continue;
        buf_printf(out, "%-*s", NAME_WIDTH + WIDTH, replies->rules[i].name);
        put(out, arrivals_ruled(replay->arrivals, i));
        buf_printf(out, "  %s\n", accused_text(replies->rules[i].accused));
        print_things(replay, prospect, i, false, out);
        print_things(replay, prospect, i, true, out);
    }
    if (figures->not_ruled > 0) {
        buf_printf(out, "%-*s", NAME_WIDTH + WIDTH, "(no rule fits)");
        put(out, figures->not_ruled);
        buf_puts(out, "\n");
    }
    if (replay->suspension_count > REPLAY_SUSPENSIONS_MAX)
        buf_printf(out, "of %zu suspensions the first %d are told\n", replay->suspension_count,
                   REPLAY_SUSPENSIONS_MAX);
}

void
replay_print(const struct replay *replay, const struct prospect *prospect, struct buf *out)
{
    print_log(replay, prospect, out);
    print_told(replay, out);
    buf_puts(out, "\nWith this configuration:\n\n");
    prospect_print(prospect, out);
    print_waits(replay, out);
    print_peaks(replay, out);
    print_replies(replay, prospect, out);
}
