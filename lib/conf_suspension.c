/*
 * How what is suspended comes back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"

#include <stdlib.h>

#define AT(member) offsetof(struct conf, member)

enum { SECOND = 1000, HOUR = 3600 * SECOND, DAY = 24 * HOUR };

const struct conf_key conf_suspension_keys[] = {
    {"probes", KEY_COUNT, AT(suspension.probes), "3", 1, 1000,
     "So many messages must be accepted when a suspension is over, before more may go.", NULL,
     NULL},
    {"probe_every", KEY_DURATION, AT(suspension_probe_ms), "1m", SECOND, DAY,
     "When no probe was answered within it, more of them go.", NULL, NULL},
    {"steps", KEY_LIST, AT(suspension_steps), "10 25 50", 0, 0,
     "The shares of the caps, in percent and growing, by which it then comes back.", NULL, NULL},
    {"step", KEY_DURATION, AT(suspension.step_ms), "15m", SECOND, 7LL * DAY,
     "How long each of these lasts.", NULL, NULL},
    {"forget", KEY_DURATION, AT(suspension.forget_ms), "1d", SECOND, 60LL * DAY,
     "After so long without one, the next suspension is as short as a first one.", NULL, NULL},
    {"network", KEY_BOOL, AT(suspension_network), "true", 0, 0,
     "Suspend addresses that cannot be bound, or whose packets do not leave.", NULL, NULL},
    CONF_KEY_END,
};

/* A whole number from 1 to 99; else 0. */
static int
percent(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return *text >= '1' && *text <= '9' && *end == '\0' && number < 100 ? (int)number : 0;
}

void
conf_check_suspension(struct conf_reader *reader, config_setting_t *steps)
{
    struct breaker_policy *policy = &reader->conf->suspension;
    const struct conf_list *list = &reader->conf->suspension_steps;

    if (list->count > BREAKER_STEPS_MAX) {
        conf_problem(reader, steps, "%zu steps are too many, write at most %d", list->count,
                     BREAKER_STEPS_MAX);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        int share = percent(list->items[i]);

        if (share == 0 || (i > 0 && share <= policy->steps[i - 1])) {
            conf_problem(reader, steps,
                         "\"%s\" is no share, write percents from 1 to 99 that grow, such as "
                         "\"10\", \"25\", \"50\"",
                         list->items[i]);
            return;
        }
        policy->steps[i] = share;
        policy->step_count = i + 1;
    }
}
