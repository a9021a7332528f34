/*
 * Warm-up: the rules, schedules of one's own, and the addresses that have one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"

#include "engine/allowances.h"
#include "engine/schedule.h"
#include "lib/conf_value.h"
#include "lib/err.h"
#include "lib/known.h"
#include "lib/mem.h"
#include "lib/units.h"
#include "lib/zone_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct conf, member)

enum { SCHEDULE_NAME_MAX = 32, ZONE_HOURS_MAX = 14, RULE_SIZE = 16, ENGAGED_DAYS_MAX = 3660 };

#define ENGAGEMENT_NAME "engagement"

#define LOCAL "local"
#define OWN_NAME "own" /* of a table that stands in its address */

#define DAY_MS (INT64_C(24) * 3600 * 1000)

const struct conf_key conf_warmup_keys[] = {
    {"time_zone", KEY_TEXT, AT(warmup_zone_name), "local", 0, 0,
     "Where days begin at midnight: \"local\", a name such as \"Europe/Berlin\", \"UTC\", or so "
     "much later than that, \"+02:00\".",
     NULL, NULL},
    {"sending_day", KEY_COUNT, AT(warmup.used_percent), "70", 1, 100,
     "Percent of a day's allowance that must be used for the day to count.", NULL, NULL},
    {"accepted", KEY_COUNT, AT(warmup.accepted_percent), "90", 1, 100,
     "Percent of that that must be accepted, for the next stage.", NULL, NULL},
    {"back", KEY_COUNT, AT(warmup.back_stages), "1", 1, SCHEDULE_STAGES_MAX,
     "An address that was blocked goes so many stages back.", NULL, NULL},
    {"idle", KEY_DURATION, AT(warmup_idle_ms), "30d", DAY_MS, 3660 * DAY_MS,
     "An address that sent nothing for so many days warms up again, ...", NULL, NULL},
    {"again", KEY_COUNT, AT(warmup.again_stages), "7", 1, SCHEDULE_STAGES_MAX,
     "... from so many stages before the one it had.", NULL, NULL},
    {"engagement", KEY_TEXT, AT(engagement_path), "", 0, 0,
     "The file of recipients and their last activity, that postpool engagement import writes; "
     "default: engagement beside the store's; or \"none\".",
     NULL, NULL},
    {"engaged", KEY_LIST, AT(engaged), "30d 30d 60d 60d 90d 90d", 0, 0,
     "In each week of a warm-up, seven stages: within which time recipients must have been active; "
     "behind them anybody passes.",
     NULL, NULL},
    {"hint", KEY_GROUP, 0, NULL, 0, 0, "A header that tells when a recipient was active.",
     conf_hint_keys, NULL},
    {"schedules", KEY_OWN, 0, "", 0, 0, "Schedules of one's own, by name.", conf_schedule_keys,
     NULL},
    CONF_KEY_END,
};

const struct conf_key conf_schedule_keys[] = {
    {"days", KEY_OWN, 0, NULL, 0, 0, "The most recipients of a day, stage by stage.", NULL, NULL},
    {"hour", KEY_COUNT, offsetof(struct schedule, hour_percent), "20", 1, 100,
     "Percent of them that may go in one hour.", NULL, NULL},
    {"shares", KEY_OWN, 0, "", 0, 0,
     "Percent of them that may go to a provider at the first stage, by its name; it grows evenly, "
     "to all of them at the last.",
     NULL, NULL},
    CONF_KEY_END,
};

const struct conf_key conf_address_warmup_keys[] = {
    {"schedule", KEY_OWN, 0, NULL, 0, 0,
     "\"conservative\", \"standard\", \"aggressive\", one of warmup.schedules, or a table of its "
     "own.",
     NULL, NULL},
    {"started", KEY_DATE, offsetof(struct address, started), NULL, 0, 0,
     "The date of its first day; a later one begins it anew.", NULL, NULL},
    CONF_KEY_END,
};

static config_setting_t *
member_of(config_setting_t *group, const char *name)
{
    return group != NULL && config_setting_is_group(group) ? config_setting_get_member(group, name)
                                                           : NULL;
}

/* -------------------------------------------------------------- schedules */

/* A whole number from 1 to most; else 0, and a problem. */
static uint32_t
read_number(struct conf_reader *reader, config_setting_t *setting, int64_t most)
{
    int type = config_setting_type(setting);
    long long number = config_setting_get_int64(setting);

    if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && number >= 1 && number <= most)
        return (uint32_t)number;
    conf_problem(reader, setting, "a whole number from 1 to %lld is needed", (long long)most);
    return 0;
}

static void
read_days(struct conf_reader *reader, config_setting_t *setting, struct schedule *schedule)
{
    int count = config_setting_length(setting);

    if (!conf_read_is_list(reader, setting, "numbers"))
        return;
    if (count == 0 || count > SCHEDULE_STAGES_MAX) {
        conf_problem(reader, setting, "holds %d stages, there must be 1 to %d", count,
                     SCHEDULE_STAGES_MAX);
        return;
    }
    for (int i = 0; i < count; i++) {
        config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        uint32_t recipients = read_number(reader, item, CAP_LIMIT_MAX);

        if (recipients == 0)
            return;
        if (i > 0 && recipients <= schedule->stages[i - 1]) {
            conf_problem(reader, item, "%u is no more than the %u before it, stages must grow",
                         recipients, schedule->stages[i - 1]);
            return;
        }
        schedule->stages[i] = recipients;
        schedule->stage_count = (size_t)i + 1;
    }
}

static void
read_share(struct conf_reader *reader, config_setting_t *item, struct schedule *schedule)
{
    const struct snapshot *snapshot = reader->conf->snapshot;
    const char *name = config_setting_name(item);
    struct schedule_share *share = &schedule->shares[schedule->share_count];

    if (snapshot_find_provider(snapshot, name) == NULL) {
        conf_problem(reader, item, "there is no provider %s%s", name,
                     known_providers(snapshot, name));
        return;
    }
    share->percent = read_number(reader, item, 100);
    snprintf(share->provider, sizeof(share->provider), "%s", name);
    schedule->share_count += share->percent > 0;
}

static void
read_shares(struct conf_reader *reader, config_setting_t *setting, struct schedule *schedule)
{
    int count = config_setting_length(setting);

    if (!config_setting_is_group(setting)) {
        conf_problem(reader, setting, "a group of shares is needed, { yahoo = 10; outlook = 20; }");
        return;
    }
    if (count > SCHEDULE_SHARES_MAX) {
        conf_problem(reader, setting, "%d shares are too many, write at most %d", count,
                     SCHEDULE_SHARES_MAX);
        return;
    }
    for (int i = 0; i < count; i++)
        read_share(reader, config_setting_get_elem(setting, (unsigned)i), schedule);
}

/* The table; setting is a group. */
static void
read_table(struct conf_reader *reader, config_setting_t *setting, struct schedule *schedule)
{
    config_setting_t *days = member_of(setting, "days"), *shares = member_of(setting, "shares");

    conf_read_defaults(conf_schedule_keys, schedule);
    conf_read_group(reader, setting, conf_schedule_keys, schedule);
    if (days != NULL)
        read_days(reader, days, schedule);
    if (shares != NULL)
        read_shares(reader, shares, schedule);
}

static void
read_schedule(struct conf_reader *reader, config_setting_t *setting, struct schedule *schedule)
{
    schedule->name = mem_strdup(config_setting_name(setting));
    if (!conf_is_name(schedule->name, SCHEDULE_NAME_MAX))
        conf_problem(reader, setting,
                     "a schedule's name must be up to %d lower-case letters, digits and \"-\", "
                     "starting with a letter",
                     SCHEDULE_NAME_MAX);
    else if (schedule_preset(schedule->name) != NULL)
        conf_problem(reader, setting, "%s is there already, give this one another name",
                     schedule->name);
    if (config_setting_is_group(setting))
        read_table(reader, setting, schedule);
    else
        conf_problem(reader, setting, "a group is needed, { days = ( 50, 100, 200 ); }");
}

static void
read_schedules(struct conf_reader *reader, config_setting_t *setting)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    size_t count;

    if (!config_setting_is_group(setting)) {
        conf_problem(reader, setting,
                     "a group of schedules is needed, { slow = { days = ( 50, 100, 200 ); }; }");
        return;
    }
    count = (size_t)config_setting_length(setting);
    snapshot->schedules = mem_array(count, sizeof(*snapshot->schedules));
    for (size_t i = 0; i < count; i++)
        read_schedule(reader, config_setting_get_elem(setting, (unsigned)i),
                      &snapshot->schedules[snapshot->schedule_count++]);
}

/* -------------------------------------------------------------- the group */

/* "+02:00" is a rule without summer time, in which POSIX counts the other way: "<x>-02:00". */
static bool
is_offset(const char *text, char ret_rule[RULE_SIZE])
{
    int hours, minutes;
    char sign, end;

    if (strlen(text) != 6 || strspn(text, "+-0123456789:") != 6 ||
        sscanf(text, "%c%2d:%2d%c", &sign, &hours, &minutes, &end) != 3)
        return false;
    if ((sign != '+' && sign != '-') || hours < 0 || hours > ZONE_HOURS_MAX || minutes < 0 ||
        minutes > 59)
        return false;
    snprintf(ret_rule, RULE_SIZE, "<x>%c%02d:%02d", sign == '-' ? '+' : '-', hours, minutes);
    return true;
}

/* Days are UTC's when it cannot be read. */
static void
read_zone(struct conf_reader *reader, config_setting_t *setting)
{
    struct conf *conf = reader->conf;
    char rule[RULE_SIZE];
    struct err err;

    if (strcmp(conf->warmup_zone_name, LOCAL) != 0 &&
        zone_load(is_offset(conf->warmup_zone_name, rule) ? rule : conf->warmup_zone_name,
                  &conf->warmup_zone, &err) < 0)
        conf_problem(reader, setting,
                     "%s; write \"local\", a name such as \"Europe/Berlin\", or how much later "
                     "than UTC it is there, such as \"+02:00\"",
                     err.msg);
}

/* That of this host; warmup is of the first address that needs it: NULL: there is none. */
static void
read_local_zone(struct conf_reader *reader, config_setting_t *warmup)
{
    struct err err;

    if (zone_load(LOCAL, &reader->conf->warmup_zone, &err) < 0 && warmup != NULL)
        conf_warning(reader, warmup, "%s -- days are taken to be those of UTC", err.msg);
}

static void
check_engagement(struct conf_reader *reader, config_setting_t *path)
{
    struct conf *conf = reader->conf;
    const char *text = conf->engagement_path;
    const char *slash = conf->store_path != NULL ? strrchr(conf->store_path, '/') : NULL;

    if (text == NULL || text[0] == '\0') {
        free(conf->engagement_path);
        conf->engagement_path =
            slash != NULL ? mem_printf("%.*s" ENGAGEMENT_NAME, (int)(slash - conf->store_path + 1),
                                       conf->store_path)
                          : mem_strdup("none");
    } else if (text[0] != '/' && strcmp(text, "none") != 0) {
        conf_problem(reader, path,
                     "\"%s\" is no file, write an absolute path such as "
                     "\"/var/lib/postpool/engagement\", or \"none\"",
                     text);
    }
}

static void
read_engaged(struct conf_reader *reader, config_setting_t *setting)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    const struct conf_list *list = &reader->conf->engaged;

    if (list->count > ENGAGED_WEEKS_MAX) {
        conf_problem(reader, setting, "%zu weeks are too many, write at most %d", list->count,
                     ENGAGED_WEEKS_MAX);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        int64_t ms;

        if (units_parse_duration(list->items[i], &ms, NULL) < 0 || ms % DAY_MS != 0 ||
            ms < DAY_MS || ms > ENGAGED_DAYS_MAX * DAY_MS ||
            (i > 0 && ms / DAY_MS < snapshot->engaged_days[i - 1])) {
            conf_problem(reader, setting,
                         "\"%s\" is no time of a week, write whole days that do not shrink from "
                         "week to week, such as \"30d\", \"30d\", \"60d\"",
                         list->items[i]);
            return;
        }
        snapshot->engaged_days[i] = (uint32_t)(ms / DAY_MS);
        snapshot->engaged_weeks = i + 1;
    }
}

void
conf_read_warmup(struct conf_reader *reader, config_setting_t *warmup)
{
    struct conf *conf = reader->conf;
    config_setting_t *schedules = member_of(warmup, "schedules");

    check_engagement(reader, member_of(warmup, "engagement"));
    read_engaged(reader, member_of(warmup, "engaged"));
    conf_read_hint(reader, member_of(warmup, "hint"));

    conf->warmup.idle_days = (int)(conf->warmup_idle_ms / DAY_MS);
    if (conf->warmup_idle_ms % DAY_MS != 0)
        conf_problem(reader, member_of(warmup, "idle"), "whole days are needed, such as \"30d\"");
    read_zone(reader, member_of(warmup, "time_zone"));
    if (schedules != NULL)
        read_schedules(reader, schedules);
}

/* ------------------------------------------------------- the addresses' own */

static const struct schedule *
find_schedule(struct conf_reader *reader, config_setting_t *setting)
{
    const struct snapshot *snapshot = reader->conf->snapshot;
    size_t count = snapshot->schedule_count;
    const char *name = conf_read_text(reader, setting);
    const char **names;

    if (name == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(snapshot->schedules[i].name, name) == 0)
            return &snapshot->schedules[i];
    if (schedule_preset(name) != NULL)
        return schedule_preset(name);
    names = mem_array(count + SCHEDULE_PRESETS, sizeof(*names));
    for (size_t i = 0; i < count + SCHEDULE_PRESETS; i++)
        names[i] = i < count ? snapshot->schedules[i].name : schedule_presets[i - count].name;
    conf_problem(reader, setting,
                 "\"%s\" is none of \"conservative\", \"standard\", \"aggressive\", and "
                 "warmup.schedules%s",
                 name, conf_nearest(name, names, count + SCHEDULE_PRESETS));
    free(names);
    return NULL;
}

/* NULL, and a problem: it is none. */
static const struct schedule *
read_own(struct conf_reader *reader, config_setting_t *setting, struct address *address)
{
    if (!config_setting_is_group(setting))
        return find_schedule(reader, setting);
    address->own_schedule = mem_new(sizeof(*address->own_schedule));
    address->own_schedule->name = mem_strdup(OWN_NAME);
    read_table(reader, setting, address->own_schedule);
    return address->own_schedule->stage_count > 0 ? address->own_schedule : NULL;
}

/* Caps over hours and days are lowered by the allowance; beside others there must be room for it.
 */
static void
check_room(struct conf_reader *reader, config_setting_t *setting, const struct address *address)
{
    const struct snapshot *snapshot = reader->conf->snapshot;

    if (!allowances_fit(&address->caps))
        conf_problem(reader, setting,
                     "beside a warm-up the address may have caps over %d windows other than hour "
                     "and day",
                     ALLOWANCES_OTHERS);
    for (size_t i = 0; i < snapshot->provider_count; i++)
        if (schedule_has_share(address->schedule, snapshot->providers[i].name) &&
            !allowances_fit(&snapshot->providers[i].caps))
            conf_problem(reader, setting,
                         "the schedule has a share of %s, which then may have caps over %d windows "
                         "other than hour and day",
                         snapshot->providers[i].name, ALLOWANCES_OTHERS);
}

void
conf_check_warmup(struct conf_reader *reader, config_setting_t *addresses)
{
    struct snapshot *snapshot = reader->conf->snapshot;
    config_setting_t *first = NULL;

    for (size_t i = 0; addresses != NULL && i < snapshot->address_count; i++) {
        struct address *address = &snapshot->addresses[i];
        config_setting_t *warmup =
            member_of(config_setting_get_elem(addresses, (unsigned)i), "warmup");
        config_setting_t *schedule = member_of(warmup, "schedule");

        if (schedule == NULL)
            continue;
        if (first == NULL)
            first = warmup;
        address->schedule = read_own(reader, schedule, address);
        if (address->schedule != NULL)
            check_room(reader, warmup, address);
        if (strcmp(reader->conf->feedback_log, "none") == 0)
            conf_problem(reader, warmup,
                         "a warm-up depends on what becomes of the mail, so feedback.log must say "
                         "where that is told");
    }
    if (strcmp(reader->conf->warmup_zone_name, LOCAL) == 0) /* simulate and replay have days, too */
        read_local_zone(reader, first);
}
