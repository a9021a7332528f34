/*
 * Caps in the file: { hour = 5000; day = 60000; smooth = false;
 *                     windows = ( { length = "15m"; recipients = 800; } ); }
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_CAPS_H
#define LIB_CONF_CAPS_H

#include "lib/conf_key.h"

struct caps;

extern const struct conf_key conf_caps_keys[];
extern const struct conf_key conf_window_keys[];

/* Fill caps, the shortest window first; mistakes become problems. */
void conf_read_caps(struct conf_reader *reader, config_setting_t *setting, struct caps *caps);

#endif
