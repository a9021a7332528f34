/*
 * A configuration as sorted lines "path = value", to tell what a reload
 * changed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_LINES_H
#define LIB_CONF_LINES_H

#include "lib/conf.h"

#include <libconfig.h>

/* Fill conf->lines from the file's root. */
void conf_lines(const config_setting_t *root, struct conf *conf);

#endif
