/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/date.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_YEAR = 1970, LAST_YEAR = 9999, DAYS_OF_400_YEARS = 146097 };

static bool
is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int
days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

static int
days_of_year(int year)
{
    return is_leap(year) ? 366 : 365;
}

/* So many digits, and what stands behind them. */
static bool
number(const char **at, int digits, char behind, int *ret_number)
{
    int value = 0;

    for (int i = 0; i < digits; i++) {
        char c = *(*at)++;

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *ret_number = value;
    return *(*at)++ == behind;
}

int
date_parse(const char *text, int32_t *ret_day)
{
    int year, month, day;
    int32_t count = 0;

    if (!number(&text, 4, '-', &year) || !number(&text, 2, '-', &month) ||
        !number(&text, 2, '\0', &day))
        return -EINVAL;
    if (year < FIRST_YEAR || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return -EINVAL;
    for (int i = FIRST_YEAR; i < year; i++)
        count += days_of_year(i);
    for (int i = 1; i < month; i++)
        count += days_of_month(year, i);
    *ret_day = count + day - 1;
    return 0;
}

void
date_print(int32_t day, char text[static DATE_SIZE])
{
    int year = FIRST_YEAR, month = 1;

    if (day < 0)
        day = 0;
    if (day > DATE_MAX)
        day = DATE_MAX;
    year += day / DAYS_OF_400_YEARS * 400;
    day %= DAYS_OF_400_YEARS;
    for (; day >= days_of_year(year); year++)
        day -= days_of_year(year);
    for (; day >= days_of_month(year, month); month++)
        day -= days_of_month(year, month);
    snprintf(text, DATE_SIZE, "%04d-%02d-%02d", year % 10000, month % 100, (int)(day + 1) % 100);
}
