/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/status.h"

#include "engine/roster.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/due.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/units.h"
#include "policyd/breakers.h"
#include "policyd/engagements.h"
#include "policyd/feedback.h"
#include "policyd/figures.h"
#include "policyd/hours.h"
#include "policyd/lists.h"
#include "policyd/mx_report.h"
#include "policyd/pace.h"
#include "policyd/peers.h"
#include "policyd/policy_server.h"
#include "policyd/server.h"
#include "policyd/slo.h"
#include "policyd/standings.h"
#include "policyd/volume.h"
#include "policyd/warmups.h"

#include <string.h>
#include <unistd.h>

static void
add_addresses(struct json *json, const struct status *status)
{
    const struct snapshot *snapshot = status->conf->snapshot;

    json_open(json, "addresses", '[');
    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];
        char ip[IP_TEXT_SIZE];

        ip_print(&address->ip, ip);
        json_open(json, NULL, '{');
        json_text(json, "name", address->name);
        json_text(json, "ip", ip);
        json_bool(json, "present", status->roster->present[i]);
        json_number(json, "decisions", (long long)status->figures->by_address[i]);
        json_number(json, "exceeded", (long long)status->figures->exceeded[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* What was not met since the start: null where no log is followed that tells. */
static void
add_unmet(struct json *json, const struct status *status, const struct stream *stream)
{
    if (stream->require == 0)
        return;
    if (strcmp(status->conf->feedback_log, "none") == 0) {
        json_text(json, "unmet", NULL);
        return;
    }
    json_open(json, "unmet", '{');
    for (int i = 0; i < REQUIRE_COUNT; i++)
        if ((stream->require & REQUIRE_BIT(i)) != 0)
            json_number(json, require_name((enum require)i),
                        (long long)status->figures->unmet[stream->index][i]);
    json_close(json, '}');
}

/* How long it is outside its hours. */
static int64_t
opens_in_ms(const struct stream *stream)
{
    int64_t now_ms = clock_ms(CLOCK_REALTIME_COARSE);

    return due_opens_ms(stream, now_ms) - now_ms;
}

static void
add_streams(struct json *json, const struct status *status)
{
    const struct snapshot *snapshot = status->conf->snapshot;

    json_open(json, "streams", '[');
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        int64_t oldest_ms;

        json_open(json, NULL, '{');
        json_text(json, "name", snapshot->streams[i].name);
        json_text(json, "pool", snapshot->streams[i].pool->name);
        json_number(json, "decisions", (long long)status->figures->by_stream[i]);
        json_number(json, "under_way",
                    (long long)volume_under_way(status->volume, &snapshot->streams[i]));
        json_number(json, "waiting",
                    (long long)pace_waiting(status->pace, &snapshot->streams[i], &oldest_ms));
        json_number(json, "oldest_waiting_ms", oldest_ms);
        add_unmet(json, status, &snapshot->streams[i]);
        json_number(json, "complaints", (long long)status->figures->complaints[i]);
        json_number(json, "returned", (long long)status->figures->returned[i]);
        json_number(json, "opens_in_ms", opens_in_ms(&snapshot->streams[i]));
        slo_json(status->slo, &snapshot->streams[i], json);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
add_policy(struct json *json, const struct policy_server *policy)
{
    const struct policy_figures *figures = policy_server_figures(policy);
    const struct peers_figures *clients = policy_server_clients(policy);

    json_open(json, "policy", '{');
    json_number(json, "requests", (long long)clients->requests);
    json_number(json, "clients", (long long)clients->count);
    json_number(json, "asked", (long long)figures->asked);
    json_number(json, "over", (long long)figures->over);
    json_number(json, "unsure", (long long)figures->unsure);
    json_number(json, "waits", (long long)clients->waits);
    json_number(json, "malformed", (long long)clients->malformed);
    json_number(json, "slow", (long long)clients->slow);
    json_number(json, "evicted", (long long)clients->evicted);
    json_close(json, '}');
}

static void
print_policy(struct buf *text, const struct policy_server *policy)
{
    const struct policy_figures *figures = policy_server_figures(policy);
    const struct peers_figures *clients = policy_server_clients(policy);

    buf_printf(text,
               "%llu policy requests, %zu clients; of the site's own mail: %llu asked, %llu over "
               "quota, %llu let in without knowing\n",
               (unsigned long long)clients->requests, clients->count,
               (unsigned long long)figures->asked, (unsigned long long)figures->over,
               (unsigned long long)figures->unsure);
}

char *
status_json(const struct status *status)
{
    struct buf text = {0};
    struct json json = {.out = &text};
    const struct peers_figures *clients = server_clients(status->server);

    json_open(&json, NULL, '{');
    json_text(&json, "version", PACKAGE_VERSION);
    json_text(&json, "node", status->conf->node);
    json_text(&json, "file", status->conf->file);
    json_number(&json, "pid", getpid());
    json_number(&json, "uptime_s", (long long)(time(NULL) - status->started));
    json_number(&json, "lookups", (long long)clients->requests);
    json_number(&json, "clients", (long long)clients->count);
    json_number(&json, "connections", (long long)clients->connections);
    json_number(&json, "malformed", (long long)clients->malformed);
    json_number(&json, "slow", (long long)clients->slow);
    json_number(&json, "evicted", (long long)clients->evicted);
    json_number(&json, "deferred", (long long)status->figures->deferred);
    json_number(&json, "full", (long long)status->figures->full);
    json_number(&json, "busy", (long long)status->figures->busy);
    json_number(&json, "outside_hours", (long long)status->figures->outside);
    json_number(&json, "expired", (long long)status->figures->expired);
    json_number(&json, "waited", (long long)clients->waits);
    json_number(&json, "late", (long long)server_late(status->server));
    mx_report_status_json(&json, status->mx);
    if (status->policy != NULL)
        add_policy(&json, status->policy);
    add_streams(&json, status);
    add_addresses(&json, status);
    feedback_status(status->feedback, NULL, &json);
    hours_status(status->hours, NULL, &json);
    breakers_status(status->breakers, NULL, &json);
    warmups_status(status->warmups, NULL, &json);
    standings_status(status->standings, NULL, &json);
    engagements_status(status->engagements, NULL, &json);
    pace_status(status->pace, NULL, &json);
    lists_status(status->lists, NULL, &json);
    volume_status(status->volume, NULL, &json);
    json_close(&json, '}');
    return buf_take(&text);
}

/* "3 d 04:05:06", without the days when there are none. */
static void
add_span(struct buf *text, long long seconds)
{
    if (seconds >= 86400)
        buf_printf(text, "%lld d ", seconds / 86400);
    buf_printf(text, "%02lld:%02lld:%02lld", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

static int
widest_name(const struct snapshot *snapshot)
{
    size_t width = strlen("address");

    for (size_t i = 0; i < snapshot->address_count; i++)
        if (strlen(snapshot->addresses[i].name) > width)
            width = strlen(snapshot->addresses[i].name);
    for (size_t i = 0; i < snapshot->stream_count; i++)
        if (strlen(snapshot->streams[i].name) > width)
            width = strlen(snapshot->streams[i].name);
    return (int)width;
}

static void
print_streams(struct buf *text, const struct status *status, int width)
{
    const struct snapshot *snapshot = status->conf->snapshot;

    buf_printf(text, "%-*s  %-*s  %12s  %9s  %9s  %s\n", width, "stream", width, "pool",
               "decisions", "under way", "waiting", "since");
    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct stream *stream = &snapshot->streams[i];
        char span[UNITS_SPAN_SIZE];
        int64_t oldest_ms;
        uint64_t waiting = pace_waiting(status->pace, stream, &oldest_ms);

        buf_printf(text, "%-*s  %-*s  %12llu  %9zu  %9llu  %s\n", width, stream->name, width,
                   stream->pool->name, (unsigned long long)status->figures->by_stream[i],
                   volume_under_way(status->volume, stream), (unsigned long long)waiting,
                   waiting > 0 ? units_print_span(oldest_ms, span) : "-");
    }
}

/* "bulk: messages without what it requires: one_click 12, one_from 0" */
static void
print_unmet(struct buf *text, const struct status *status)
{
    const struct snapshot *snapshot = status->conf->snapshot;
    bool known = strcmp(status->conf->feedback_log, "none") != 0;

    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct stream *stream = &snapshot->streams[i];
        const char *comma = "";

        if (stream->require == 0 || !known)
            continue;
        buf_printf(text, "%s: messages without what it requires: ", stream->name);
        for (int j = 0; j < REQUIRE_COUNT; j++) {
            if ((stream->require & REQUIRE_BIT(j)) == 0)
                continue;
            buf_printf(text, "%s%s %llu", comma, require_name((enum require)j),
                       (unsigned long long)status->figures->unmet[i][j]);
            comma = ", ";
        }
        buf_puts(text, "\n");
    }
    if (snapshot->require != 0 && !known)
        buf_puts(text, "what streams require: the milter's log tells; counted with feedback.log\n");
}

/* "bulk: 12 complaints, 3 bounces that came late" */
static void
print_reported(struct buf *text, const struct status *status)
{
    for (size_t i = 0; i < status->conf->snapshot->stream_count; i++) {
        unsigned long long complaints = status->figures->complaints[i];
        unsigned long long returned = status->figures->returned[i];

        if (complaints > 0 || returned > 0)
            buf_printf(text, "%s: %llu complaints, %llu bounces that came late\n",
                       status->conf->snapshot->streams[i].name, complaints, returned);
    }
}

/* What the table has no room for. */
static void
print_closed(struct buf *text, const struct snapshot *snapshot)
{
    int64_t now_ms = clock_ms(CLOCK_REALTIME_COARSE);
    char until[DUE_TEXT_SIZE];

    for (size_t i = 0; i < snapshot->stream_count; i++) {
        const struct stream *stream = &snapshot->streams[i];
        int64_t opens_ms = due_opens_ms(stream, now_ms);

        if (opens_ms > now_ms)
            buf_printf(text, "stream %s is outside its hours until %s\n", stream->name,
                       due_print(stream, opens_ms, until));
    }
}

char *
status_text(const struct status *status)
{
    const struct snapshot *snapshot = status->conf->snapshot;
    const struct peers_figures *clients = server_clients(status->server);
    int width = widest_name(snapshot);
    struct buf text = {0};

    buf_printf(&text, "postpool %s on %s, up ", PACKAGE_VERSION, status->conf->node);
    add_span(&text, (long long)(time(NULL) - status->started));
    buf_printf(&text, ", configuration %s\n", status->conf->file);
    buf_printf(
        &text,
        "%llu lookups, %zu clients; connections ended: %llu malformed, %llu slow, %llu evicted\n",
        (unsigned long long)clients->requests, clients->count,
        (unsigned long long)clients->malformed, (unsigned long long)clients->slow,
        (unsigned long long)clients->evicted);
    if (status->policy != NULL)
        print_policy(&text, status->policy);
    buf_printf(
        &text,
        "%llu decisions found no address and deferred the recipient, %llu of them for want "
        "of room under caps, %llu for enough of their stream being under way, %llu outside its "
        "hours; %llu were past its deadline and returned\n",
        (unsigned long long)status->figures->deferred, (unsigned long long)status->figures->full,
        (unsigned long long)status->figures->busy, (unsigned long long)status->figures->outside,
        (unsigned long long)status->figures->expired);
    mx_report_status_text(&text, status->mx);
    feedback_status(status->feedback, &text, NULL);
    hours_status(status->hours, &text, NULL);
    pace_status(status->pace, &text, NULL);
    breakers_status(status->breakers, &text, NULL);
    warmups_status(status->warmups, &text, NULL);
    standings_status(status->standings, &text, NULL);
    engagements_status(status->engagements, &text, NULL);
    lists_status(status->lists, &text, NULL);
    buf_puts(&text, "\n");
    print_streams(&text, status, width);
    print_unmet(&text, status);
    print_reported(&text, status);
    print_closed(&text, snapshot);
    slo_print(status->slo, &text);
    buf_printf(&text, "\n%-*s  %-39s  %-9s  %12s\n", width, "address", "ip", "here", "decisions");
    for (size_t i = 0; i < snapshot->address_count; i++) {
        char ip[IP_TEXT_SIZE];

        ip_print(&snapshot->addresses[i].ip, ip);
        buf_printf(&text, "%-*s  %-39s  %-9s  %12llu\n", width, snapshot->addresses[i].name, ip,
                   status->roster->present[i] ? "yes" : "NO",
                   (unsigned long long)status->figures->by_address[i]);
    }
    volume_status(status->volume, &text, NULL);
    return buf_take(&text);
}
