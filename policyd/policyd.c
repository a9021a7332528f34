/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd.h"

#include "engine/roster.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/presence.h"
#include "policyd/control.h"
#include "policyd/explain.h"
#include "policyd/dns.h"
#include "policyd/figures.h"
#include "policyd/mx.h"
#include "policyd/mx_report.h"
#include "policyd/netwatch.h"
#include "policyd/policy_server.h"
#include "policyd/reload.h"
#include "policyd/server.h"
#include "policyd/status.h"
#include "policyd/volume.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum {
    NAMED_MAX = 10,       /* addresses that are named in the log when they come or go */
    CHANGES_LOGGED = 100, /* of a reload; who asked for it is told all of them */
};

/* policyd owns everything here that is not marked. */
struct policyd {
    const struct policyd_start *start; /* not ours */
    struct event_base *base;
    struct conf *conf;
    struct roster *roster;
    struct figures *figures;
    struct volume *volume;
    struct mx *mx; /* whose are the recipient domains? */
    struct netwatch *netwatch;
    struct server *server;        /* NULL: not ready yet */
    struct policy_server *policy; /* NULL: not ready yet, or none is wanted */
    struct control *control;
    struct reload *reload;            /* NULL: none is under way */
    bool reload_again;                /* another was asked for meanwhile */
    struct control_call *reload_call; /* who waits for it; NULL: nobody */
    bool reload_json;                 /* and how the answer is wanted */
    time_t started;
};

static int64_t
mono_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const struct provider *
on_provider(void *arg, const char *domain)
{
    struct policyd *policyd = arg;

    return mx_provider(policyd->mx, domain, mono_ms());
}

static void
on_unknown(void *arg, const char *domain, const struct address *address)
{
    struct policyd *policyd = arg;

    mx_note(policyd->mx, domain, (uint32_t)address->index, 1);
}

static void
on_view(void *arg, struct lookup_view *ret_view)
{
    struct policyd *policyd = arg;

    *ret_view = (struct lookup_view){.conf = policyd->conf, .roster = policyd->roster};
    volume_view(policyd->volume, ret_view);
    if (ret_view->meters != NULL && policyd->conf->snapshot->provider_caps) {
        ret_view->provider = on_provider;
        ret_view->unknown = on_unknown;
        ret_view->arg = policyd;
    }
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

    mx_provider(policyd->mx, domain, mono_ms());
}

static void
on_policy_view(void *arg, struct policy_view *ret_view)
{
    struct policyd *policyd = arg;

    ret_view->conf = policyd->conf;
    ret_view->meters = volume_meters(policyd->volume);
    ret_view->store_ms = volume_now_ms(policyd->volume);
    ret_view->store_up = volume_is_up(policyd->volume);
    if (policyd->conf->snapshot->provider_caps) {
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
    volume_flush(policyd->volume);
}

static void
on_room(void *arg)
{
    struct policyd *policyd = arg;

    if (policyd->server != NULL)
        server_retry(policyd->server);
    policy_server_resume(policyd->policy);
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

static void start_reload(struct policyd *policyd, struct control_call *call, bool json);

static bool
differs(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") != 0;
}

/* Sockets are made at the start only. */
static void
warn_of_restart(const struct conf *before, const struct conf *after)
{
    if (strcmp(before->lookup, after->lookup) != 0 ||
        strcmp(before->control, after->control) != 0 || differs(before->policy, after->policy) ||
        strcmp(before->listen_owner, after->listen_owner) != 0 ||
        strcmp(before->listen_group, after->listen_group) != 0 ||
        before->listen_mode != after->listen_mode || before->store_type != after->store_type ||
        strcmp(before->store_path, after->store_path) != 0 ||
        strcmp(before->store_url, after->store_url) != 0 ||
        strcmp(before->store_prefix, after->store_prefix) != 0 ||
        strcmp(before->store_master, after->store_master) != 0 ||
        before->store_durable != after->store_durable ||
        before->store_node_timeout_ms != after->store_node_timeout_ms || strcmp(before->user, after->user) != 0 ||
        strcmp(before->group, after->group) != 0 || before->watchdog_ms != after->watchdog_ms)
        log_warn("listen, store, user, group and watchdog take effect at the next restart");
}

/* What a reload brought, for the log and for who asked. */
struct report {
    struct buf lines; /* to read: "taken over" or "refused", then a line for each thing */
    struct buf text;  /* JSON */
    size_t changes;
    struct json json;
};

static void
report_line(struct report *report, const char *line)
{
    buf_printf(&report->lines, "%s\n", line);
    json_text(&report->json, NULL, line);
}

static void
on_change(void *arg, const char *line)
{
    struct report *report = arg;

    if (report->changes++ < CHANGES_LOGGED)
        log_info("reload: %s", line);
    report_line(report, line);
}

static void
report_problems(struct report *report, const struct conf_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (problems->items[i].warning)
            log_warn("%s", problems->items[i].text);
        else
            log_error("%s", problems->items[i].text);
        report_line(report, problems->items[i].text);
    }
}

static struct dns_start
dns_start_of(const struct conf *conf)
{
    return (struct dns_start){conf->dns_servers, conf->dns_server_count, conf->dns_timeout_ms};
}

static void
take_over(struct policyd *policyd, struct conf *conf, struct roster *roster)
{
    struct figures *figures = figures_new(conf->snapshot, policyd->figures);
    struct dns_start dns = dns_start_of(conf);
    struct err err;

    warn_of_restart(policyd->conf, conf);
    if (volume_set_conf(policyd->volume, conf, &err) < 0)
        log_error("%s -- what is capped has no room until this works", err.msg);
    mx_set_snapshot(policyd->mx, conf->snapshot);
    mx_set_dns(policyd->mx, &dns);
    roster_free(policyd->roster);
    figures_free(policyd->figures);
    reload_let_go(policyd->conf);
    policyd->conf = conf;
    policyd->roster = roster;
    policyd->figures = figures;
    if (policyd->server != NULL)
        server_set_clients(policyd->server, (size_t)conf->clients);
    policy_server_set_clients(policyd->policy, (size_t)conf->clients);
    policy_server_forget(policyd->policy);
}

static void
report_send(struct policyd *policyd, struct report *report)
{
    if (policyd->reload_call != NULL)
        control_answer(policyd->reload_call,
                       buf_text(policyd->reload_json ? &report->text : &report->lines));
    policyd->reload_call = NULL;
    buf_clear(&report->lines);
    buf_clear(&report->text);
}

static void
on_reloaded(void *arg, struct conf *conf, struct roster *roster,
            const struct conf_problems *problems)
{
    struct policyd *policyd = arg;
    struct report report = {.json.out = &report.text};
    bool taken = conf != NULL && conf->secret_known && roster != NULL;

    policyd->reload = NULL;
    buf_puts(&report.lines, taken ? "taken over\n" : "refused, the running configuration stays\n");
    json_open(&report.json, NULL, '{');
    json_bool(&report.json, "taken", taken);
    json_open(&report.json, "problems", '[');
    report_problems(&report, problems);
    json_close(&report.json, ']');
    json_open(&report.json, "changes", '[');
    if (taken) {
        size_t changes = conf_diff(policyd->conf, conf, on_change, &report);

        take_over(policyd, conf, roster);
        log_info("reload: configuration taken over changes=%zu", changes);
    } else {
        roster_free(roster);
        conf_unref(conf);
        log_error("reload: configuration refused -- the running one stays");
    }
    json_close(&report.json, ']');
    json_close(&report.json, '}');
    report_send(policyd, &report);
    if (policyd->reload_again) {
        policyd->reload_again = false;
        start_reload(policyd, NULL, false);
    }
}

static void
start_reload(struct policyd *policyd, struct control_call *call, bool json)
{
    if (policyd->reload != NULL) {
        policyd->reload_again = true;
        if (call != NULL)
            control_answer(call, "error: a reload is under way; another follows it");
        return;
    }
    policyd->reload_call = call;
    policyd->reload_json = json;
    policyd->reload = reload_start(policyd->base, policyd->conf->file, on_reloaded, policyd);
    if (policyd->reload != NULL)
        return;
    log_error("reload: no thread to load it in -- the running configuration stays");
    if (call != NULL)
        control_answer(call, "error: no thread to load it in");
    policyd->reload_call = NULL;
}

static void
answer_status(struct policyd *policyd, struct control_call *call, bool json)
{
    static const struct server_figures none;
    struct status status = {policyd->conf,
                            policyd->roster,
                            policyd->figures,
                            policyd->server != NULL ? server_figures(policyd->server) : &none,
                            policyd->policy,
                            policyd->volume,
                            policyd->started,
                            policyd->mx};
    char *text = json ? status_json(&status) : status_text(&status);

    control_answer(call, text);
    free(text);
}

/* question is "DOMAIN" or "DOMAIN json". */
static void
answer_mx(struct policyd *policyd, struct control_call *call, const char *question)
{
    size_t length = strcspn(question, " ");
    bool json = strcmp(question + length, " json") == 0;
    char *domain, *text;

    if (length == 0 || (!json && question[length] != '\0')) {
        control_answer(call, "error: a domain is needed behind mx, and nothing else but json");
        return;
    }
    domain = mem_strndup(question, length);
    text = (json ? mx_report_json : mx_report_text)(policyd->mx, domain, mono_ms());
    control_answer(call, text);
    free(text);
    free(domain);
}

static void
answer_nodes(struct policyd *policyd, struct control_call *call, bool json)
{
    struct buf text = {0};
    struct json out = {.out = &text};
    bool known;

    if (json)
        json_open(&out, NULL, '{');
    known = volume_nodes(policyd->volume, json ? NULL : &text, json ? &out : NULL);
    if (json)
        json_close(&out, '}');
    control_answer(call, known ? buf_text(&text) : "error: nothing has caps, so there is no store");
    buf_clear(&text);
}

static void
on_forgotten(void *arg, int r, const char *why)
{
    struct control_call *call = arg;
    char *text = r < 0 ? mem_printf("error: %s", why) : mem_strdup("forgotten");

    control_answer(call, text);
    free(text);
}

static void
forget_node(struct policyd *policyd, struct control_call *call, const char *node)
{
    log_warn("forget: node %s by %s", node, control_user(call));
    if (!volume_forget(policyd->volume, node, on_forgotten, call))
        control_answer(call, "error: nothing has caps, so there is no store");
}

static void
on_ask(void *arg, struct control_call *call, const char *question)
{
    struct policyd *policyd = arg;
    size_t word = strcspn(question, " ");
    bool json = strcmp(question + word, " json") == 0;
    struct buf answer = {0};
    bool known = word == 6 && (json || question[word] == '\0');

    if (known && strncmp(question, "reload", word) == 0) {
        start_reload(policyd, call, json);
    } else if (known && strncmp(question, "status", word) == 0) {
        answer_status(policyd, call, json);
    } else if (volume_question(policyd->volume, question, control_user(call), &answer)) {
        control_answer(call, buf_text(&answer));
    } else if (strncmp(question, "explain ", 8) == 0) {
        struct explain explain = {policyd->roster, policyd->volume, policyd->mx};

        explain_answer(&explain, question + 8, &answer);
        control_answer(call, buf_text(&answer));
    } else if (strcmp(question, "nodes") == 0 || strcmp(question, "nodes json") == 0) {
        answer_nodes(policyd, call, question[5] != '\0');
    } else if (strncmp(question, "forget ", 7) == 0) {
        forget_node(policyd, call, question + 7);
    } else if (strncmp(question, "mx ", 3) == 0) {
        answer_mx(policyd, call, question + 3);
    } else {
        control_answer(call, "error: unknown question; there are status, reload, nodes and mx DOMAIN, "
                             "each also with json, explain, forget, release, reset and settle");
    }
    buf_clear(&answer);
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
    (void)number;
    (void)what;
    start_reload(arg, NULL, false);
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

static int
init(struct policyd *policyd)
{
    const struct snapshot *snapshot = policyd->conf->snapshot;
    bool *present = mem_array(snapshot->address_count, sizeof(*present));
    bool *all = mem_array(snapshot->address_count, sizeof(*all));
    struct dns_start dns = dns_start_of(policyd->conf);
    struct err err;

    memset(all, true, snapshot->address_count * sizeof(*all));
    if (presence_scan(snapshot, present, &err) < 0)
        log_error("%s -- no address is known to be here", err.msg);
    tell_presence(snapshot, all, present);
    policyd->roster = roster_new(snapshot, present);
    policyd->figures = figures_new(snapshot, NULL);
    policyd->mx = mx_new(policyd->base, snapshot, &dns, on_known, policyd);
    free(all);
    free(present);
    return policyd->roster != NULL ? 0 : -ENOMEM;
}

/* The first leases are here, so that the first lookups find them. */
static void
on_ready(void *arg)
{
    struct policyd *policyd = arg;
    const struct snapshot *snapshot = policyd->conf->snapshot;

    policyd->server = server_new(policyd->base, policyd->start->lookup,
                                 (size_t)policyd->conf->clients, on_view, on_answered, policyd);
    if (policyd->start->policy >= 0)
        policyd->policy = policy_server_new(policyd->base, policyd->start->policy,
                                            (size_t)policyd->conf->clients, on_policy_view,
                                            on_policy_answered, policyd);
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
    struct event *events[4] = {0};
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
    /* Signals before sockets: who can reach us can also stop us. */
    events[0] = evsignal_new(policyd.base, SIGTERM, on_end, &policyd);
    events[1] = evsignal_new(policyd.base, SIGINT, on_end, &policyd);
    events[2] = evsignal_new(policyd.base, SIGHUP, on_hangup, &policyd);
    events[3] = event_new(policyd.base, -1, EV_PERSIST, on_beat, &policyd);
    for (int i = 0; i < 3; i++)
        event_add(events[i], NULL);
    event_add(events[3], &beat);
    policyd.netwatch = netwatch_new(policyd.base, on_presence, &policyd);
    policyd.control = control_new(policyd.base, start->control, on_ask, &policyd);
    volume_prepare(policyd.volume, on_ready, &policyd);
    on_beat(-1, 0, &policyd);
    status = event_base_dispatch(policyd.base) < 0 ? 1 : 0;
#ifdef HAVE_LIBSYSTEMD
    if (start->notify)
        sd_notify(0, "STOPPING=1");
#endif
out:
    reload_cancel(policyd.reload);
    control_free(policyd.control);
    server_free(policyd.server);
    policy_server_free(policyd.policy);
    volume_free(policyd.volume);
    netwatch_free(policyd.netwatch);
    mx_free(policyd.mx);
    for (int i = 0; i < 4; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    if (policyd.base != NULL)
        event_base_free(policyd.base);
    figures_free(policyd.figures);
    roster_free(policyd.roster);
    conf_unref(policyd.conf);
    libevent_global_shutdown();
    return status;
}
