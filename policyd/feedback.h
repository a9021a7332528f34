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

#include <stdint.h>

struct buf;
struct conf;
struct event_base;
struct feedback;
struct json;
struct volume;

struct feedback_figures {
    uint64_t lines;
    uint64_t results; /* of recipients */
    uint64_t spent;   /* grants that they settled */
    uint64_t given_back;
    uint64_t unknown; /* of messages that the log did not tell of before */
    uint64_t odd;     /* lines that cannot be trusted */
};

/* conf must stay until feedback_set_conf(); volume until feedback_free(). */
struct feedback *feedback_new(struct event_base *base, const struct conf *conf,
                              struct volume *volume);
void feedback_free(struct feedback *feedback); /* takes NULL */

/* The configuration changed, maybe with it the file. */
void feedback_set_conf(struct feedback *feedback, const struct conf *conf);

/* Text or json is NULL; without a log nothing is said. */
void feedback_status(const struct feedback *feedback, struct buf *text, struct json *json);

#endif
