/*
 * What Postfix' resolver is answered: the socketmap names and the state of
 * one connection.  Pure: no clock, no I/O.
 *
 * The resolver of the queue manager asks, on one connection and in this order
 * for each recipient of the default class, "sender" and then "rcpt"; for local,
 * virtual and relay recipients "rcpt" alone.  So "sender" is answered with a
 * transport that would do and remembered, and the "rcpt" behind it makes the
 * real decision and forgets it again.  A "rcpt" without a remembered sender is
 * NOTFOUND: local mail is never routed into a pool.
 *
 *   sender[;tables] KEY remember; a usable transport at once
 *   rcpt[;ARGS] KEY     the decision for the remembered sender
 *
 * A site that has tables of its own wants every key of theirs tried first,
 * but a socketmap is asked for the full address before theirs is asked for the
 * domain.  There the work is parted: .note hears the address, .last is asked
 * when all of the site's tables had nothing.
 *
 *   sender.note KEY     remember; NOTFOUND
 *   sender.last go      the transport for the sender that was noted; when the
 *                       connection is new and knows none: a deferral
 *   relay.last go       the site has no relay host for this sender
 *   rcpt.note KEY       remember the recipient of the remembered sender; NOTFOUND
 *   rcpt.last[;ARGS] go the decision for that recipient
 *
 * The delivery agents ask, each on a connection of its own:
 *
 *   reply.NAME KEY      is this refusal of the address NAME to be a deferral?  See
 *                       policyd/rescue.h
 *
 * ARGS say what else the site has, each value percent-encoded:
 *   ;nexthop=TEXT  relayhost, which a transport answered to "rcpt" must carry
 *   ;default=TEXT  the transport that a recipient under bypass goes to
 *   ;tables        for "sender": the site has tables that may leave its answer standing
 *   ;relay         sender-dependent relay hosts: only a sender whose "relay.last"
 *                  was asked has none and may be moved
 *
 * Source: Postfix socketmap_table(5), trivial-rewrite(8), transport(5).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_LOOKUP_H
#define POLICYD_LOOKUP_H

#include "engine/grade.h"
#include "lib/tag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct conf;
struct decision;
struct curbs;
struct grants;
struct lookup_result;
struct meters;
struct provider;
struct roster;
struct stream;

enum {
    LOOKUP_REQUEST_MAX = 10000, /* bytes of one request; Postfix itself sends no longer key */
    LOOKUP_REPLY_SIZE = 10000,  /* bytes that any reply and its NUL fit in */
    LOOKUP_PAIR_MS = 5000,      /* a sender is forgotten after that: its "rcpt" never came */
    LOOKUP_AVOID_MAX = 3,       /* addresses that refused one message, at most */
    LOOKUP_WORDS_MAX = 400,     /* bytes of another server's words that an answer has */
};

/* What earlier tries of a message say of the next one.  All zero: there were none. */
struct lookup_history {
    const struct address *prefer; /* it has been greylisted there: tried first, if in reach */
    const struct address *avoid[LOOKUP_AVOID_MAX]; /* these refused it; NULLs behind */
    bool ended;        /* no other address is to be tried: the words are the answer now */
    const char *words; /* of the last that refused it, with the enhanced code in front,
                          "5.7.1 Service unavailable"; NULL: not known.  Good until the
                          next call */
};

/* What answers are made from.  Nothing is ours. */
struct lookup_view {
    const struct conf *conf;
    const struct roster *roster;
    struct meters *meters;          /* NULL: no caps */
    struct grants *grants;          /* NULL: a recipient that is asked for again counts again */
    const uint8_t *grant_secret;    /* HASH_KEY_SIZE bytes, for grant_key() */
    struct curbs *curbs;            /* NULL: nothing is held back */
    int64_t now_ms;                 /* monotonic */
    int64_t store_ms;               /* the store's clock; see engine/meter.h */
    int64_t time_ms;                /* time of day */
    bool may_wait;                  /* LOOKUP_WAIT may be answered */
    const uint16_t *stream_numbers; /* by stream.index, for grants_reserve(); NULL: none */
    bool settles; /* results come: grants that are open are recipients under way */
    /* The provider of a recipient domain; NULL: not known yet.  No such function: none has caps. */
    const struct provider *(*provider)(void *arg, const char *domain);
    /* One was counted as "other", because its provider is not known yet. */
    void (*unknown)(void *arg, const char *domain, const struct address *address);
    /*
     * What is known of earlier tries; ret_history is all zero before.  message_id: of the tag, else
     * the sender.  domain: the recipient's, lower case.  Addresses are those of conf.  NULL:
     * nothing is.
     */
    void (*history)(void *arg, const char *message_id, const char *recipient, const char *domain,
                    struct lookup_history *ret_history);
    /* Are results read from the log, so that refusals are counted?  NULL: they are not. */
    bool (*counted)(void *arg);
    /*
     * Days since the recipient was active, as in struct decide_question; message_id may tell a
     * hint.  NULL: nobody asks.
     */
    int32_t (*quiet)(void *arg, const char *message_id, const char *recipient);
    void *arg; /* of all five */
    /* What is thought of an account, the domain of a sender, lower case.  NULL: no stream cares. */
    enum grade (*grade)(void *arg, const char *account);
    void *grade_arg;
    /* A recipient got an answer; decision is NULL where none was needed.  May be NULL. */
    void (*decided)(void *arg, const struct lookup_result *result, const struct decision *decision,
                    const char *id, const char *recipient, const char *reply);
    void *decided_arg;
};

/* What one connection has asked so far.  All zero: nothing. */
struct lookup_session {
    bool sender_known;            /* sender was noted and not consumed */
    bool sender_ours;             /* its transport is ours to decide */
    bool relay_free;              /* the site has no relay host for it */
    bool pending;                 /* recipient was noted and not consumed */
    int64_t noted_ms;             /* when sender was */
    char sender[TAG_SENDER_SIZE]; /* "" for the null sender */
    char recipient[ADDR_MAX + 1];
};

/* What was decided, for the figures.  NULL where nothing was. */
struct lookup_result {
    const struct stream *stream;
    const struct address *address;
    const struct provider *provider; /* of the recipient, where it was asked for; NULL: "other" */
    bool is_decision;                /* a recipient's, not the answer to "sender" */
    bool decided;                    /* decide() was asked */
    bool again;                      /* the answer of a grant that is open: nothing was spent */
    bool kept;                       /* again: it was reserved ahead, and this is who it is for */
    bool exceeds;                    /* sent over a cap */
    bool full;                       /* deferred for want of room */
    bool busy;                       /* deferred: as much of the stream is under way as may be */
    bool suspended;                  /* deferred: addresses, or the account, are held back */
    bool expired;                    /* it is past the deadline of its stream, and returned */
    bool outside;                    /* deferred: it is outside the hours of its stream */
    int64_t opens_ms;                /* outside: when they begin, by the time of day */
    bool refused;                    /* each address has refused it: there is nothing to try */
    const char *words; /* refused: what the last one said; NULL: not known, it is deferred.  Good
                          until view->history is called again */
    bool waits;        /* LOOKUP_WAIT: meters want what the store may have */
    uint64_t key;      /* part of the grant's; 0 without grants */
};

/* lookup_answer()'s result when an answer of the store is worth waiting for. */
#define LOOKUP_WAIT ((size_t)0)

/*
 * Answer one request, the inside of its netstring.  reply gets the inside of
 * the answer's; its length is returned.
 *
 * With view->may_wait it may return LOOKUP_WAIT instead: session is then as if
 * the request had not come, which is to be given again, soon, before any other
 * of this connection.
 */
size_t lookup_answer(const struct lookup_view *view, struct lookup_session *session,
                     const char *request, size_t length, char reply[static LOOKUP_REPLY_SIZE],
                     struct lookup_result *ret_result);

/* What struct grant has of a domain: the same in every spelling, never 0. */
uint32_t lookup_domain(const char *domain);

#endif
