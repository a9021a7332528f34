/*
 * What our milter writes into the log to be counted: what a message does not have that its stream
 * requires, and what a report tells that came in.  docs/PROTOCOLS.md has their form.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_MILTERLOG_H
#define LIB_MILTERLOG_H

#include "lib/maillog.h"

/*
 * A line of it, behind its queue id.  Strangers' text stands in it behind all that is read, and in
 * quotes; what could be read otherwise is MAILLOG_ODD.
 */
enum maillog_kind milterlog_read(struct maillog *line, struct cursor *reader);

#endif
