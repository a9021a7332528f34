/*
 * Where complaints and bounces come in, and what in them tells whose mail it was.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"

#include <string.h>
#include <strings.h>

#define AT(member) offsetof(struct conf, member)

const struct conf_key conf_complaints_keys[] = {
    {"addresses", KEY_LIST, AT(complaint_addresses), "", 0, 0,
     "Recipients whose mail is read as complaints and bounces, with * and ?.", NULL, NULL},
    {"header", KEY_HEADER, AT(complaint_header), "Feedback-ID", 0, 0,
     "The header, of a message that a complaint is about, that tells whose it was.", NULL, NULL},
    {"mark", KEY_HEADER, AT(mark_header), "X-Postpool-Mark", 0, 0,
     "The header that the milter writes marks into, and finds them in.", NULL, NULL},
    CONF_KEY_END,
};

/* The milter takes every copy of it away, and counts them by their names. */
static void
check_mark(struct conf_reader *reader, config_setting_t *mark)
{
    const struct conf *conf = reader->conf;
    bool taken = strcasecmp(conf->mark_header, conf->stream_header) == 0 ||
                 strcasecmp(conf->mark_header, conf->complaint_header) == 0 ||
                 strcasecmp(conf->mark_header, "Feedback-ID") == 0;

    for (size_t i = 0; i < conf->strip.count; i++)
        taken |= strcasecmp(conf->mark_header, conf->strip.items[i]) == 0;
    if (taken)
        conf_problem(reader, mark,
                     "\"%s\" has a meaning already, take a name of its own such as "
                     "\"X-Postpool-Mark\"",
                     conf->mark_header);
    else if (conf_is_of_the_message(conf->mark_header))
        conf_problem(reader, mark,
                     "\"%s\" belongs to the message itself, take a name such as "
                     "\"X-Postpool-Mark\"",
                     conf->mark_header);
}

static void
check_addresses(struct conf_reader *reader, config_setting_t *addresses)
{
    const struct conf_list *list = &reader->conf->complaint_addresses;

    for (size_t i = 0; i < list->count; i++)
        if (strchr(list->items[i], '@') == NULL || strpbrk(list->items[i], " \t<>") != NULL)
            conf_problem(reader, addresses,
                         "\"%s\" is no address, write one such as \"fbl@example.com\" or "
                         "\"*@bounces.example.com\"",
                         list->items[i]);
}

void
conf_check_complaints(struct conf_reader *reader, config_setting_t *complaints)
{
    bool group = complaints != NULL && config_setting_is_group(complaints);

    check_addresses(reader, group ? config_setting_get_member(complaints, "addresses") : NULL);
    check_mark(reader, group ? config_setting_get_member(complaints, "mark") : NULL);
}
