/*
 * Breakers as records of the store.  What happens here is put behind what the
 * store has; when another host has written meanwhile, behind that.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/breakers_inside.h"

#include "lib/conf.h"
#include "lib/log.h"

#include <string.h>

enum { CALM_MS = 200 }; /* between two puts of one thing, unless something follows from it */

/* Take the store's, and do again what it does not know. */
static void
rebase(struct breakers *breakers, struct breakers_entry *entry)
{
    enum breaker_state before = entry->now.state;
    bool suspended = breaker_is_suspended(&entry->now);
    int64_t slow_ms = entry->now.slow_until_ms;
    enum breaker_change change = BREAKER_SAME;

    entry->now = entry->stored;
    for (size_t i = 0; i < entry->pending_count; i++)
        breakers_event_apply(breakers, &entry->now, &entry->pending[i]);
    breaker_advance(&entry->now, &breakers->conf->suspension, breakers_now_ms(breakers));
    if (breaker_is_suspended(&entry->now)) /* for the log: what it came to */
        change = suspended ? BREAKER_SAME : BREAKER_SUSPENDED;
    else if (suspended && before != BREAKER_OPEN)
        change = BREAKER_FREED;
    else if (entry->now.state != before)
        change = entry->now.state == BREAKER_PROBING  ? BREAKER_PROBES
                 : entry->now.state == BREAKER_CLOSED ? BREAKER_CLOSES
                                                      : BREAKER_GROWS;
    else if (entry->now.slow_until_ms > slow_ms)
        change = BREAKER_SLOWED;
    breakers_hold(breakers, entry, change);
}

/* What the store has.  What cannot be read counts as nothing, and is written anew. */
static void
take(struct breakers_entry *entry, uint64_t version, const void *bytes, size_t length)
{
    memset(&entry->stored, 0, sizeof(entry->stored));
    entry->version = version;
    if (length > 0 && breaker_parse(bytes, length, &entry->stored) < 0)
        log_warn("store: %s: what is there is no suspension -- it is passed over", entry->key);
}

static void
settle(struct breakers_entry *entry, size_t count)
{
    entry->pending_count -= count;
    memmove(entry->pending, entry->pending + count,
            entry->pending_count * sizeof(entry->pending[0]));
}

void
breakers_record_forget(struct breakers *breakers, struct breakers_entry *entry)
{
    if (entry->version > 0)
        breakers->start.put(breakers->start.arg, entry->key, entry->version, "", 0);
}

void
breakers_record_flush(struct breakers *breakers, struct breakers_entry *entry)
{
    int64_t now_ms = breakers_now_ms(breakers);
    bool idle = breaker_is_idle(&entry->now, &breakers->conf->suspension, now_ms);
    char text[BREAKER_TEXT_SIZE];
    size_t length = 0;

    if (breakers->start.put == NULL || entry->putting)
        return;
    if (entry->pending_count == 0 && (!idle || entry->version == 0))
        return;
    if (!idle)
        length = breaker_print(&entry->now, text);
    entry->putting = true;
    entry->sent = entry->pending_count;
    entry->put_ms = now_ms;
    if (!breakers->start.put(breakers->start.arg, entry->key, entry->version, text, length)) {
        entry->stored = entry->now;
        entry->pending_count = 0;
        entry->version = 0;
        entry->putting = false;
    }
}

void
breakers_record_add(struct breakers *breakers, struct breakers_entry *entry,
                    const struct breakers_event *event, bool urgent)
{
    if (breakers->start.put == NULL) {
        entry->stored = entry->now;
        return;
    }
    if (entry->pending_count == BREAKERS_PENDING_MAX) {
        /* The oldest is believed to be stored; if it is not, another host's word holds. */
        breakers_event_apply(breakers, &entry->stored, &entry->pending[0]);
        settle(entry, 1);
        entry->sent -= entry->sent > 0;
    }
    entry->pending[entry->pending_count++] = *event;
    if (urgent || event->at_ms - entry->put_ms >= CALM_MS)
        breakers_record_flush(breakers, entry);
}

bool
breakers_record_is_over(const struct breakers *breakers, const struct breakers_entry *entry)
{
    return entry->pending_count == 0 && !entry->putting && entry->version == 0 &&
           breaker_is_idle(&entry->now, &breakers->conf->suspension, breakers_now_ms(breakers));
}

void
breakers_on_put(void *arg, const char *key, bool written, uint64_t version, const void *bytes,
                size_t length)
{
    struct breakers *breakers = arg;
    struct breakers_entry *entry = breakers_entry_find(breakers, key);
    bool full; /* there is no room for it in the store: the next tick tries again */

    if (entry == NULL)
        return;
    full = !written && version == entry->version;
    if (written)
        settle(entry, entry->sent);
    entry->putting = false;
    entry->sent = 0;
    take(entry, length > 0 ? version : 0, bytes, length);
    if (!written)
        rebase(breakers, entry);
    if (!full)
        breakers_record_flush(breakers, entry);
    breakers_crowd_note(breakers, entry, false);
}

void
breakers_on_record(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct breakers *breakers = arg;
    struct breakers_entry *entry = breakers_entry_find(breakers, key);
    struct breaker breaker;

    if (entry == NULL && length > 0)
        entry = breakers_entry_make(breakers, key,
                                    breaker_parse(bytes, length, &breaker) == 0 &&
                                        !breaker_only_counts(&breaker));

    if (entry == NULL || entry->putting) /* the answer to the put tells it, too */
        return;
    take(entry, length > 0 ? version : 0, bytes, length);
    rebase(breakers, entry);
    breakers_crowd_note(breakers, entry, true);
}
