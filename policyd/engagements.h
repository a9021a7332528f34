/*
 * The file of recipients and their last activity, as lookups have it: in memory.
 *
 * A lookup must not wait for a disk, and a file that is mapped would have it wait when the
 * kernel gave its pages away, or end the program when somebody cuts the file.  So a thread
 * reads it, 8 bytes for a recipient, and the loop only takes over what is whole and right.
 * What it is told of, and each 30 s a file that is another, is read; while that is looked at
 * the one before is used, and it stays when the new one is damaged.  Without a file nobody is
 * asked for activity, unless the site has hints: then nothing is known of those without one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_ENGAGEMENTS_H
#define POLICYD_ENGAGEMENTS_H

#include <stdint.h>

struct buf;
struct conf;
struct control_call;
struct engagements;
struct event_base;
struct json;

enum {
    ENGAGEMENTS_CALLS_MAX = 16,
    ENGAGEMENTS_LOOK_S = 30,
};

/* Reads the file before it returns, so that the first lookups find it.  base NULL: no timer. */
struct engagements *engagements_new(struct event_base *base, const struct conf *conf);
void engagements_free(struct engagements *engagements); /* takes NULL */

/* The configuration changed, or a reload was asked for: the file is looked at. */
void engagements_set_conf(struct engagements *engagements, const struct conf *conf);

/*
 * Look at the file now.  call hears what came of it: "N recipients", or "error: " and why
 * not.
 */
void engagements_look(struct engagements *engagements, struct control_call *call);

/* Days from its last activity to today (as in engine/date.h); see struct decide_question. */
int32_t engagements_quiet(const struct engagements *engagements, const char *recipient,
                          int32_t today);
int32_t engagements_quiet_hash(const struct engagements *engagements, uint64_t hash, int32_t today);

/* For "status": a line, or an object "engagement"; the other is NULL. */
void engagements_status(const struct engagements *engagements, struct buf *text, struct json *json);

#endif
