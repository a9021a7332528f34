/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/record.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

void
record_set(struct record *record, uint64_t version, const void *bytes, size_t length)
{
    void *copy = length > 0 ? mem_array(length, 1) : NULL;

    if (length > 0)
        memcpy(copy, bytes, length);
    free(record->bytes);
    *record = (struct record){version, copy, length};
}

void
record_clear(struct record *record)
{
    free(record->bytes);
    *record = (struct record){0};
}

struct record_put *
record_put_new(const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct record_put *put = mem_new(sizeof(*put));

    put->key = mem_strdup(key);
    record_set(&put->wanted, version, bytes, length);
    return put;
}

void
record_put_free(struct record_put *put)
{
    if (put == NULL)
        return;
    free(put->key);
    record_clear(&put->wanted);
    record_clear(&put->there);
    free(put);
}
