/*
 * The life of this node in Redis (see store.h): its beats, and whether it may
 * believe in what it holds.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_LIFE_H
#define POLICYD_REDIS_LIFE_H

#include <stdbool.h>
#include <stdint.h>

struct redis_answer;
struct redis_store;
struct redisReply;

/* The process begins: others may keep back the share of this node, if it was here before. */
void redis_life_begin(struct redis_store *s);

/* A sign of life, unless one is under way or the connection is not ready. */
void redis_life_beat(struct redis_store *s);

/* Redis does not know this life: beat, and nothing else until that is answered. */
void redis_life_hello(struct redis_store *s);

/* A call was carried out that was sent at sent_ms, by the boot clock. */
void redis_life_heard(struct redis_store *s, int64_t sent_ms);

/* End the life if Redis was not heard of for too long.  True: it is ended. */
bool redis_life_check(struct redis_store *s);

/* Another life begins; it is not known in Redis yet. */
void redis_life_end(struct redis_store *s);

/* How many nodes there are, as an answer tells. */
void redis_life_note_count(struct redis_store *s, unsigned count);

/* The answer to a beat or confirm that was sent then.  False: the node is not to go on. */
bool redis_life_read_nodes(struct redis_store *s, const struct redisReply *reply, int64_t sent_ms,
                           struct redis_answer *answer);

/* Something changed that decides whether the store is up: look, and tell. */
void redis_life_set_up(struct redis_store *s);
void redis_life_say_away(struct redis_store *s, const char *why);

#endif
