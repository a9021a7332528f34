/*
 * Messages without what their stream requires, in a report.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_UNMET_H
#define POLICYD_HOURS_UNMET_H

#include "engine/require.h"
#include "policyd/hours_sums.h"

struct buf;
struct json;

/* Of one stream, by requirement. */
struct hours_unmet_stream {
    char *name; /* owned */
    uint64_t messages[REQUIRE_COUNT];
};

/* All zero: none. */
struct hours_unmet {
    struct hours_unmet_stream *items; /* owned; in the order of their names */
    size_t count;
};

/* Blocks.  0, or a negative errno with the reason; *ret_unmet is to be cleared in any case. */
int hours_unmet_read(struct hours_file *file, const struct hours_scope *scope,
                     struct hours_unmet *ret_unmet, struct err *err);
void hours_unmet_clear(struct hours_unmet *unmet);

/* A line for each stream; or a member "unmet" of the open object, an array. */
void hours_unmet_print(const struct hours_unmet *unmet, struct buf *text);
void hours_unmet_json(const struct hours_unmet *unmet, struct json *json);

#endif
