/*
 * One line of Exim's main log, taken apart.  Pure: no clock, no I/O.
 *
 *   2026-11-05 10:11:12 1xWin0-0001SB-1F <= news@d.test U=root P=local S=304
 *   2026-11-05 10:11:12 1xWin0-0001SB-1F => bob@c.test F=<news@d.test> R=r T=t
 *       H=mx.c.test [192.0.2.9] I=[192.0.2.11] C="250 2.0.0 OK" QT=1s DT=0s
 *
 * For what is needed here Exim's log_selector must have +incoming_interface (the
 * address it was sent from), +sender_on_delivery, +deliver_time and +queue_time.
 *
 * Much of a line is written by strangers, and Exim leaves out the quotes of local
 * parts: one may look like the rest of a line.  So a line is only believed in the
 * order in which Exim writes it, to its end, with each field once; an address
 * that needs quotes, and what could be read in two ways, is EXIMLOG_ODD.
 *
 * Source: Exim 4.94 to 4.98, deliver.c, transports/smtp.c; the specification,
 * chapter "Log files".
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_EXIMLOG_H
#define POLICYD_EXIMLOG_H

#include "lib/cursor.h"
#include "lib/maillog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply;

enum eximlog_kind {
    EXIMLOG_OTHER,  /* nothing of ours */
    EXIMLOG_NEW,    /* "<=": it has come in: queue_id, sender */
    EXIMLOG_RESULT, /* "=>", "->", "**", "==": of one recipient: all the rest */
    EXIMLOG_GONE,   /* "Completed": it left the queue: queue_id */
    EXIMLOG_ODD,    /* begins like one of these, and cannot be trusted */
};

struct eximlog {
    enum eximlog_kind kind;
    struct span queue_id;
    struct span sender; /* without <>; of a result only with +sender_on_delivery: has_sender */
    bool has_sender;
    struct span recipient;
    struct span router, transport;
    struct span host, host_address; /* "mx.c.test", "192.0.2.9"; empty: none was reached */
    struct span interface;          /* "192.0.2.11", it was sent from there; or empty */
    enum maillog_status status;     /* OTHER_STATUS: it was not tried, because it is not its time */
    int error;                      /* of a deferral: errno, or below 0 Exim's own */
    struct span words;              /* what the server or Exim says; may be empty */
    int64_t delay_ms;               /* since the message came in; -1: not there */
    int64_t took_ms;                /* to deliver it; -1: not there */
};

/* Is it Exim's, by the ident of its frame? */
bool eximlog_is(const struct maillog_frame *frame);

/* Cut a line of the file, without its line end, into time and message; ident is Exim's. */
bool eximlog_cut(const char *line, size_t length, struct maillog_frame *ret_frame);

/*
 * Read a message, which may still have a time in front where it came by syslog.
 * Everything in ret_line points into it.
 */
void eximlog_parse(struct span message, struct eximlog *ret_line);

/* The same as a line of Postfix' log would tell it; a message that comes in is being delivered. */
void eximlog_as_maillog(const struct eximlog *line, struct maillog *ret_line);

/* Why, as the words of a result tell (lib/reply.h). */
void eximlog_reply(const struct eximlog *line, struct reply *ret_reply);

#endif
