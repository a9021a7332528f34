/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/deferrals.h"

#include "engine/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16384, TEXTS = 8 };

/* In a ring by time, and in a chain by queue id. */
struct place {
    struct deferral deferral;
    char *texts; /* owned; NULL: the place is free */
    uint32_t next;
};

struct deferrals {
    struct place places[DEFERRALS_MAX + 1]; /* 0 is none */
    uint32_t chains[SLOTS];
    uint32_t newest;
};

struct deferrals *
deferrals_new(void)
{
    return calloc(1, sizeof(struct deferrals));
}

void
deferrals_free(struct deferrals *deferrals)
{
    if (deferrals == NULL)
        return;
    for (size_t i = 1; i <= DEFERRALS_MAX; i++)
        free(deferrals->places[i].texts);
    free(deferrals);
}

/* What names the place of that queue id, or the end of its chain. */
static uint32_t *
find(struct deferrals *deferrals, const char *queue_id)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool deferrs";
    uint32_t *link = &deferrals->chains[hash_sip(key, queue_id, strlen(queue_id)) % SLOTS];

    while (*link != 0 && strcmp(deferrals->places[*link].deferral.queue_id, queue_id) != 0)
        link = &deferrals->places[*link].next;
    return link;
}

static void
drop(struct deferrals *deferrals, uint32_t *link)
{
    struct place *place = &deferrals->places[*link];

    *link = place->next;
    free(place->texts);
    *place = (struct place){0};
}

void
deferrals_forget(struct deferrals *deferrals, const char *queue_id)
{
    uint32_t *link = find(deferrals, queue_id);

    if (*link != 0)
        drop(deferrals, link);
}

/* The texts of a deferral, for a loop over all of them. */
static const char **
text_at(struct deferral *deferral, size_t i)
{
    const char **texts[TEXTS] = {&deferral->queue_id,  &deferral->message_id, &deferral->account,
                                 &deferral->recipient, &deferral->domain,     &deferral->stream,
                                 &deferral->address,   &deferral->provider};

    return texts[i];
}

static char *
copy_texts(struct deferral *deferral)
{
    size_t size = 0;
    char *texts, *end;

    for (size_t i = 0; i < TEXTS; i++)
        size += strlen(*text_at(deferral, i)) + 1;
    end = texts = malloc(size);
    for (size_t i = 0; texts != NULL && i < TEXTS; i++) {
        const char **text = text_at(deferral, i);
        size_t length = strlen(*text) + 1;

        *text = memcpy(end, *text, length);
        end += length;
    }
    return texts;
}

void
deferrals_note(struct deferrals *deferrals, const struct deferral *what)
{
    struct place *place;
    uint32_t number;

    deferrals_forget(deferrals, what->queue_id);
    number = deferrals->newest % DEFERRALS_MAX + 1;
    place = &deferrals->places[number];
    if (place->texts != NULL)
        deferrals_forget(deferrals, place->deferral.queue_id);
    place->deferral = *what;
    place->texts = copy_texts(&place->deferral);
    if (place->texts == NULL)
        return; /* no memory: it comes at Postfix' own pace */
    *find(deferrals, place->deferral.queue_id) = number;
    deferrals->newest = number;
}

static bool
is_of(const struct deferral *deferral, const char *address, const char *provider,
      const char *domain)
{
    return strcmp(deferral->address, address) == 0 &&
           (provider == NULL || strcmp(deferral->provider, provider) == 0) &&
           (domain == NULL || strcmp(deferral->domain, domain) == 0);
}

void
deferrals_take(struct deferrals *deferrals, const char *address, const char *provider,
               const char *domain, int64_t since_ms,
               void (*each)(void *arg, const struct deferral *deferral), void *arg)
{
    for (uint32_t i = 0; i < DEFERRALS_MAX; i++) {
        uint32_t number = (deferrals->newest + DEFERRALS_MAX - 1 - i) % DEFERRALS_MAX + 1;
        struct place *place = &deferrals->places[number];

        if (place->texts == NULL || place->deferral.at_ms < since_ms ||
            !is_of(&place->deferral, address, provider, domain))
            continue;
        each(arg, &place->deferral);
        drop(deferrals, find(deferrals, place->deferral.queue_id));
    }
}
