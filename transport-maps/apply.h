/*
 * Put what was planned into a Postfix, or take it out again.
 *
 * Each step is written, read back through postconf, and only then told to a
 * running Postfix.  When a step fails, all files are put back to the bytes
 * they had.  The order keeps mail safe: qmgr never asks a resolver that is not
 * there, no tag is set before it can be taken out, none is left in the queue
 * when nothing takes it out any more, and no delivery is cut short.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_APPLY_H
#define TRANSPORT_MAPS_APPLY_H

#include <stdbool.h>

struct err;
struct plan;
struct site;

struct apply {
    const struct site *site;
    const struct plan *plan; /* apply_remove() does without */
    bool force;              /* apply_remove(): do not wait for tagged mail to leave */
    void (*say)(void *arg, const char *sentence);
    void *arg;
};

/* Is all as planned already?  Bytes are compared. */
bool apply_is_current(const struct apply *apply);

/*
 * Returns 0, or a negative errno with the reason; all is then as before,
 * unless the reason says otherwise.
 */
int apply_put(const struct apply *apply, struct err *err);

/*
 * Returns 0, or a negative errno with the reason.  -EBUSY: no new mail is
 * tagged or goes to a pool any more, but some that must go first is left;
 * call again later.
 */
int apply_remove(const struct apply *apply, struct err *err);

#endif
