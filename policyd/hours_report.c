/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_report.h"

#include "engine/tallies.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/replies.h"
#include "lib/units.h"
#include "policyd/control.h"
#include "policyd/hours_advice.h"
#include "policyd/hours_pages.h"
#include "policyd/hours_slo.h"
#include "policyd/hours_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CELL_SIZE = 48, WORD_SIZE = 16 };

int
hours_question_parse(const char *text, struct hours_question *ret_question, struct err *err)
{
    struct hours_question question = {0};
    char by[WORD_SIZE], since[WORD_SIZE], node[HOURS_NAME_SIZE] = "";
    int used = 0, words = sscanf(text, "%15s %15s%n", by, since, &used);
    const char *rest = text + used;

    for (int n = 0; words == 2; n = 0) {
        if (sscanf(rest, " node=%64s%n", node, &n) == 1 && n > 0) {
            rest += n;
            continue;
        }
        n = 0;
        sscanf(rest, " json%n", &n);
        if (n == 0)
            break;
        question.json = true;
        rest += n;
    }
    if (words != 2 || rest[strspn(rest, " ")] != '\0')
        return err_set(err, -EINVAL,
                       "behind report stand what to report by and for how long, such as \"address "
                       "7d\", and nothing else but json and node=NAME");
    if (!hours_by_parse(by, &question.by))
        return err_set(err, -EINVAL,
                       "\"%s\" is nothing to report by, write address, stream, provider, account, "
                       "pool, hour or node",
                       by);
    if (units_parse_duration(since, &question.since_ms, err) < 0)
        return -EINVAL;
    strcpy(question.node, node);
    *ret_question = question;
    return 0;
}

/* ---------------------------------------------------------------- one value */

static void
print_time(int64_t ms, char out[static CELL_SIZE])
{
    time_t s = (time_t)(ms / 1000);
    struct tm local;

    localtime_r(&s, &local);
    strftime(out, CELL_SIZE, "%Y-%m-%d %H:%M", &local);
}

static void
print_name(const struct hours_report *report, const struct hours_sum *sum,
           char out[static CELL_SIZE])
{
    enum hours_by by = report->question.by;

    if (by == HOURS_BY_HOUR)
        print_time(sum->hour * TALLIES_HOUR_MS, out);
    else if (sum->name[0] == '\0')
        strcpy(out, by == HOURS_BY_ACCOUNT ? "<>" : "(none)");
    else if (strcmp(sum->name, TALLIES_OTHERS) == 0)
        strcpy(out, "(others)");
    else
        snprintf(out, CELL_SIZE, "%.*s", CELL_SIZE - 1, sum->name);
}

/* "0.12 s", "4.5 s", "12 min": two digits or so, as it is an estimate. */
static void
print_delay(int64_t ms, char out[static CELL_SIZE])
{
    double s = (double)ms / 1000;

    if (ms < 0)
        strcpy(out, "-");
    else if (s < 1)
        snprintf(out, CELL_SIZE, "%.2f s", s);
    else if (s < 10)
        snprintf(out, CELL_SIZE, "%.1f s", s);
    else if (s < 120)
        snprintf(out, CELL_SIZE, "%.0f s", s);
    else if (s < 120 * 60)
        snprintf(out, CELL_SIZE, "%.0f min", s / 60);
    else if (s < 48 * 3600)
        snprintf(out, CELL_SIZE, "%.0f h", s / 3600);
    else
        snprintf(out, CELL_SIZE, "%.1f d", s / 86400);
}

/* Of what came to its end. */
static double
bounce_share(const struct tally *tally)
{
    uint64_t bounced = tally_bounced(tally), ended = bounced + tally->counts[TALLY_SENT];

    return ended > 0 ? (double)bounced / (double)ended : 0;
}

static const char *
class_text(int class)
{
    return class < ACCUSED_COUNT ? accused_text((enum accused) class) : "unknown";
}

/* ------------------------------------------------------------------ a table */

static bool
has_suspended(const struct hours_report *report)
{
    enum hours_by by = report->question.by;

    return by == HOURS_BY_ADDRESS || by == HOURS_BY_PROVIDER || by == HOURS_BY_HOUR;
}

/* Is there anything of what comes back later? */
static bool
has_reported(const struct hours_report *report)
{
    const uint64_t *counts = report->sums.total.tally.counts;

    return counts[TALLY_COMPLAINTS] > 0 || counts[TALLY_RETURNED] > 0;
}

static void
print_line(const struct hours_report *report, const char *name, int width,
           const struct hours_sum *sum, struct buf *text)
{
    const struct tally *tally = &sum->tally;
    char p50[CELL_SIZE], p95[CELL_SIZE], p99[CELL_SIZE], suspended[UNITS_SPAN_SIZE] = "-";

    print_delay(tally_delay_ms(tally, 50), p50);
    print_delay(tally_delay_ms(tally, 95), p95);
    print_delay(tally_delay_ms(tally, 99), p99);
    if (sum->suspended_ms > 0)
        units_print_span(sum->suspended_ms, suspended);
    buf_printf(text, "%-*s  %10" PRIu64 "  %10" PRIu64 "  %9" PRIu64 "  %6.2f %%  %7" PRIu64, width,
               name, tally->counts[TALLY_SENT], tally_deferred(tally), tally_bounced(tally),
               100 * bounce_share(tally), tally->counts[TALLY_RESCUED]);
    if (has_reported(report))
        buf_printf(text, "  %10" PRIu64 "  %5" PRIu64, tally->counts[TALLY_COMPLAINTS],
                   tally->counts[TALLY_RETURNED]);
    if (has_suspended(report))
        buf_printf(text, "  %9s", suspended);
    buf_printf(text, "  %8s  %8s  %8s\n", p50, p95, p99);
}

/* "bounced: recipient 12, address 1" */
static void
print_classes(const struct tally *tally, const char *what, int first, struct buf *text)
{
    const char *comma = " ";

    buf_printf(text, "%s:", what);
    for (int i = 0; i < TALLY_CLASSES; i++)
        if (tally->counts[first + i] > 0) {
            buf_printf(text, "%s%s %" PRIu64, comma, class_text(i), tally->counts[first + i]);
            comma = ", ";
        }
    buf_puts(text, comma[0] == ' ' ? " none" : "");
}

static int
widest(const struct hours_report *report)
{
    int width = (int)strlen("address");
    char name[CELL_SIZE];

    for (size_t i = 0; i < report->sums.count; i++) {
        print_name(report, &report->sums.items[i], name);
        if ((int)strlen(name) > width)
            width = (int)strlen(name);
    }
    return report->sums.omitted > 0 && width < 12 ? 12 : width;
}

/* Whose figures are they? */
static void
print_hosts(const struct hours_report *report, struct buf *text)
{
    buf_puts(text, "recipients on");
    for (size_t i = 0; i < report->node_count; i++)
        buf_printf(text, "%s %s", i > 0 ? "," : "", report->nodes[i]);
}

/* How far are those of others here? */
static void
print_shared(const struct hours_report *report, struct buf *text)
{
    const struct hours_shared *shared = &report->shared;
    char ago[UNITS_SPAN_SIZE];

    if (!shared->shared)
        return;
    if (shared->as_of_ms == 0)
        buf_puts(text, "what other hosts counted lately is MISSING: it was not to be had from the "
                       "store since the start");
    else
        buf_printf(
            text, "what other hosts counted is as of %s ago%s",
            units_print_span(
                report->to_ms > shared->as_of_ms ? report->to_ms - shared->as_of_ms : 0, ago),
            shared->current ? "" : ", what they counted since then is MISSING");
    if (!shared->current)
        buf_puts(text, shared->away ? ": the store is away" : ": postpool status may tell why");
    buf_puts(text, "\n");
}

/* Was more asked for than there can be? */
static void
print_kept(const struct hours_report *report, struct buf *text)
{
    char kept[UNITS_DURATION_SIZE];

    if (report->kept_ms > 0 && report->question.since_ms > report->kept_ms)
        buf_printf(text, "what is older than %s is not kept (figures.keep)\n",
                   units_print_duration(report->kept_ms, kept));
}

/* Beside what was sent in that time, which they are not all about. */
static void
print_reported(const struct tally *tally, struct buf *text)
{
    uint64_t sent = tally->counts[TALLY_SENT];

    buf_printf(text, "complaints: %" PRIu64, tally->counts[TALLY_COMPLAINTS]);
    if (sent > 0)
        buf_printf(text, ", %.3f %% of what was sent",
                   100.0 * (double)tally->counts[TALLY_COMPLAINTS] / (double)sent);
    buf_printf(text, "; sent, and bounced later: %" PRIu64 "\n", tally->counts[TALLY_RETURNED]);
}

void
hours_report_print(const struct hours_report *report, struct buf *text)
{
    const struct hours_sums *sums = &report->sums;
    int width = widest(report);
    char name[CELL_SIZE], from[CELL_SIZE], to[CELL_SIZE];

    print_time(report->from_ms, from);
    print_time(report->to_ms, to);
    print_hosts(report, text);
    buf_printf(text, " from %s to %s\n", from, to);
    print_shared(report, text);
    print_kept(report, text);
    buf_puts(text, "\n");
    buf_printf(text, "%-*s  %10s  %10s  %9s  %8s  %7s", width, hours_by_text(report->question.by),
               "sent", "deferrals", "bounced", "bounces", "rescued");
    if (has_reported(report))
        buf_printf(text, "  %10s  %5s", "complaints", "later");
    buf_printf(text, has_suspended(report) ? "  %9s" : "%s",
               has_suspended(report) ? "suspended" : "");
    buf_printf(text, "  %8s  %8s  %8s\n", "p50", "p95", "p99");
    for (size_t i = 0; i < sums->count; i++) {
        print_name(report, &sums->items[i], name);
        print_line(report, name, width, &sums->items[i], text);
    }
    if (sums->omitted > 0) {
        snprintf(name, sizeof(name), "%zu more", sums->omitted);
        print_line(report, name, width, &sums->remainder, text);
    }
    print_line(report, "total", width, &sums->total, text);
    buf_puts(text, "\n");
    print_classes(&sums->total.tally, "bounced by what replies accuse", TALLY_BOUNCED, text);
    buf_puts(text, "\n");
    print_classes(&sums->total.tally, "deferrals likewise", TALLY_DEFERRED, text);
    buf_printf(text, "; of these for want of room under caps: %" PRIu64 "\n",
               sums->total.tally.counts[TALLY_FULL]);
    if (has_reported(report))
        print_reported(&sums->total.tally, text);
    if (report->question.by == HOURS_BY_STREAM) {
        hours_slo_print(&report->sums, report->snapshot, text);
        hours_unmet_print(&report->unmet, text);
    }
    hours_advice_print(report->advice, text);
}

/* --------------------------------------------------------------------- JSON */

static void
add_classes(struct json *json, const char *name, const struct tally *tally, int first)
{
    json_open(json, name, '{');
    for (int i = 0; i < TALLY_CLASSES; i++)
        if (tally->counts[first + i] > 0)
            json_number(json, class_text(i), (long long)tally->counts[first + i]);
    json_close(json, '}');
}

static void
add_sum(struct json *json, const struct hours_report *report, const struct hours_sum *sum)
{
    const struct tally *tally = &sum->tally;

    json_number(json, "sent", (long long)tally->counts[TALLY_SENT]);
    json_number(json, "deferred", (long long)tally_deferred(tally));
    json_number(json, "bounced", (long long)tally_bounced(tally));
    json_real(json, "bounce_share", bounce_share(tally));
    json_number(json, "rescued", (long long)tally->counts[TALLY_RESCUED]);
    json_number(json, "no_room", (long long)tally->counts[TALLY_FULL]);
    json_number(json, "complaints", (long long)tally->counts[TALLY_COMPLAINTS]);
    json_number(json, "returned", (long long)tally->counts[TALLY_RETURNED]);
    if (has_suspended(report))
        json_number(json, "suspended_ms", sum->suspended_ms);
    add_classes(json, "deferred_by", tally, TALLY_DEFERRED);
    add_classes(json, "bounced_by", tally, TALLY_BOUNCED);
    json_number(json, "delay_p50_ms", tally_delay_ms(tally, 50));
    json_number(json, "delay_p95_ms", tally_delay_ms(tally, 95));
    json_number(json, "delay_p99_ms", tally_delay_ms(tally, 99));
    json_open(json, "delays", '[');
    for (int i = 0; i < TALLY_DELAYS; i++)
        json_number(json, NULL, (long long)tally->counts[TALLY_DELAY + i]);
    json_close(json, ']');
}

void
hours_report_json(const struct hours_report *report, struct buf *text)
{
    const struct hours_sums *sums = &report->sums;
    struct json json = {.out = text};

    json_open(&json, NULL, '{');
    json_text(&json, "node", report->node);
    json_text(&json, "by", hours_by_text(report->question.by));
    json_number(&json, "from", report->from_ms / 1000);
    json_number(&json, "to", report->to_ms / 1000);
    json_number(&json, "kept_s", report->kept_ms / 1000);
    json_open(&json, "nodes", '[');
    for (size_t i = 0; i < report->node_count; i++)
        json_text(&json, NULL, report->nodes[i]);
    json_close(&json, ']');
    if (report->shared.shared) {
        json_bool(&json, "others_current", report->shared.current);
        json_number(&json, "others_as_of", report->shared.as_of_ms / 1000);
    }
    json_open(&json, "rows", '[');
    for (size_t i = 0; i < sums->count; i++) {
        json_open(&json, NULL, '{');
        if (report->question.by == HOURS_BY_HOUR)
            json_number(&json, "hour", sums->items[i].hour * (TALLIES_HOUR_MS / 1000));
        else
            json_text(&json, hours_by_text(report->question.by), sums->items[i].name);
        add_sum(&json, report, &sums->items[i]);
        if (report->question.by == HOURS_BY_STREAM)
            hours_slo_json(&sums->items[i], report->snapshot, &json);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_number(&json, "omitted", (long long)sums->omitted);
    json_open(&json, "total", '{');
    add_sum(&json, report, &sums->total);
    json_close(&json, '}');
    if (report->question.by == HOURS_BY_STREAM)
        hours_unmet_json(&report->unmet, &json);
    hours_advice_json(report->advice, &json);
    json_close(&json, '}');
    buf_puts(text, "\n");
}

/* ------------------------------------------------------------------ in the thread */

struct ask {
    struct hours_question question;
    struct conf *conf;         /* a reference; NULL: given back */
    struct control_call *call; /* not ours */
    struct hours_shared shared;
    struct buf answer;
};

static void
add_node(struct hours_report *report, const char *node)
{
    report->nodes = mem_resize(report->nodes, report->node_count + 1, sizeof(*report->nodes));
    report->nodes[report->node_count++] = mem_strdup(node);
}

static void
on_node(void *arg, const char *node)
{
    struct hours_report *report = arg;

    if (strcmp(node, report->node) != 0)
        add_node(report, node);
}

/* The one that was asked for, alone. */
static int
keep_node(struct hours_report *report, struct err *err)
{
    const char *wanted = report->question.node;
    struct buf names = {0};

    for (size_t i = 0; i < report->node_count; i++)
        if (strcmp(report->nodes[i], wanted) == 0) {
            char *first = report->nodes[0];

            report->nodes[0] = report->nodes[i];
            report->nodes[i] = first;
            while (report->node_count > 1)
                free(report->nodes[--report->node_count]);
            return 0;
        }
    for (size_t i = 0; i < report->node_count; i++)
        buf_printf(&names, " %s", report->nodes[i]);
    err_set(err, 0, "there are no figures of %s, but of%s", wanted, buf_text(&names));
    buf_clear(&names);
    return -ENOENT;
}

/* All hosts, this one first; or the one that was asked for. */
static int
find_nodes(struct hours_report *report, struct hours_file *file, struct err *err)
{
    int r;

    add_node(report, report->node);
    r = hours_pages_nodes(file, 0, INT64_MAX, on_node, report, err);
    return r == 0 && report->question.node[0] != '\0' ? keep_node(report, err) : r;
}

static int
read_sums(struct hours_report *report, struct hours_file *file, struct err *err)
{
    /* what is a little ahead of this host's clock is there, too */
    const struct hours_scope scope = {
        report->from_ms / TALLIES_HOUR_MS, report->to_ms / TALLIES_HOUR_MS + 1, report->node,
        report->question.node[0] != '\0' ? report->question.node : NULL};

    int r = hours_sums_read(file, report->question.by, &scope, &report->sums, err);

    if (r == 0 && report->question.by == HOURS_BY_STREAM)
        r = hours_unmet_read(file, &scope, &report->unmet, err);
    return r;
}

static int
answer(struct ask *ask, struct hours_file *file, struct err *err)
{
    struct hours_report report = {.question = ask->question,
                                  .node = ask->conf->node,
                                  .shared = ask->shared,
                                  .snapshot = ask->conf->snapshot};
    struct hours_advice *advice = NULL;
    int r;

    report.to_ms = clock_ms(CLOCK_REALTIME);
    report.kept_ms = ask->conf->figures_keep_ms;
    report.from_ms = (report.to_ms - ask->question.since_ms) / TALLIES_HOUR_MS * TALLIES_HOUR_MS;
    if (report.from_ms < 0)
        report.from_ms = 0;
    r = find_nodes(&report, file, err);
    if (r == 0)
        r = read_sums(&report, file, err);
    if (r == 0)
        r = hours_advice_make(file, ask->conf, report.to_ms / TALLIES_HOUR_MS, &advice, err);
    report.advice = advice;
    if (r == 0)
        (ask->question.json ? hours_report_json : hours_report_print)(&report, &ask->answer);
    hours_advice_free(advice);
    hours_sums_clear(&report.sums);
    hours_unmet_clear(&report.unmet);
    while (report.node_count > 0)
        free(report.nodes[--report.node_count]);
    free(report.nodes);
    return r;
}

static int
on_work(void *arg, struct hours_file *file, struct err *err)
{
    struct ask *ask = arg;
    int r = answer(ask, file, err);

    conf_unref(ask->conf); /* here, where it may take long */
    ask->conf = NULL;
    return r;
}

static void
on_done(void *arg, int r, const char *why)
{
    struct ask *ask = arg;

    if (r < 0)
        buf_printf(&ask->answer, "error: %s", why);
    control_answer(ask->call, buf_text(&ask->answer));
}

static void
on_free(void *arg)
{
    struct ask *ask = arg;

    conf_unref(ask->conf);
    buf_clear(&ask->answer);
    free(ask);
}

void
hours_report_ask(struct hours_thread *thread, struct conf *conf, const struct hours_shared *shared,
                 struct control_call *call, const char *question)
{
    struct ask *ask = mem_new(sizeof(*ask));
    struct err err;
    int r = hours_question_parse(question, &ask->question, &err);

    ask->call = call;
    ask->shared = *shared;
    ask->conf = conf_ref(conf);
    if (r == 0 && !hours_thread_ask(thread, &(struct hours_ask){on_work, on_done, on_free, ask}))
        r = err_set(&err, -EBUSY, "too many reports are asked for");
    if (r < 0) {
        on_done(ask, r, err.msg);
        on_free(ask);
    }
}
