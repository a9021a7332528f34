/*
 * Meters that work with a part of their caps for a while.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/meters.h"

#include "engine/meters_inside.h"

enum { WHOLE = 100 };

const struct caps *
meters_caps(const struct metered *metered, struct caps *left)
{
    if (metered->off == 0)
        return metered->caps;
    book_left(metered->caps, meters_percent(metered), left);
    return left;
}

void
meters_scale(struct meters *meters, uint32_t number, unsigned percent, int64_t now_ms)
{
    struct metered *metered = meters_at(meters, number);
    uint8_t off = (uint8_t)(WHOLE - percent), before = metered->off;
    struct caps left;

    if (off == before || metered->caps == NULL)
        return;
    metered->off = off;
    meters->scaled += before == 0;
    meters->scaled -= off == 0;
    meter_set_share(&metered->meter, meters_caps(metered, &left));
    if (off < before)
        meter_grow(&metered->meter, now_ms);
    meters_touch(meters, number);
}

unsigned
meters_percent(const struct metered *metered)
{
    return WHOLE - (unsigned)metered->off;
}

bool
meters_are_scaled(const struct meters *meters)
{
    return meters->scaled > 0;
}

void
meters_unscale(struct meters *meters, struct metered *metered)
{
    meters->scaled -= metered->off > 0;
    metered->off = 0;
}

void
meters_fit(struct metered *metered, uint32_t lease)
{
    struct meter *meter = &metered->meter;

    /* An ask brings a lease and a half at most; see meter_ask(). */
    if (metered->off > 0 && !meter->own && meter->held + meter->next > lease + lease / 2)
        meter_return(meter);
}
