/*
 * Assumed mail, made minute by minute.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/assumed.h"

#include "engine/snapshot.h"
#include "engine/week.h"
#include "engine/zone.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { MINUTE_S = 60, HOUR_MINUTES = 60, DAY_S = 24 * 3600, WEEK_DAYS = 7, ACCOUNT_SIZE = 32 };

#define MINUTE_MS ((int64_t)MINUTE_S * 1000)

/* --------------------------------------------------------------------- days */

static int64_t
local_s(const struct assumed *assumed, int64_t at_s)
{
    int64_t until_s;

    return at_s + zone_offset_s(assumed->zone, at_s, &until_s);
}

int32_t
assumed_day(const struct assumed *assumed, int64_t at_ms)
{
    return (int32_t)(local_s(assumed, at_ms / 1000) / DAY_S);
}

int64_t
assumed_midnight_ms(const struct assumed *assumed, int32_t day)
{
    int64_t wanted_s = (int64_t)day * DAY_S, at_s = wanted_s;

    /* Twice: the offset may be another at what was guessed first. */
    for (int i = 0; i < 2; i++)
        at_s -= local_s(assumed, at_s) - wanted_s;
    while (local_s(assumed, at_s) < wanted_s) /* the clock is put forward over midnight */
        at_s += MINUTE_S;
    return at_s * 1000;
}

/* -------------------------------------------------------------------- minutes */

/* May mail of it come in the minute that begins then? */
static bool
may_come(const struct assumed *assumed, const struct assumed_stream *its, int64_t at_s)
{
    if (its->when != NULL)
        return week_next_s(its->when, assumed->zone, at_s) == at_s;
    if (its->stream->hours != NULL)
        return week_next_s(its->stream->hours, its->stream->zone, at_s) == at_s;
    return true;
}

/* How much of the day's mail comes in that minute, by comparison with others. */
static uint32_t
weight_of(const struct assumed *assumed, const struct assumed_stream *its, int64_t at_s)
{
    if (!may_come(assumed, its, at_s))
        return 0;
    if (its->per == ASSUMED_HOUR)
        return 1;
    return assumed->curve[local_s(assumed, at_s) % DAY_S / 3600];
}

/* A day in minutes: it may have more or fewer than 24 hours. */
struct day {
    int64_t start_s;
    size_t minutes;
    uint32_t *weights; /* stream x minute; owned */
    uint64_t *sums;    /* by stream; owned */
    uint64_t *counts;  /* recipients of each stream */
    uint64_t *passed;  /* weights that are over */
};

static bool
has_mail_on(const struct assumed *assumed, const struct assumed_stream *its, int32_t day)
{
    int64_t from_s = assumed_midnight_ms(assumed, day) / 1000;
    int64_t to_s = assumed_midnight_ms(assumed, day + 1) / 1000;

    for (int64_t at_s = from_s; at_s < to_s; at_s += MINUTE_S)
        if (weight_of(assumed, its, at_s) > 0)
            return true;
    return false;
}

/* A day's part of the week's mail, on those of its days that have any; it begins on Monday. */
static uint64_t
part_of_week(const struct assumed *assumed, const struct assumed_stream *its, int32_t day)
{
    int32_t monday = day - (day + 3) % WEEK_DAYS; /* 1970-01-01 was a Thursday */
    uint64_t days = 0, before = 0;

    for (int32_t i = 0; i < WEEK_DAYS; i++) {
        bool has_mail = has_mail_on(assumed, its, monday + i);

        days += has_mail;
        before += has_mail && monday + i < day;
    }
    if (days == 0)
        return 0;
    return its->count * (before + 1) / days - its->count * before / days;
}

static uint64_t
count_on(const struct assumed *assumed, const struct assumed_stream *its, int32_t day,
         uint64_t minutes)
{
    switch (its->per) {
    case ASSUMED_HOUR:
        return its->count * minutes / HOUR_MINUTES;
    case ASSUMED_WEEK:
        return part_of_week(assumed, its, day);
    case ASSUMED_DAY:
        break;
    }
    return its->count;
}

static void
day_begin(const struct assumed *assumed, int32_t day, struct day *ret)
{
    int64_t start_s = assumed_midnight_ms(assumed, day) / 1000;
    int64_t end_s = assumed_midnight_ms(assumed, day + 1) / 1000;
    size_t minutes = (size_t)((end_s - start_s) / MINUTE_S);

    *ret = (struct day){
        .start_s = start_s,
        .minutes = minutes,
        .weights = mem_array(assumed->count * minutes, sizeof(*ret->weights)),
        .sums = mem_array(assumed->count, sizeof(*ret->sums)),
        .counts = mem_array(assumed->count, sizeof(*ret->counts)),
        .passed = mem_array(assumed->count, sizeof(*ret->passed)),
    };
    for (size_t i = 0; i < assumed->count; i++) {
        for (size_t j = 0; j < minutes; j++) {
            uint32_t weight =
                weight_of(assumed, &assumed->streams[i], start_s + (int64_t)j * MINUTE_S);

            ret->weights[i * minutes + j] = weight;
            ret->sums[i] += weight;
        }
        if (ret->sums[i] > 0)
            ret->counts[i] = count_on(assumed, &assumed->streams[i], day, ret->sums[i]);
    }
}

static void
day_end(struct day *day)
{
    free(day->weights);
    free(day->sums);
    free(day->counts);
    free(day->passed);
}

/* ------------------------------------------------------------------ recipients */

struct making {
    const struct assumed *assumed;
    assumed_fn *each;
    void *arg;
    int64_t at_ms;
};

/* Recipients of one provider, from the accounts in turn. */
static int
make_accounts(const struct making *making, const struct assumed_stream *its, size_t provider,
              uint32_t count)
{
    uint32_t accounts = its->accounts > 0 ? its->accounts : 1, part;
    int r = 0;

    for (uint32_t i = 0; i < accounts && r == 0; i++) {
        uint32_t number = (uint32_t)((its->made + i) % accounts);
        char account[ACCOUNT_SIZE] = "";

        part = count / accounts + (i < count % accounts);
        if (part == 0)
            break;
        if (its->accounts > 0)
            snprintf(account, sizeof(account), "account%u.example", number + 1);
        r = making->each(making->arg, making->at_ms, its->stream, provider, account, part);
    }
    return r;
}

/* The provider that takes what is left over by rounding. */
static size_t
largest(const struct assumed *assumed)
{
    size_t place = 0;

    for (size_t i = 1; i < assumed->snapshot->provider_count; i++)
        if (assumed->shares[i] > assumed->shares[place])
            place = i;
    return place;
}

/*
 * Recipients of one stream in one minute, to the providers by their shares: each has its share of
 * all that was made, rounded down, as soon as there is one for it.
 */
static int
make_minute(const struct making *making, struct assumed_stream *its, uint64_t count)
{
    const struct assumed *assumed = making->assumed;
    size_t sink = largest(assumed);
    uint64_t left = count, after = its->made + count;
    int r = 0;

    if (its->made_to == NULL)
        its->made_to = mem_array(assumed->snapshot->provider_count, sizeof(*its->made_to));
    for (size_t i = 0; i < assumed->snapshot->provider_count && r == 0; i++) {
        uint64_t part = after * assumed->shares[i] / ASSUMED_ALL - its->made_to[i];

        if (i == sink || part == 0)
            continue;
        part = part < left ? part : left;
        left -= part;
        its->made_to[i] += part;
        r = make_accounts(making, its, i, (uint32_t)part);
    }
    if (r == 0 && left > 0)
        r = make_accounts(making, its, sink, (uint32_t)left);
    its->made = after;
    return r;
}

int
assumed_make(struct assumed *assumed, int32_t number, assumed_fn *each, void *arg)
{
    struct making making = {assumed, each, arg, 0};
    struct day day;
    int r = 0;

    day_begin(assumed, number, &day);
    for (size_t minute = 0; minute < day.minutes && r == 0; minute++)
        for (size_t i = 0; i < assumed->count && r == 0; i++) {
            uint64_t weight = day.weights[i * day.minutes + minute], before, after;

            if (weight == 0)
                continue;
            before = day.counts[i] * day.passed[i] / day.sums[i];
            day.passed[i] += weight;
            after = day.counts[i] * day.passed[i] / day.sums[i];
            making.at_ms = day.start_s * 1000 + (int64_t)minute * MINUTE_MS;
            if (after > before)
                r = make_minute(&making, &assumed->streams[i], after - before);
        }
    day_end(&day);
    return r;
}
