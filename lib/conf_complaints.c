/*
 * Where complaints and bounces come in, and what in them tells whose mail it was.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"

#include <string.h>

#define AT(member) offsetof(struct conf, member)

const struct conf_key conf_complaints_keys[] = {
    {"addresses", KEY_LIST, AT(complaint_addresses), "", 0, 0,
     "Recipients whose mail is read as complaints and bounces, with * and ?.", NULL, NULL},
    {"header", KEY_HEADER, AT(complaint_header), "Feedback-ID", 0, 0,
     "The header, of a message that a complaint is about, that tells whose it was.", NULL, NULL},
    CONF_KEY_END,
};

void
conf_check_complaints(struct conf_reader *reader, config_setting_t *addresses)
{
    const struct conf_list *list = &reader->conf->complaint_addresses;

    for (size_t i = 0; i < list->count; i++)
        if (strchr(list->items[i], '@') == NULL || strpbrk(list->items[i], " \t<>") != NULL)
            conf_problem(reader, addresses,
                         "\"%s\" is no address, write one such as \"fbl@example.com\" or "
                         "\"*@bounces.example.com\"",
                         list->items[i]);
}
