/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/week.h"

#include "engine/zone.h"

#include <stdbool.h>
#include <string.h>

enum { DAYS = 7, DAY = 24 * 60, WEEK = DAYS * DAY, WEEK_S = WEEK * 60 };

/* While it is read: which minutes there are. */
struct minutes {
    bool there[WEEK];
};

static void
skip_spaces(const char **at)
{
    while (**at == ' ')
        (*at)++;
}

/* 0 is Monday; -1: it is none. */
static int
read_day(const char **at)
{
    static const char names[] = "montuewedthufrisatsun";

    for (int i = 0; i < DAYS; i++)
        if (strncmp(*at, names + i * 3, 3) == 0) {
            *at += 3;
            return i;
        }
    return -1;
}

/* "08:00" to "24:00", as minutes; -1: it is none. */
static int
read_time(const char **at)
{
    int digits[4];

    for (int i = 0; i < 4; i++) {
        char c = *(*at)++;

        if (i == 2) {
            if (c != ':')
                return -1;
            c = *(*at)++;
        }
        if (c < '0' || c > '9')
            return -1;
        digits[i] = c - '0';
    }
    if (digits[2] > 5 || digits[0] * 10 + digits[1] > 24)
        return -1;
    return (digits[0] * 10 + digits[1]) * 60 + digits[2] * 10 + digits[3];
}

/* "mon-fri ", if it is there.  False: what is there is none. */
static bool
read_days(const char **at, bool days[static DAYS])
{
    int first, last;

    if (**at >= '0' && **at <= '9')
        return true;
    memset(days, 0, DAYS * sizeof(*days));
    first = last = read_day(at);
    if (first >= 0 && **at == '-') {
        (*at)++;
        last = read_day(at);
    }
    if (first < 0 || last < 0 || **at != ' ')
        return false;
    for (int i = first; i != last; i = (i + 1) % DAYS)
        days[i] = true;
    days[last] = true;
    skip_spaces(at);
    return true;
}

static void
add_range(struct minutes *minutes, const bool days[static DAYS], int from, int to)
{
    int length = to > from ? to - from : to + DAY - from;

    for (int i = 0; i < DAYS; i++)
        for (int j = 0; days[i] && j < length; j++)
            minutes->there[(i * DAY + from + j) % WEEK] = true;
}

static const char *
read_ranges(const char *text, struct minutes *minutes)
{
    bool days[DAYS] = {true, true, true, true, true, true, true};

    for (;;) {
        int from, to;

        skip_spaces(&text);
        if (!read_days(&text, days))
            return "days are written as \"mon\" or \"mon-fri\", and a time stands behind them";
        from = read_time(&text);
        if (from < 0 || from == DAY || *text != '-')
            return "times are written as \"08:00-20:00\"";
        text++;
        to = read_time(&text);
        if (to < 0 || to > DAY)
            return "times are written as \"08:00-20:00\"";
        if (to == from)
            return "a range ends where it begins";
        add_range(minutes, days, from, to);
        skip_spaces(&text);
        if (*text == '\0')
            return NULL;
        if (*text++ != ',')
            return "ranges are divided by commas";
    }
}

const char *
week_parse(const char *text, struct week *ret_week)
{
    struct minutes minutes = {0};
    struct week week = {0};
    const char *why = read_ranges(text, &minutes);

    for (int i = 0; why == NULL && i < WEEK; i++) {
        if (!minutes.there[i])
            continue;
        if (i > 0 && minutes.there[i - 1]) {
            week.ranges[week.count - 1].to++;
            continue;
        }
        if (week.count == WEEK_RANGES_MAX)
            return "there are too many ranges";
        week.ranges[week.count++] = (struct week_range){(uint16_t)i, (uint16_t)(i + 1)};
    }
    if (why == NULL)
        *ret_week = week;
    return why;
}

/* From a time of the week, seconds, until it is in a range. */
static int64_t
wait_s(const struct week *week, int64_t into_s)
{
    for (size_t i = 0; i < week->count; i++) {
        if (into_s < week->ranges[i].from * 60)
            return week->ranges[i].from * 60 - into_s;
        if (into_s < week->ranges[i].to * 60)
            return 0;
    }
    return week->ranges[0].from * 60 + WEEK_S - into_s;
}

int64_t
week_next_s(const struct week *week, const struct zone *zone, int64_t at_s)
{
    for (;;) {
        int64_t until_s, local_s = at_s + zone_offset_s(zone, at_s, &until_s);
        int64_t into_s = (local_s + 3 * 24 * 3600) % WEEK_S; /* 1970-01-01 was a Thursday */
        int64_t next_s = at_s + wait_s(week, into_s < 0 ? into_s + WEEK_S : into_s);

        if (next_s < until_s)
            return next_s;
        at_s = until_s;
    }
}
