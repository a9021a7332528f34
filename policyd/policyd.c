/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd_inside.h"

#include "engine/curbs.h"
#include "engine/date.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/presence.h"
#include "policyd/breakers.h"
#include "policyd/control.h"
#include "policyd/engagements.h"
#include "policyd/feedback.h"
#include "policyd/figures.h"
#include "policyd/history.h"
#include "policyd/hours.h"
#include "policyd/lists.h"
#include "policyd/mx.h"
#include "policyd/netwatch.h"
#include "policyd/pace.h"
#include "policyd/policy_server.h"
#include "policyd/reach.h"
#include "policyd/reload.h"
#include "policyd/server.h"
#include "policyd/slo.h"
#include "policyd/standings.h"
#include "policyd/story.h"
#include "policyd/volume.h"
#include "policyd/wake.h"
#include "policyd/warmups.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum {
    NAMED_MAX = 10, /* addresses that are named in the log when they come or go */
};

int32_t
policyd_today(void)
{
    enum { DAY_S = 24 * 3600 };
    int64_t day = clock_ms(CLOCK_REALTIME_COARSE) / 1000 / DAY_S;

    return day < DATE_MAX ? (int32_t)day : DATE_MAX;
}

static const struct provider *
on_provider(void *arg, const char *domain)
{
    struct policyd *policyd = arg;

    return mx_provider(policyd->mx, domain, clock_ms(CLOCK_MONOTONIC_COARSE));
}

static void
on_unknown(void *arg, const char *domain, const struct address *address)
{
    struct policyd *policyd = arg;

    mx_note(policyd->mx, domain, (uint32_t)address->index, 1);
}

static bool
on_counted(void *arg)
{
    struct policyd *policyd = arg;

    return feedback_counts(policyd->feedback, clock_ms(CLOCK_MONOTONIC_COARSE));
}

static void
on_history(void *arg, const char *message_id, const char *recipient, const char *domain,
           struct lookup_history *ret_history)
{
    struct policyd *policyd = arg;

    (void)domain;
    history_find(policyd->history, policyd->conf, message_id, recipient,
                 clock_ms(CLOCK_MONOTONIC_COARSE), ret_history);
}

static const struct address *
on_refused(void *arg, const char *message_id, const char *recipient)
{
    struct policyd *policyd = arg;
    struct lookup_history found = {0};
    const struct address *last = NULL;

    history_find(policyd->history, policyd->conf, message_id, recipient,
                 clock_ms(CLOCK_MONOTONIC_COARSE), &found);
    for (size_t i = 0; i < LOOKUP_AVOID_MAX && found.avoid[i] != NULL; i++)
        last = found.avoid[i];
    return last;
}

static void
on_outcome(void *arg, const struct outcome *outcome)
{
    struct policyd *policyd = arg;

    history_outcome(policyd->history, outcome, clock_ms(CLOCK_MONOTONIC_COARSE));
}

static void
on_gone(void *arg, const char *queue_id)
{
    struct policyd *policyd = arg;

    history_gone(policyd->history, queue_id);
}

static void
on_unmet(void *arg, int64_t at_ms, struct span stream, unsigned unmet)
{
    struct policyd *policyd = arg;

    (void)at_ms;
    figures_count_unmet(policyd->figures, stream, unmet);
}

static void
on_reported(void *arg, const struct reported *reported)
{
    struct policyd *policyd = arg;

    figures_count_reported(policyd->figures, reported);
}

static int32_t
on_quiet(void *arg, const char *message_id, const char *recipient)
{
    struct policyd *policyd = arg;
    int32_t day = tag_day(policyd->conf->secret, message_id), today = policyd_today();

    if (day != TAG_NO_DAY)
        return hint_quiet(day, today); /* it is newer than the file */
    return engagements_quiet(policyd->engagements, recipient, today);
}

/* Providers have caps, or replies of theirs that accuse an address there. */
static bool
needs_provider(const struct policyd *policyd)
{
    const struct conf *conf = policyd->conf;

    return conf->snapshot->provider_caps || strcmp(conf->feedback_log, "none") != 0 ||
           !curbs_is_empty(policyd->curbs);
}

void
policyd_view(void *arg, struct lookup_view *ret_view)
{
    struct policyd *policyd = arg;

    *ret_view = (struct lookup_view){.conf = policyd->conf,
                                     .roster = policyd->roster,
                                     .curbs = policyd->curbs,
                                     .time_ms = clock_ms(CLOCK_REALTIME_COARSE),
                                     .decided = story_on_decided,
                                     .decided_arg = policyd->story,
                                     .arg = policyd};
    if (policyd->conf->snapshot->has_grades && policyd->standings != NULL) {
        ret_view->grade = standings_grade;
        ret_view->grade_arg = policyd->standings;
    }
    volume_view(policyd->volume, ret_view);
    ret_view->settles = feedback_is_live(policyd->feedback, clock_ms(CLOCK_MONOTONIC_COARSE));
    if (needs_provider(policyd)) {
        ret_view->provider = on_provider;
        ret_view->unknown = on_unknown;
        ret_view->counted = on_counted;
        ret_view->history = on_history;
    }
    if (ret_view->meters != NULL && meters_warm_up(ret_view->meters))
        ret_view->quiet = on_quiet;
}

/* What was counted as "other" belongs to a provider. */
static void
on_known(void *arg, const char *domain, const struct provider *provider,
         const struct mx_note *notes, size_t count)
{
    struct policyd *policyd = arg;

    volume_move(policyd->volume, domain, provider->index, notes, count);
}

/* Asked for when a recipient comes in, so that its provider is known when it leaves. */
static void
on_policy_domain(void *arg, const char *domain)
{
    struct policyd *policyd = arg;

    mx_provider(policyd->mx, domain, clock_ms(CLOCK_MONOTONIC_COARSE));
}

static void
on_policy_view(void *arg, struct policy_view *ret_view)
{
    struct policyd *policyd = arg;

    ret_view->conf = policyd->conf;
    ret_view->meters = volume_meters(policyd->volume);
    ret_view->store_ms = volume_now_ms(policyd->volume);
    ret_view->store_up = volume_is_up(policyd->volume);
    if (needs_provider(policyd)) {
        ret_view->domain = on_policy_domain;
        ret_view->arg = policyd;
    }
}

static void
on_policy_answered(void *arg)
{
    struct policyd *policyd = arg;

    volume_flush(policyd->volume);
}

static void
on_answered(void *arg, const struct lookup_result *result)
{
    struct policyd *policyd = arg;

    figures_count(policyd->figures, result);
    pace_on_answered(policyd->pace, result);
    volume_flush(policyd->volume);
}

static void
on_room(void *arg)
{
    struct policyd *policyd = arg;

    server_retry(policyd->server);
    pace_on_room(policyd->pace);
    policy_server_resume(policyd->policy);
}

static int64_t
on_now(void *arg)
{
    struct policyd *policyd = arg;

    return volume_now_ms(policyd->volume);
}

static void
tell_presence(const struct snapshot *snapshot, const bool *before, const bool *now)
{
    size_t changes = 0;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        char ip[IP_TEXT_SIZE];

        if (before[i] == now[i] || snapshot->addresses[i].elsewhere || changes++ >= NAMED_MAX)
            continue;
        ip_print(&snapshot->addresses[i].ip, ip);
        if (now[i])
            log_info("address %s: this host has %s again", snapshot->addresses[i].name, ip);
        else
            log_warn("address %s: this host does not have %s -- not chosen until it does",
                     snapshot->addresses[i].name, ip);
    }
    if (changes > NAMED_MAX)
        log_warn("%zu more addresses came or went; see postpool status", changes - NAMED_MAX);
}

static void
on_presence(void *arg)
{
    struct policyd *policyd = arg;
    const struct snapshot *snapshot = policyd->conf->snapshot;
    bool *present = mem_array(snapshot->address_count, sizeof(*present));
    struct roster *roster;
    struct err err;

    if (presence_scan(snapshot, present, &err) < 0) {
        log_error("%s -- the addresses known before stay in use", err.msg);
    } else if (memcmp(present, policyd->roster->present,
                      snapshot->address_count * sizeof(*present)) != 0) {
        tell_presence(snapshot, policyd->roster->present, present);
        roster = roster_new(snapshot, present);
        if (roster != NULL) {
            roster_free(policyd->roster);
            policyd->roster = roster;
        }
    }
    free(present);
}

static void
on_end(evutil_socket_t number, short what, void *arg)
{
    struct policyd *policyd = arg;

    (void)what;
    log_info("%s -- ending", strsignal((int)number));
    event_base_loopbreak(policyd->base);
}

static void
on_hangup(evutil_socket_t number, short what, void *arg)
{
    struct policyd *policyd = arg;

    (void)number;
    (void)what;
    if (!policyd->ending)
        policyd_reload(policyd, NULL, false);
}

/* The sign of life, for the guard or for systemd. */
static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
    struct policyd *policyd = arg;

    (void)fd;
    (void)what;
    if (policyd->start->alive_fd >= 0 && write(policyd->start->alive_fd, "", 1) < 0 &&
        errno != EAGAIN) {
        log_error("the guard is gone -- ending");
        event_base_loopbreak(policyd->base);
    }
#ifdef HAVE_LIBSYSTEMD
    if (policyd->start->notify)
        sd_notify(0, "WATCHDOG=1");
#endif
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
    struct policyd *policyd = arg;

    (void)fd;
    (void)what;
    slo_tick(policyd->slo);
}

static void
on_libevent_log(int severity, const char *text)
{
    if (severity >= EVENT_LOG_WARN)
        log_warn("libevent: %s", text);
}

static void
on_libevent_fatal(int why)
{
    log_error("libevent: fatal error %d", why);
    abort();
}

struct dns_start
policyd_dns_start(const struct conf *conf)
{
    return (struct dns_start){conf->dns_servers, conf->dns_server_count, conf->dns_timeout_ms};
}

bool
policyd_keep(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    struct policyd *policyd = arg;

    return volume_put(policyd->volume, key, version, bytes, length);
}

/* What follows from results. */
static void
init_feedback(struct policyd *policyd)
{
    policyd->breakers = breakers_new(&(struct breakers_start){
        .base = policyd->base,
        .conf = policyd->conf,
        .curbs = policyd->curbs,
        .now_ms = on_now,
        .put = policyd_keep,
        .arg = policyd,
    });
    volume_listen(policyd->volume, &(struct volume_listener){breakers_on_put, breakers_on_record,
                                                             policyd->breakers});
    policyd->feedback = feedback_new(&(struct feedback_start){
        policyd->base, policyd->conf, policyd->volume, on_provider, on_refused, policyd});
    feedback_listen(policyd->feedback, &(struct feedback_listener){.on_outcome = story_on_outcome,
                                                                   .on_expired = story_on_outcome,
                                                                   .arg = policyd->story});
    feedback_listen(policyd->feedback, &(struct feedback_listener){.on_outcome = on_outcome,
                                                                   .on_gone = on_gone,
                                                                   .on_unmet = on_unmet,
                                                                   .on_reported = on_reported,
                                                                   .arg = policyd});
    feedback_listen(policyd->feedback,
                    &(struct feedback_listener){.on_outcome = slo_on_outcome, .arg = policyd->slo});
    feedback_listen(
        policyd->feedback,
        &(struct feedback_listener){.on_outcome = breakers_on_outcome, .arg = policyd->breakers});
    policyd_init_warmups(policyd);
    policyd_init_standings(policyd);
    policyd_watch_reach(policyd);
    policyd_init_wake(policyd);
    policyd->hours = hours_new(&(struct hours_start){
        policyd->base, policyd->conf, policyd->feedback, policyd->breakers, policyd->volume});
}

static int
init(struct policyd *policyd)
{
    const struct snapshot *snapshot = policyd->conf->snapshot;
    bool *present = mem_array(snapshot->address_count, sizeof(*present));
    bool *all = mem_array(snapshot->address_count, sizeof(*all));
    struct dns_start dns = policyd_dns_start(policyd->conf);
    uint8_t secret[HASH_KEY_SIZE];
    struct err err;

    if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
        abort(); /* it has no reason to fail */
    policyd->history = history_new(secret);
    memset(all, true, snapshot->address_count * sizeof(*all));
    if (presence_scan(snapshot, present, &err) < 0)
        log_error("%s -- no address is known to be here", err.msg);
    tell_presence(snapshot, all, present);
    policyd->roster = roster_new(snapshot, present);
    policyd->figures = figures_new(snapshot, NULL);
    policyd->curbs = curbs_new(snapshot);
    policyd->story = story_new();
    policyd->slo = slo_new(snapshot);
    policyd->engagements = engagements_new(policyd->base, policyd->conf);
    policyd->mx = mx_new(policyd->base, snapshot, &dns, on_known, policyd);
    free(all);
    free(present);
    return policyd->roster != NULL && policyd->curbs != NULL ? 0 : -ENOMEM;
}

/* The first leases are here, so that the first lookups find them. */
static void
on_ready(void *arg)
{
    struct policyd *policyd = arg;
    const struct snapshot *snapshot = policyd->conf->snapshot;

    policyd->server =
        server_new(policyd->base, policyd->start->lookup, (size_t)policyd->conf->clients,
                   policyd_view, on_answered, policyd);
    if (policyd->start->policy >= 0)
        policyd->policy =
            policy_server_new(policyd->base, policyd->start->policy, (size_t)policyd->conf->clients,
                              on_policy_view, on_policy_answered, policyd);
    policyd_ask_lists(policyd);
    log_info("ready: %zu addresses, %zu pools, %zu streams", snapshot->address_count,
             snapshot->pool_count, snapshot->stream_count);
#ifdef HAVE_LIBSYSTEMD
    if (policyd->start->notify)
        sd_notify(0, "READY=1");
#endif
}

int
policyd_run(const struct policyd_start *start)
{
    struct policyd policyd = {.start = start, .conf = conf_ref(start->conf), .started = time(NULL)};
    struct timeval beat = {(time_t)(start->beat_ms / 1000),
                           (suseconds_t)(start->beat_ms % 1000) * 1000};
    struct timeval second = {1, 0};
    struct event *events[5] = {0};
    struct err err;
    int status = 1;

    event_set_log_callback(on_libevent_log);
    event_set_fatal_callback(on_libevent_fatal);
    signal(SIGPIPE, SIG_IGN);
    policyd.base = event_base_new();
    if (policyd.base == NULL || init(&policyd) < 0)
        goto out;
    if (volume_new(policyd.base, policyd.conf, on_room, &policyd, &policyd.volume, &err) < 0) {
        log_error("%s", err.msg);
        goto out;
    }
    init_feedback(&policyd);
    /* Signals before sockets: who can reach us can also stop us. */
    events[0] = evsignal_new(policyd.base, SIGTERM, on_end, &policyd);
    events[1] = evsignal_new(policyd.base, SIGINT, on_end, &policyd);
    events[2] = evsignal_new(policyd.base, SIGHUP, on_hangup, &policyd);
    events[3] = event_new(policyd.base, -1, EV_PERSIST, on_beat, &policyd);
    events[4] = event_new(policyd.base, -1, EV_PERSIST, on_second, &policyd);
    for (int i = 0; i < 3; i++)
        event_add(events[i], NULL);
    event_add(events[3], &beat);
    event_add(events[4], &second);
    policyd.netwatch = netwatch_new(policyd.base, on_presence, &policyd);
    policyd.control = control_new(policyd.base, start->control, policyd_on_ask, &policyd);
    volume_prepare(policyd.volume, on_ready, &policyd);
    on_beat(-1, 0, &policyd);
    status = event_base_dispatch(policyd.base) < 0 ? 1 : 0;
#ifdef HAVE_LIBSYSTEMD
    if (start->notify)
        sd_notify(0, "STOPPING=1");
#endif
out:
    policyd.ending = true;
    reload_cancel(policyd.reload);
    control_stop(policyd.control);
    server_free(policyd.server);
    policy_server_free(policyd.policy);
    hours_free(policyd.hours);
    feedback_free(policyd.feedback);
    pace_free(policyd.pace);
    policyd.pace = NULL;
    wake_free(policyd.wake);
    history_free(policyd.history);
    engagements_free(policyd.engagements);
    lists_free(policyd.lists);
    reach_free(policyd.reach);
    if (policyd.breakers != NULL)
        breakers_tick(policyd.breakers);
    if (policyd.warmups != NULL)
        warmups_flush(policyd.warmups);
    if (policyd.standings != NULL)
        standings_flush(policyd.standings);
    if (policyd.volume != NULL) /* it goes on for a moment, to hand back what is held */
        volume_end_records(policyd.volume);
    warmups_free(policyd.warmups);
    standings_free(policyd.standings);
    breakers_free(policyd.breakers);
    volume_free(policyd.volume);
    control_free(policyd.control);
    netwatch_free(policyd.netwatch);
    mx_free(policyd.mx);
    for (int i = 0; i < 5; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    if (policyd.base != NULL)
        event_base_free(policyd.base);
    figures_free(policyd.figures);
    roster_free(policyd.roster);
    curbs_free(policyd.curbs);
    story_free(policyd.story);
    slo_free(policyd.slo);
    conf_unref(policyd.conf);
    libevent_global_shutdown();
    return status;
}
