/*
 * Pacing: deferred messages are woken as soon as they can leave.
 *
 * What was deferred by ourselves, for want of room or of an address, waits in a
 * list (engine/waiting.h), and is there again after a restart (policyd/queued.h).
 * So does what a suspended address failed to deliver, in front of its stream.  Again and again the
 * next one is chosen an address for, as the lookup would (policyd/choice.h); if there is one, a
 * grant is reserved and the message is woken (policyd/wake.h), so that it finds its room when the
 * lookup comes.  If none comes, the grant goes back.
 *
 * A message that Postfix does not ask for after PACE_VAIN_MAX wakes is given up: it may be gone,
 * and others wait behind it.  After PACE_VAIN_ROW messages in a row all are: they come at Postfix'
 * own pace, and those that are deferred again wait again.
 *
 * Never woken is what was greylisted, until Postfix tries it by itself.  Postfix'
 * resolver keeps its last answer for 30 s: the message that has it is not woken
 * until another has been looked up, or that time is over.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_PACE_H
#define POLICYD_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct address;
struct buf;
struct conf;
struct event_base;
struct json;
struct lookup_result;
struct lookup_view;
struct outcome;
struct pace;
struct provider;
struct stream;
struct volume;
struct wake;

enum {
    PACE_RESERVED_MAX = 500,      /* woken messages whose lookup has not come */
    PACE_RESERVED_MS = 30 * 1000, /* then the grant goes back */
    PACE_VAIN_MAX = 3,
    PACE_VAIN_ROW = 20,
    PACE_STEPS_MAX = 200,              /* looks at messages in one go, a microsecond or some each */
    PACE_HIT_MS = 15 * 60 * 1000,      /* a suspension hits what was deferred in that time */
    PACE_GREYLIST_MS = 10 * 60 * 1000, /* so long a greylisted message is left alone */
};

struct pace_start {
    struct event_base *base;
    const struct conf *conf; /* must stay until pace_set_conf() */
    struct wake *wake;       /* these two must outlive the pace */
    struct volume *volume;
    void (*view)(void *arg, struct lookup_view *ret_view); /* what lookups are answered from */
    /* Is address, as outcome met it, out of choice? */
    bool (*is_suspended)(void *arg, const struct outcome *outcome, const struct address *address);
    void *arg; /* not ours; of both */
};

struct pace *pace_new(const struct pace_start *start);
void pace_free(struct pace *pace); /* takes NULL */

/* The configuration changed, also for wake; the one before must still be there. */
void pace_set_conf(struct pace *pace, const struct conf *conf);

/* For feedback_listen(). */
void pace_on_outcome(void *pace, const struct outcome *outcome);
void pace_on_gone(void *pace, const char *queue_id);
void pace_on_swept(void *pace);
void pace_on_idle(void *pace);
void pace_on_wait(void *pace, const struct outcome *outcome);

/* There may be room now. */
void pace_on_room(struct pace *pace);

/* A lookup was answered. */
void pace_on_answered(struct pace *pace, const struct lookup_result *result);

/* address was suspended: at provider or at domain where that is not NULL. */
void pace_on_suspended(struct pace *pace, const struct address *address,
                       const struct provider *provider, const char *domain);

/* How many messages of stream wait; *ret_oldest_ms: how old the oldest is, 0: none is. */
uint64_t pace_waiting(const struct pace *pace, const struct stream *stream, int64_t *ret_oldest_ms);

/* Text, or members of the open JSON object; the other is NULL. */
void pace_status(const struct pace *pace, struct buf *text, struct json *json);

#endif
