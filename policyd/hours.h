/*
 * What happened to mail, hour by hour, in a file: by stream, pool, address and
 * provider, and by account.
 *
 * Each result is counted once.  Sums, the place in the log that they go up to and
 * what is known of the queue there are written in one transaction, about once a
 * second, by a thread of its own; after a restart the log is followed from that
 * place.  Results of messages that were in the queue then are known, because the
 * queue is kept with the place: its changes are few, what comes and leaves
 * between two writes costs nothing.  (Reading the log again from before the oldest
 * message would take as long as the oldest message is old.)
 *
 * While the file cannot be written, results are counted in memory.  When there is
 * no more room for that, what is not kept is forgotten, and read again from the
 * log once the file can be written: the place in it was not moved on.  Nobody
 * waits for any of this, and the status tells of it.
 *
 * Hosts that share a store for many show each other their hours (policyd/hours_share.h).
 *
 * Hours are of the times that lines of the log have, counted since 1970.  How long
 * addresses are suspended is looked at while the daemon runs and can count.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_H
#define POLICYD_HOURS_H

#include <stdint.h>

struct breakers;
struct buf;
struct conf;
struct control_call;
struct event_base;
struct feedback;
struct hours;
struct json;
struct volume;

enum {
    HOURS_KEEP_MS = 1000,           /* between two writes */
    HOURS_PLACE_MS = 10 * 1000,     /* the same, when nothing but the place has changed */
    HOURS_SUSPENDED_MS = 60 * 1000, /* most of a suspension that is counted at a time */
    HOURS_AHEAD_MS = 3600 * 1000,   /* a line that is later than that is counted as of now */
};

struct hours_start {
    struct event_base *base;
    struct conf *conf; /* must stay until hours_set_conf() */
    struct feedback *feedback;
    struct breakers *breakers; /* whose suspensions are counted; NULL: none are */
    struct volume *volume;     /* whose store hosts show their hours in */
};

/*
 * Has feedback follow its log: from the place in the file, or from the end of the log when there is
 * none.  feedback, breakers and volume must outlive the hours.
 */
struct hours *hours_new(const struct hours_start *start);

/* What was counted is kept, if that can be done at once.  Takes NULL. */
void hours_free(struct hours *hours);

/* The configuration changed; feedback has it already. */
void hours_set_conf(struct hours *hours, struct conf *conf);

/* Answer a "report" of postpool(1), question is what stands behind that; now or later. */
void hours_report(struct hours *hours, struct control_call *call, const char *question);

/* Text or json is NULL; nothing is said when nothing is counted. */
void hours_status(const struct hours *hours, struct buf *text, struct json *json);

#endif
