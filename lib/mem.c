/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
mem_must(void *p)
{
    if (p == NULL) {
        fputs("postpool: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *
mem_new(size_t size)
{
    return mem_must(calloc(1, size));
}

void *
mem_array(size_t count, size_t size)
{
    return mem_must(calloc(count > 0 ? count : 1, size));
}

void *
mem_resize(void *old, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return mem_must(NULL);
    return mem_must(realloc(old, count * size > 0 ? count * size : 1));
}

char *
mem_strdup(const char *text)
{
    return mem_must(strdup(text));
}

char *
mem_strndup(const char *text, size_t length)
{
    return mem_must(strndup(text, length));
}

char *
mem_vprintf(const char *format, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, format, ap) < 0)
        text = NULL;
    return mem_must(text);
}

char *
mem_printf(const char *format, ...)
{
    char *text;
    va_list ap;

    va_start(ap, format);
    text = mem_vprintf(format, ap);
    va_end(ap);
    return text;
}

static void
buf_reserve(struct buf *buf, size_t more)
{
    size_t need = buf->length + more + 1;

    if (need <= buf->room)
        return;
    buf->room = need < 64 ? 64 : need * 2;
    buf->data = mem_resize(buf->data, buf->room, 1);
}

void
buf_add(struct buf *buf, const void *data, size_t length)
{
    buf_reserve(buf, length);
    if (length > 0)
        memcpy(buf->data + buf->length, data, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void
buf_puts(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list ap;
    int length;

    va_start(ap, format);
    length = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (length <= 0)
        return;
    buf_reserve(buf, (size_t)length);
    va_start(ap, format);
    vsnprintf(buf->data + buf->length, (size_t)length + 1, format, ap);
    va_end(ap);
    buf->length += (size_t)length;
}

const char *
buf_text(const struct buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

char *
buf_take(struct buf *buf)
{
    char *data = buf->data != NULL ? buf->data : mem_strdup("");

    *buf = (struct buf){0};
    return data;
}

void
buf_clear(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}
