/*
 * A small value that nodes share, and a wish to change one: see store_put().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_RECORD_H
#define POLICYD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value.  Version 0, length 0: there is none. */
struct record {
    uint64_t version;
    void *bytes; /* owned; NULL without length */
    size_t length;
};

/* What is given is copied. */
void record_set(struct record *record, uint64_t version, const void *bytes, size_t length);
void record_clear(struct record *record);

struct record_put {
    char *key;            /* owned */
    struct record wanted; /* to be written if that version is there */
    bool written;
    bool full;           /* not written because there are too many */
    struct record there; /* after it */
};

struct record_put *record_put_new(const char *key, uint64_t version, const void *bytes,
                                  size_t length);
void record_put_free(struct record_put *put); /* takes NULL */

#endif
