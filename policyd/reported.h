/*
 * What came back on mail of ours after it had left: a complaint, or a bounce of a server
 * that had taken it.  Made from what the milter writes into the log.  Pure.
 *
 * Whose mail it was is certain: the milter tells it by a genuine mark or tag alone.
 * The address and the provider are by the report's own word.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REPORTED_H
#define POLICYD_REPORTED_H

#include "policyd/outcome.h"

#include <stdbool.h>
#include <stdint.h>

/* Pointers are of the running configuration. */
struct reported {
    bool complaint; /* else a bounce */
    int64_t at_ms;  /* time of day, as the line tells; what has none: now */
    const struct stream *stream;
    char id[TAG_ID_MAX + 1];
    char account[OUTCOME_DOMAIN_SIZE]; /* "": not told */
    const struct address *address;     /* NULL: not told, or none of ours any more */
    const struct provider *provider;   /* of the recipient; "other" when it is not known */
};

/*
 * line: MAILLOG_COMPLAINT or MAILLOG_RETURNED, written at time.  False: it is about no mail of a
 * stream that there is, or tells what a host of the site itself has in its log: a bounce by a tag,
 * which no mail has any more when it has left.
 */
bool reported_make(const struct outcome_view *view, const struct maillog_time *time,
                   const struct maillog *line, struct reported *ret_reported);

#endif
