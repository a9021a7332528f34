/*
 * One site on which something is held back, and what leaves from where, for tests of the choice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_CURBS_WORLD_H
#define TESTS_UNIT_CURBS_WORLD_H

#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/decide.h"

enum { KEYS = 4000, MINUTE_MS = 60 * 1000 };
#define NOW_MS INT64_C(1700000000000)

/* a1 to a3 in one pool, b1 on its ladder; only p1 has caps, and only a3 does. */
struct curbs_world {
    struct conf *conf;
    struct roster *roster;
    struct curbs *curbs;
    struct meters *meters;
    const struct address *a1, *a2, *a3, *b1, *c1;
    const struct provider *p1, *p2, *other;
    struct decide_question question;
    struct decision decision;
};

int curbs_world_setup(void **state);
int curbs_world_teardown(void **state);

/* From where the message of that key leaves; NULL: it does not. */
const struct address *curbs_world_choice(struct curbs_world *w, uint64_t key);

/* How many of KEYS messages leave from address. */
size_t curbs_world_share_of(struct curbs_world *w, const struct address *address);

/* What the record says of address, of a message that meets it before it is taken elsewhere. */
enum verdict curbs_world_verdict_of(struct curbs_world *w, const struct address *address);

/* All of the pool and its ladder. */
void curbs_world_suspend_all(struct curbs_world *w, const struct curb *curb);

#endif
