/*
 * Which addresses of a snapshot this host has now, and each pool's order of
 * those that it has.
 *
 * A roster never changes; when an address comes or goes, a new one is made.
 * With it begins a new memo, which is for whoever decides.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_ROSTER_H
#define ENGINE_ROSTER_H

#include <stdbool.h>
#include <stddef.h>

struct memo;
struct rendezvous;
struct snapshot;

struct roster {
    const struct snapshot *snapshot; /* not ours, must outlive the roster */
    bool *present;                   /* by address.index */
    struct rendezvous **by_pool;     /* by pool.index: its present members */
    struct memo *memo;               /* may be NULL: nothing is noted */
};

/* present: one bool for each address, copied.  NULL only when there is no memory. */
struct roster *roster_new(const struct snapshot *snapshot, const bool *present);
void roster_free(struct roster *roster); /* takes NULL */

#endif
