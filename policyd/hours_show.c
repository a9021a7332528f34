/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_share_inside.h"

#include "engine/tallies.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t
age_ms(int64_t hour)
{
    return clock_ms(CLOCK_REALTIME_COARSE) - (hour + 1) * TALLIES_HOUR_MS;
}

static void
hand_shown(struct hours_share *share)
{
    struct share_job *job = hours_share_job(share, SHARE_SHOWN);

    job->version = share->showing;
    hours_page_clear(&share->page);
    hours_share_hand_over(share, job);
}

static void
set(struct hours_share *share, const char *key, const char *field, const void *bytes, size_t length,
    store_hash_fn *done)
{
    hours_share_call(share,
                     &(struct store_hash){STORE_HASH_SET, key, field, bytes, length,
                                          share->conf->figures_keep_ms + HOURS_MARGIN_MS},
                     done);
}

/* The stamp is there: the page is shown. */
static void
on_stamped(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    struct hours_share *share = arg;

    (void)items;
    (void)count;
    if (why != NULL) {
        hours_share_fail(share, why);
        return;
    }
    share->shown++;
    hours_share_well(share);
    hand_shown(share);
}

static void
on_listed(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    struct hours_share *share = arg;
    int64_t now_ms = clock_ms(CLOCK_REALTIME);
    char stamp[HOURS_STAMP_SIZE];

    (void)items;
    (void)count;
    if (why != NULL) {
        hours_share_fail(share, why);
        return;
    }
    share->stamp = now_ms > share->stamp ? now_ms : share->stamp + 1;
    snprintf(stamp, sizeof(stamp), "%" PRId64, share->stamp);
    set(share, HOURS_TOP, share->id, stamp, strlen(stamp), on_stamped);
}

static void
on_paged(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    struct hours_share *share = arg;
    char key[HOURS_KEY_SIZE], hour[HOURS_STAMP_SIZE], version[HOURS_STAMP_SIZE];

    (void)items;
    (void)count;
    if (why != NULL) {
        hours_share_fail(share, why);
        return;
    }
    snprintf(key, sizeof(key), HOURS_TOP ":%s", share->id);
    snprintf(hour, sizeof(hour), "%" PRId64, share->showing.hour);
    snprintf(version, sizeof(version), "%" PRId64, share->showing.version);
    set(share, key, hour, version, strlen(version), on_listed);
}

/* The page first, then what tells of it: who sees that finds the page, or a newer one. */
void
hours_show_page(struct hours_share *share)
{
    char key[HOURS_KEY_SIZE];
    int64_t keep_ms = share->conf->figures_keep_ms - age_ms(share->showing.hour);

    if (keep_ms < HOURS_MARGIN_MS) { /* it is about to be removed here, too */
        hand_shown(share);
        return;
    }
    snprintf(key, sizeof(key), HOURS_TOP ":%s:%" PRId64, share->id, share->showing.hour);
    hours_share_call(share,
                     &(struct store_hash){STORE_HASH_SET, key, "page", share->page.text.data,
                                          share->page.text.length, keep_ms},
                     on_paged);
}

static void
on_own_list(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    struct hours_share *share = arg;
    struct share_job *job;

    if (why != NULL) {
        hours_share_fail(share, why);
        return;
    }
    job = hours_share_job(share, SHARE_COMPARE);
    job->versions = hours_share_read_list(items, count, &job->count);
    free(share->stale);
    share->stale = mem_array(job->count + 1, sizeof(*share->stale));
    share->stale_count = 0;
    for (size_t i = 0; i < job->count; i++)
        if (job->versions[i].hour < hours_share_oldest(share) - 1)
            share->stale[share->stale_count++] = job->versions[i];
    hours_share_hand_over(share, job);
}

void
hours_show_compare(struct hours_share *share)
{
    hours_share_ask_list(share, share->id, on_own_list);
}

void
hours_show_drop_stale(struct hours_share *share)
{
    char key[HOURS_KEY_SIZE], hour[HOURS_STAMP_SIZE];

    snprintf(key, sizeof(key), HOURS_TOP ":%s", share->id);
    snprintf(hour, sizeof(hour), "%" PRId64, share->stale[--share->stale_count].hour);
    hours_share_drop(share, key, hour);
}

bool
hours_show_next(struct hours_share *share, int64_t now_ms)
{
    struct share_job *job;

    if (share->changed && now_ms >= share->show_ms) {
        share->changed = false;
        share->show_ms = now_ms + HOURS_SHARE_SHOW_MS;
        share->show = true;
        share->below = INT64_MAX;
    }
    if (!share->show)
        return false;
    job = hours_share_job(share, SHARE_NEXT);
    job->node = mem_strdup(share->conf->node);
    job->below = share->below;
    hours_share_hand_over(share, job);
    return true;
}
