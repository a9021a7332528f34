/*
 * When the mail of a stream leaves.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/week.h"
#include "lib/conf_site.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/zone_file.h"

#include <stdlib.h>

void
conf_read_hours(struct conf_reader *reader, config_setting_t *item, const char *text,
                struct stream *stream)
{
    const char *zone = stream->zone_name != NULL ? stream->zone_name : "local";
    config_setting_t *setting = config_setting_get_member(item, "time_zone");
    const char *why;
    struct err err;

    stream->hours = mem_new(sizeof(*stream->hours));
    why = week_parse(text, stream->hours);
    if (why != NULL) {
        conf_problem(reader, config_setting_get_member(item, "hours"),
                     "\"%s\" are no hours: %s; write such as \"mon-fri 08:00-20:00, sat "
                     "10:00-14:00\"",
                     text, why);
        free(stream->hours);
        stream->hours = NULL;
    }
    if (zone_load(zone, &stream->zone, &err) == 0)
        return;
    if (setting != NULL)
        conf_problem(reader, setting, "%s; write such as \"Europe/Berlin\"", err.msg);
    else
        conf_warning(reader, item, "%s -- hours are taken to be in UTC", err.msg);
}
