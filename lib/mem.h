/*
 * Memory that is there or the program is not.
 *
 * These never return NULL: without memory a daemon logs and ends, and its
 * supervisor starts it again.  What makes that honest: a size that a peer
 * chose is held against a named limit before anything is allocated.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_MEM_H
#define LIB_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

void *mem_must(void *p);                    /* p; what others could not allocate ends the program */
void *mem_new(size_t size);                 /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; count may be 0 */
void *mem_resize(void *old, size_t count, size_t size);
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t length);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));

/* A text that grows.  An all-zero struct is an empty one. */
struct buf {
    char *data; /* owned, ends in NUL once something was added; else NULL */
    size_t length;
    size_t room;
};

void buf_add(struct buf *buf, const void *data, size_t length);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *buf_text(const struct buf *buf); /* "" when nothing was added */
char *buf_take(struct buf *buf);             /* the caller owns it; buf is empty again */
void buf_clear(struct buf *buf);

#endif
