/*
 * A site with quotas, a store that answers, and clients that send mail: what
 * tests of the policy service play with.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_POLICY_WORLD_H
#define TESTS_UNIT_POLICY_WORLD_H

#include "tests/unit/unit.h"

#include "engine/book.h"
#include "policyd/policy.h"

enum { POLICY_KEYS = 64 };

struct policy_world {
    struct conf *conf;
    struct meters *meters;
    struct policy_view view;
    struct policy_session session;
    struct policy_result result;
    struct book books[POLICY_KEYS]; /* by number of the meter */
    bool deaf;                      /* the store does not answer */
    unsigned instance;
    char answer[POLICY_ANSWER_SIZE];
    char heard[256]; /* the last domain */
};

/* over_quota: a line of the configuration, or "". */
void policy_world_start(struct policy_world *w, const char *over_quota);
void policy_world_end(struct policy_world *w);

/* For cmocka: state is a world. */
int policy_set_up(void **state);
int policy_tear_down(void **state);

/* The store answers all that is asked. */
void policy_talk(struct policy_world *w);

void policy_pass(struct policy_world *w, int64_t ms);

/* Ask with these lines, and see that they are read to their end. */
const char *policy_ask(struct policy_world *w, const char *lines);

/* A recipient of who, a login or an address; the end of a message with so many. */
const char *policy_rcpt(struct policy_world *w, const char *who, const char *recipient);
const char *policy_end(struct policy_world *w, const char *who, unsigned count, const char *state);

/* A message whose every recipient is asked for; returns how many were let in. */
unsigned policy_message(struct policy_world *w, const char *who, unsigned recipients);

/* What the book of an account counts in an hour. */
unsigned policy_counted(struct policy_world *w, const char *key);

#endif
