/*
 * What happened, for people: decisions and results as they come ("tail"), and
 * the whole story of one message ("story").  Kept in a ring (policyd/ring.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_STORY_H
#define POLICYD_STORY_H

#include <stdbool.h>

struct breakers_whose;
struct buf;
struct decision;
struct feedback;
struct lookup_result;
struct outcome;
struct story;

struct story *story_new(void);
void story_free(struct story *story); /* takes NULL */

/* For lookup_view.decided: a recipient of message id got an answer. */
void story_on_decided(void *story, const struct lookup_result *result,
                      const struct decision *decision, const char *id, const char *recipient,
                      const char *reply);

/* For feedback_listen(). */
void story_on_outcome(void *story, const struct outcome *outcome);

/* Something else that happened; message_id may be NULL. */
void story_note(struct story *story, const char *message_id, const char *text);

/*
 * Answer a question of the control socket:
 *   tail FROM [json] [stream=NAME] [address=NAME]   events behind number FROM, at most
 *              STORY_ANSWER_MAX; -N: the newest N; now: none.  The first line is the number to go
 * on from. story ID [json]   of the message with that queue id, or id in the tag feedback knows
 * queue ids whose messages have no result yet; NULL: nobody does. False: it is neither.
 */
enum { STORY_ANSWER_MAX = 1000 };
bool story_question(struct story *story, struct feedback *feedback, const char *question,
                    struct buf *answer);

#endif
