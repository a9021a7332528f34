/*
 * Why a delivery failed, as Postfix' smtp(8) tells it: who said it, how far the
 * delivery had come, and the words.  Pure.
 *
 *   host mx.example.net[192.0.2.9] said: 550 5.1.1 No such user (in reply to RCPT TO command)
 *   lost connection with mx.example.net[192.0.2.9] while sending message body
 *   connect to mx.example.net[192.0.2.9]:25: Connection timed out
 *
 * The words are a stranger's.  What Postfix itself wrote stands in front of
 * them and at the very end, and is looked for only there.  Postfix logs 2,048 bytes
 * of a line, so that the end may be missing: then the recipient counts as told.
 *
 * Source: Postfix smtp_proto.c, smtp_trouble.c, smtp_connect.c; RFC 5321,
 * section 4.2; RFC 3463, section 2.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_REPLY_H
#define LIB_REPLY_H

#include "lib/cursor.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    REPLY_TEXT_MAX = 1000,   /* bytes of words that are looked at */
    REPLY_ENHANCED_MAX = 11, /* "5.123.123" and to spare */
};

enum reply_origin {
    REPLY_LOCAL,   /* Postfix itself: no server had a part in it */
    REPLY_CONNECT, /* no server was reached */
    REPLY_LOST,    /* a server went silent, or away */
    REPLY_SAID,    /* a server's words */
};

/* How far the delivery was when it ended. */
enum reply_phase {
    REPLY_BEFORE,    /* there was no connection */
    REPLY_GREETING,  /* connected, up to and with EHLO, TLS and login */
    REPLY_MAIL,      /* the sender was told */
    REPLY_RECIPIENT, /* the recipient was told */
    REPLY_DATA,      /* DATA, or the message itself */
    REPLY_END,       /* all was sent: it may have been taken */
};

struct reply {
    enum reply_origin origin;
    enum reply_phase phase;
    int code;                              /* 550; 0: none was said */
    char enhanced[REPLY_ENHANCED_MAX + 1]; /* "5.1.1"; the server's, else of the log */
    char text[REPLY_TEXT_MAX + 1];         /* the words as one line, without codes */
};

/*
 * Read text, what stands in parentheses behind a status in the log; dsn is what
 * the log has as dsn=, and counts, in the code's class, where the server says none.
 * Any text gives a reply: what is not known is Postfix' own.
 */
void reply_read(const char *dsn, size_t dsn_length, const char *text, size_t length,
                struct reply *ret_reply);

/* Read a server's words alone, "550 5.1.1 No such user", as samples are written. */
void reply_read_words(const char *words, size_t length, struct reply *ret_reply);

/*
 * The name in "host NAME[ADDRESS] said: ...": a server that let us in, and then said something.
 * false for all else, also where it "refused to talk to me", which Postfix itself defers.
 */
bool reply_said_by(const char *text, size_t length, struct span *ret_host);

/*
 * Read text as Exim has it in its log, the C= of a delivery or what follows a
 * failure:
 *
 *   250 2.0.0 OK
 *   SMTP error from remote mail server after RCPT TO:<b@c.test>: 550-5.1.1 no\n550 5.1.1 such user
 *   Remote host closed connection in response to end of data
 *
 * Source: Exim transports/smtp.c, check_response(); deliver.c.
 */
void reply_read_exim(const char *text, size_t length, struct reply *ret_reply);

/* Did the other side hear of the recipient, so that it counts what was tried? */
bool reply_reached(const struct reply *reply);

#endif
