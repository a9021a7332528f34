/*
 * What became of each delivery, as Postfix' log tells: its grant is spent if
 * the other side heard of the recipient, else given back.  Of servers that are
 * asked in turn, the log tells of all but the last without naming the recipient:
 * one that heard of any spends all grants of the message that are still open.
 *
 * A message that waited too long is returned to those that were deferred in its last
 * delivery, which are kept until then (policyd/deferred.h).
 *
 * Of complaints and late bounces (policyd/reported.h) each message counts once: who got one could
 * tell of it as often as he likes.  Other hosts do not know of that, and it is forgotten when the
 * daemon ends.
 *
 * Whoever keeps what came of the log over a restart (policyd/hours.h) keeps the
 * place and what is known of the queue with it, and has the log followed from
 * there: so it hears of each line once.  The others hear again, after a restart,
 * of what came behind the place that was kept last: a second or so of the log,
 * or more where it could not be kept.  What they make of an outcome twice must
 * do no harm; its at_ms is that of the line.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FEEDBACK_H
#define POLICYD_FEEDBACK_H

#include "lib/cursor.h"
#include "policyd/outcome.h"

#include <stdbool.h>
#include <stdint.h>

struct address;
struct buf;
struct conf;
struct event_base;
struct feed_head;
struct feedback;
struct json;
struct place;
struct queued;
struct reported;

enum {
    FEEDBACK_LISTENERS_MAX = 12,
    FEEDBACK_SILENT_MS = 60 * 1000, /* a log with no line in that time is not counted on */
    FEEDBACK_UNREAD_MS = 5 * 60 * 1000,
    FEEDBACK_OFF_MS = 10 * 60 * 1000, /* as BREAKERS_LATE_MS; in either direction */
    FEEDBACK_OFF_RESULTS = 3, /* so many in a row, each at the log's end: its clock is off */
};

struct feedback_figures {
    uint64_t lines;
    uint64_t results; /* of recipients */
    uint64_t spent;   /* grants that they settled */
    uint64_t given_back;
    uint64_t unknown;  /* of messages that the log did not tell of before */
    uint64_t odd;      /* lines that cannot be trusted */
    uint64_t reports;  /* complaints and late bounces that were told of */
    uint64_t foreign;  /* of these lines, those that name no mail of ours */
    uint64_t repeated; /* what a message was told of before */
};

/* Who wants to know; each may be NULL.  Called from the loop, in the order of the log. */
struct feedback_listener {
    void (*on_outcome)(void *arg, const struct outcome *outcome);
    void (*on_gone)(void *arg,
                    const char *queue_id); /* the message left the queue, or is on hold */
    void (*on_swept)(void *arg);           /* many did, and nobody knows which */
    void (*on_idle)(void *arg);            /* all that there is was told */
    /* It waited too long and was returned; it was told of when it was deferred. */
    void (*on_expired)(void *arg, const struct outcome *outcome);
    /* Deferred before the start and not tried since, outcome_of_wait(). */
    void (*on_wait)(void *arg, const struct outcome *outcome);
    /* A message does not meet what its stream requires; unmet: a set, REQUIRE_BIT(). */
    void (*on_unmet)(void *arg, int64_t at_ms, struct span stream, unsigned unmet);
    /* A complaint, or a bounce that comes late: of each message one of both, SEEN_MOST. */
    void (*on_reported)(void *arg, const struct reported *reported);
    bool replays; /* hears, and alone, what feedback_follow() goes back to; and no on_gone then */
    void *arg;    /* not ours */
};

struct feedback_start {
    struct event_base *base;
    const struct conf *conf; /* must stay until feedback_set_conf() */
    struct volume *volume;   /* settles grants; must outlive the feedback */
    /* The provider of a recipient domain, or NULL: not known. */
    const struct provider *(*provider)(void *arg, const char *domain);
    /* The last address that refused a recipient's mail, or NULL: none that is known. */
    const struct address *(*refused)(void *arg, const char *message_id, const char *recipient);
    void *arg;
};

/* Nothing is followed before feedback_follow(). */
struct feedback *feedback_new(const struct feedback_start *start);
void feedback_free(struct feedback *feedback); /* takes NULL */

/* At most FEEDBACK_LISTENERS_MAX, before the loop runs. */
void feedback_listen(struct feedback *feedback, const struct feedback_listener *listener);

/* The id of the message in the queue under queue_id, as in struct outcome.  False: none is known.
 */
bool feedback_message_id(struct feedback *feedback, const char *queue_id,
                         char id[static TAG_SENDER_SIZE]);

/*
 * Begin, or go back: the log is followed from there on; NULL: from its end.  queued is what is
 * known of the queue at that place, and becomes the feedback's; NULL: nothing.  Returns what it
 * had, the caller's.  What was told before is told again to those that replay, and settles no
 * grant.  What waits by queued is told of little by little.
 */
struct queued *feedback_follow(struct feedback *feedback, const struct place *from,
                               struct queued *queued);

/* Was feedback_follow() called? */
bool feedback_is_followed(const struct feedback *feedback);

/* The log that is followed, as feedback.log names it; NULL: none. */
const char *feedback_path(const struct feedback *feedback);

/* Behind the last line that was told; PLACE_NONE: not known yet.  Not from inside a listener. */
void feedback_place(const struct feedback *feedback, struct place *ret_place);

/* What is known of the queue there. */
struct queued *feedback_queued(struct feedback *feedback);

/* How many bytes of a file are not told yet, 0 of another log; -1: it cannot be read. */
int64_t feedback_lag_bytes(const struct feedback *feedback);

/* Does the log tell what Postfix does?  now_ms: of CLOCK_MONOTONIC_COARSE. */
bool feedback_is_live(const struct feedback *feedback, int64_t now_ms);

/* Can the log be read?  False without one. */
bool feedback_is_read(const struct feedback *feedback);

/*
 * Are results counted?  A log that has gone may come again: only after
 * FEEDBACK_UNREAD_MS, since this was asked first, they are not.  now_ms: as above.
 */
bool feedback_counts(struct feedback *feedback, int64_t now_ms);

/* A batch of lines is handed in; done hears what became of it, exactly once (policyd/feeds.h). */
void feedback_feed(struct feedback *feedback, const struct feed_head *head, const char *bytes,
                   void (*done)(void *arg, const char *answer), void *arg);

/* The configuration changed, maybe with it the file. */
void feedback_set_conf(struct feedback *feedback, const struct conf *conf);

/* Text or json is NULL; without a log only the text says so. */
void feedback_status(const struct feedback *feedback, struct buf *text, struct json *json);

#endif
