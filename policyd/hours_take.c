/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_share_inside.h"

#include "lib/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
hours_take_stop(struct hours_share *share)
{
    free(share->versions);
    share->versions = NULL;
    share->taking = NULL;
    share->dropping = false;
    share->version_count = share->version_next = 0;
}

static void
on_list(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    struct hours_share *share = arg;
    struct share_job *job;

    if (why != NULL) {
        hours_share_fail(share, why);
        return;
    }
    if (count == 0) { /* that host is gone for as long as hours are kept */
        share->taking->known = share->taking_stamp;
        share->dropping = true;
        hours_share_next(share);
        return;
    }
    job = hours_share_job(share, SHARE_WANTED);
    memcpy(job->id, share->taking->id, sizeof(job->id));
    job->oldest = hours_share_oldest(share);
    job->versions = hours_share_read_list(items, count, &job->count);
    hours_share_hand_over(share, job);
}

static void
on_page(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    struct hours_share *share = arg;
    struct share_job *job;

    if (why != NULL) {
        hours_share_fail(share, why);
        return;
    }
    job = hours_share_job(share, SHARE_TAKE);
    memcpy(job->id, share->taking->id, sizeof(job->id));
    job->version = share->versions[share->version_next];
    if (count > 0 && items[0].length <= HOURS_PAGE_MAX) {
        job->bytes = mem_array(items[0].length + 1, 1);
        memcpy(job->bytes, items[0].bytes, items[0].length);
        job->length = items[0].length;
    }
    hours_share_hand_over(share, job);
}

static void
ask_page(struct hours_share *share)
{
    char key[HOURS_KEY_SIZE];

    snprintf(key, sizeof(key), HOURS_TOP ":%s:%" PRId64, share->taking->id,
             share->versions[share->version_next].hour);
    hours_share_call(
        share, &(struct store_hash){.what = STORE_HASH_GET, .key = key, .field = "page"}, on_page);
}

struct source *
hours_take_source(struct hours_share *share, const char *id)
{
    for (size_t i = 0; i < share->source_count; i++)
        if (strcmp(share->sources[i].id, id) == 0)
            return &share->sources[i];
    if (share->source_count == HOURS_SOURCES_MAX)
        return NULL;
    if (share->sources == NULL)
        share->sources = mem_array(HOURS_SOURCES_MAX, sizeof(*share->sources));
    share->sources[share->source_count] = (struct source){0};
    snprintf(share->sources[share->source_count].id, HOURS_ID_SIZE, "%s", id);
    return &share->sources[share->source_count++];
}

bool
hours_take_next(struct hours_share *share)
{
    if (share->taking != NULL && share->versions != NULL) {
        if (share->version_next < share->version_count) {
            ask_page(share);
            return true;
        }
        share->taking->known = share->taking_stamp;
        hours_take_stop(share);
    }
    if (share->dropping) {
        share->dropping = false;
        hours_share_drop(share, HOURS_TOP, share->taking->id);
        hours_take_stop(share);
        return true;
    }
    for (size_t i = 0; i < share->source_count; i++) {
        struct source *source = &share->sources[i];

        if (source->known == source->there)
            continue;
        share->taking = source;
        share->taking_stamp = source->there;
        hours_share_ask_list(share, source->id, on_list);
        return true;
    }
    return false;
}
