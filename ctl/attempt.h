/*
 * One try to deliver a message to one recipient, as a line of a log tells it, and what is known of
 * its message: does it count, and as what?  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_ATTEMPT_H
#define CTL_ATTEMPT_H

#include "lib/maillog.h"
#include "lib/tag.h"

#include <stdint.h>

struct conf;
struct mail;
struct mails;
struct mapping;
struct provider;

enum { ATTEMPT_DOMAIN_SIZE = 256 };

struct attempt {
    const struct maillog *line;   /* not ours */
    struct mail *mail;            /* not ours; NULL: not known */
    char sender[TAG_SENDER_SIZE]; /* without tag */
    char recipient[ADDR_MAX + 1];
    char account[ATTEMPT_DOMAIN_SIZE], domain[ATTEMPT_DOMAIN_SIZE]; /* lower case */
};

enum attempt_kind {
    ATTEMPT_OUT,     /* to another host: it counts */
    ATTEMPT_FILTER,  /* to a filter on this host, which hands it back under another queue id */
    ATTEMPT_RELAY,   /* to where mail of relay_domains goes */
    ATTEMPT_BYPASS,  /* to a domain under bypass or milter.local_domains */
    ATTEMPT_UNKNOWN, /* nothing is known of the message: it came before the log */
    ATTEMPT_KINDS,
};

/* line: a MAILLOG_RESULT.  mail: its message, or NULL. */
enum attempt_kind attempt_make(const struct conf *conf, const struct maillog *line,
                               struct mail *mail, struct attempt *ret_attempt);

/* The name of the host that was asked, as relay= has it; "none": none was. */
struct span attempt_host(const struct maillog *line);

/* The message that a filter made of one that it took, as it says; NULL: it is not known. */
struct mail *attempt_filtered(struct mails *mails, const struct maillog *line);

/* Of one that counts: by the domain, else by the host that was tried, if the line names it. */
const struct provider *attempt_provider(const struct conf *conf, const struct attempt *attempt);

/*
 * Of one that counts: which stream is its message of?  Put into mail, and which it may be of by
 * what no log tells.  By a genuine tag, else as the admin says, else as the milter, or of mail that
 * is not the site's own policyd, would tell by what is known.
 */
void attempt_find_stream(const struct conf *conf, const struct mapping *mapping,
                         const struct attempt *attempt);

/*
 * decide_key() of one that counts: with a genuine tag the same as policyd has for it; else that of
 * a message which is told from all others, as a tag would, where the milter tags it.
 */
uint64_t attempt_key(const struct conf *conf, const struct attempt *attempt);

#endif
