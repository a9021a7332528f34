/*
 * Asking one DNS list for all addresses, again and again, and what is to be
 * believed of it.
 *
 * A round begins with the list's test points (RFC 5782): a list that does not
 * have its own entry, or has what no list may have, is not asked further.  Then
 * each address gets its turn, spread over the list's interval.  An address that
 * turns out to be listed is not acted upon at once: everything is asked for
 * anew in a hurry, so that a list which began to list the whole world, or all
 * of our addresses, is seen through before it takes them out.  Of a single
 * address that cannot be told; its list is believed.
 *
 * What is not known (no answer, a refusal) changes nothing for SURVEY_KEEP
 * intervals; then an address counts as not listed.
 *
 * Pure: it is told the time (monotonic, milliseconds) and asks nobody.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SURVEY_H
#define POLICYD_SURVEY_H

#include "engine/ip.h"
#include "lib/dnslist.h"
#include "policyd/dns.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct survey;

enum {
    SURVEY_KEEP = 3,             /* intervals that an answer counts */
    SURVEY_HURRY_MS = 20,        /* between the questions of a round in a hurry, at most */
    SURVEY_RETRY_MS = 60 * 1000, /* a list of no use is tried again, at the latest */
    SURVEY_FAILURES_MAX = 10,    /* in a row, then the list is silent */
    SURVEY_REASONS_MAX = 64,     /* TXT questions that wait; more listings have no reason */
    SURVEY_WHY_SIZE = 128,
};

enum survey_belief {
    SURVEY_NOT_YET,    /* nothing is known */
    SURVEY_GOOD,       /* it is believed */
    SURVEY_SILENT,     /* no answers */
    SURVEY_REFUSED,    /* it does not serve us */
    SURVEY_DEAD,       /* it does not have its own test point */
    SURVEY_EVERYTHING, /* it has what no list may have */
    SURVEY_ALL_OURS,   /* it lists all our addresses at once */
    SURVEY_ODD,        /* its answers are none of a list */
};

enum survey_finding { SURVEY_UNKNOWN, SURVEY_CLEAR, SURVEY_LISTED };

struct survey_address {
    struct ip ip;
    enum survey_finding finding;
    bool held;           /* listed, and the list is believed */
    bool fresh;          /* answered in this round */
    bool foreign;        /* not asked for: the list does not know its family */
    int64_t answered_ms; /* the last answer that said something; 0: there was none */
    int64_t since_ms;    /* LISTED */
    struct ip code;      /* LISTED */
    char *reason;        /* LISTED: the list's own words; NULL: none; owned */
};

/* place: in the list of addresses.  Called from survey_next() and survey_answer(). */
struct survey_events {
    void (*held)(void *arg, size_t place, bool again); /* again: an answer confirms it */
    void (*let_go)(void *arg, size_t place);
    void (*believed)(void *arg, enum survey_belief before); /* it changed */
};

enum survey_about { SURVEY_TEST, SURVEY_ADDRESS, SURVEY_REASON };

struct survey_question {
    uint32_t round;
    enum survey_about about;
    size_t place;
    enum dns_type type;
    char name[DNSLIST_QUESTION_SIZE];
};

/* list, events and arg are not ours; ips is copied. */
struct survey *survey_new(const struct dnslist *list, const struct ip *ips, size_t count,
                          const struct survey_events *events, void *arg);
void survey_free(struct survey *survey); /* takes NULL; nothing is let go */

/*
 * What is to be asked now?  Returns 0 with the question; the milliseconds until
 * there may be one; or -1: when the next answer has come.
 */
int64_t survey_next(struct survey *survey, int64_t now_ms, struct survey_question *ret_question);

/* Each question is answered once.  why: for DNS_FAILED. */
void survey_answer(struct survey *survey, const struct survey_question *question,
                   enum dns_result result, const uint8_t *bytes, size_t length, const char *why,
                   int64_t now_ms);

/* What from knew of an address, if it is the same, and of the list, to knows from now on. */
void survey_carry_address(struct survey *to, size_t to_place, struct survey *from,
                          size_t from_place);
void survey_carry_belief(struct survey *to, const struct survey *from);

enum survey_belief survey_belief(const struct survey *survey);
const char *survey_why(const struct survey *survey); /* of the belief, for people; may be "" */
size_t survey_count(const struct survey *survey);
const struct survey_address *survey_address(const struct survey *survey, size_t place);

#endif
