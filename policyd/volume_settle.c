/*
 * What becomes of grants: spent, given back, or moved to the provider that their
 * domain turns out to be of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/volume.h"

#include "engine/decide.h"
#include "engine/grants.h"
#include "engine/meters.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "policyd/lookup.h"
#include "policyd/mx.h"
#include "policyd/volume_inside.h"

#include <stdlib.h>
#include <string.h>

enum { MOVE_GRANTS = 20000 }; /* that are looked at for one domain: not for long */

bool
volume_spend(struct volume *volume, const char *message_id, const char *recipient)
{
    struct grant_key key;

    grant_key(volume->grant_secret, message_id, recipient, &key);
    return grants_spend(volume->grants, &key, clock_ms(CLOCK_MONOTONIC_COARSE));
}

const struct address *
volume_chosen(struct volume *volume, const char *message_id, const char *recipient)
{
    const struct grant *grant;
    struct grant_key key;

    grant_key(volume->grant_secret, message_id, recipient, &key);
    grant = grants_find(volume->grants, &key, clock_ms(CLOCK_MONOTONIC_COARSE));
    return grant != NULL ? &volume->conf->snapshot->addresses[grant->address] : NULL;
}

static bool
give_back(struct volume *volume, const struct grant_key *key)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    struct grant grant;

    if (!grants_give_back(volume->grants, key, now_ms, &grant))
        return false;
    for (size_t i = 0; i < GRANT_METERS && volume->meters != NULL; i++) {
        int64_t store_ms = volume_now_ms(volume);

        if (grant.meters[i] == GRANT_NO_METER)
            continue;
        meters_give_back(volume->meters, grant.meters[i], store_ms - (now_ms - grant.at_ms),
                         store_ms);
    }
    volume_flush(volume);
    volume->on_room(volume->arg);
    return true;
}

bool
volume_give_back(struct volume *volume, const char *message_id, const char *recipient)
{
    struct grant_key key;

    grant_key(volume->grant_secret, message_id, recipient, &key);
    return give_back(volume, &key);
}

void
volume_give_back_key(struct volume *volume, const struct grant_key *key)
{
    give_back(volume, key);
}

/* Recipients on their way from "other" to a provider. */
struct move {
    struct volume *volume;
    size_t provider;
    struct mx_note *notes; /* what is left to be moved */
    size_t count;
};

static void
count_at(const struct move *move, size_t address, uint32_t count, int64_t store_ms)
{
    struct meters *meters = move->volume->meters;
    uint32_t number = meters_provider(meters, address, move->provider);

    if (number != METERS_NONE && count > 0)
        meters_count_late(meters, number, count, store_ms);
}

/* False: all are moved. */
static bool
take_off(struct move *move, size_t address)
{
    bool left = false;

    for (size_t i = 0; i < move->count; i++) {
        struct mx_note *note = &move->notes[i];

        if (note->address == address && note->count > 0)
            note->count--;
        left |= note->count > 0;
    }
    return left;
}

static bool
move_grant(void *arg, struct grant *grant)
{
    struct move *move = arg;
    struct meters *meters = move->volume->meters;
    uint32_t from = meters_provider(meters, grant->address, PROVIDER_OTHER);
    int64_t store_ms = volume_now_ms(move->volume);

    grant->domain = 0;
    if (from != METERS_NONE && grant->meters[DECISION_PROVIDER] == from)
        meters_give_back(meters, from, store_ms - (clock_ms(CLOCK_MONOTONIC_COARSE) - grant->at_ms),
                         store_ms);
    grant->meters[DECISION_PROVIDER] = meters_provider(meters, grant->address, move->provider);
    count_at(move, grant->address, 1, store_ms);
    return take_off(move, grant->address);
}

void
volume_move(struct volume *volume, const char *domain, size_t provider, const struct mx_note *notes,
            size_t count)
{
    struct move move = {volume, provider, NULL, count};

    if (volume->meters == NULL)
        return;
    move.notes = mem_array(count, sizeof(*notes));
    memcpy(move.notes, notes, count * sizeof(*notes));
    grants_of_domain(volume->grants, lookup_domain(domain), MOVE_GRANTS, move_grant, &move);
    for (size_t i = 0; i < count; i++)
        count_at(&move, notes[i].address, move.notes[i].count, volume_now_ms(volume));
    free(move.notes);
    volume_flush(volume);
    volume->on_room(volume->arg);
}
