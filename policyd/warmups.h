/*
 * Addresses that warm up: what each may send today, on all hosts, over restarts.
 *
 * The state of each (engine/warmup.h) is a record of the store, "warmup/a1".  Each
 * second it is made anew of what the store has and of what this host knows: the
 * day that it is, its own figures of this day and the one before, and what was
 * ordered by hand.  What differs is put; when another host was faster it is made
 * again of what that wrote.  A day is turned WARMUPS_TURN_S after midnight, so that
 * all hosts have noted what they know of it.
 *
 * A day that is still to come was turned by a clock that was wrong, or this one is.  When this host
 * had its date for WARMUPS_SURE_MS it comes back; a clock that is behind at the start of a host is
 * set right before that, and changes nothing.
 *
 * Figures come from the results of deliveries, by the time that they are told at.
 * What was not noted yet when the daemon is killed is lost, a few seconds' worth:
 * the day then counts a little less.
 *
 * While there is no store, or it has not told, an address has the allowance of
 * its first stage, or the last that was known.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_WARMUPS_H
#define POLICYD_WARMUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct breakers;
struct breakers_whose;
struct buf;
struct conf;
struct control_call;
struct event_base;
struct json;
struct outcome;
struct warmup;
struct warmup_plan;
struct warmups;

enum {
    WARMUPS_TURN_S = 300,          /* after midnight */
    WARMUPS_NOTE_MS = 5000,        /* between two puts of figures alone */
    WARMUPS_SURE_MS = 3600 * 1000, /* a date that holds for so long is right */
    WARMUPS_ORDERS_MAX = 4,        /* by hand, of one address, until the store has them */
};

struct warmups_start {
    struct event_base *base;      /* NULL: warmups_tick() is called by the owner */
    const struct conf *conf;      /* must stay until warmups_set_conf() */
    struct breakers *breakers;    /* NULL: nothing is ever suspended */
    int64_t (*time_s)(void *arg); /* of day, since 1970 */
    /* See volume_warm() and volume_recap().  NULL: nobody wants to know. */
    void (*warm)(void *arg, const struct address *address, const struct warmup *warmup,
                 const struct warmup_plan *plan, int32_t day);
    void (*recap)(void *arg);
    /* See store_put().  False: there is no store. */
    bool (*put)(void *arg, const char *key, uint64_t version, const void *bytes, size_t length);
    void *arg; /* not ours */
};

struct warmups *warmups_new(const struct warmups_start *start);
void warmups_free(struct warmups *warmups); /* takes NULL */

/* Put all that the store does not know: it ends. */
void warmups_flush(struct warmups *warmups);

/* The configuration changed; volume has it already.  What follows comes with the next ticks. */
void warmups_set_conf(struct warmups *warmups, const struct conf *conf);

/* For feedback_listen(), behind breakers, and for breakers_listen(). */
void warmups_on_outcome(void *warmups, const struct outcome *outcome);
void warmups_on_change(void *warmups, const struct breakers_whose *whose, bool suspended);

/* For volume_listen(). */
void warmups_on_put(void *warmups, const char *key, bool written, uint64_t version,
                    const void *bytes, size_t length);
void warmups_on_record(void *warmups, const char *key, uint64_t version, const void *bytes,
                       size_t length);

/* Called each second. */
void warmups_tick(struct warmups *warmups);

/*
 * Answer a question of the control socket.  False: it is none about warm-ups.
 *
 *   warmup [VOLUME] [json]        VOLUME: recipients a day, for the forecast
 *   warmup records                for each address its name, a blank and its state; see
 * warmup_parse() warmup start|pause|advance|back ADDRESS WHY...
 */
bool warmups_question(struct warmups *warmups, const char *question, struct control_call *call,
                      struct buf *answer);

/* For "status": a line for each, or an array "warmups" in the open JSON object; one is NULL. */
void warmups_status(struct warmups *warmups, struct buf *text, struct json *json);

#endif
