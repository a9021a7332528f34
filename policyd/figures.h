/*
 * How many decisions each stream and each address got since the start, how
 * many messages did not meet what their stream requires, and how many were complained of
 * or came back later.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FIGURES_H
#define POLICYD_FIGURES_H

#include "engine/require.h"
#include "lib/cursor.h"

#include <stdint.h>

struct lookup_result;
struct reported;
struct snapshot;

struct figures {
    const struct snapshot *snapshot;  /* not ours */
    uint64_t *by_stream;              /* by stream.index */
    uint64_t *by_address;             /* by address.index */
    uint64_t deferred;                /* no address was left */
    uint64_t full;                    /* of these, for want of room under caps */
    uint64_t outside;                 /* likewise, for being outside the hours of the stream */
    uint64_t expired;                 /* returned: it was past the deadline of the stream */
    uint64_t busy;                    /* likewise, for the stream having enough under way */
    uint64_t *exceeded;               /* by address.index: sent over a cap */
    uint64_t (*unmet)[REQUIRE_COUNT]; /* by stream.index: messages, as the log tells */
    uint64_t *complaints;             /* by stream.index, likewise */
    uint64_t *returned;
};

/* Start with nothing, or with what before had for the same names.  before may be NULL. */
struct figures *figures_new(const struct snapshot *snapshot, const struct figures *before);
void figures_free(struct figures *figures); /* takes NULL */

/* Streams and addresses by their places: of the figures' own snapshot. */
void figures_count(struct figures *figures, const struct lookup_result *result);

/* A message of that stream; unmet: a set, REQUIRE_BIT().  A stream that is gone does not count. */
void figures_count_unmet(struct figures *figures, struct span stream, unsigned unmet);

void figures_count_reported(struct figures *figures, const struct reported *reported);

#endif
