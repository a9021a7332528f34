/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/wake.h"

#include "engine/bucket.h"
#include "engine/recall.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policyd/outage.h"
#include "policyd/postqueue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BURST_PART = 10, /* that part of a second's messages may be woken at once */
    SPANS = 6,       /* of a minute, for the figure */
    SPAN_MS = 10 * 1000,
};

struct wake {
    struct event_base *base;     /* not ours */
    struct postqueue *postqueue; /* NULL: nothing is woken */
    char *command;               /* what postqueue was made with */
    char *config_directory;
    int processes;
    int64_t timeout_ms;
    int per_second;
    struct bucket bucket;
    struct recall *recall;
    struct outage outage;
    int64_t probe_ms; /* while it fails: not before */
    uint64_t woken, again, failed;
    int64_t span;          /* number of the one under way */
    uint32_t spans[SPANS]; /* how many were woken in each; by number % SPANS */
};

static bool
is_failing(const struct wake *wake)
{
    return wake->outage.failures > 0;
}

static void
on_done(void *arg, int r, const char *why)
{
    struct wake *wake = arg;
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);

    if (r == 0) {
        outage_end(&wake->outage, now_ms);
        return;
    }
    wake->failed++;
    wake->probe_ms = now_ms + WAKE_PROBE_MS;
    outage_fail(&wake->outage, now_ms, why);
}

static bool
same(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static void
stop(struct wake *wake)
{
    postqueue_free(wake->postqueue);
    free(wake->command);
    free(wake->config_directory);
    wake->postqueue = NULL;
    wake->command = wake->config_directory = NULL;
}

void
wake_set_conf(struct wake *wake, const struct conf *conf)
{
    const char *directory = conf->wake_config_directory;
    bool on = conf->wake_rate > 0 && strcmp(conf->feedback_log, "none") != 0;

    wake->per_second = conf->wake_rate;
    if (wake->postqueue != NULL && on && same(wake->command, conf->wake_postqueue) &&
        same(wake->config_directory, directory) && wake->processes == conf->wake_processes &&
        wake->timeout_ms == conf->wake_timeout_ms)
        return;
    stop(wake);
    if (!on)
        return;
    wake->outage.failures = 0;
    wake->outage.said = false;
    wake->command = mem_strdup(conf->wake_postqueue);
    wake->config_directory = directory != NULL ? mem_strdup(directory) : NULL;
    wake->processes = conf->wake_processes;
    wake->timeout_ms = conf->wake_timeout_ms;
    wake->postqueue = postqueue_new(&(struct postqueue_start){
        .base = wake->base,
        .command = wake->command,
        .config_directory = wake->config_directory,
        .processes = wake->processes,
        .timeout_ms = wake->timeout_ms,
        .done = on_done,
        .arg = wake,
    });
}

struct wake *
wake_new(struct event_base *base, const struct conf *conf)
{
    struct wake *wake = mem_new(sizeof(*wake));

    wake->base = base;
    wake->recall = mem_must(recall_new());
    wake->outage.what = "wake: postqueue";
    wake->outage.consequence = "deferred mail comes at Postfix' own pace until it works";
    wake_set_conf(wake, conf);
    return wake;
}

void
wake_free(struct wake *wake)
{
    if (wake == NULL)
        return;
    stop(wake);
    recall_free(wake->recall);
    free(wake);
}

bool
wake_is_on(const struct wake *wake)
{
    return wake->postqueue != NULL;
}

static int
burst(const struct wake *wake)
{
    return wake->per_second > BURST_PART ? wake->per_second / BURST_PART : 1;
}

int64_t
wake_ready_ms(const struct wake *wake, int64_t now_ms)
{
    int64_t when_ms;

    if (wake->postqueue == NULL)
        return INT64_MAX;
    when_ms = bucket_when_ms(&wake->bucket, wake->per_second, burst(wake), now_ms);
    if (is_failing(wake) && wake->probe_ms > when_ms)
        when_ms = wake->probe_ms;
    if (postqueue_under_way(wake->postqueue) >= POSTQUEUE_MOST && when_ms <= now_ms)
        when_ms = now_ms + 1000 / BURST_PART;
    return when_ms;
}

int64_t
wake_when_ms(const struct wake *wake, const char *queue_id, int64_t now_ms)
{
    return recall_when_ms(wake->recall, queue_id, now_ms);
}

/* Forget what is older than a minute. */
static void
turn(struct wake *wake, int64_t now_ms)
{
    int64_t span = now_ms / SPAN_MS;

    for (int i = 0; i < SPANS && wake->span < span; i++)
        wake->spans[++wake->span % SPANS] = 0;
    wake->span = span;
}

static bool
run(struct wake *wake, const char *queue_id, int64_t now_ms)
{
    if (wake_ready_ms(wake, now_ms) > now_ms || !postqueue_run(wake->postqueue, queue_id))
        return false;
    bucket_take(&wake->bucket, wake->per_second, burst(wake), now_ms);
    wake->probe_ms = now_ms + WAKE_PROBE_MS;
    return true;
}

bool
wake_queue(struct wake *wake, const char *queue_id, int64_t now_ms)
{
    if (wake_when_ms(wake, queue_id, now_ms) > now_ms || !run(wake, queue_id, now_ms))
        return false;
    recall_note(wake->recall, queue_id, now_ms);
    turn(wake, now_ms);
    wake->spans[wake->span % SPANS]++;
    wake->woken++;
    return true;
}

bool
wake_queue_again(struct wake *wake, const char *queue_id, int64_t now_ms)
{
    bool was_run = run(wake, queue_id, now_ms);

    wake->again += was_run;
    return was_run;
}

void
wake_helped(struct wake *wake, const char *queue_id)
{
    recall_helped(wake->recall, queue_id);
}

void
wake_hold(struct wake *wake, const char *queue_id, int64_t until_ms, int64_t now_ms)
{
    recall_hold(wake->recall, queue_id, until_ms, now_ms);
}

void
wake_status(struct wake *wake, struct buf *text, struct json *json)
{
    uint32_t minute = 0;

    if (wake->postqueue == NULL)
        return;
    turn(wake, clock_ms(CLOCK_MONOTONIC_COARSE));
    for (int i = 0; i < SPANS; i++)
        minute += wake->spans[i];
    if (text != NULL)
        buf_printf(text,
                   "waking: %" PRIu64 " messages were woken, %" PRIu32
                   " of them in the last minute (at most %d a second); postqueue %s, %" PRIu64
                   " failures\n",
                   wake->woken, minute, wake->per_second, is_failing(wake) ? "FAILS" : "works",
                   wake->failed);
    if (json == NULL)
        return;
    json_number(json, "woken", (long long)wake->woken);
    json_number(json, "again", (long long)wake->again);
    json_number(json, "last_minute", minute);
    json_number(json, "per_second", wake->per_second);
    json_number(json, "under_way", (long long)postqueue_under_way(wake->postqueue));
    json_number(json, "failures", (long long)wake->failed);
    json_bool(json, "fails", is_failing(wake));
}
