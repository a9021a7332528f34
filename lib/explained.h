/*
 * A decision and its candidates, for people and as JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_EXPLAINED_H
#define LIB_EXPLAINED_H

#include <stdint.h>

struct buf;
struct decision;
struct json;
struct meters;

/*
 * meters: what the decision's numbers stand for; NULL: caps were not looked at.
 * now_ms: of the question.
 */
void explained_text(const struct decision *decision, struct meters *meters, int64_t now_ms,
                    struct buf *out);

/* Members of the JSON object that is open. */
void explained_json(const struct decision *decision, struct meters *meters, int64_t now_ms,
                    struct json *json);

/* "address/a1 (50 per hour)": the cap of a meter that room is waited for under. */
void explained_cap(struct meters *meters, uint32_t number, struct buf *out);

#endif
