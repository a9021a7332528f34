/*
 * Grades of accounts: how they are earned, and what streams make of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"

#include "lib/known.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct conf, member)

#define DAY_MS (INT64_C(24) * 3600 * 1000)

const struct conf_key conf_standing_keys[] = {
    {"volume", KEY_COUNT, AT(standing.volume), "1000", 1, 1000 * 1000 * 1000,
     "So many recipients an account must have sent to ...", NULL, NULL},
    {"days", KEY_COUNT, AT(standing.days), "7", 1, STANDING_PAST_MAX,
     "... on so many days with mail, to be trusted.", NULL, NULL},
    {"day_volume", KEY_COUNT, AT(standing.day_volume), "10", 1, 1000 * 1000,
     "Recipients that make it a day with mail.", NULL, NULL},
    {"samples", KEY_COUNT, AT(standing.samples), "200", 10, 1000 * 1000,
     "Recipients without which nothing is judged.", NULL, NULL},
    {"bounces", KEY_SHARE, AT(standing_limits.shares[FAULT_BOUNCE]), "5", 0, 0,
     "Percent of the results that may be refusals for good of the recipient.", NULL, NULL},
    {"blocks", KEY_SHARE, AT(standing_limits.shares[FAULT_BLOCK]), "2", 0, 0,
     "Percent that may be refusals for good of the sender or the content.", NULL, NULL},
    {"complaints", KEY_SHARE, AT(standing_limits.shares[FAULT_COMPLAINT]), "0.1", 0, 0,
     "Percent that complaints may be of.", NULL, NULL},
    {"better", KEY_COUNT, AT(standing.better), "50", 1, 100,
     "Percent of these limits that faults must be under ...", NULL, NULL},
    {"good_days", KEY_COUNT, AT(standing.good_days), "7", 1, STANDING_PAST_MAX,
     "... on so many days with mail, for the attention to end.", NULL, NULL},
    {"under_way", KEY_COUNT, AT(standing_under_way), "1000", 0, 1000 * 1000,
     "Most recipients of an account's mail in Postfix' active queue, in streams with grades.", NULL,
     NULL},
    {"idle", KEY_DURATION, AT(standing_idle_ms), "60d", DAY_MS, STANDING_PAST_DAYS *DAY_MS,
     "An account that sent nothing for so many days is new again.", NULL, NULL},
    CONF_KEY_END,
};

void
conf_check_grades(struct conf_reader *reader, config_setting_t *item,
                  const struct conf_grades *grades, struct stream *stream)
{
    struct snapshot *snapshot = reader->conf->snapshot;

    for (size_t i = 0; i < GRADES; i++) {
        const char *name = grades->pools[i];

        if (name == NULL || name[0] == '\0')
            continue;
        snapshot->has_grades = stream->is_graded = true;
        stream->by_grade[i] = snapshot_find_pool(snapshot, name);
        if (stream->by_grade[i] == NULL)
            conf_problem(reader, config_setting_lookup(item, "grades"), "there is no pool %s%s",
                         name, known_pools(snapshot, name));
    }
    for (size_t i = 0; i < FAULTS; i++)
        if (stream->limits.shares[i] == 0)
            stream->limits.shares[i] = reader->conf->standing_limits.shares[i];
}

void
conf_check_standing(struct conf_reader *reader, config_setting_t *standing)
{
    struct conf *conf = reader->conf;

    conf->standing.idle_days = (int)(conf->standing_idle_ms / DAY_MS);
    if (conf->standing_idle_ms % DAY_MS != 0)
        conf_problem(reader, config_setting_get_member(standing, "idle"),
                     "whole days are needed, such as \"30d\"");
    if (conf->snapshot->has_grades && strcmp(conf->feedback_log, "none") == 0)
        conf_problems_add(reader->problems, true, reader->file,
                          "warning: streams have grades, but without feedback.log nothing is known "
                          "of accounts: they stay as they are graded by hand");
}
