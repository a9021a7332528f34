/*
 * What became of one attempt to deliver one recipient's mail, made from a line
 * of the log and what is known of its message.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_OUTCOME_H
#define POLICYD_OUTCOME_H

#include "lib/maillog.h"
#include "lib/replies.h"
#include "lib/reply.h"
#include "lib/tag.h"

#include <stdbool.h>
#include <stdint.h>

struct address;
struct conf;
struct provider;
struct queued_wait;
struct stream;

enum { OUTCOME_DOMAIN_SIZE = 256 };

/* Pointers are of the running configuration. */
struct outcome {
    int64_t at_ms; /* time of day, as the line tells; what has none: now */
    char queue_id[MAILLOG_QUEUE_ID_MAX + 1];
    char message_id[TAG_SENDER_SIZE];  /* the tag's id, else the sender, else the recipient */
    char sender[TAG_SENDER_SIZE];      /* without tag; "" is the null sender */
    char account[OUTCOME_DOMAIN_SIZE]; /* domain of sender, lower case */
    char recipient[ADDR_MAX + 1];
    char domain[OUTCOME_DOMAIN_SIZE]; /* of recipient, lower case */
    const struct stream *stream;
    bool tagged; /* its sender has a tag of ours: the milter took the message in */
    const struct address *address; /* that it was tried from; NULL: from none of ours */
    /* Where it counts: address; of what is returned untried, with a server's words, the last that
     * was refused with them, as far as is known. */
    const struct address *blamed;
    const struct address *chosen;    /* that a lookup had given out for it, as far as is known */
    const struct provider *provider; /* of the recipient; "other" when it is not known */
    enum maillog_status status;      /* SENT, DEFERRED or BOUNCED */
    struct span told;                /* the reply as Postfix tells it; gone with the line */
    struct reply reply;
    const struct reply_rule *rule; /* that fits the reply; NULL: none, or it was sent */
    bool reached;                  /* the other side heard of the recipient */
    bool rescued;     /* the other side refused the address for good, and it is tried again */
    bool expired;     /* BOUNCED, because it waited too long; all else is of the last deferral */
    bool ours;        /* we said why, OUTCOME_OWN: no server's words */
    bool own;         /* deferred by us, for that */
    bool late;        /* returned by us: it is past its deadline, OUTCOME_EXPIRED */
    bool full;        /* deferred by us: it waits for its turn, OUTCOME_FULL or _BUSY */
    int64_t delay_ms; /* since the message came in; -1: not known */
    int64_t delays_ms[4]; /* before qmgr, in qmgr, connecting, sending; -1: not known */
};

struct outcome_view {
    const struct conf *conf;
    int64_t now_ms;     /* time of day */
    int local_offset_s; /* of this host's time from UTC */
    /* The provider of a recipient domain, or NULL: not known. */
    const struct provider *(*provider)(void *arg, const char *domain);
    void *arg;
};

/* Begins the text of every deferral that postpool itself asks for. */
#define OUTCOME_OWN "postpool: "
/* The text of those for want of room begins so. */
#define OUTCOME_FULL OUTCOME_OWN "no room under the caps"
/* That of those whose stream has enough under way. */
#define OUTCOME_BUSY OUTCOME_OWN "enough mail of its stream is under way"
/* Likewise of those that wait until something is held back no more. */
#define OUTCOME_SUSPENDED OUTCOME_OWN "all addresses of the pool are suspended"
#define OUTCOME_SLOWED OUTCOME_OWN "all addresses of the pool are slowed down"
#define OUTCOME_UNENGAGED OUTCOME_OWN "waits for an address that is warm"
#define OUTCOME_HELD OUTCOME_OWN "mail of this sender is held back"
/* That of those whose stream has hours, and it is too early. */
#define OUTCOME_OUTSIDE OUTCOME_OWN "outside the hours of its stream"
/* What is returned because it is too late begins so. */
#define OUTCOME_EXPIRED OUTCOME_OWN "it could not be delivered in time"

/*
 * line: a MAILLOG_RESULT, written at time.  reply: what it says why, where that is not read as
 * Postfix' words are; else NULL.  sender: of its message, with the tag.  False for what is no
 * attempt's end, or whose recipient is too long to be one.
 */
bool outcome_make(const struct outcome_view *view, const struct maillog_time *time,
                  const struct maillog *line, const struct reply *reply, const char *sender,
                  struct outcome *ret_outcome);

/* It was returned at that time, because it waited too long. */
void outcome_expire(struct outcome *outcome, int64_t at_ms);

/* The same of one that waits since long, deferred by ourselves; false: its recipient is too long.
 */
bool outcome_of_wait(const struct outcome_view *view, const struct queued_wait *wait,
                     struct outcome *ret_outcome);

#endif
