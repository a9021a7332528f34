/*
 * How much of a stream's mail was delivered in the time that it is to take, as a report has it: by
 * the buckets of its delays, so that it is an estimate where mail took about that long.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_SLO_H
#define POLICYD_HOURS_SLO_H

#include "policyd/hours_sums.h"

struct buf;
struct json;
struct snapshot;

/* A line for each row whose stream has an aim; snapshot NULL: none is known. */
void hours_slo_print(const struct hours_sums *streams, const struct snapshot *snapshot,
                     struct buf *text);

/* The same of one row, as a member "slo" of the open object. */
void hours_slo_json(const struct hours_sum *stream, const struct snapshot *snapshot,
                    struct json *json);

#endif
