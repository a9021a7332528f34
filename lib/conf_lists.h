/*
 * The DNS lists of the configuration file.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_LISTS_H
#define LIB_CONF_LISTS_H

#include "lib/conf_key.h"

extern const struct conf_key conf_dnslist_keys[]; /* of one list */

/* Fill conf.lists from setting, which may be NULL.  To be called when the addresses are read. */
void conf_read_lists(struct conf_reader *reader, config_setting_t *setting);

#endif
