/*
 * Schedules of a warm-up: stages, each with its recipients per day, growing.
 *
 * Part of a day's recipients may go in one hour (hour_percent), and part of
 * them to one provider: a share at the first stage that grows in a straight
 * line to all of them at the last.  Providers without a share take all of them.
 *
 * The three that are there follow what others do and publish:
 *   conservative  300 a day and 30 % more each stage, a fifth of it in an hour
 *                 (Mailtrap, help article 98)
 *   standard      1,000 to 10,000 in a week, then 30 % more, a tenth in an hour
 *                 (BillionMail; LeadConnector ends as high)
 *   aggressive    200 to a million in 20 stages (SparkPost, the first 20 of 29)
 * Their shares of providers have the order of AcelleMail's table (percent of the full
 * volume at days 1 to 45, of Gmail's a fifth at Outlook and Yahoo and a tenth at Apple
 * on day 1).  That table rises late, and a straight line early: so lines begin lower.
 *
 * A value without pointers but for its name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_SCHEDULE_H
#define ENGINE_SCHEDULE_H

#include "engine/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCHEDULE_STAGES_MAX = 90,
    SCHEDULE_SHARES_MAX = 16,
    SCHEDULE_PRESETS = 3,
};

struct schedule_share {
    char provider[PROVIDER_NAME_MAX + 1];
    uint32_t percent; /* at the first stage, 1 to 100 */
};

struct schedule {
    const char *name;
    uint32_t stages[SCHEDULE_STAGES_MAX]; /* recipients per day, 1 to CAP_LIMIT_MAX, growing */
    size_t stage_count;                   /* at least 1 */
    int hour_percent;                     /* of a day's recipients, 1 to 100 */
    struct schedule_share shares[SCHEDULE_SHARES_MAX];
    size_t share_count;
};

extern const struct schedule schedule_presets[SCHEDULE_PRESETS];

/* NULL: none is called that. */
const struct schedule *schedule_preset(const char *name);

/* The highest stage with no more than recipients per day; the first where all have more. */
size_t schedule_stage(const struct schedule *schedule, uint32_t recipients);

/* Has it a share for that provider? */
bool schedule_has_share(const struct schedule *schedule, const char *provider);

/*
 * Recipients per day at stage; provider NULL: in all, else of these the most at
 * that provider.  At least 1.
 */
uint32_t schedule_day(const struct schedule *schedule, size_t stage, const char *provider);

/* The most of them in one hour. */
uint32_t schedule_hour(const struct schedule *schedule, size_t stage, const char *provider);

#endif
