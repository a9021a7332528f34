/*
 * What the milter gathers of one message, and what it then wants done.
 *
 * Pure: no libmilter, no clock, no I/O, so that it can be tested and fuzzed.
 * What strangers send is bounded: SESSION_RECIPIENTS_MAX recipients and
 * SESSION_HEADERS_MAX header fields are looked at, the rest is counted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include "engine/classify.h"
#include "lib/feedback_id.h"
#include "lib/hint.h"
#include "lib/mark.h"
#include "lib/tag.h"
#include "milter/bulk.h"
#include "milter/report_line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct report_reader;

enum {
    SESSION_RECIPIENTS_MAX = 1000,
    SESSION_HEADERS_MAX = 200, /* fields that a condition asks for */
};

/* A client's connection. */
struct session {
    struct conf *conf; /* a reference; renewed for each message */
    struct ip client;  /* family 0: not known */
    char *daemon;      /* owned; NULL: not known */
    bool submission;   /* sendmail(1): Postfix speaks for a client on this host */

    /* The message that is under way; session_reset() forgets it. */
    bool own; /* the site itself sends it: what is to be done is done */
    char sender[ADDR_MAX + 1];
    bool sender_usable; /* it is an address that can be tagged */
    char *sasl_user;    /* owned; NULL: no login */
    size_t recipient_count;
    char *recipients[SESSION_RECIPIENTS_MAX]; /* owned */
    bool remote; /* a recipient is delivered elsewhere, as far as we know */
    size_t header_count;
    struct header headers[SESSION_HEADERS_MAX];
    char *header_texts[SESSION_HEADERS_MAX]; /* owned: name, NUL, value */
    unsigned own_headers;                    /* how many stream headers came with it */
    unsigned own_marks;                      /* how many headers of marks */
    unsigned hint_headers;                   /* likewise of hints */
    bool has_feedback_id;                    /* it came with one, which conf->strip may take out */
    unsigned *strip_counts;                  /* owned: how many of each header in conf->strip */
    struct report_reader *report;            /* owned; NULL: it came to no complaint address */
    char report_address[ADDR_MAX + 1];       /* that it came to */
    const char *report_names[REPORT_LINE_HEADERS]; /* headers that it is asked for */
    struct bulk bulk;                              /* seen where any stream requires something */
};

struct session *session_new(void);
void session_free(struct session *session); /* takes NULL */

/* Forget the message; what the connection tells stays. */
void session_reset(struct session *session);

/*
 * A message begins.  conf: a reference that becomes the session's.  sender as
 * the client wrote it, with <>; canonical: Postfix' own form of it, "" or NULL
 * when it did not say.  sasl_user: NULL without a login.
 */
void session_mail(struct session *session, struct conf *conf, const char *sender,
                  const char *canonical, const char *sasl_user);

/* A recipient as the client wrote it, and the transport Postfix means to use; NULL: not said. */
void session_rcpt(struct session *session, const char *recipient, const char *mailer);

void session_header(struct session *session, const char *name, const char *value);

/* The next bytes of its body.  false: nobody wants to know any of it. */
bool session_body(struct session *session, const void *data, size_t length);

/*
 * What a message that came to a complaint address reports, for the log; NULL:
 * it came to none.  The caller owns it.  To be called once, at its end.
 */
char *session_report(struct session *session);

/* What is to be done with the message. */
struct verdict {
    const struct stream *stream; /* NULL: nothing; the message is none of ours */
    char id[TAG_ID_MAX + 1];
    enum hint hint; /* HINT_DAY: the id tells hint_day */
    int32_t hint_day;
    bool tag; /* change the sender to what stands in sender */
    char sender[TAG_SENDER_SIZE];
    bool too_odd;                       /* the sender cannot carry a tag; it stays as it is */
    char mark[MARK_SIZE];               /* header to be added; "": none */
    char feedback_id[FEEDBACK_ID_SIZE]; /* likewise */
    unsigned unmet; /* what the stream requires and the message has not: REQUIRE_BIT() */
};

/* random and the time of day become the message's id, see tag_id(). */
void session_verdict(const struct session *session, uint64_t random, int64_t now_s,
                     struct verdict *ret_verdict);

#endif
