/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/units.h"

#include "lib/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
};

int
units_parse_duration(const char *text, int64_t *ret_ms, struct err *err)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number = 0;

    if (digits == 0 || digits > 12)
        return err_set(
            err, -EINVAL,
            "\"%s\" is no duration, write a number and a unit such as \"30s\" or \"10m\"", text);
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (text[i] - '0');
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        if (number > INT64_MAX / units[i].ms)
            return err_set(err, -ERANGE, "\"%s\" is too long a time", text);
        *ret_ms = number * units[i].ms;
        return 0;
    }
    return err_set(err, -EINVAL, "\"%s\" has no unit that is known, write ms, s, m, h or d", text);
}

const char *
units_print_duration(int64_t ms, char out[static UNITS_DURATION_SIZE])
{
    size_t i = sizeof(units) / sizeof(*units) - 1;

    while (i > 0 && (ms == 0 || ms % units[i].ms != 0))
        i--;
    snprintf(out, UNITS_DURATION_SIZE, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
    return out;
}

int
units_parse_mode(const char *text, int *ret_mode, struct err *err)
{
    size_t digits = strspn(text, "01234567");
    int mode = 0;

    if (digits < 3 || digits > 4 || text[digits] != '\0')
        return err_set(err, -EINVAL, "\"%s\" is no file mode, write octal digits such as \"0660\"",
                       text);
    for (size_t i = 0; i < digits; i++)
        mode = mode * 8 + (text[i] - '0');
    if (mode > 0777)
        return err_set(err, -ERANGE, "\"%s\" is no mode for a socket, the most is \"0777\"", text);
    *ret_mode = mode;
    return 0;
}

const char *
units_print_span(int64_t ms, char out[static UNITS_SPAN_SIZE])
{
    long long s = ms > 0 ? (ms + 999) / 1000 : 1;

    if (s < 120)
        snprintf(out, UNITS_SPAN_SIZE, "%lld s", s);
    else if (s < 2 * 3600)
        snprintf(out, UNITS_SPAN_SIZE, "%lld min", (s + 59) / 60);
    else if (s < 48 * 3600)
        snprintf(out, UNITS_SPAN_SIZE, "%lld h", (s + 3599) / 3600);
    else
        snprintf(out, UNITS_SPAN_SIZE, "%lld d", (s + 86399) / 86400);
    return out;
}
