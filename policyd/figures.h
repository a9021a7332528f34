/*
 * How many decisions each stream and each address got since the start.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FIGURES_H
#define POLICYD_FIGURES_H

#include <stdint.h>

struct lookup_result;
struct snapshot;

struct figures {
    const struct snapshot *snapshot; /* not ours */
    uint64_t *by_stream;             /* by stream.index */
    uint64_t *by_address;            /* by address.index */
    uint64_t deferred;               /* no address was left */
    uint64_t full;                   /* of these, for want of room under caps */
    uint64_t busy;                   /* likewise, for the stream having enough under way */
    uint64_t *exceeded;              /* by address.index: sent over a cap */
};

/* Start with nothing, or with what before had for the same names.  before may be NULL. */
struct figures *figures_new(const struct snapshot *snapshot, const struct figures *before);
void figures_free(struct figures *figures); /* takes NULL */

/* Streams and addresses by their places: of the figures' own snapshot. */
void figures_count(struct figures *figures, const struct lookup_result *result);

#endif
