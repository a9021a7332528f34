/*
 * Reports on our mail that come in by mail: complaints and bounces.
 *
 *   a feedback report   RFC 5965 (ARF), and what providers send in its place: without
 *                       report-type or MIME-Version, with its parts in another order or encoded,
 *                       or only the message itself, as Microsoft did (X-HmXmrOriginalRecipient)
 *   a delivery status   RFC 3464, and RFC 6533 for addresses in UTF-8
 *
 * Pure, and fed as a milter is: the fields of the header, then the body in pieces.  Any message
 * may come in, of any size: the room is that of one struct (some 30 KiB), the time that of the
 * message's length, and the size of the pieces makes no difference.
 *
 * All of it is strangers' text, and none of it is proof: a report is about mail of ours when one
 * of its tags is genuine (tag_verify()).  Read are the report and the header of the message that
 * came back, each only where it has to stand; no text that is meant for people, and nothing in
 * the body of that message.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_REPORT_H
#define MILTER_REPORT_H

#include "engine/ip.h"
#include "lib/tag.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    REPORT_RECIPIENTS_MAX = 16, /* that are kept; the others are counted */
    REPORT_TAGS_MAX = 4,
    REPORT_HOPS_MAX = 8,
    REPORT_HEADERS_MAX = 4, /* that a caller may ask for */
    REPORT_ADDRESS_MAX = 320,
    REPORT_TEXT_MAX = 250, /* of a text that is cut where it is longer */
    REPORT_WORD_MAX = 63,
    REPORT_STATUS_MAX = 11, /* "5.123.123" and to spare */
    REPORT_INCIDENTS_MAX = 1000,
};

enum report_kind {
    REPORT_NONE,     /* no report */
    REPORT_FEEDBACK, /* what somebody thinks of a message */
    REPORT_BOUNCE,   /* a recipient did not get it, and will not */
    REPORT_DELAY,    /* none of that, but a recipient has to wait for it */
    REPORT_RECEIPT,  /* it came in, or was handed on */
};

enum report_action {
    REPORT_UNTOLD,
    REPORT_FAILED,
    REPORT_DELAYED,
    REPORT_DELIVERED, /* or relayed, or expanded */
};

/* "" stands for what is not told, and for an address that does not fit. */
struct report_recipient {
    char original[REPORT_ADDRESS_MAX + 1]; /* as the mail was sent to */
    char final[REPORT_ADDRESS_MAX + 1];    /* where it was to go in the end */
    enum report_action action;             /* by its status where it is not told */
    char status[REPORT_STATUS_MAX + 1];    /* "5.1.1" */
    bool said;                             /* diagnostic is what a server said */
    char diagnostic[REPORT_TEXT_MAX + 1];  /* "550 5.1.1 no such user" */
};

struct report {
    enum report_kind kind;
    char type[REPORT_WORD_MAX + 1]; /* feedback: "abuse", "not-spam" ...; of a-z, 0-9, - */
    unsigned incidents;             /* feedback: reports that this one stands for, 1 or more */
    struct ip source;               /* our address that the mail came from; family 0: not told */
    char reporter[REPORT_TEXT_MAX + 1]; /* the host that reports, else its program */
    char arrival[REPORT_TEXT_MAX + 1];  /* when the message came there, a date as it was written */
    char queue_id[REPORT_WORD_MAX + 1]; /* a Postfix that reports: what it had the message as */

    char sender[ADDR_MAX + 1]; /* of the message, without tag */
    size_t tag_count;
    struct tag tags[REPORT_TAGS_MAX]; /* each is somebody's word until it is verified */

    bool returned; /* the message, or its header, came back */
    size_t hop_count;
    struct ip hops[REPORT_HOPS_MAX]; /* by it: who handed it in, the last one first */
    char values[REPORT_HEADERS_MAX][REPORT_TEXT_MAX + 1]; /* of the headers asked for, in it */

    size_t recipient_count; /* may be more than are kept */
    struct report_recipient recipients[REPORT_RECIPIENTS_MAX];
};

struct report_reader;

/*
 * names: headers of the message that came back whose values are wanted; not
 * ours, and they must outlive the reader.  What is beyond REPORT_HEADERS_MAX
 * is not looked for.
 */
struct report_reader *report_reader_new(const char *const *names, size_t count);
void report_reader_free(struct report_reader *reader); /* takes NULL */

/* A field of the report's own header.  value may be folded. */
void report_header(struct report_reader *reader, const char *name, const char *value);

/* The next bytes of its body.  Lines end in LF or CRLF. */
void report_body(struct report_reader *reader, const void *data, size_t length);

/* The whole of it was told.  What is returned is the reader's. */
const struct report *report_end(struct report_reader *reader);

/*
 * Is it one that counts against the sender?  Feedback on failed authentication
 * is none, nor that a message is no spam after all.
 */
bool report_is_complaint(const struct report *report);

#endif
