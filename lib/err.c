/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *err, int r, const char *format, ...)
{
    va_list ap;

    if (err == NULL)
        return r;
    va_start(ap, format);
    vsnprintf(err->msg, sizeof(err->msg), format, ap);
    va_end(ap);
    return r;
}

int
err_add(struct err *err, int r, const char *format, ...)
{
    struct err inner;
    size_t used;
    va_list ap;

    if (err == NULL)
        return r;
    inner = *err;
    va_start(ap, format);
    vsnprintf(err->msg, sizeof(err->msg), format, ap);
    va_end(ap);
    used = strlen(err->msg);
    snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", inner.msg);
    return r;
}
