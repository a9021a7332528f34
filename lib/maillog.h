/*
 * One line of Postfix' log, or of our milter in it, taken apart.  Pure: no clock, no I/O.
 *
 * Much of a line is written by strangers: addresses, replies of servers, names
 * of hosts.  So a line is only believed in the exact order in which Postfix
 * writes it, from its beginning; what could be read in two ways is
 * MAILLOG_ODD, and no result.
 *
 * Keys are found by name, so that fields which newer versions add (tls= in
 * 3.11) do no harm.
 *
 * Source: Postfix 3.4 to 3.11, log_adhoc.c, opened.c, qmgr_active.c,
 * cleanup_message.c, smtpd.c, pickup.c; RFC 3339, section 5.6; RFC 5321, section 4.1.2.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_MAILLOG_H
#define LIB_MAILLOG_H

#include "lib/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAILLOG_LINE_MAX = 16 * 1024, /* bytes of a line that are looked at */
    MAILLOG_QUEUE_ID_MAX = 32,
};

enum maillog_kind {
    MAILLOG_OTHER,     /* nothing of ours */
    MAILLOG_CLIENT,    /* somebody hands a message in: queue_id, client, login */
    MAILLOG_NEW,       /* cleanup has begun a message: queue_id, message_id */
    MAILLOG_ACTIVE,    /* qmgr has taken it up: queue_id, sender */
    MAILLOG_RESULT,    /* of one recipient: queue_id and all the rest */
    MAILLOG_SAID,      /* one of several servers failed, the next is asked: queue_id, reply */
    MAILLOG_EXPIRED,   /* it waited too long and goes back to its sender: queue_id, sender */
    MAILLOG_REMOVED,   /* it left the queue, or comes again under another id: queue_id */
    MAILLOG_HELD,      /* nobody delivers it until an admin lets it go: queue_id */
    MAILLOG_SWEPT,     /* so many were removed or held at once, named before or not: count */
    MAILLOG_UNMET,     /* our milter misses what its stream requires: queue_id, stream, unmet */
    MAILLOG_COMPLAINT, /* our milter read one: stream, ... domain; empty: whose mail is not told */
    MAILLOG_RETURNED,  /* our milter read a bounce: likewise */
    MAILLOG_ODD,       /* begins like one of these, and cannot be trusted */
};

enum maillog_status {
    MAILLOG_SENT,
    MAILLOG_DEFERRED, /* by soft_bounce, too */
    MAILLOG_BOUNCED,
    MAILLOG_OTHER_STATUS, /* expired, undeliverable, deliverable: not an attempt's end */
};

/* When a line was written.  As it stands there: not checked against a calendar. */
struct maillog_time {
    int year;       /* 0: the line does not tell */
    int month, day; /* from 1 */
    int hour, minute, second;
    int millisecond;
    bool has_offset;
    int offset_s; /* of local time from UTC; 0 without has_offset */
};

/* A line's frame: "Nov  5 10:11:12 host postfix/pp-a1/smtp[77]: message". */
struct maillog_frame {
    struct maillog_time time;
    struct span ident; /* "postfix/pp-a1/smtp" */
    struct span message;
};

struct maillog {
    enum maillog_kind kind;
    struct span service; /* "pp-a1"; as syslog_name has it, else empty */
    struct span daemon;  /* "smtp" */
    struct span queue_id;
    struct span client;     /* its address; empty: a program on this host, by sendmail(1) */
    struct span login;      /* SASL's name of who it is; or empty */
    struct span sender;     /* without <> */
    struct span message_id; /* as it stands in the header, or empty */
    struct span recipient;  /* without <> */
    struct span relay;      /* "host[address]:port", "none" */
    struct span from;       /* "192.0.2.11", it was sent from there, as Exim tells; else empty */
    struct span dsn;        /* "5.7.1" */
    struct span reply;      /* what stands in parentheses behind the status */
    enum maillog_status status;
    int count;
    int64_t delay_ms;     /* since the message came in; -1: not there */
    struct span stream;   /* its name, as the milter has it */
    struct span id;       /* of the tag or mark */
    bool by_mark;         /* else by a tag */
    struct span account;  /* of the mark */
    struct span address;  /* its name */
    struct span domain;   /* of the recipient */
    unsigned unmet;       /* a set, REQUIRE_BIT() */
    int64_t delays_ms[4]; /* before qmgr, in qmgr, connecting, sending; -1: not there */
};

/*
 * Cut a line of a file, without its line end, into its frame.  Returns false for
 * one that has not the form that Postfix, syslogd and rsyslog write.
 */
bool maillog_cut(const char *line, size_t length, struct maillog_frame *ret_frame);

/* Read a message that ident wrote.  Everything in ret_line points into the two. */
void maillog_parse(struct span ident, struct span message, struct maillog *ret_line);

/*
 * Could text, which stands in parentheses behind a status, be something else: the rest
 * of an address and the true result, behind a forged beginning?  Its line is ODD.
 */
bool maillog_is_doubtful(struct span text);

/*
 * Milliseconds since 1970 of a line's time.  Without a year it is the one that
 * brings it nearest to now_ms, without an offset it is local time, which is
 * local_offset_s from UTC.  -1 for what is no time.
 */
int64_t maillog_time_ms(const struct maillog_time *time, int64_t now_ms, int local_offset_s);

#endif
