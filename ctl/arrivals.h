/*
 * Mail that left a site, as Postfix' log tells it line by line: when it came, from whom, where to,
 * and what the other side said.  Pure.
 *
 * Of mail that smtp(8) tried to hand to another host, each recipient is told of once, however
 * often it was tried: with the time at which its message came into the queue, and the result of the
 * first try; in the order of these times.  What Postfix delivers on this host, hands to a filter
 * here, or forwards for its relay_domains is left out, and so are recipient domains under bypass
 * and milter.local_domains.
 *
 * A log has no headers and no names of services as the milter sees them: which stream a message
 * is of may not be sure.  See struct arrival.
 *
 * Memory: MAILS_BYTES_MAX for messages under way, and 300 bytes for each of ARRIVALS_HELD_MAX.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ARRIVALS_H
#define CTL_ARRIVALS_H

#include "ctl/attempt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arrivals;
struct conf;
struct mapping;
struct provider;
struct reply_rule;
struct stream;
struct zone;

enum {
    ARRIVALS_HOLD_MS = 10 * 60000,  /* so long after a message came its first try may be told */
    ARRIVALS_HELD_MAX = 100 * 1000, /* that wait for what came before them; beyond it none does */
};

/* One recipient.  Good as long as the call that tells of it. */
struct arrival {
    int64_t at_ms;                   /* when its message came; not before the last one told */
    const struct stream *stream;     /* that it is of, as far as the log tells */
    const struct stream *perhaps;    /* it may be of this, by what the log does not tell; else the
                                        same */
    const struct provider *provider; /* by domain, else by the host that was tried; "other" */
    const char *account;             /* domain of the sender, lower case; "" */
    const char *domain;              /* of the recipient, likewise */
    uint64_t key;                    /* decide_key() */
    bool first;                      /* the first of its message */
    enum maillog_status status;      /* SENT, DEFERRED, BOUNCED: of the first try ... */
    bool reached;                    /* ... in which the other side heard of it */
    int code;                        /* 550; 0: none was said */
    const struct reply_rule *rule;   /* that fits the reply; NULL: none, or it was sent */
};

struct arrivals_start {
    const struct conf *conf;       /* not ours, as are the others */
    const struct mapping *mapping; /* what the admin says of streams */
    const struct zone *zone;       /* times without an offset are its clock's; NULL: UTC */
    void (*each)(void *arg, const struct arrival *arrival);
    void *arg;
};

struct arrivals_figures {
    uint64_t lines;
    uint64_t foreign;          /* that are no line of a log */
    uint64_t odd;              /* that cannot be trusted, or have no time that is one */
    uint64_t postfix;          /* that Postfix wrote of a message */
    int64_t first_ms, last_ms; /* of these; postfix == 0: not there */
    int64_t back_ms;           /* the most that times went back */

    uint64_t messages, recipients;    /* told on */
    uint64_t before;                  /* of these recipients: messages from before the log */
    uint64_t unsure;                  /* stream and perhaps differ */
    uint64_t sent, deferred, bounced; /* in the first try */

    uint64_t tries[ATTEMPT_KINDS]; /* of smtp(8): those that count, again and again, and others */
    uint64_t relayed;              /* tries that count at a host, ... */
    uint64_t relayed_there; /* ... of these at the first that was: most, where it is a relayhost */
    char relay_host[ATTEMPT_DOMAIN_SIZE]; /* its name */

    uint64_t ruled;     /* tries with a reply that a rule fits ... */
    uint64_t not_ruled; /* ... and failed ones that none does */
    uint64_t forgotten; /* messages: too many were under way */
};

struct arrivals *arrivals_new(const struct arrivals_start *start);
void arrivals_free(struct arrivals *arrivals); /* takes NULL */

/* Lines come from another file, which was last written then: see ctl/logtime.h. */
void arrivals_file(struct arrivals *arrivals, int64_t written_ms, int64_t now_ms);

/* A line, without its end.  May tell of some arrivals, of earlier ones, too. */
void arrivals_hear(struct arrivals *arrivals, const char *line, size_t length);

/* There are no more lines: what is held is told of. */
void arrivals_end(struct arrivals *arrivals);

const struct arrivals_figures *arrivals_figures(const struct arrivals *arrivals);

/* Tries whose reply fell under that rule, by its place in conf->replies. */
uint64_t arrivals_ruled(const struct arrivals *arrivals, size_t rule);

#endif
