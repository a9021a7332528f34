/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/zone.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_SIZE = 44,
    TYPE_SIZE = 6,
    DAY_S = 24 * 3600,
    HOURS_MAX = 167, /* in a rule; RFC 8536 allows that many */
    OFFSET_MAX = 26 * 3600,
    RULE_MAX = 100, /* characters */
};

/* A day of each year, and when on it by the clock on the wall. */
struct rule_day {
    enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind;
    int month, week, day; /* of a week, or of the year: from 1 without 29 February, from 0 with */
    int32_t time_s;
};

/* What holds behind the last change that is listed. */
struct rule {
    bool known;
    bool has_summer;
    int32_t winter_s, summer_s; /* from UTC */
    struct rule_day begins, ends;
};

struct change {
    int64_t at_s;
    int32_t offset_s;
};

struct zone {
    int32_t first_s; /* before the first change */
    struct rule rule;
    size_t count;
    struct change changes[]; /* in their order */
};

/* ------------------------------------------------------------------- a rule */

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "CET", or "<+03>". */
static bool
skip_name(const char **at)
{
    const char *start = *at;

    if (**at == '<') {
        *at += strcspn(*at, ">");
        return *(*at)++ == '>';
    }
    while (is_letter(**at))
        (*at)++;
    return *at - start >= 3;
}

static bool
read_number(const char **at, int min, int max, int *ret_number)
{
    int value = 0, digits = 0;

    for (; **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
        value = value * 10 + (**at - '0');
    *ret_number = value;
    return digits > 0 && value >= min && value <= max;
}

/* "[+-]h[:m[:s]]" */
static bool
read_time(const char **at, int32_t *ret_s)
{
    int sign = **at == '-' ? -1 : 1, part, s;

    *at += **at == '-' || **at == '+';
    if (!read_number(at, 0, HOURS_MAX, &part))
        return false;
    s = part * 3600;
    for (int unit = 60; unit > 0 && **at == ':'; unit /= 60) {
        (*at)++;
        if (!read_number(at, 0, 59, &part))
            return false;
        s += part * unit;
    }
    *ret_s = sign * s;
    return true;
}

static bool
expect(const char **at, char c)
{
    return *(*at)++ == c;
}

/* ",M3.5.0/2" */
static bool
read_day(const char **at, struct rule_day *day)
{
    *day = (struct rule_day){.kind = RULE_DAY, .time_s = 2 * 3600};
    if (!expect(at, ','))
        return false;
    if (**at == 'M') {
        (*at)++;
        day->kind = RULE_MONTH;
        if (!read_number(at, 1, 12, &day->month) || !expect(at, '.') ||
            !read_number(at, 1, 5, &day->week) || !expect(at, '.') ||
            !read_number(at, 0, 6, &day->day))
            return false;
    } else if (**at == 'J') {
        (*at)++;
        day->kind = RULE_JULIAN;
        if (!read_number(at, 1, 365, &day->day))
            return false;
    } else if (!read_number(at, 0, 365, &day->day)) {
        return false;
    }
    if (**at != '/')
        return true;
    (*at)++;
    return read_time(at, &day->time_s);
}

static bool
is_offset(int32_t s)
{
    return s >= -OFFSET_MAX && s <= OFFSET_MAX;
}

static bool
read_rule(const char *text, struct rule *rule)
{
    int32_t west_s; /* POSIX counts the other way */

    *rule = (struct rule){.known = true};
    if (!skip_name(&text) || !read_time(&text, &west_s) || !is_offset(west_s))
        return false;
    rule->winter_s = -west_s;
    if (*text == '\0')
        return true;
    rule->has_summer = true;
    rule->summer_s = rule->winter_s + 3600;
    if (!skip_name(&text))
        return false;
    if (*text != ',') {
        if (!read_time(&text, &west_s) || !is_offset(west_s))
            return false;
        rule->summer_s = -west_s;
    }
    return read_day(&text, &rule->begins) && read_day(&text, &rule->ends) && *text == '\0';
}

/* ----------------------------------------------------------- the calendar */

static bool
is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Leap days before the year, of those since the year 0. */
static int64_t
leap_days(int64_t year)
{
    int64_t last = year - 1;

    return last / 4 - last / 100 + last / 400;
}

/* From 1970-01-01 to the year's first, days; of 1970 and later. */
static int64_t
day_of_year(int64_t year)
{
    return (year - 1970) * 365 + leap_days(year) - leap_days(1970);
}

static int64_t
year_of(int64_t at_s)
{
    int64_t day = at_s / DAY_S, year = 1970 + day / 366;

    while (day_of_year(year + 1) <= day)
        year++;
    return year;
}

static int
days_of_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* The day of a rule in a year, counted from 1970-01-01, which was a Thursday. */
static int64_t
day_of(const struct rule_day *rule, int64_t year)
{
    int64_t day = day_of_year(year), weekday;

    if (rule->kind == RULE_DAY)
        return day + rule->day;
    if (rule->kind == RULE_JULIAN)
        return day + rule->day - 1 + (rule->day > 59 && is_leap(year));
    for (int i = 1; i < rule->month; i++)
        day += days_of_month(year, i);
    weekday = (day + 4) % 7;
    weekday = (rule->day - weekday + 7) % 7 + (rule->week - 1) * 7; /* days into the month */
    return day + (weekday < days_of_month(year, rule->month) ? weekday : weekday - 7);
}

static struct change
change_of(const struct rule *rule, int64_t year, bool begins)
{
    const struct rule_day *day = begins ? &rule->begins : &rule->ends;
    int32_t before_s = begins ? rule->winter_s : rule->summer_s;

    return (struct change){day_of(day, year) * DAY_S + day->time_s - before_s,
                           begins ? rule->summer_s : rule->winter_s};
}

/* By the rule.  Changes of the years around are looked at, as one of them may be a week off. */
static int32_t
rule_offset_s(const struct rule *rule, int64_t at_s, int64_t *ret_until_s)
{
    int64_t year = year_of(at_s), last_s = INT64_MIN;
    int32_t offset_s = rule->winter_s;

    *ret_until_s = INT64_MAX;
    if (!rule->has_summer)
        return offset_s;
    for (int64_t i = year - 1; i <= year + 1; i++)
        for (int ends = 0; ends < 2; ends++) {
            struct change change = change_of(rule, i, ends == 0);

            if (change.at_s > at_s && change.at_s < *ret_until_s)
                *ret_until_s = change.at_s;
            if (change.at_s <= at_s && change.at_s >= last_s) {
                last_s = change.at_s;
                offset_s = change.offset_s;
            }
        }
    return offset_s;
}

/* ------------------------------------------------------------------- a file */

static uint32_t
read_32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t
read_64(const uint8_t *at)
{
    return (int64_t)((uint64_t)read_32(at) << 32 | read_32(at + 4));
}

/* One of the two parts of a file. */
struct part {
    size_t utc_count, standard_count, leap_count, change_count, type_count, name_size;
};

static bool
read_header(const uint8_t *bytes, size_t length, struct part *part)
{
    if (length < HEADER_SIZE || memcmp(bytes, "TZif", 4) != 0 || bytes[4] < '2')
        return false;
    part->utc_count = read_32(bytes + 20);
    part->standard_count = read_32(bytes + 24);
    part->leap_count = read_32(bytes + 28);
    part->change_count = read_32(bytes + 32);
    part->type_count = read_32(bytes + 36);
    part->name_size = read_32(bytes + 40);
    return part->utc_count < ZONE_BYTES_MAX && part->standard_count < ZONE_BYTES_MAX &&
           part->leap_count < ZONE_BYTES_MAX && part->change_count < ZONE_BYTES_MAX &&
           part->type_count >= 1 && part->type_count <= 256 && part->name_size < ZONE_BYTES_MAX;
}

/* Of what stands behind the header; times have so many bytes. */
static size_t
part_size(const struct part *part, size_t time_size)
{
    return part->change_count * (time_size + 1) + part->type_count * TYPE_SIZE + part->name_size +
           part->leap_count * (time_size + 4) + part->standard_count + part->utc_count;
}

/* "\nRULE\n"; with nothing between them there is none. */
static bool
read_footer(const uint8_t *bytes, size_t length, struct rule *rule)
{
    const uint8_t *end;
    char text[RULE_MAX + 1];
    size_t size;

    *rule = (struct rule){0};
    if (length < 2 || bytes[0] != '\n')
        return false;
    end = memchr(bytes + 1, '\n', length - 1);
    if (end == NULL)
        return false;
    size = (size_t)(end - bytes - 1);
    if (size == 0)
        return true;
    if (size > RULE_MAX)
        return false;
    memcpy(text, bytes + 1, size);
    text[size] = '\0';
    return strlen(text) == size && read_rule(text, rule);
}

static bool
read_changes(const uint8_t *bytes, const struct part *part, struct zone *zone)
{
    const uint8_t *kinds = bytes + part->change_count * 8, *types = kinds + part->change_count;

    for (size_t i = 0; i < part->type_count; i++)
        if (!is_offset((int32_t)read_32(types + i * TYPE_SIZE)))
            return false;
    zone->first_s = (int32_t)read_32(types);
    for (size_t i = 0; i < part->change_count; i++) {
        struct change *change = &zone->changes[i];

        if (kinds[i] >= part->type_count)
            return false;
        change->at_s = read_64(bytes + i * 8);
        change->offset_s = (int32_t)read_32(types + kinds[i] * TYPE_SIZE);
        if (i > 0 && change->at_s <= change[-1].at_s)
            return false;
    }
    return true;
}

static struct zone *
zone_new(size_t count)
{
    struct zone *zone = calloc(1, sizeof(*zone) + count * sizeof(zone->changes[0]));

    if (zone != NULL)
        zone->count = count;
    return zone;
}

struct zone *
zone_parse(const uint8_t *bytes, size_t length)
{
    struct part part;
    struct zone *zone;
    size_t size;

    if (length > ZONE_BYTES_MAX || !read_header(bytes, length, &part))
        return NULL;
    size = HEADER_SIZE + part_size(&part, 4); /* for those who know of version 1 alone */
    if (size > length || !read_header(bytes + size, length - size, &part))
        return NULL;
    bytes += size + HEADER_SIZE;
    length -= size + HEADER_SIZE;
    size = part_size(&part, 8);
    if (size > length)
        return NULL;
    zone = zone_new(part.change_count);
    if (zone == NULL)
        return NULL;
    if (read_changes(bytes, &part, zone) && read_footer(bytes + size, length - size, &zone->rule))
        return zone;
    zone_free(zone);
    return NULL;
}

struct zone *
zone_parse_rule(const char *text)
{
    struct rule rule;
    struct zone *zone;

    if (!read_rule(text, &rule))
        return NULL;
    zone = zone_new(0);
    if (zone != NULL)
        zone->rule = rule;
    return zone;
}

void
zone_free(struct zone *zone)
{
    free(zone);
}

/* -------------------------------------------------------------------- asked */

/* How many changes are over. */
static size_t
changes_until(const struct zone *zone, int64_t at_s)
{
    size_t low = 0, high = zone->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zone->changes[middle].at_s <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t
zone_offset_s(const struct zone *zone, int64_t at_s, int64_t *ret_until_s)
{
    size_t done;

    *ret_until_s = INT64_MAX;
    if (zone == NULL)
        return 0;
    done = changes_until(zone, at_s);
    if (done < zone->count) {
        *ret_until_s = zone->changes[done].at_s;
        return done > 0 ? zone->changes[done - 1].offset_s : zone->first_s;
    }
    if (zone->rule.known && at_s >= 0)
        return rule_offset_s(&zone->rule, at_s, ret_until_s);
    return done > 0 ? zone->changes[done - 1].offset_s : zone->first_s;
}
