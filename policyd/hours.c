/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours.h"

#include "engine/snapshot.h"
#include "engine/tallies.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/breakers.h"
#include "policyd/control.h"
#include "policyd/feedback.h"
#include "policyd/hours_advice.h"
#include "policyd/hours_count.h"
#include "policyd/hours_report.h"
#include "policyd/hours_share.h"
#include "policyd/hours_thread.h"
#include "policyd/outcome.h"
#include "policyd/reported.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HURRY = TALLIES_MAX / 2,    /* tallies that are handed over at once */
    ADVICE_MS = 10 * 60 * 1000, /* so often what is to be warned of is looked for */
};

enum state {
    OPENING, /* what is kept is not known yet: nothing is counted */
    COUNTING,
    DEAF, /* there was no room for more: what is not kept will be read again */
};

struct hours {
    struct event_base *base;   /* not ours */
    struct conf *conf;         /* not ours */
    struct feedback *feedback; /* not ours */
    struct breakers *breakers; /* not ours; may be NULL */
    struct volume *volume;     /* not ours */
    char *path;
    struct hours_thread *thread; /* NULL: nothing is kept */
    struct hours_share *share;   /* with other hosts; NULL: likewise */
    struct event *timer;
    enum state state;
    struct tallies *tallies; /* since the last batch */
    bool keeping;            /* a batch is with the thread */
    struct place kept_place; /* that was handed over last */
    int64_t kept_ms;         /* CLOCK_MONOTONIC, of the last that was kept; 0: none yet */
    int64_t bytes;
    uint64_t counted, waiting;     /* results since the start; of these not kept, but in memory */
    uint64_t handed;               /* of these with the thread */
    uint64_t gone_back;            /* times that the log was read again */
    int64_t looked_ms, elapsed_ms; /* at what is suspended, and since then; CLOCK_MONOTONIC */
    char *trouble;                 /* NULL: none */
    int64_t advice_ms;             /* when it was asked for last */
    struct hours_advice *advice;   /* NULL: not known yet */
};

/* ----------------------------------------------------------------- counting */

static int64_t
hour_of(const struct hours *hours, int64_t at_ms)
{
    int64_t now_ms = clock_ms(CLOCK_REALTIME_COARSE);

    if (at_ms > now_ms + HOURS_AHEAD_MS || at_ms < now_ms - hours->conf->figures_keep_ms)
        at_ms = now_ms;
    return at_ms / TALLIES_HOUR_MS;
}

/* What is not kept is forgotten, until it is read again. */
static void
go_deaf(struct hours *hours)
{
    if (hours->trouble != NULL)
        log_warn("figures: %" PRIu64 " results wait in memory, there is no room for more -- they "
                 "are read from the log again when the file can be written",
                 hours->waiting);
    tallies_free(hours->tallies);
    hours->tallies = NULL;
    hours->counted -= hours->waiting - hours->handed;
    hours->waiting = hours->handed;
    hours->state = DEAF;
    if (!hours->keeping)
        hours_thread_load(hours->thread);
}

/* Is it ours?  What another transport delivers to this host is not. */
static bool
is_ours(const struct outcome *outcome)
{
    return outcome->blamed != NULL || outcome->tagged || outcome->ours;
}

static void
on_outcome(void *arg, const struct outcome *outcome)
{
    static const struct timeval at_once = {0, 0};
    struct hours *hours = arg;

    if (hours->state != COUNTING || !is_ours(outcome))
        return;
    if (!hours_count_outcome(hours->tallies, hour_of(hours, outcome->at_ms), outcome)) {
        go_deaf(hours);
        return;
    }
    hours->counted++;
    hours->waiting++;
    if (tallies_count(hours->tallies) >= HURRY && !hours->keeping)
        event_add(hours->timer, &at_once);
}

static void
on_reported(void *arg, const struct reported *reported)
{
    struct hours *hours = arg;

    if (hours->state == COUNTING &&
        !hours_count_reported(hours->tallies, hour_of(hours, reported->at_ms), reported))
        go_deaf(hours);
}

static void
on_unmet(void *arg, int64_t at_ms, struct span stream, unsigned unmet)
{
    struct hours *hours = arg;
    const struct stream *of =
        snapshot_find_stream(hours->conf->snapshot, stream.start, stream.length);

    if (hours->state == COUNTING && of != NULL &&
        !hours_count_unmet(hours->tallies, hour_of(hours, at_ms), of, unmet))
        go_deaf(hours);
}

/* An address was suspended in that time (of day): at a provider, or, NULL, as a whole. */
static void
add_suspended(struct tallies *tallies, const struct address *address,
              const struct provider *provider, int64_t from_ms, int64_t to_ms)
{
    const char *const names[TALLIES_NAMES] = {address->name,
                                              provider != NULL ? provider->name : NULL};

    while (from_ms < to_ms) {
        int64_t hour = from_ms / TALLIES_HOUR_MS;
        int64_t end_ms = (hour + 1) * TALLIES_HOUR_MS;
        struct tally *tally = tallies_at(tallies, TALLIES_SUSPENDED, hour, names);

        if (end_ms > to_ms)
            end_ms = to_ms;
        if (tally != NULL)
            tally->counts[0] += (uint64_t)(end_ms - from_ms);
        from_ms = end_ms;
    }
}

static void
on_suspended(void *arg, const struct address *address, const struct provider *provider)
{
    struct hours *hours = arg;
    int64_t now_ms = clock_ms(CLOCK_REALTIME_COARSE);

    add_suspended(hours->tallies, address, provider, now_ms - hours->elapsed_ms, now_ms);
}

/* What is suspended now was so since it was looked at last. */
static void
count_suspended(struct hours *hours)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);

    hours->elapsed_ms = now_ms - hours->looked_ms;
    if (hours->elapsed_ms > HOURS_SUSPENDED_MS)
        hours->elapsed_ms = HOURS_SUSPENDED_MS;
    if (hours->looked_ms > 0 && hours->breakers != NULL && hours->state == COUNTING)
        breakers_each_suspended(hours->breakers, on_suspended, hours);
    hours->looked_ms = now_ms;
}

/* ------------------------------------------------------------------ keeping */

/* Is there anything to be written? */
static bool
is_worth_it(const struct hours *hours, const struct place *place)
{
    int64_t since_ms = clock_ms(CLOCK_MONOTONIC_COARSE) - hours->kept_ms;

    if (place->kind == PLACE_NONE && feedback_path(hours->feedback) != NULL)
        return false; /* the log was not there yet */
    if (tallies_count(hours->tallies) > 0 ||
        queued_change_count(feedback_queued(hours->feedback)) > 0 ||
        (hours->kept_place.kind == PLACE_NONE && place->kind != PLACE_NONE))
        return true;
    return !place_has_reached(&hours->kept_place, place) && since_ms >= HOURS_PLACE_MS;
}

/* Not from inside a listener: the place would be ahead of what is counted. */
static void
keep(struct hours *hours)
{
    struct hours_batch *batch;
    struct place place;

    if (hours->state != COUNTING || hours->keeping)
        return;
    feedback_place(hours->feedback, &place);
    if (!is_worth_it(hours, &place))
        return;
    batch = mem_new(sizeof(*batch));
    batch->tallies = hours->tallies;
    queued_take_changes(feedback_queued(hours->feedback), &batch->queue);
    batch->place = place;
    batch->log =
        feedback_path(hours->feedback) != NULL ? mem_strdup(feedback_path(hours->feedback)) : NULL;
    hours->tallies = mem_must(tallies_new((size_t)hours->conf->figures_accounts));
    hours->kept_place = place;
    hours->keeping = true;
    hours->handed = hours->waiting;
    hours_thread_keep(hours->thread, batch);
}

static void
ask_for_advice(struct hours *hours)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);

    if (hours->state != COUNTING || (hours->advice_ms > 0 && now_ms < hours->advice_ms + ADVICE_MS))
        return;
    hours->advice_ms = now_ms;
    hours_advice_ask(hours->thread, hours->conf, &hours->advice);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval every = {HOURS_KEEP_MS / 1000, HOURS_KEEP_MS % 1000 * 1000};
    struct hours *hours = arg;

    (void)fd;
    (void)what;
    count_suspended(hours);
    keep(hours);
    ask_for_advice(hours);
    event_add(hours->timer, &every);
}

static void
on_kept(void *arg, int64_t bytes)
{
    struct hours *hours = arg;

    hours->keeping = false;
    hours->kept_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    hours->bytes = bytes;
    hours->waiting -= hours->handed;
    hours->handed = 0;
    hours_share_changed(hours->share);
    if (hours->state == DEAF)
        hours_thread_load(hours->thread);
}

/* The log is followed from the place that is kept; or, when none is, from where it is. */
static void
on_loaded(void *arg, struct hours_saved *saved)
{
    struct hours *hours = arg;
    const char *log = feedback_path(hours->feedback);
    bool known = saved->place.kind != PLACE_NONE && log != NULL && saved->log != NULL &&
                 strcmp(log, saved->log) == 0;
    struct queued *over = saved->queued;

    hours->gone_back += hours->state == DEAF;
    hours->kept_place = known ? saved->place : (struct place){.kind = PLACE_NONE};
    if (known || !feedback_is_followed(hours->feedback))
        over = feedback_follow(hours->feedback, known ? &saved->place : NULL, saved->queued);
    else
        queued_track(feedback_queued(hours->feedback));
    hours_thread_drop(hours->thread, over);
    free(saved->log);
    tallies_free(hours->tallies);
    hours->tallies = mem_must(tallies_new((size_t)hours->conf->figures_accounts));
    hours->state = COUNTING;
}

static void
on_trouble(void *arg, const char *why)
{
    struct hours *hours = arg;

    free(hours->trouble);
    hours->trouble = why[0] != '\0' ? mem_strdup(why) : NULL;
    if (hours->trouble == NULL) {
        log_info("figures: %s can be written", hours->path);
        return;
    }
    if (hours->state == OPENING && !feedback_is_followed(hours->feedback))
        queued_free(feedback_follow(hours->feedback, NULL, NULL));
    log_error("figures: %s -- what happens to mail is %s", why,
              hours->state == COUNTING ? "counted in memory until the file can be written"
              : hours->state == DEAF   ? "read from the log again when the file can be written"
                                       : "not counted until it can be used");
}

/* ------------------------------------------------------------ begin and end */

static struct hours_limits
limits_of(const struct conf *conf)
{
    return (struct hours_limits){
        .accounts = conf->figures_accounts,
        .keep_ms = conf->figures_keep_ms,
        .bytes = (int64_t)conf->figures_megabytes * 1024 * 1024,
        .rows = HOURS_ROWS_MAX,
    };
}

/* Is anything to be counted?  Then begin. */
static void
begin(struct hours *hours)
{
    const struct hours_thread_events events = {on_loaded, on_kept, on_trouble, hours};
    struct hours_limits limits = limits_of(hours->conf);

    if (hours->thread != NULL || strcmp(hours->path, "none") == 0 ||
        feedback_path(hours->feedback) == NULL)
        return;
    hours->thread = hours_thread_new(hours->base, hours->path, &limits, &events);
    if (hours->thread == NULL) {
        log_error("figures: no thread to keep them in -- what happens to mail is not counted");
        return;
    }
    hours->share = hours_share_new(hours->base, hours->conf, hours->volume, hours->thread);
    hours_thread_load(hours->thread);
    event_active(hours->timer, EV_TIMEOUT, 0);
}

struct hours *
hours_new(const struct hours_start *start)
{
    struct feedback *feedback = start->feedback;
    struct hours *hours = mem_new(sizeof(*hours));
    bool is_new;

    hours->base = start->base;
    hours->conf = start->conf;
    hours->feedback = feedback;
    hours->breakers = start->breakers;
    hours->volume = start->volume;
    hours->path = mem_strdup(start->conf->figures_path);
    hours->timer = mem_must(evtimer_new(start->base, on_timer, hours));
    feedback_listen(feedback, &(struct feedback_listener){.on_outcome = on_outcome,
                                                          .on_expired = on_outcome,
                                                          .on_reported = on_reported,
                                                          .on_unmet = on_unmet,
                                                          .replays = true,
                                                          .arg = hours});
    is_new = access(hours->path, F_OK) < 0; /* no place is kept that would be waited for */
    begin(hours);
    if (hours->thread == NULL || is_new)
        queued_free(feedback_follow(feedback, NULL, NULL));
    return hours;
}

void
hours_set_conf(struct hours *hours, struct conf *conf)
{
    struct hours_limits limits = limits_of(conf);

    hours->conf = conf;
    if (hours->thread != NULL)
        hours_thread_set_limits(hours->thread, &limits);
    if (hours->share != NULL)
        hours_share_set_conf(hours->share, conf);
    begin(hours);
    hours->advice_ms = 0;
}

void
hours_free(struct hours *hours)
{
    if (hours == NULL)
        return;
    hours->keeping = false; /* one more behind it */
    keep(hours);
    hours_share_free(hours->share);
    hours_thread_free(hours->thread);
    event_free(hours->timer);
    tallies_free(hours->tallies);
    hours_advice_free(hours->advice);
    free(hours->trouble);
    free(hours->path);
    free(hours);
}

/* -------------------------------------------------------------------- asked */

void
hours_report(struct hours *hours, struct control_call *call, const char *question)
{
    struct hours_shared shared;

    if (hours->thread == NULL) {
        control_answer(call, "error: nothing is counted: feedback.log or figures.path is \"none\"");
        return;
    }
    keep(hours); /* so that it is all there */
    hours_share_want(hours->share);
    shared = hours_share_state(hours->share);
    hours_report_ask(hours->thread, hours->conf, &shared, call, question);
}

static void
status_text(const struct hours *hours, struct buf *text)
{
    int64_t since_ms = clock_ms(CLOCK_MONOTONIC_COARSE) - hours->kept_ms;

    buf_printf(text,
               "figures: %s, %" PRId64 " MB; %" PRIu64 " results counted, %" PRIu64
               " of them not written yet",
               hours->path, (hours->bytes + 500000) / 1000000, hours->counted, hours->waiting);
    if (hours->trouble != NULL || hours->state != COUNTING) {
        buf_printf(text, "\nfigures: NOT WRITTEN%s%s", hours->trouble != NULL ? ": " : "",
                   hours->trouble != NULL ? hours->trouble : "");
        if (hours->kept_ms > 0)
            buf_printf(text, "; the last time %" PRId64 " s ago", since_ms / 1000);
        if (hours->state == DEAF)
            buf_puts(text, "; what comes is read again from the log");
        if (hours->state == OPENING)
            buf_puts(text, "; nothing is counted until it can be used");
    }
    buf_puts(text, "\n");
    hours_share_status(hours->share, text, NULL);
    hours_advice_print(hours->advice, text);
}

static const char *
state_text(enum state state)
{
    return state == OPENING ? "opening" : state == COUNTING ? "counting" : "behind";
}

void
hours_status(const struct hours *hours, struct buf *text, struct json *json)
{
    if (hours->thread == NULL)
        return;
    if (text != NULL)
        status_text(hours, text);
    if (json == NULL)
        return;
    json_open(json, "figures", '{');
    json_text(json, "path", hours->path);
    json_text(json, "state", state_text(hours->state));
    json_text(json, "trouble", hours->trouble);
    json_number(json, "bytes", (long long)hours->bytes);
    json_number(json, "counted", (long long)hours->counted);
    json_number(json, "waiting", (long long)hours->waiting);
    json_number(json, "gone_back", (long long)hours->gone_back);
    json_number(json, "written_ms_ago",
                hours->kept_ms > 0 ? (long long)(clock_ms(CLOCK_MONOTONIC_COARSE) - hours->kept_ms)
                                   : -1);
    hours_share_status(hours->share, NULL, json);
    json_close(json, '}');
    hours_advice_json(hours->advice, json);
}
