/*
 * What became of each delivery, as Postfix' log tells: its grant is spent if
 * the other side heard of the recipient, else given back.  Of servers that are
 * asked in turn, the log tells of all but the last without naming the recipient:
 * one that heard of any spends all grants of the message that are still open.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_FEEDBACK_H
#define POLICYD_FEEDBACK_H

#include "policyd/outcome.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct conf;
struct event_base;
struct feedback;
struct follow_place;
struct json;

enum {
    FEEDBACK_LISTENERS_MAX = 8,
    FEEDBACK_SILENT_MS = 60 * 1000, /* a log with no line in that time is not counted on */
};

struct feedback_figures {
    uint64_t lines;
    uint64_t results; /* of recipients */
    uint64_t spent;   /* grants that they settled */
    uint64_t given_back;
    uint64_t unknown; /* of messages that the log did not tell of before */
    uint64_t odd;     /* lines that cannot be trusted */
};

/* Who wants to know; each may be NULL.  Called from the loop, in the order of the log. */
struct feedback_listener {
    void (*on_outcome)(void *arg, const struct outcome *outcome);
    void (*on_gone)(void *arg, const char *queue_id); /* the message left the queue */
    void (*on_idle)(void *arg);                       /* all that there is was told */
    void *arg;                                        /* not ours */
};

struct feedback_start {
    struct event_base *base;
    const struct conf *conf; /* must stay until feedback_set_conf() */
    struct volume *volume;   /* settles grants; must outlive the feedback */
    /* The provider of a recipient domain, or NULL: not known. */
    const struct provider *(*provider)(void *arg, const char *domain);
    void *arg;
};

struct feedback *feedback_new(const struct feedback_start *start);
void feedback_free(struct feedback *feedback); /* takes NULL */

/* At most FEEDBACK_LISTENERS_MAX, before the loop runs. */
void feedback_listen(struct feedback *feedback, const struct feedback_listener *listener);

/* Behind the last line whose outcome was told. */
const struct follow_place *feedback_place(const struct feedback *feedback);

/* Does the log tell what Postfix does?  now_ms: of CLOCK_MONOTONIC_COARSE. */
bool feedback_is_live(const struct feedback *feedback, int64_t now_ms);

/* Can the log be read?  False without one. */
bool feedback_is_read(const struct feedback *feedback);

/* The configuration changed, maybe with it the file. */
void feedback_set_conf(struct feedback *feedback, const struct conf *conf);

/* Text or json is NULL; without a log nothing is said. */
void feedback_status(const struct feedback *feedback, struct buf *text, struct json *json);

#endif
