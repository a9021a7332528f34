/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_share_inside.h"

#include "engine/tallies.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/hours_thread.h"
#include "policyd/volume.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_MS = 500,
    COMPARE_MS = 24 * 3600 * 1000, /* so often without a reason */
    HOUR_AHEAD = 2,                /* hours that others may be ahead */
};

/* --------------------------------------------------------- a step at a time */

static void
plan(struct hours_share *share, int64_t ms)
{
    struct timeval time = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

    event_add(share->timer, &time);
}

void
hours_share_next(struct hours_share *share)
{
    share->busy = false;
    plan(share, HOURS_SHARE_STEP_MS);
}

/* Begin anew, a little later: with the question what the store has. */
void
hours_share_fail(struct hours_share *share, const char *why)
{
    if (!share->said && strcmp(why, STORE_HASH_AWAY) != 0) {
        log_warn("figures: not shared: %s -- what was counted here is shown to other hosts when it "
                 "can be",
                 why);
        share->said = true;
    }
    snprintf(share->why, sizeof(share->why), "%s", why);
    hours_take_stop(share);
    hours_page_clear(&share->page);
    share->looked = false;
    share->stamp = -1;
    share->again_ms = clock_ms(CLOCK_MONOTONIC_COARSE) + HOURS_SHARE_AGAIN_MS;
    share->busy = false;
    plan(share, IDLE_MS);
}

void
hours_share_well(struct hours_share *share)
{
    if (share->said)
        log_info("figures: shared again");
    share->said = false;
    share->why[0] = '\0';
}

void
hours_share_call(struct hours_share *share, const struct store_hash *hash, store_hash_fn *done)
{
    share->busy = true;
    if (!volume_hash(share->volume, hash, done, share))
        hours_share_fail(share, STORE_HASH_AWAY);
}

/* ------------------------------------------------------ what the thread does */

static int
on_work(void *arg, struct hours_file *file, struct err *err)
{
    struct share_job *job = arg;

    switch (job->what) {
    case SHARE_ID:
        memcpy(job->id, hours_pages_id(file), sizeof(job->id));
        return 0;
    case SHARE_NEXT:
        job->found = hours_pages_next(file, job->node, job->below, &job->version, &job->page,
                                      &job->left, err);
        return job->found < 0 ? job->found : 0;
    case SHARE_SHOWN:
        return hours_pages_shown(file, &job->version, err);
    case SHARE_COMPARE:
        return hours_pages_compare(file, job->versions, job->count, err);
    case SHARE_WANTED:
        return hours_pages_wanted(file, job->id, job->oldest, job->versions, &job->count, err);
    case SHARE_TAKE:
        return hours_pages_take(file, job->id, &job->version, job->bytes, job->length, &job->odd,
                                err);
    }
    return 0;
}

static void
on_free(void *arg)
{
    struct share_job *job = arg;

    hours_page_clear(&job->page);
    free(job->node);
    free(job->versions);
    free(job->bytes);
    free(job);
}

static void on_done(void *arg, int r, const char *why);

struct share_job *
hours_share_job(struct hours_share *share, enum share_what what)
{
    struct share_job *job = mem_new(sizeof(*job));

    job->share = share;
    job->what = what;
    return job;
}

void
hours_share_hand_over(struct hours_share *share, struct share_job *job)
{
    share->busy = true;
    share->job = job;
    if (hours_thread_ask(share->thread, &(struct hours_ask){on_work, on_done, on_free, job}))
        return;
    share->job = NULL;
    on_free(job);
    hours_share_next(share);
}

/* ---------------------------------------------------------- what the store has */

bool
hours_share_read_number(const char *text, int64_t *ret_number)
{
    char *end;

    *ret_number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *ret_number >= 0;
}

struct hours_version *
hours_share_read_list(const struct store_hash_item *items, size_t count, size_t *ret_count)
{
    struct hours_version *versions = mem_array(count + 1, sizeof(*versions));
    int64_t newest = clock_ms(CLOCK_REALTIME_COARSE) / TALLIES_HOUR_MS + HOUR_AHEAD;
    size_t n = 0;

    for (size_t i = 0; i < count && n < HOURS_LIST_MAX; i++)
        if (hours_share_read_number(items[i].name, &versions[n].hour) &&
            versions[n].hour <= newest &&
            hours_share_read_number(items[i].bytes, &versions[n].version))
            n++;
    *ret_count = n;
    return versions;
}

void
hours_share_ask_list(struct hours_share *share, const char *id, store_hash_fn *done)
{
    char key[HOURS_KEY_SIZE];

    snprintf(key, sizeof(key), HOURS_TOP ":%s", id);
    hours_share_call(share, &(struct store_hash){.what = STORE_HASH_ALL, .key = key}, done);
}

int64_t
hours_share_oldest(const struct hours_share *share)
{
    return (clock_ms(CLOCK_REALTIME_COARSE) - share->conf->figures_keep_ms) / TALLIES_HOUR_MS;
}

static void
on_dropped(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    (void)items;
    (void)count;
    if (why != NULL)
        hours_share_fail(arg, why);
    else
        hours_share_next(arg);
}

void
hours_share_drop(struct hours_share *share, const char *key, const char *field)
{
    hours_share_call(share,
                     &(struct store_hash){.what = STORE_HASH_DROP, .key = key, .field = field},
                     on_dropped);
}

static void
on_top(void *arg, const char *why, const struct store_hash_item *items, size_t count)
{
    struct hours_share *share = arg;
    int64_t own = 0;

    if (why != NULL) {
        hours_share_fail(share, why);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct source *source;
        int64_t stamp;

        if (!hours_pages_is_id(items[i].name, strlen(items[i].name)) ||
            !hours_share_read_number(items[i].bytes, &stamp))
            continue;
        if (strcmp(items[i].name, share->id) == 0) {
            own = stamp;
        } else {
            source = hours_take_source(share, items[i].name);
            if (source != NULL)
                source->there = stamp;
        }
    }
    share->compare = share->compare || own != share->stamp;
    share->stamp = own;
    share->looked = true;
    share->looked_ms = clock_ms(CLOCK_REALTIME_COARSE);
    hours_share_next(share);
}

/* ---------------------------------------------------------------- what to do next */

static void
on_done(void *arg, int r, const char *why)
{
    struct share_job *job = arg;
    struct hours_share *share = job->share;

    if (share == NULL)
        return;
    share->job = NULL;
    if (r < 0) {
        hours_share_fail(share, why);
        return;
    }
    share->busy = false;
    switch (job->what) {
    case SHARE_ID:
        memcpy(share->id, job->id, sizeof(share->id));
        break;
    case SHARE_NEXT:
        share->show = job->found > 0;
        share->left = job->found > 0 ? job->left + 1 : 0;
        if (job->found == 0) {
            hours_share_well(share);
            break;
        }
        share->showing = job->version;
        share->below = job->version.hour;
        share->page = job->page;
        job->page = (struct hours_page){0};
        share->merged = 0;
        for (int kind = 0; kind < TALLIES_KINDS; kind++)
            share->merged += (int64_t)share->page.merged[kind];
        hours_show_page(share);
        return;
    case SHARE_SHOWN:
        share->left -= share->left > 0;
        break;
    case SHARE_COMPARE:
        share->compare = false;
        share->compare_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
        share->changed = true;
        share->show_ms = 0;
        break;
    case SHARE_WANTED:
        share->versions = job->versions;
        share->version_count = job->count;
        share->version_next = 0;
        job->versions = NULL;
        break;
    case SHARE_TAKE:
        share->taken += !job->odd;
        share->odd += job->odd;
        share->version_next++;
        break;
    }
    hours_share_next(share);
}

static bool
look(struct hours_share *share, int64_t now_ms)
{
    int64_t every_ms = share->wanted ? HOURS_SHARE_SOON_MS : HOURS_SHARE_LOOK_MS;

    if (share->looked && now_ms < share->look_ms + every_ms)
        return false;
    share->look_ms = now_ms;
    share->wanted = false;
    hours_share_call(share, &(struct store_hash){.what = STORE_HASH_ALL, .key = HOURS_TOP}, on_top);
    return true;
}

static void
step(struct hours_share *share)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);

    if (now_ms < share->again_ms || !volume_has_hashes(share->volume))
        return;
    if (share->id[0] == '\0') {
        hours_share_hand_over(share, hours_share_job(share, SHARE_ID));
        return;
    }
    if (share->generation != volume_generation(share->volume) ||
        now_ms > share->compare_ms + COMPARE_MS) {
        share->generation = volume_generation(share->volume);
        share->compare_ms = now_ms;
        share->compare = true;
        share->looked = false;
    }
    if (look(share, now_ms))
        return;
    if (share->compare) {
        hours_show_compare(share);
        return;
    }
    if (share->stale_count > 0) {
        hours_show_drop_stale(share);
        return;
    }
    share->turn = !share->turn;
    if (share->turn && hours_show_next(share, now_ms))
        return;
    if (hours_take_next(share))
        return;
    share->as_of_ms = share->looked_ms;
    if (!share->turn)
        hours_show_next(share, now_ms);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct hours_share *share = arg;

    (void)fd;
    (void)what;
    if (share->busy)
        return;
    step(share);
    if (!share->busy)
        plan(share, IDLE_MS);
}

/* ------------------------------------------------------------ begin and end */

struct hours_share *
hours_share_new(struct event_base *base, struct conf *conf, struct volume *volume,
                struct hours_thread *thread)
{
    struct hours_share *share = mem_new(sizeof(*share));

    share->base = base;
    share->conf = conf;
    share->volume = volume;
    share->thread = thread;
    share->stamp = -1;
    share->changed = true;
    share->timer = mem_must(evtimer_new(base, on_timer, share));
    plan(share, HOURS_SHARE_STEP_MS);
    return share;
}

void
hours_share_free(struct hours_share *share)
{
    if (share == NULL)
        return;
    volume_hash_forget(share->volume);
    if (share->job != NULL)
        share->job->share = NULL;
    hours_take_stop(share);
    hours_page_clear(&share->page);
    event_free(share->timer);
    free(share->sources);
    free(share->stale);
    free(share);
}

void
hours_share_set_conf(struct hours_share *share, struct conf *conf)
{
    share->conf = conf;
}

void
hours_share_changed(struct hours_share *share)
{
    share->changed = true;
}

void
hours_share_want(struct hours_share *share)
{
    share->wanted = true;
}

/* -------------------------------------------------------------------- asked */

struct hours_shared
hours_share_state(const struct hours_share *share)
{
    if (share == NULL || !volume_has_hashes(share->volume))
        return (struct hours_shared){0};
    return (struct hours_shared){.shared = true,
                                 .current = share->looked && volume_is_up(share->volume),
                                 .as_of_ms = share->as_of_ms,
                                 .away = !volume_is_up(share->volume)};
}

void
hours_share_status(const struct hours_share *share, struct buf *text, struct json *json)
{
    struct hours_shared state = hours_share_state(share);
    int64_t ago_ms = clock_ms(CLOCK_REALTIME_COARSE) - state.as_of_ms;

    if (!state.shared)
        return;
    if (text != NULL) {
        buf_printf(text, "figures: shared with other hosts (%zu known)", share->source_count);
        if (state.as_of_ms > 0)
            buf_printf(text, ", theirs are as of %" PRId64 " s ago", ago_ms / 1000);
        if (share->left > 0)
            buf_printf(text, "; %" PRId64 " hours wait to be shown", share->left);
        if (share->merged > 0)
            buf_printf(text, "; %" PRId64 " rows of the last page were too many, and are one",
                       share->merged);
        if (share->odd > 0)
            buf_printf(text, "; %" PRIu64 " pages of others could not be read", share->odd);
        if (share->why[0] != '\0')
            buf_printf(text, "; NOT SHARED now: %s", share->why);
        buf_puts(text, "\n");
    }
    if (json == NULL)
        return;
    json_open(json, "shared", '{');
    json_number(json, "others", (long long)share->source_count);
    json_number(json, "as_of_ms_ago", state.as_of_ms > 0 ? ago_ms : -1);
    json_number(json, "left", share->left);
    json_number(json, "merged", share->merged);
    json_number(json, "shown", (long long)share->shown);
    json_number(json, "taken", (long long)share->taken);
    json_number(json, "odd", (long long)share->odd);
    json_text(json, "trouble", share->why[0] != '\0' ? share->why : NULL);
    json_close(json, '}');
}
