/*
 * What replies bring about in a world: figures of warm-ups, breakers, and the curbs that decide()
 * looks at.  As policyd/breakers_hold.c and warmups_hear.c have it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/world_inside.h"

#include "engine/curbs.h"
#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 10 * 1000, CALM_MS = 10 * 60 * 1000, WORLD_BREAKERS_MAX = 40000 };

/* ----------------------------------------------------------------- breakers */

static size_t
slot_of(enum world_accused scope, const struct address *address, const struct provider *provider,
        const char *name)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool worlds";
    uint64_t hash = hash_mix((uint64_t)scope + 7);

    hash = hash_mix(hash ^ (address != NULL ? address->index + 1 : 0));
    hash = hash_mix(hash ^ (provider != NULL ? provider->index + 1 : 0));
    if (name != NULL)
        hash ^= hash_sip(key, name, strlen(name));
    return hash % WORLD_SLOTS;
}

static bool
is_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* make false: NULL where there is none. */
static struct world_breaker *
find(struct world *world, enum world_accused scope, const struct address *address,
     const struct provider *provider, const char *name, bool make)
{
    struct world_breaker **slot = &world->breakers[slot_of(scope, address, provider, name)];
    struct world_breaker *its = *slot;

    if (world->breaker_count == 0 && !make)
        return NULL;
    while (its != NULL && (its->scope != scope || its->address != address ||
                           its->provider != provider || !is_name(its->name, name)))
        its = its->next;
    if (its != NULL || !make || world->breaker_count == WORLD_BREAKERS_MAX)
        return its;
    its = world_must(world, calloc(1, sizeof(*its)));
    if (its == NULL)
        return NULL;
    its->scope = scope;
    its->address = address;
    its->provider = provider;
    if (name != NULL)
        its->name = world_must(world, strdup(name));
    its->next = *slot;
    *slot = its;
    its->next_of_all = world->all_breakers;
    world->all_breakers = its;
    world->breaker_count++;
    return its;
}

/* The one that a reply of mail that was sent accuses, or that it speaks for. */
static struct world_breaker *
find_for(struct world *world, const struct world_sent *sent, enum world_accused scope, bool make)
{
    const struct provider *provider = &world->snapshot->providers[sent->provider];

    switch (scope) {
    case WORLD_NOBODY:
        break;
    case WORLD_ADDRESS:
        return find(world, scope, sent->address, NULL, NULL, make);
    case WORLD_ADDRESS_PROVIDER:
        if (sent->provider != PROVIDER_OTHER)
            return find(world, scope, sent->address, provider, NULL, make);
        return sent->domain[0] != '\0' ? find(world, scope, sent->address, NULL, sent->domain, make)
                                       : NULL;
    case WORLD_ACCOUNT:
        return sent->account[0] != '\0' ? find(world, scope, NULL, NULL, sent->account, make)
                                        : NULL;
    }
    return NULL;
}

/* -------------------------------------------------------------------- curbs */

static int64_t
until_ms(const struct breaker *breaker, const struct breaker_policy *policy)
{
    if (breaker_is_suspended(breaker))
        return breaker_until(breaker);
    if (breaker->state == BREAKER_RECOVERING)
        return breaker->since_ms + ((int64_t)breaker->step + 1) * policy->step_ms;
    if (breaker->state == BREAKER_CLOSED && breaker->slow_until_ms > 0)
        return breaker->slow_until_ms;
    return CURB_NOT_KNOWN;
}

/* What holds there now. */
static const struct curb *
curb_of(const struct world *world, const struct world_breaker *its)
{
    if (its->scope == WORLD_ACCOUNT)
        return curbs_account(world->curbs, its->name);
    if (its->scope == WORLD_ADDRESS)
        return curbs_address(world->curbs, its->address);
    return its->name != NULL ? curbs_domain(world->curbs, its->address, its->name)
                             : curbs_provider(world->curbs, its->address, its->provider);
}

static uint32_t
probes_left(const struct world *world, struct world_breaker *its, enum breaker_change change)
{
    int wanted = world->setup.suspension->probes - (int)its->breaker.accepted;
    uint32_t left = curb_of(world, its)->probes;

    if (its->breaker.state != BREAKER_PROBING || wanted <= 0)
        return 0;
    if (change == BREAKER_PROBES || its->probed_ms == 0 ||
        world->now_ms - its->probed_ms >= world->setup.probe_ms) {
        its->probed_ms = world->now_ms;
        return (uint32_t)wanted;
    }
    return left < (uint32_t)wanted ? left : (uint32_t)wanted;
}

static void
set_curb(struct world *world, struct world_breaker *its, enum breaker_change change)
{
    const struct breaker_policy *policy = world->setup.suspension;
    const struct curb *before = curb_of(world, its);
    struct curb curb = {
        .share = (uint8_t)breaker_share(&its->breaker, policy, world->now_ms),
        .probing = its->breaker.state == BREAKER_PROBING,
        .until_ms = until_ms(&its->breaker, policy),
    };

    if (!curb.probing)
        its->probed_ms = 0;
    curb.probes = probes_left(world, its, change);
    if (before->share == curb.share && before->probing == curb.probing &&
        before->probes == curb.probes && before->until_ms == curb.until_ms)
        return;
    if (curb.share == CURB_WHOLE && before->share == CURB_WHOLE)
        return;
    if (its->scope == WORLD_ACCOUNT)
        curbs_set_account(world->curbs, its->name, &curb);
    else if (its->scope == WORLD_ADDRESS)
        curbs_set_address(world->curbs, its->address, &curb);
    else if (its->name != NULL)
        curbs_set_domain(world->curbs, its->address, its->name, &curb);
    else
        curbs_set_provider(world->curbs, its->address, its->provider, &curb);
    world_stir(world);
}

/* What a breaker has against an address today. */
static void
note_events(struct world *world, const struct world_breaker *its, bool blocked)
{
    struct world_warm *warm = its->address != NULL ? world_warm(world, its->address) : NULL;

    if (warm == NULL || its->name != NULL)
        return;
    if (breaker_is_held(&its->breaker))
        warm->today.events |= blocked ? WARMUP_SUSPENDED | WARMUP_BLOCKED : WARMUP_SUSPENDED;
    else if (world->now_ms < its->breaker.slow_until_ms)
        warm->today.events |= WARMUP_WARNED;
}

/* Nothing is left of what was wrong with it. */
static void
forget(struct world *world, struct world_breaker *its)
{
    struct world_breaker **link =
        &world->breakers[slot_of(its->scope, its->address, its->provider, its->name)];

    while (*link != its)
        link = &(*link)->next;
    *link = its->next;
    free(its->name);
    free(its);
    world->breaker_count--;
}

/* Does time change what holds there? */
static bool
is_busy(const struct world *world, const struct world_breaker *its)
{
    return its->breaker.state != BREAKER_CLOSED || its->breaker.slow_until_ms > world->now_ms;
}

void
world_tick(struct world *world)
{
    struct world_breaker **link = &world->all_breakers;
    int64_t wait_ms = CALM_MS;

    while (*link != NULL) {
        struct world_breaker *its = *link;
        enum breaker_change change =
            breaker_advance(&its->breaker, world->setup.suspension, world->now_ms);

        set_curb(world, its, change);
        note_events(world, its, false);
        if (is_busy(world, its))
            wait_ms = TICK_MS;
        if (!breaker_is_idle(&its->breaker, world->setup.suspension, world->now_ms)) {
            link = &its->next_of_all;
            continue;
        }
        *link = its->next_of_all;
        forget(world, its);
    }
    world->tick_ms = world->breaker_count > 0 ? world->now_ms + wait_ms : INT64_MAX;
}

void
world_curbs_clear(struct world *world)
{
    while (world->all_breakers != NULL) {
        struct world_breaker *its = world->all_breakers;

        world->all_breakers = its->next_of_all;
        forget(world, its);
    }
}

/* ------------------------------------------------------------------ replies */

/*
 * A message was accepted, or nothing was said but of its recipient: all that is held back of what
 * it left from hears so.
 */
static void
speak_well(struct world *world, const struct world_sent *sent)
{
    for (int scope = WORLD_ADDRESS; scope <= WORLD_ACCOUNT && world->breaker_count > 0; scope++) {
        struct world_breaker *its = find_for(world, sent, (enum world_accused)scope, false);
        enum breaker_change change;

        if (its == NULL)
            continue;
        breaker_advance(&its->breaker, world->setup.suspension, world->now_ms);
        change = breaker_accepted(&its->breaker, world->setup.suspension, world->now_ms);
        set_curb(world, its, change);
    }
}

static void
tell_suspension(const struct world *world, const struct world_breaker *its, uint32_t rule,
                enum breaker_change change)
{
    struct world_suspension suspension = {
        .at_ms = world->now_ms,
        .accused = its->scope,
        .address = its->address,
        .provider = its->provider,
        .name = its->name,
        .rule = rule,
        .slowed = change == BREAKER_SLOWED,
        .until_ms =
            change == BREAKER_SLOWED ? its->breaker.slow_until_ms : breaker_until(&its->breaker),
    };

    if (world->setup.suspended != NULL && (change == BREAKER_SLOWED || change == BREAKER_SUSPENDED))
        world->setup.suspended(world->setup.arg, &suspension);
}

static void
accuse(struct world *world, const struct world_sent *sent, const struct world_reply *reply)
{
    struct world_breaker *its;
    enum breaker_change change;

    if (world->setup.suspension == NULL || reply->reaction == NULL)
        return;
    its = find_for(world, sent, reply->accused, true);
    if (its == NULL || world->failed)
        return;
    breaker_advance(&its->breaker, world->setup.suspension, world->now_ms);
    change = breaker_hit(&its->breaker, world->setup.suspension, reply->reaction, reply->rule, "",
                         world->now_ms);
    set_curb(world, its, change);
    if (world->tick_ms > world->now_ms + TICK_MS)
        world->tick_ms = world->now_ms + TICK_MS;
    note_events(world, its, reply->for_good);
    tell_suspension(world, its, reply->rule, change);
}

/* Their grants are as if they had never been taken. */
static void
give_back(struct world *world, const struct world_sent *sent, uint32_t count)
{
    for (size_t i = 0; i < DECISION_METERS && world->meters != NULL; i++)
        for (uint32_t j = 0; j < count && sent->meters[i] != METERS_NONE; j++)
            meters_give_back(world->meters, sent->meters[i], sent->at_ms, world->now_ms);
    world_ask_store(world);
    world_count_back(world, sent, count);
    world_stir(world);
}

void
world_tell(struct world *world, const struct world_sent *sent, const struct world_reply *reply)
{
    struct world_warm *warm = world_warm(world, sent->address);

    world_stand_by(world, sent, reply);
    if (reply->result == WORLD_UNREACHED) {
        give_back(world, sent, reply->count);
        return;
    }
    if (warm != NULL) {
        warm->today.used += reply->count;
        if (reply->result == WORLD_ACCEPTED)
            warm->today.accepted += reply->count;
        if (reply->result == WORLD_REFUSED)
            warm->today.refused += reply->count;
    }
    if (reply->result == WORLD_ACCEPTED || reply->result == WORLD_BOUNCED)
        speak_well(world, sent);
    else if (reply->result == WORLD_REFUSED)
        accuse(world, sent, reply);
}
