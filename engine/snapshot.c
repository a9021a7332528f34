/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/snapshot.h"

#include "engine/schedule.h"
#include "engine/zone.h"

#include <stdlib.h>
#include <string.h>

void
matches_free(struct match *matches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct match *match = &matches[i];

        for (size_t j = 0; j < match->condition_count; j++) {
            struct condition *condition = &match->conditions[j];

            free(condition->name);
            free(condition->glob);
            if (condition->regex != NULL)
                regfree(condition->regex);
            free(condition->regex);
            free(condition->regex_source);
        }
        free(match->conditions);
    }
    free(matches);
}

static bool
has_warm(const struct pool *pool)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (pool->members[i].address->schedule == NULL)
            return true;
    return false;
}

bool
stream_has_warm(const struct stream *stream)
{
    const struct pool *pool = stream->pool;
    bool warm = has_warm(pool);

    for (size_t i = 0; i < pool->overflow_count && !warm; i++)
        warm = has_warm(pool->overflow[i]);
    return warm;
}

static void
stream_clear(struct stream *stream)
{
    matches_free(stream->matches, stream->match_count);
    free(stream->hours);
    zone_free(stream->zone);
    free(stream->zone_name);
    free(stream->kind);
    free(stream->feedback_id);
    free(stream->name);
}

static void
texts_free(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void
own_schedule_free(struct schedule *schedule)
{
    if (schedule == NULL)
        return;
    free((char *)schedule->name);
    free(schedule);
}

void
snapshot_free(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    for (size_t i = 0; i < snapshot->stream_count; i++)
        stream_clear(&snapshot->streams[i]);
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        free(snapshot->pools[i].name);
        free(snapshot->pools[i].members);
        free(snapshot->pools[i].overflow);
        free(snapshot->pools[i].tls);
    }
    for (size_t i = 0; i < snapshot->address_count; i++) {
        free(snapshot->addresses[i].name);
        free(snapshot->addresses[i].helo);
        free(snapshot->addresses[i].node);
        own_schedule_free(snapshot->addresses[i].own_schedule);
    }
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        free(snapshot->providers[i].name);
        texts_free(snapshot->providers[i].domains, snapshot->providers[i].domain_count);
        texts_free(snapshot->providers[i].mx, snapshot->providers[i].mx_count);
    }
    for (size_t i = 0; i < snapshot->schedule_count; i++)
        free((char *)snapshot->schedules[i].name);
    free(snapshot->schedules);
    free(snapshot->providers);
    free(snapshot->provider_domains);
    free(snapshot->provider_mx);
    free(snapshot->streams);
    free(snapshot->streams_by_name);
    free(snapshot->pools);
    free(snapshot->addresses_by_name);
    free(snapshot->addresses);
    texts_free(snapshot->bypass, snapshot->bypass_count);
    texts_free(snapshot->headers, snapshot->header_count);
    free(snapshot);
}

uint32_t *
snapshot_moves(const struct snapshot *before, const struct snapshot *now)
{
    uint32_t *moves = malloc((before->address_count + 1) * sizeof(*moves));
    size_t i = 0, j = 0;

    while (moves != NULL && i < before->address_count) {
        const struct address *then = before->addresses_by_name[i];
        const struct address *address = j < now->address_count ? now->addresses_by_name[j] : NULL;
        int order = address != NULL ? strcmp(then->name, address->name) : -1;

        if (order <= 0) {
            moves[then->index] = order == 0 ? (uint32_t)address->index : UINT32_MAX;
            i++;
        }
        j += order >= 0;
    }
    return moves;
}

const struct address *
snapshot_find_address(const struct snapshot *snapshot, const char *name)
{
    size_t low = 0, high = snapshot->addresses_by_name != NULL ? snapshot->address_count : 0;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(snapshot->addresses_by_name[middle]->name, name);

        if (order == 0)
            return snapshot->addresses_by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct pool *
snapshot_find_pool(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->pool_count; i++)
        if (strcmp(snapshot->pools[i].name, name) == 0)
            return &snapshot->pools[i];
    return NULL;
}

const struct provider *
snapshot_find_provider(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->provider_count; i++)
        if (strcmp(snapshot->providers[i].name, name) == 0)
            return &snapshot->providers[i];
    return NULL;
}

const struct stream *
snapshot_find_stream(const struct snapshot *snapshot, const char *name, size_t length)
{
    size_t low = 0, high = snapshot->stream_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct stream *stream = snapshot->streams_by_name[middle];
        int order = strncmp(name, stream->name, length);

        if (order == 0 && stream->name[length] == '\0')
            return stream;
        if (order > 0)
            low = middle + 1;
        else
            high = middle; /* also where name is a beginning of the stream's */
    }
    return NULL;
}

static int
compare_text(const void *a, const void *b)
{
    return strcmp(a, *(char *const *)b);
}

bool
snapshot_is_bypass(const struct snapshot *snapshot, const char *domain)
{
    if (snapshot->bypass_count == 0)
        return false;
    while (domain != NULL && *domain != '\0') {
        if (bsearch(domain, snapshot->bypass, snapshot->bypass_count, sizeof(*snapshot->bypass),
                    compare_text) != NULL)
            return true;
        domain = strchr(domain, '.');
        if (domain != NULL)
            domain++;
    }
    return false;
}
