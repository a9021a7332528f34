/*
 * A refusal for good that accuses the address it was tried from becomes a
 * deferral, as long as another address of its pools may send.  Pure.
 *
 * Postfix asks before it says what became of a recipient
 * (smtp_delivery_status_filter): "5.7.1 host mx.example.net[192.0.2.9] said:
 * 550 5.7.1 ... (in reply to RCPT TO command)".  It does not say whose mail
 * that is, so how often a message was refused is counted from the log, and its
 * next lookup ends it; see policyd/history.h.
 *
 * The words are a stranger's, of any bytes.  What is not understood, or not to
 * be rescued, is answered "NOTFOUND ": Postfix' own result stands.  So is what the
 * log would not tell of, or not in the same words, because such a message would be
 * tried again without end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_RESCUE_H
#define POLICYD_RESCUE_H

#include "lib/cursor.h"
#include "lib/replies.h"

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct curbs;
struct reply;
struct roster;

/* What answers are made from.  Nothing is ours. */
struct rescue_view {
    const struct conf *conf;
    const struct roster *roster;
    const struct curbs *curbs; /* NULL: nothing is held back */
    bool counted;              /* results are read: without them nothing would end a message */
};

enum {
    RESCUE_WORDS_MAX = 900,  /* bytes that tell the rule: they stand in a line of the log */
    RESCUE_EXTRA = 4,        /* bytes of an answer that its key does not have */
    RESCUE_ANSWER_SIZE = 10, /* bytes that an answer needs, however short its key */
};

/*
 * Answer "reply.NAME" with this key, which ends in NUL.  out has room for
 * RESCUE_EXTRA bytes more than the key, and for RESCUE_ANSWER_SIZE.  Returns
 * the answer's length, without its NUL.
 */
size_t rescue_answer(const struct rescue_view *view, const char *name, const char *key, char *out);

/*
 * The rule by which these words accuse the address that the mail was tried
 * from, or NULL.  Whose server it is tells the host that Postfix names.
 *
 * told: as Postfix tells it, "host ... said: ...".
 */
const struct reply_rule *rescue_rule(const struct conf *conf, struct span dsn, struct span told);

/* The address, or the address at this provider. */
bool rescue_accuses(const struct reply_rule *rule); /* takes NULL */

#endif
