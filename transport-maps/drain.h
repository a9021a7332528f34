/*
 * Wait until Postfix's processes that still work with what is to go have ended.
 *
 * After a reload a process goes on with its old configuration until its work
 * is done: an smtpd(8) until its client leaves, an smtp(8) until its delivery
 * is through.  And when a service is taken out of master.cf, master(8) kills
 * its processes at once, so that a delivery in progress may happen twice.
 *
 * Needs /proc; where there is none, nothing is waited for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_DRAIN_H
#define TRANSPORT_MAPS_DRAIN_H

#include "transport-maps/cf.h"

#include <stddef.h>

enum { DRAIN_TIME_MAX_MS = 30000 };

struct drain {
    const char *queue_directory;        /* not ours */
    const struct cf_services *services; /* delivery processes of these must be gone */
    const char *intake_since;           /* smtpd and cleanup of before it was put there; or NULL */
};

/* Wait, at most DRAIN_TIME_MAX_MS.  Sets how many of each are left. */
void drain_wait(const struct drain *drain, size_t *ret_deliveries, size_t *ret_intake);

#endif
