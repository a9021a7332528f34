/*
 * How much of a stream's mail was delivered in the time that it is to take, in the last hour: each
 * recipient by itself, counted in memory since the start.  Pure, but for the clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SLO_H
#define POLICYD_SLO_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct json;
struct outcome;
struct slo;
struct snapshot;
struct stream;

enum { SLO_MINUTES = 60 };

struct slo *slo_new(const struct snapshot *snapshot); /* it must stay until slo_set_snapshot() */
void slo_free(struct slo *slo);                       /* takes NULL */

/* What was counted of a stream stays, if it has the same name and aim. */
void slo_set_snapshot(struct slo *slo, const struct snapshot *snapshot);

/* For feedback_listen(). */
void slo_on_outcome(void *slo, const struct outcome *outcome);

/*
 * To be called now and then: the log is told of a breach when it begins, and when it is over, which
 * is when no more than half as many are late as may be, so that it is not told again and again.
 */
void slo_tick(struct slo *slo);

/* Recipients of the last hour whose mail was delivered, and how many of them in time. */
struct slo_figures {
    uint64_t sent, within;
    bool breached; /* fewer than the stream's slo_share */
};

void slo_figures(const struct slo *slo, const struct stream *stream,
                 struct slo_figures *ret_figures);

/* A line for each stream that has an aim; or a member "slo" of the open object, of one of them. */
void slo_print(const struct slo *slo, struct buf *text);
void slo_json(const struct slo *slo, const struct stream *stream, struct json *json);

#endif
