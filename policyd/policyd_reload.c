/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/policyd_inside.h"

#include "engine/curbs.h"
#include "engine/roster.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/breakers.h"
#include "policyd/control.h"
#include "policyd/engagements.h"
#include "policyd/feedback.h"
#include "policyd/figures.h"
#include "policyd/hours.h"
#include "policyd/mx.h"
#include "policyd/pace.h"
#include "policyd/policy_server.h"
#include "policyd/reload.h"
#include "policyd/server.h"
#include "policyd/slo.h"
#include "policyd/standings.h"
#include "policyd/volume.h"
#include "policyd/wake.h"
#include "policyd/warmups.h"

#include <stdlib.h>
#include <string.h>

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
        before->store_node_timeout_ms != after->store_node_timeout_ms ||
        strcmp(before->figures_path, after->figures_path) != 0 ||
        strcmp(before->user, after->user) != 0 || strcmp(before->group, after->group) != 0 ||
        before->watchdog_ms != after->watchdog_ms)
        log_warn("listen, store, figures.path, user, group and watchdog take effect at the next "
                 "restart");
}

/* What a reload brought, for the log and for who asked. */
struct report {
    struct buf lines; /* to read: "taken over" or "refused", then a line for each thing */
    struct buf text;  /* JSON */
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

    json_text(&report->json, NULL, line);
}

/* To be read: not all of them, where there are hundreds. */
static void
on_told(void *arg, const char *line)
{
    struct report *report = arg;

    log_info("reload: %s", line);
    buf_printf(&report->lines, "%s\n", line);
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

static void
take_over(struct policyd *policyd, struct conf *conf, struct roster *roster)
{
    struct figures *figures = figures_new(conf->snapshot, policyd->figures);
    struct dns_start dns = policyd_dns_start(conf);
    struct err err;

    warn_of_restart(policyd->conf, conf);
    if (volume_set_conf(policyd->volume, conf, &err) < 0)
        log_error("%s -- what is capped has no room until this works, and no suspension is kept",
                  err.msg);
    if (!curbs_set_snapshot(policyd->curbs, conf->snapshot))
        abort(); /* no memory: the guard starts anew */
    breakers_set_conf(policyd->breakers, conf, policyd->curbs);
    warmups_set_conf(policyd->warmups, conf);
    standings_set_conf(policyd->standings, conf);
    engagements_set_conf(policyd->engagements, conf);
    feedback_set_conf(policyd->feedback, conf);
    hours_set_conf(policyd->hours, conf);
    wake_set_conf(policyd->wake, conf);
    pace_set_conf(policyd->pace, conf);
    slo_set_snapshot(policyd->slo, conf->snapshot);
    mx_set_snapshot(policyd->mx, conf->snapshot);
    mx_set_dns(policyd->mx, &dns);
    policyd_causes_set_conf(policyd, conf);
    roster_free(policyd->roster);
    figures_free(policyd->figures);
    reload_let_go(policyd->conf);
    policyd->conf = conf;
    policyd->roster = roster;
    policyd->figures = figures;
    server_set_clients(policyd->server, (size_t)conf->clients);
    policy_server_set_clients(policyd->policy, (size_t)conf->clients);
    policy_server_forget(policyd->policy);
}

static void
report_send(struct policyd *policyd, struct report *report)
{
    const struct reload_asks *asks = &policyd->reload_asks;

    for (size_t i = 0; i < asks->count; i++)
        control_answer(asks->calls[i], buf_text(asks->json[i] ? &report->text : &report->lines));
    policyd->reload_asks.count = 0;
    buf_clear(&report->lines);
    buf_clear(&report->text);
}

/* Whoever waits for the next reload waits for this one. */
static void begin(struct policyd *policyd);

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

        conf_diff_short(policyd->conf, conf, on_told, &report);
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
    if (policyd->reload_again)
        begin(policyd);
}

static void
begin(struct policyd *policyd)
{
    struct reload_asks *asks = &policyd->reload_asks;

    policyd->reload_again = false;
    *asks = policyd->reload_next;
    policyd->reload_next.count = 0;
    policyd->reload = reload_start(policyd->base, policyd->conf->file, on_reloaded, policyd);
    if (policyd->reload != NULL)
        return;
    log_error("reload: no thread to load it in -- the running configuration stays");
    for (size_t i = 0; i < asks->count; i++)
        control_answer(asks->calls[i], "error: no thread to load it in");
    asks->count = 0;
}

/* The file may have changed since the one under way read it: another follows. */
void
policyd_reload(struct policyd *policyd, struct control_call *call, bool json)
{
    struct reload_asks *next = &policyd->reload_next;

    policyd->reload_again = true;
    if (call != NULL && next->count == RELOAD_ASKS_MAX) {
        control_answer(call, "error: too many wait for a reload; another follows all the same");
    } else if (call != NULL) {
        next->calls[next->count] = call;
        next->json[next->count++] = json;
    }
    if (policyd->reload == NULL)
        begin(policyd);
}
