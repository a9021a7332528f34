/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/prospect.h"

#include "engine/advice.h"
#include "engine/date.h"
#include "engine/need.h"
#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "engine/world.h"
#include "engine/zone.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 24 * 3600, NAMES_MAX = 8 };

#define DAY_MS ((int64_t)DAY_S * 1000)

/* ------------------------------------------------------------- small things */

const char *
prospect_number(uint64_t number, char out[static PROSPECT_NUMBER_SIZE])
{
    char digits[PROSPECT_NUMBER_SIZE];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    size_t at = 0;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *
prospect_time(const struct prospect *prospect, int64_t at_ms, char out[static PROSPECT_TIME_SIZE])
{
    int64_t until_s, at_s = at_ms / 1000;
    char date[DATE_SIZE];
    int minutes;

    at_s += zone_offset_s(prospect->zone, at_s, &until_s);
    minutes = (int)(at_s % DAY_S / 60);
    date_print((int32_t)(at_s / DAY_S), date);
    snprintf(out, PROSPECT_TIME_SIZE, "%s %02d:%02d", date, minutes / 60, minutes % 60);
    return out;
}

int
prospect_lifetime(const char *text, int64_t *ret_ms, struct err *err)
{
    int64_t ms;
    int r = units_parse_duration(text, &ms, err);

    if (r < 0)
        return r;
    if (ms > PROSPECT_LIFETIME_MAX_MS)
        return err_set(err, -ERANGE, "%s is longer than Postfix keeps any mail, 100d", text);
    *ret_ms = ms;
    return 0;
}

int32_t
prospect_full_day(const struct prospect *prospect, const struct address *address)
{
    int32_t full = -1;

    /* What it has at the end: it may have lost it meanwhile. */
    for (size_t i = world_days(prospect->world); i-- > 0;) {
        struct world_day day = world_day(prospect->world, i);

        if (day.addresses[address->index].allowance != WARMUP_UNLIMITED)
            break;
        full = day.day;
    }
    return full;
}

/* ----------------------------------------------------------------- warnings */

static void warn(struct prospect_warnings *warnings, const char *what, const char *of,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void
warn(struct prospect_warnings *warnings, const char *what, const char *of, const char *format, ...)
{
    va_list ap;

    warnings->items = mem_resize(warnings->items, warnings->count + 1, sizeof(*warnings->items));
    va_start(ap, format);
    warnings->items[warnings->count++] =
        (struct prospect_warning){what, mem_strdup(of), mem_vprintf(format, ap)};
    va_end(ap);
}

void
prospect_clear(struct prospect_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        free(warnings->items[i].of);
        free(warnings->items[i].text);
    }
    free(warnings->items);
    *warnings = (struct prospect_warnings){0};
}

/* From the first day on which mail came in to the last: what waits may take longer. */
static size_t
days_of_mail(const struct prospect *prospect)
{
    size_t first = 0, behind = 0;

    for (size_t i = 0; i < world_days(prospect->world); i++) {
        struct world_day day = world_day(prospect->world, i);
        uint64_t offered = 0;

        for (size_t j = 0; j < prospect->conf->snapshot->stream_count; j++)
            offered += day.streams[j].offered;
        if (offered > 0 && behind == 0)
            first = i;
        if (offered > 0)
            behind = i + 1;
    }
    return behind - first;
}

static void
judge_stream(const struct prospect *prospect, const struct stream *stream,
             struct prospect_warnings *warnings)
{
    struct world_stream its = world_stream(prospect->world, stream);
    char given_up[PROSPECT_NUMBER_SIZE], all[PROSPECT_NUMBER_SIZE];
    uint64_t days = days_of_mail(prospect);

    prospect_number(its.offered, all);
    if (its.ended > 0)
        warn(warnings, "returned", stream->name,
             "stream %s: %s of %s recipients waited for as long as Postfix keeps mail, and were "
             "returned to their senders",
             stream->name, prospect_number(its.ended, given_up), all);
    if (its.late > 0)
        warn(warnings, "late", stream->name,
             "stream %s: %s of %s recipients were past its deadline, and were returned",
             stream->name, prospect_number(its.late, given_up), all);
    if (days > 0 && its.waiting > its.offered / days)
        warn(warnings, "behind", stream->name,
             "stream %s: %s recipients still wait at the end, more than come in on a day: there "
             "is more mail than room",
             stream->name, prospect_number(its.waiting, given_up));
}

static void
judge_need(const struct prospect *prospect, const struct pool *pool,
           struct prospect_warnings *warnings)
{
    struct need need = need_of(prospect->world, pool);
    char peak[PROSPECT_NUMBER_SIZE];

    if (need.cap == NULL || need.addresses <= pool->member_count)
        return;
    warn(warnings, "few", pool->name,
         "pool %s has %zu address%s, and at its peak, %s recipients%s%s in a window of \"%s\", "
         "needs %zu: the rest overflows or waits",
         pool->name, pool->member_count, pool->member_count == 1 ? "" : "es",
         prospect_number(need.peak, peak), need.provider != NULL ? " to " : "",
         need.provider != NULL ? need.provider->name : "", need.cap->name, need.addresses);
}

static void
judge_thin(const struct prospect *prospect, const struct pool *pool,
           struct prospect_warnings *warnings)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct advice_part *parts = mem_array(snapshot->provider_count, sizeof(*parts));
    uint64_t least = (uint64_t)prospect->conf->figures_thin;
    struct advice_thin thin;

    for (size_t i = 0; i < snapshot->provider_count; i++)
        parts[i] =
            (struct advice_part){snapshot->providers[i].name,
                                 world_sent_to(prospect->world, pool, &snapshot->providers[i])};
    if (advice_is_thin(parts, snapshot->provider_count, snapshot->providers[PROVIDER_OTHER].name,
                       pool->member_count, (int)days_of_mail(prospect), least, &thin))
        warn(warnings, "thin", pool->name,
             "pool %s has %zu addresses for %" PRIu64 " messages a month to %s, %" PRIu64
             " each; with fewer than %" PRIu64 " an address gets no reputation there: use %zu",
             pool->name, pool->member_count, thin.per_month, thin.provider, thin.each, least,
             thin.enough);
    free(parts);
}

static void
judge_mix(const struct prospect *prospect, const struct address *address,
          struct prospect_warnings *warnings)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct advice_part *kinds = mem_array(snapshot->stream_count, sizeof(*kinds));
    struct buf shares = {0};
    size_t count = 0, kept;
    uint64_t all;

    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct stream *stream = &snapshot->streams[i];
        uint64_t sent = world_sent_of(prospect->world, address, stream);
        bool named = stream->kind != NULL && stream->kind[0] != '\0';

        if (sent > 0)
            kinds[count++] = (struct advice_part){named ? stream->kind : stream->name, sent};
    }
    kept = advice_mix(kinds, count, &all);
    for (size_t i = 0; i < kept; i++)
        buf_printf(&shares, "%s%u %% %s", i > 0 ? ", " : "", advice_percent(kinds[i].sent, all),
                   kinds[i].name);
    if (kept >= 2)
        warn(warnings, "mixed", address->name,
             "address %s sends different kinds of mail: %s; what harms one harms the others",
             address->name, buf_text(&shares));
    buf_clear(&shares);
    free(kinds);
}

/* The commonest of the days that did not move a warm-up on. */
static enum warmup_result
usual_hold(const struct prospect *prospect, const struct address *address, size_t *ret_days)
{
    size_t counts[WARMUP_STAYS + 1] = {0};
    enum warmup_result most = WARMUP_FEW;

    for (size_t i = 0; i + 1 < world_days(prospect->world); i++)
        counts[world_day(prospect->world, i).addresses[address->index].result]++;
    for (int i = WARMUP_ADVANCES + 1; i < WARMUP_STAYS; i++)
        if (counts[i] > counts[most])
            most = (enum warmup_result)i;
    *ret_days = counts[most];
    return most;
}

static void
judge_warmup(const struct prospect *prospect, const struct address *address,
             struct prospect_warnings *warnings)
{
    const struct warmup *warmup = world_warmup(prospect->world, address);
    enum warmup_result most;
    size_t days;

    if (warmup == NULL || warmup->phase == WARMUP_FULL)
        return;
    most = usual_hold(prospect, address, &days);
    if (days > 0)
        warn(warnings, "cold", address->name,
             "address %s does not reach its full volume: it is at stage %zu of %zu; on %zu day%s: "
             "%s",
             address->name, warmup_stage(warmup, address->schedule) + 1,
             address->schedule->stage_count, days, days == 1 ? "" : "s", warmup_result_text(most));
    else
        warn(warnings, "cold", address->name,
             "address %s does not reach its full volume in %zu days: it is at stage %zu of %zu",
             address->name, world_days(prospect->world),
             warmup_stage(warmup, address->schedule) + 1, address->schedule->stage_count);
}

/* In attention at the end, and why. */
static void
judge_account(void *arg, const char *account, const struct standing *standing)
{
    if (standing != NULL && standing->grade == GRADE_ATTENTION)
        warn(arg, "attention", account, "account %s gets attention: %s", account, standing->why);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(((const struct prospect_warning *)a)->of,
                  ((const struct prospect_warning *)b)->of);
}

static void
judge_accounts(const struct prospect *prospect, struct prospect_warnings *warnings)
{
    size_t before = warnings->count;

    world_accounts(prospect->world, judge_account, warnings);
    if (warnings->count > before)
        qsort(&warnings->items[before], warnings->count - before, sizeof(*warnings->items),
              by_text);
}

static void
judge_idle(const struct prospect *prospect, struct prospect_warnings *warnings)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct buf names = {0};
    size_t idle = 0;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        uint64_t sent = 0;

        for (size_t j = 0; j < snapshot->stream_count; j++)
            sent += world_sent_of(prospect->world, &snapshot->addresses[i], &snapshot->streams[j]);
        if (sent > 0 || idle++ >= NAMES_MAX)
            continue;
        buf_printf(&names, "%s%s", idle > 1 ? ", " : "", snapshot->addresses[i].name);
    }
    if (idle > NAMES_MAX)
        buf_printf(&names, " and %zu more", idle - NAMES_MAX);
    if (idle > 0)
        warn(warnings, "idle", "", "sent nothing: %s", buf_text(&names));
    buf_clear(&names);
}

void
prospect_warnings(const struct prospect *prospect, struct prospect_warnings *ret_warnings)
{
    const struct snapshot *snapshot = prospect->conf->snapshot;
    struct prospect_warnings warnings = {0};

    for (size_t i = 0; i < snapshot->stream_count; i++)
        judge_stream(prospect, &snapshot->streams[i], &warnings);
    for (size_t i = 0; i < snapshot->pool_count; i++)
        judge_need(prospect, &snapshot->pools[i], &warnings);
    for (size_t i = 0; i < snapshot->address_count; i++)
        judge_warmup(prospect, &snapshot->addresses[i], &warnings);
    for (size_t i = 0; i < snapshot->pool_count; i++)
        judge_thin(prospect, &snapshot->pools[i], &warnings);
    for (size_t i = 0; i < snapshot->address_count; i++)
        judge_mix(prospect, &snapshot->addresses[i], &warnings);
    judge_idle(prospect, &warnings);
    judge_accounts(prospect, &warnings);
    *ret_warnings = warnings;
}
