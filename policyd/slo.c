/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/slo.h"

#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/units.h"
#include "policyd/outcome.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_MS = 60 * 1000 };

struct minute {
    int64_t number; /* since the clock began */
    uint32_t sent, within;
};

/* One stream's. */
struct hour {
    struct minute minutes[SLO_MINUTES]; /* by number modulo that */
    bool told;                          /* of a breach, ... */
    int64_t since_ms;                   /* ... that began then; CLOCK_MONOTONIC_COARSE */
};

struct slo {
    const struct snapshot *snapshot; /* not ours */
    struct hour *hours;              /* by stream.index */
};

struct slo *
slo_new(const struct snapshot *snapshot)
{
    struct slo *slo = mem_new(sizeof(*slo));

    slo->snapshot = snapshot;
    slo->hours = mem_array(snapshot->stream_count, sizeof(*slo->hours));
    return slo;
}

void
slo_free(struct slo *slo)
{
    if (slo == NULL)
        return;
    free(slo->hours);
    free(slo);
}

void
slo_set_snapshot(struct slo *slo, const struct snapshot *snapshot)
{
    struct hour *hours = mem_array(snapshot->stream_count, sizeof(*hours));

    for (size_t i = 0; i < slo->snapshot->stream_count; i++) {
        const struct stream *then = &slo->snapshot->streams[i];
        const struct stream *now = snapshot_find_stream(snapshot, then->name, strlen(then->name));

        if (now != NULL && now->slo_ms == then->slo_ms)
            hours[now->index] = slo->hours[i];
    }
    free(slo->hours);
    slo->hours = hours;
    slo->snapshot = snapshot;
}

static int64_t
this_minute(void)
{
    return clock_ms(CLOCK_MONOTONIC_COARSE) / MINUTE_MS;
}

void
slo_on_outcome(void *arg, const struct outcome *outcome)
{
    struct slo *slo = arg;
    int64_t number = this_minute();
    struct minute *minute = &slo->hours[outcome->stream->index].minutes[number % SLO_MINUTES];

    if (outcome->stream->slo_ms == 0 || outcome->status != MAILLOG_SENT || outcome->delay_ms < 0 ||
        outcome->address == NULL)
        return;
    if (minute->number != number)
        *minute = (struct minute){.number = number};
    minute->sent++;
    minute->within += outcome->delay_ms <= outcome->stream->slo_ms;
}

void
slo_figures(const struct slo *slo, const struct stream *stream, struct slo_figures *ret_figures)
{
    const struct hour *hour = &slo->hours[stream->index];
    int64_t now = this_minute();

    *ret_figures = (struct slo_figures){0};
    for (size_t i = 0; i < SLO_MINUTES; i++) {
        if (hour->minutes[i].number + SLO_MINUTES <= now)
            continue;
        ret_figures->sent += hour->minutes[i].sent;
        ret_figures->within += hour->minutes[i].within;
    }
    ret_figures->breached =
        ret_figures->within * 100 < ret_figures->sent * (uint64_t)stream->slo_share;
}

/* "codes: 41 of 50 within 30s in the last hour, 95 % are to be" */
static void
print_stream(const struct stream *stream, const struct slo_figures *figures, struct buf *text)
{
    char span[UNITS_DURATION_SIZE];

    buf_printf(text, "%s: %" PRIu64 " of %" PRIu64 " within %s in the last hour, %d %% are to be",
               stream->name, figures->within, figures->sent,
               units_print_duration(stream->slo_ms, span), stream->slo_share);
}

void
slo_print(const struct slo *slo, struct buf *text)
{
    for (size_t i = 0; i < slo->snapshot->stream_count; i++) {
        const struct stream *stream = &slo->snapshot->streams[i];
        struct slo_figures figures;

        if (stream->slo_ms == 0)
            continue;
        slo_figures(slo, stream, &figures);
        buf_puts(text, "stream ");
        print_stream(stream, &figures, text);
        buf_puts(text, figures.breached ? ": BREACHED\n" : "\n");
    }
}

static bool
is_over(const struct stream *stream, const struct slo_figures *figures)
{
    uint64_t late = figures->sent - figures->within;

    return !figures->breached &&
           2 * late * 100 <= figures->sent * (100 - (uint64_t)stream->slo_share);
}

static void
look_at(const struct stream *stream, const struct slo_figures *figures, struct hour *hour)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    struct buf text = {0};
    char span[UNITS_SPAN_SIZE];

    if (hour->told ? !is_over(stream, figures) : !figures->breached)
        return;
    print_stream(stream, figures, &text);
    if (hour->told)
        log_info("stream %s: its slo holds again after %s", buf_text(&text),
                 units_print_span(now_ms - hour->since_ms, span));
    else
        log_warn("stream %s -- its slo is breached", buf_text(&text));
    hour->told = !hour->told;
    hour->since_ms = now_ms;
    buf_clear(&text);
}

void
slo_tick(struct slo *slo)
{
    for (size_t i = 0; i < slo->snapshot->stream_count; i++) {
        const struct stream *stream = &slo->snapshot->streams[i];
        struct slo_figures figures;

        if (stream->slo_ms == 0)
            continue;
        slo_figures(slo, stream, &figures);
        look_at(stream, &figures, &slo->hours[i]);
    }
}

void
slo_json(const struct slo *slo, const struct stream *stream, struct json *json)
{
    struct slo_figures figures;

    if (stream->slo_ms == 0)
        return;
    slo_figures(slo, stream, &figures);
    json_open(json, "slo", '{');
    json_number(json, "ms", stream->slo_ms);
    json_number(json, "percent", stream->slo_share);
    json_number(json, "sent", (long long)figures.sent);
    json_number(json, "within", (long long)figures.within);
    json_bool(json, "breached", figures.breached);
    json_close(json, '}');
}
