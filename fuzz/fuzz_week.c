/*
 * Hours, rules of time zones and their files, which somebody else wrote.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/week.h"
#include "engine/zone.h"

#include <stdlib.h>

static void
check(const struct week *week, const struct zone *zone, int64_t now_s)
{
    int64_t until_s, next_s;

    zone_offset_s(zone, now_s, &until_s);
    MUST(until_s > now_s);
    next_s = week_next_s(week, zone, now_s);
    MUST(next_s >= now_s);
    MUST(week_next_s(week, zone, next_s) == next_s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct week week;
    char *hours = fuzz_text(&input), *rule = fuzz_text(&input);
    int64_t now_s = 0;
    struct zone *zone;

    for (int i = 0; i < 4; i++)
        now_s = now_s << 8 | fuzz_byte(&input);
    if (week_parse(hours, &week) != NULL)
        MUST(week_parse("mon-fri 08:00-20:00", &week) == NULL);
    MUST(week.count > 0 && week.ranges[week.count - 1].to <= 7 * 24 * 60);
    check(&week, NULL, now_s);
    zone = zone_parse_rule(rule);
    if (zone != NULL)
        check(&week, zone, now_s);
    zone_free(zone);
    zone = zone_parse(input.data, input.size);
    if (zone != NULL)
        check(&week, zone, now_s);
    zone_free(zone);
    free(hours);
    free(rule);
    return 0;
}
