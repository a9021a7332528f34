/*
 * What Postfix' smtpd(8) is answered when it asks its access policy: is there
 * room under the caps of who sends?  Pure: no clock, no I/O.
 *
 * Only the site's own mail is held against caps: from a client with a SASL
 * login, or in one of the networks of milter.internal.  All other mail, and
 * every state of the protocol that is not named here, is answered DUNNO.
 *
 *   RCPT            is there room for this recipient?  Then its grant is taken
 *                   from the account's meter at once, so that what is going on in
 *                   other connections cannot use it, too.
 *   DATA,           so many recipients were let in: what they need is taken,
 *   END-OF-MESSAGE  what was taken for more of them is given back.
 *
 * A transaction is counted once, whichever of these Postfix asks in, and a
 * request that is repeated gets the same answer.  Where Postfix only asks at
 * RCPT, nothing is given back; where it only asks later, the message is let in
 * or not as a whole.  A transaction that is broken off is given back when the
 * same connection goes on with the next, and was seen to ask at the end of
 * messages; else its recipients stay counted.
 *
 * The stream is found with what is known at that time: login, sender, client,
 * recipient.  A stream that is known by a header or by the daemon's name cannot
 * be found here.
 *
 * Of a stream's own caps it is only seen whether they have room, because
 * delivery counts them; and the waiting of a smooth one is the queue's.
 *
 * No answer ever depends on a store that does not answer: what cannot be known
 * is let in, and counted as sent over the cap.
 *
 * Source: Postfix SMTPD_POLICY_README, access(5).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_POLICY_H
#define POLICYD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

struct conf;
struct meters;
struct policy_request;
struct stream;
struct transactions;

enum {
    POLICY_ANSWER_SIZE = 320, /* bytes that any answer and its NUL fit in */
    POLICY_PATIENCE_MS = 250, /* the longest wait for the store */
};

/* What answers are made from.  Nothing is ours. */
struct policy_view {
    const struct conf *conf;
    struct meters *meters; /* NULL: no caps */
    struct transactions *transactions;
    int64_t now_ms;   /* monotonic */
    int64_t store_ms; /* the store's clock; see engine/meter.h */
    bool store_up;
    bool may_wait; /* POLICY_WAIT may be answered */
    /* Hears the domain of each recipient of the site's own mail; NULL: nobody wants to. */
    void (*domain)(void *arg, const char *domain);
    void *arg;
};

/* What one connection has asked so far.  All zero: nothing. */
struct policy_session {
    uint64_t transaction; /* the one that is going on; 0: none */
    bool settles;         /* it has asked at the end of a message */
};

enum policy_answered {
    POLICY_DUNNO, /* other checks decide */
    POLICY_DEFER,
    POLICY_REJECT,
    POLICY_HOLD,
    POLICY_TAG,
    POLICY_WAIT, /* no answer yet: an answer of the store is worth waiting for */
};

/* What was decided, for the figures. */
struct policy_result {
    enum policy_answered answered;
    const struct stream *stream; /* NULL: not the site's own mail, or nothing to decide */
    bool over;                   /* there was no room */
    bool unsure;                 /* let in without knowing whether there was */
};

/*
 * Answer one request: an action of access(5) in answer, without the "action="
 * and what ends it.
 *
 * With view->may_wait it may return POLICY_WAIT instead, and has changed
 * nothing but what meters were wanted; the request is to be given again, soon,
 * before any other of this connection.
 */
enum policy_answered policy_answer(const struct policy_view *view, struct policy_session *session,
                                   const struct policy_request *request,
                                   char answer[static POLICY_ANSWER_SIZE],
                                   struct policy_result *ret_result);

#endif
