/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_slo.h"

#include "engine/snapshot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <string.h>

/* Its stream, if that has an aim and mail was delivered; else NULL. */
static const struct stream *
stream_of(const struct hours_sum *sum, const struct snapshot *snapshot, double *ret_share)
{
    const struct stream *stream =
        snapshot != NULL ? snapshot_find_stream(snapshot, sum->name, strlen(sum->name)) : NULL;

    if (stream == NULL || stream->slo_ms == 0)
        return NULL;
    *ret_share = tally_share_within(&sum->tally, stream->slo_ms);
    return *ret_share >= 0 ? stream : NULL;
}

void
hours_slo_print(const struct hours_sums *streams, const struct snapshot *snapshot, struct buf *text)
{
    for (size_t i = 0; i < streams->count; i++) {
        char span[UNITS_DURATION_SIZE];
        double share;
        const struct stream *stream = stream_of(&streams->items[i], snapshot, &share);

        if (stream != NULL)
            buf_printf(text, "stream %s: about %.1f %% within %s, %d %% are to be%s\n",
                       stream->name, share * 100, units_print_duration(stream->slo_ms, span),
                       stream->slo_share, share * 100 < stream->slo_share ? ": BREACHED" : "");
    }
}

void
hours_slo_json(const struct hours_sum *sum, const struct snapshot *snapshot, struct json *json)
{
    double share;
    const struct stream *stream = stream_of(sum, snapshot, &share);

    if (stream == NULL)
        return;
    json_open(json, "slo", '{');
    json_number(json, "ms", stream->slo_ms);
    json_number(json, "percent", stream->slo_share);
    json_real(json, "share", share);
    json_bool(json, "breached", share * 100 < stream->slo_share);
    json_close(json, '}');
}
