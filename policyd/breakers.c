/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/breakers_inside.h"

#include "engine/curbs.h"
#include "engine/hash.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/outcome.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------- table */

/* A secret is not needed: who could choose many domains to fill one chain is bounded. */
static size_t
bucket_of(const char *key)
{
    static const uint8_t secret[HASH_KEY_SIZE] = "postpool breaker";

    return hash_sip(secret, key, strlen(key)) % BREAKERS_BUCKETS;
}

struct breakers_entry *
breakers_entry_find(struct breakers *breakers, const char *key)
{
    struct breakers_entry *entry;

    LIST_FOREACH(entry, &breakers->buckets[bucket_of(key)], chain)
    if (strcmp(entry->key, key) == 0)
        return entry;
    return NULL;
}

struct breakers_entry *
breakers_entry_make(struct breakers *breakers, const char *key, bool holds)
{
    struct breakers_entry *entry = breakers_entry_find(breakers, key);
    struct breakers_whose whose;
    size_t length = strlen(key);

    if (entry != NULL)
        return entry;
    if (length >= BREAKERS_KEY_SIZE || !breakers_bind(breakers->conf, key, &whose))
        return NULL;
    if (!breakers_crowd_has_room(breakers, whose.scope, holds))
        return NULL;
    entry = mem_new(sizeof(*entry) + length + 1);
    memcpy(entry->key, key, length + 1);
    breakers_bind(breakers->conf, entry->key, &entry->whose);
    LIST_INSERT_HEAD(&breakers->buckets[bucket_of(key)], entry, chain);
    TAILQ_INSERT_TAIL(&breakers->all, entry, order);
    breakers->count++;
    breakers_crowd_enter(breakers, entry);
    return entry;
}

void
breakers_entry_free(struct breakers *breakers, struct breakers_entry *entry)
{
    LIST_REMOVE(entry, chain);
    TAILQ_REMOVE(&breakers->all, entry, order);
    breakers->count--;
    breakers_crowd_leave(breakers, entry);
    free(entry);
}

int64_t
breakers_now_ms(const struct breakers *breakers)
{
    return breakers->start.now_ms(breakers->start.arg);
}

/* ------------------------------------------------------------ what happens */

enum breaker_change
breakers_event_apply(const struct breakers *breakers, struct breaker *breaker,
                     const struct breakers_event *event)
{
    const struct breaker_policy *policy = &breakers->conf->suspension;

    breaker_advance(breaker, policy, event->at_ms);
    switch (event->kind) {
    case BREAKERS_HIT:
        return breaker_hit(breaker, policy, &event->reaction, event->rule, event->why,
                           event->at_ms);
    case BREAKERS_ACCEPTED:
        return breaker_accepted(breaker, policy, event->at_ms);
    case BREAKERS_SUSPEND:
        breaker_suspend(breaker, event->until_ms, event->why);
        return BREAKER_SUSPENDED;
    case BREAKERS_KEEP:
        return breaker_keep_suspended(breaker, event->cause, event->until_ms, event->why,
                                      event->at_ms);
    case BREAKERS_END:
        return breaker_end(breaker, event->cause, event->whole, event->at_ms);
    case BREAKERS_DRAIN:
        breaker_drain(breaker, event->why);
        return BREAKER_COUNTED;
    case BREAKERS_RESUME:
        breaker_resume(breaker, event->at_ms);
        return BREAKER_CLOSES;
    }
    return BREAKER_SAME;
}

static void
happen(struct breakers *breakers, struct breakers_entry *entry, struct breakers_event *event)
{
    enum breaker_change change;

    event->at_ms = breakers_now_ms(breakers);
    change = breaker_advance(&entry->now, &breakers->conf->suspension, event->at_ms);
    if (change != BREAKER_SAME) /* what time brought holds, whatever comes of the event */
        breakers_hold(breakers, entry, change);
    change = breakers_event_apply(breakers, &entry->now, event);
    if (change == BREAKER_SAME)
        return;
    breakers_hold(breakers, entry, change);
    breakers_record_add(breakers, entry, event,
                        change != BREAKER_COUNTED || event->kind == BREAKERS_DRAIN);
    breakers_crowd_note(breakers, entry, true);
}

static bool
happen_to(struct breakers *breakers, const struct breakers_whose *whose,
          struct breakers_event *event)
{
    char key[BREAKERS_KEY_SIZE];
    struct breakers_entry *entry;

    breakers_key(whose, key);
    entry = breakers_entry_make(breakers, key, event->kind != BREAKERS_HIT);
    if (entry == NULL)
        return false;
    happen(breakers, entry, event);
    return true;
}

static struct breakers_whose
at_provider(const struct outcome *outcome)
{
    struct breakers_whose whose = {
        .scope = BREAKERS_PROVIDER, .address = outcome->address, .provider = outcome->provider};

    if (outcome->provider->index == PROVIDER_OTHER) {
        whose.scope = BREAKERS_DOMAIN;
        whose.provider = NULL;
        whose.name = outcome->domain;
    }
    return whose;
}

/* Whom does the rule of the outcome accuse?  False: nobody who has a breaker. */
static bool
accused_of(const struct outcome *outcome, struct breakers_whose *ret_whose)
{
    switch (outcome->rule->accused) {
    case ACCUSED_ADDRESS:
        *ret_whose = (struct breakers_whose){BREAKERS_ADDRESS, outcome->address, NULL, NULL};
        return outcome->address != NULL;
    case ACCUSED_ADDRESS_PROVIDER:
        *ret_whose = at_provider(outcome);
        return outcome->address != NULL &&
               (ret_whose->scope == BREAKERS_PROVIDER || ret_whose->name[0] != '\0');
    case ACCUSED_ACCOUNT:
        *ret_whose = (struct breakers_whose){BREAKERS_ACCOUNT, NULL, NULL, outcome->account};
        return outcome->account[0] != '\0';
    default:
        return false;
    }
}

static void
on_accused(struct breakers *breakers, const struct outcome *outcome)
{
    const struct reply_rule *rule = outcome->rule;
    struct breakers_event event = {
        .kind = BREAKERS_HIT, .reaction = rule->reaction, .rule = rule->number};
    struct breakers_whose whose;

    if (rule->reaction.suspend_ms == 0 && rule->reaction.slow_ms == 0)
        return;
    if (!accused_of(outcome, &whose))
        return;
    if (clock_ms(CLOCK_REALTIME_COARSE) - outcome->at_ms > BREAKERS_LATE_MS)
        return;
    snprintf(event.why, sizeof(event.why), "%.32s: %d %.80s", rule->name, outcome->reply.code,
             outcome->reply.text);
    happen_to(breakers, &whose, &event);
}

static void
accept_one(struct breakers *breakers, const struct breakers_whose *whose)
{
    struct breakers_event event = {.kind = BREAKERS_ACCEPTED};
    struct breakers_entry *entry;
    char key[BREAKERS_KEY_SIZE];

    breakers_key(whose, key);
    entry = breakers_entry_find(breakers, key);
    if (entry != NULL && entry->now.state == BREAKER_PROBING)
        happen(breakers, entry, &event);
}

/* The other side has nothing against who sent it: it took it, or spoke of the recipient. */
static bool
is_accepted(const struct outcome *outcome)
{
    return outcome->status == MAILLOG_SENT || (outcome->rule != NULL && outcome->reached &&
                                               outcome->rule->accused == ACCUSED_RECIPIENT);
}

void
breakers_on_outcome(void *arg, const struct outcome *outcome)
{
    struct breakers *breakers = arg;
    struct breakers_whose whose = {.scope = BREAKERS_ADDRESS, .address = outcome->address};

    if (outcome->rule != NULL)
        on_accused(breakers, outcome);
    if (outcome->address == NULL || breakers->count == 0 || !is_accepted(outcome))
        return;
    accept_one(breakers, &whose);
    whose = at_provider(outcome);
    accept_one(breakers, &whose);
    whose = (struct breakers_whose){BREAKERS_ACCOUNT, NULL, NULL, outcome->account};
    accept_one(breakers, &whose);
}

bool
breakers_suspend(struct breakers *breakers, const struct breakers_whose *whose, int64_t until,
                 const char *why)
{
    struct breakers_event event = {.kind = BREAKERS_SUSPEND, .until_ms = until};

    snprintf(event.why, sizeof(event.why), "%s", why);
    return happen_to(breakers, whose, &event);
}

bool
breakers_keep_suspended(struct breakers *breakers, const struct breakers_whose *whose,
                        enum breaker_cause cause, int64_t until, const char *why)
{
    struct breakers_event event = {.kind = BREAKERS_KEEP, .cause = cause, .until_ms = until};

    snprintf(event.why, sizeof(event.why), "%s", why);
    return happen_to(breakers, whose, &event);
}

void
breakers_end(struct breakers *breakers, const struct breakers_whose *whose,
             enum breaker_cause cause, bool whole)
{
    struct breakers_event event = {.kind = BREAKERS_END, .cause = cause, .whole = whole};
    char key[BREAKERS_KEY_SIZE];
    struct breakers_entry *entry;

    breakers_key(whose, key);
    entry = breakers_entry_find(breakers, key);
    if (entry != NULL)
        happen(breakers, entry, &event);
}

bool
breakers_drain(struct breakers *breakers, const struct breakers_whose *whose, const char *why)
{
    struct breakers_event event = {.kind = BREAKERS_DRAIN};

    snprintf(event.why, sizeof(event.why), "%s", why);
    return happen_to(breakers, whose, &event);
}

bool
breakers_resume_key(struct breakers *breakers, const char *key)
{
    struct breakers_event event = {.kind = BREAKERS_RESUME};
    struct breakers_entry *entry = breakers_entry_find(breakers, key);

    if (entry == NULL ||
        breaker_is_idle(&entry->now, &breakers->conf->suspension, breakers_now_ms(breakers)))
        return false;
    happen(breakers, entry, &event);
    return true;
}

bool
breakers_resume(struct breakers *breakers, const struct breakers_whose *whose)
{
    char key[BREAKERS_KEY_SIZE];

    breakers_key(whose, key);
    return breakers_resume_key(breakers, key);
}

const struct breaker *
breakers_find(struct breakers *breakers, const struct breakers_whose *whose)
{
    char key[BREAKERS_KEY_SIZE];
    struct breakers_entry *entry;

    breakers_key(whose, key);
    entry = breakers_entry_find(breakers, key);
    return entry != NULL ? &entry->now : NULL;
}

bool
breakers_is_suspended(struct breakers *breakers, const struct address *address,
                      const struct provider *provider)
{
    return curbs_address(breakers->curbs, address)->share == 0 ||
           (provider != NULL && curbs_provider(breakers->curbs, address, provider)->share == 0);
}

void
breakers_each_suspended(struct breakers *breakers,
                        void (*each)(void *arg, const struct address *address,
                                     const struct provider *provider),
                        void *arg)
{
    struct breakers_entry *entry;

    TAILQ_FOREACH(entry, &breakers->all, order)
    {
        const struct breakers_whose *whose = &entry->whose;

        if (breaker_is_held(&entry->now) && breakers_is_bound(whose) &&
            (whose->scope == BREAKERS_ADDRESS || whose->scope == BREAKERS_PROVIDER))
            each(arg, whose->address, whose->provider);
    }
}

/* -------------------------------------------------------------------- time */

/*
 * The configuration has no such address, and its suspension has been over for long: nobody
 * will send a probe.  Until then another host may have it, or this one again.
 */
static bool
is_left_behind(const struct breakers *breakers, const struct breakers_entry *entry, int64_t now_ms)
{
    return !breakers_is_bound(&entry->whose) && !breaker_is_suspended(&entry->now) &&
           entry->now.state == BREAKER_PROBING && !entry->now.drained &&
           now_ms - entry->now.since_ms >= breakers->conf->suspension.forget_ms;
}

static void
tick_entry(struct breakers *breakers, struct breakers_entry *entry, int64_t now_ms)
{
    enum breaker_change change = breaker_advance(&entry->now, &breakers->conf->suspension, now_ms);

    if (is_left_behind(breakers, entry, now_ms))
        breaker_resume(&entry->now, now_ms);
    if (change != BREAKER_SAME ||
        (entry->now.state == BREAKER_PROBING && breakers_is_bound(&entry->whose) &&
         now_ms - entry->probed_ms >= breakers->conf->suspension_probe_ms))
        breakers_hold(breakers, entry, change);
    breakers_record_flush(breakers, entry);
    breakers_crowd_note(breakers, entry, false);
    if (breakers_record_is_over(breakers, entry))
        breakers_entry_free(breakers, entry);
}

void
breakers_tick(struct breakers *breakers)
{
    int64_t now_ms = breakers_now_ms(breakers);
    struct breakers_entry *entry, *next;

    for (entry = TAILQ_FIRST(&breakers->all); entry != NULL; entry = next) {
        next = TAILQ_NEXT(entry, order);
        tick_entry(breakers, entry, now_ms);
    }
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    breakers_tick(arg);
}

void
breakers_set_conf(struct breakers *breakers, const struct conf *conf, struct curbs *curbs)
{
    struct breakers_entry *entry;

    breakers->conf = conf;
    breakers->curbs = curbs;
    TAILQ_FOREACH(entry, &breakers->all, order)
    {
        breakers_bind(conf, entry->key, &entry->whose);
        breakers_hold(breakers, entry, BREAKER_SAME);
    }
}

void
breakers_listen(struct breakers *breakers, breakers_change_fn *on_change, void *arg)
{
    assert(breakers->listener_count < BREAKERS_LISTENERS_MAX);
    breakers->listeners[breakers->listener_count].on_change = on_change;
    breakers->listeners[breakers->listener_count++].arg = arg;
}

struct breakers *
breakers_new(const struct breakers_start *start)
{
    static const struct timeval second = {1, 0};
    struct breakers *breakers = mem_new(sizeof(*breakers));

    breakers->start = *start;
    breakers->conf = start->conf;
    breakers->curbs = start->curbs;
    TAILQ_INIT(&breakers->all);
    breakers_crowd_init(breakers);
    if (start->base != NULL) {
        breakers->tick = event_new(start->base, -1, EV_PERSIST, on_tick, breakers);
        event_add(breakers->tick, &second);
    }
    return breakers;
}

void
breakers_free(struct breakers *breakers)
{
    struct breakers_entry *entry;

    if (breakers == NULL)
        return;
    while ((entry = TAILQ_FIRST(&breakers->all)) != NULL)
        breakers_entry_free(breakers, entry);
    if (breakers->tick != NULL)
        event_free(breakers->tick);
    free(breakers);
}
