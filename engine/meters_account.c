/*
 * The meters of accounts: found by name, and let go when they are idle, so that
 * only so many accounts are bounded as are active.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"

#include "engine/hash.h"
#include "engine/meters_inside.h"
#include "engine/snapshot.h"

#include <stdio.h>
#include <string.h>

enum { ACCOUNT_SLOTS = 65536 };

static size_t
account_slot(uint32_t group, const char *account)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool account";

    return hash_mix(hash_sip(key, account, strlen(account)) ^ group) % ACCOUNT_SLOTS;
}

uint32_t
meters_account(struct meters *meters, size_t stream, const char *account)
{
    const struct caps *caps = &meters->snapshot->streams[stream].account_caps;
    uint32_t group = meters->groups.id[stream], *head, number;
    char name[METERS_ACCOUNT_MAX + 1];

    if (caps->count == 0)
        return METERS_NONE;
    snprintf(name, sizeof(name), "%s", account);
    if (meters->accounts == NULL)
        meters->accounts = meters_numbers(ACCOUNT_SLOTS);
    if (meters->accounts == NULL)
        return METERS_NONE;
    head = &meters->accounts[account_slot(group, name)];
    for (number = *head; number != METERS_NONE; number = meters_peek(meters, number)->other)
        if (meters_peek(meters, number)->of == group &&
            strcmp(meters_peek(meters, number)->account, name) == 0)
            return number;
    number = meters->account_count < METERS_ACCOUNTS_MAX
                 ? meters_add(meters, METERS_ACCOUNT, caps, group, *head)
                 : METERS_NONE;
    if (number == METERS_NONE) {
        meters->accounts_refused++;
        return METERS_NONE;
    }
    meters->account_count++;
    meters_peek(meters, number)->account = strdup(name);
    if (meters_peek(meters, number)->account == NULL) {
        meters_make_spare(meters, number);
        return METERS_NONE;
    }
    *head = number;
    return number;
}

size_t
meters_accounts(const struct meters *meters, uint64_t *ret_refused)
{
    *ret_refused = meters->accounts_refused;
    return meters->account_count;
}

/* Take it out of its chain. */
static void
forget_account(struct meters *meters, uint32_t number)
{
    struct metered *metered = meters_peek(meters, number);
    uint32_t *link = &meters->accounts[account_slot(metered->of, metered->account)];

    while (*link != number)
        link = &meters_peek(meters, *link)->other;
    *link = metered->other;
}

void
meters_set_keep(struct meters *meters, int64_t keep_ms)
{
    meters->keep_ms = keep_ms;
}

/* Its windows are over, and neither side holds anything: the store knows the rest. */
static bool
is_idle(const struct meters *meters, const struct metered *metered, int64_t now_ms)
{
    const struct meter *meter = &metered->meter;
    int64_t last_ms = meter->active_ms > meter->excess_ms ? meter->active_ms : meter->excess_ms;
    int64_t longest_ms = metered->caps->items[metered->caps->count - 1].window_ms;

    return !meter->asked && !meter->own && !metered->queued &&
           meter->held + meter->next + meter->use_count + meter->excess == 0 &&
           meter->again_ms <= now_ms && now_ms - last_ms > longest_ms + meters->keep_ms;
}

void
meters_tend(struct meters *meters, uint32_t number, int64_t now_ms)
{
    struct metered *metered = meters_at(meters, number);
    const struct meter *meter = &metered->meter;
    bool used = metered->state == METERED_USED;

    if (metered->state == METERED_GONE && now_ms - metered->gone_ms > meters->keep_ms) {
        meters_make_spare(meters, number);
    } else if (used &&
               metered->caps == NULL) { /* an account: others were retired with their caps */
        forget_account(meters, number);
        meters_retire(meters, number, now_ms);
    } else if (used && metered->kind == METERS_ACCOUNT && is_idle(meters, metered, now_ms)) {
        forget_account(meters, number);
        meters_retire(meters, number, now_ms);
        meters_make_spare(meters, number);
    } else if (used && meter->held + meter->use_count + meter->excess + meter->missed_s > 0) {
        meters_touch(meters, number);
    }
}
