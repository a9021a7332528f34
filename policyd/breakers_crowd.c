/*
 * Of domains and accounts there can be more than there is room for, and strangers choose them:
 * those that were only counted longest ago give way; and if there are none of these, what waits
 * longest for a probe, where no mail may ever come again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/breakers_inside.h"

#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"

/* NULL: there are as many as the configuration, or the store, has. */
static struct breakers_crowd *
crowd_of(struct breakers *breakers, enum breakers_scope scope)
{
    switch (scope) {
    case BREAKERS_PROVIDER:
        return &breakers->pairs;
    case BREAKERS_DOMAIN:
    case BREAKERS_ACCOUNT:
        return &breakers->names;
    case BREAKERS_ADDRESS:
    case BREAKERS_SCOPES:
        break;
    }
    return NULL;
}

void
breakers_crowd_init(struct breakers *breakers)
{
    breakers->pairs.most = BREAKERS_PAIRS_MAX;
    breakers->names.most = BREAKERS_MAX;
    TAILQ_INIT(&breakers->pairs.counting);
    TAILQ_INIT(&breakers->names.counting);
}

void
breakers_crowd_enter(struct breakers *breakers, struct breakers_entry *entry)
{
    struct breakers_crowd *crowd = crowd_of(breakers, entry->whose.scope);

    if (crowd != NULL)
        crowd->count++;
}

void
breakers_crowd_note(struct breakers *breakers, struct breakers_entry *entry, bool is_new)
{
    struct breakers_crowd *crowd = crowd_of(breakers, entry->whose.scope);
    bool counts = !entry->putting && breaker_only_counts(&entry->now);

    if (crowd == NULL || (counts && entry->counting && !is_new))
        return;
    if (entry->counting)
        TAILQ_REMOVE(&crowd->counting, entry, idle);
    if (counts)
        TAILQ_INSERT_TAIL(&crowd->counting, entry, idle);
    entry->counting = counts;
}

void
breakers_crowd_leave(struct breakers *breakers, struct breakers_entry *entry)
{
    struct breakers_crowd *crowd = crowd_of(breakers, entry->whose.scope);

    if (crowd == NULL)
        return;
    if (entry->counting)
        TAILQ_REMOVE(&crowd->counting, entry, idle);
    entry->counting = false;
    if (--crowd->count < crowd->most / 2)
        crowd->told = false;
}

/*
 * Its suspension is over for as long as others are forgotten in, and too few probes were sent since
 * to tell how it fares.  Looks at all, but only where nothing else gives way.
 */
static struct breakers_entry *
find_left(struct breakers *breakers, const struct breakers_crowd *crowd)
{
    int64_t before_ms = breakers_now_ms(breakers) - breakers->conf->suspension.forget_ms;
    struct breakers_entry *entry, *left = NULL;

    TAILQ_FOREACH(entry, &breakers->all, order)
    if (crowd_of(breakers, entry->whose.scope) == crowd && entry->now.state == BREAKER_PROBING &&
        !breaker_is_suspended(&entry->now) && !entry->now.drained && !entry->putting &&
        entry->now.since_ms <= before_ms &&
        (left == NULL || entry->now.since_ms < left->now.since_ms))
        left = entry;
    return left;
}

/* It is held back no more.  NULL: there is none. */
static struct breakers_entry *
let_go(struct breakers *breakers, struct breakers_entry *entry)
{
    if (entry == NULL)
        return NULL;
    breaker_resume(&entry->now, breakers_now_ms(breakers));
    breakers_hold(breakers, entry, BREAKER_SAME);
    return entry;
}

/* Say so, when it is the first since there was much room. */
static void
tell(struct breakers_crowd *crowd, const char *what)
{
    if (!crowd->told)
        log_warn("suspension: more than %zu things have been accused -- %s", crowd->most, what);
    crowd->told = true;
}

bool
breakers_crowd_has_room(struct breakers *breakers, enum breakers_scope scope, bool holds)
{
    struct breakers_crowd *crowd = crowd_of(breakers, scope);
    struct breakers_entry *idle;

    if (crowd == NULL || crowd->count < crowd->most)
        return true;
    idle = TAILQ_FIRST(&crowd->counting);
    if (idle == NULL)
        idle = let_go(breakers, find_left(breakers, crowd));
    if (idle != NULL) {
        tell(crowd, "those that were only counted longest ago are forgotten");
        crowd->gave_way++;
        breakers_record_forget(breakers, idle);
        breakers_entry_free(breakers, idle);
        return true;
    }
    if (holds && crowd->count < crowd->most + BREAKERS_HOLDS_MAX)
        return true;
    tell(crowd, "further ones are not held back");
    crowd->refused++;
    return false;
}

void
breakers_crowd_status(const struct breakers *breakers, struct buf *text, struct json *json)
{
    const struct breakers_crowd *names = &breakers->names, *pairs = &breakers->pairs;
    uint64_t gave_way = names->gave_way + pairs->gave_way;
    uint64_t refused = names->refused + pairs->refused;

    if (text != NULL && (names->told || pairs->told))
        buf_printf(text,
                   "suspension: too many things were accused: since the start %llu that were only "
                   "counted were forgotten, %llu not held back\n",
                   (unsigned long long)gave_way, (unsigned long long)refused);
    if (json != NULL) {
        json_number(json, "accused_forgotten", (long long)gave_way);
        json_number(json, "accused_refused", (long long)refused);
    }
}
