/*
 * A decision and its candidates, for people and as JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_EXPLAINED_H
#define LIB_EXPLAINED_H

#include <stdint.h>

struct buf;
struct candidate;
struct decision;
struct json;
struct meters;

/* What else there is to know. */
struct explained_with {
    struct meters
        *meters;        /* that the decision's numbers stand for; NULL: caps were not looked at */
    int64_t now_ms;     /* of the question */
    int32_t quiet_days; /* likewise */
    /* Why a candidate is held back, good until the next call; NULL: not known.  May be NULL. */
    const char *(*cause)(void *arg, const struct candidate *candidate);
    void *arg;
};

void explained_text(const struct decision *decision, const struct explained_with *with,
                    struct buf *out);

/* Members of the JSON object that is open. */
void explained_json(const struct decision *decision, const struct explained_with *with,
                    struct json *json);

#endif
