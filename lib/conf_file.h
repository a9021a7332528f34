/*
 * A configuration file, with those that it includes, as a tree of libconfig.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_FILE_H
#define LIB_CONF_FILE_H

#include "lib/conf_key.h"

/*
 * Read text, or reader->file when text is NULL, into config, which the caller
 * has initialised and destroys.  Returns false, and says why in
 * reader->problems, when it is not the syntax of a configuration.
 */
bool conf_file_parse(struct conf_reader *reader, config_t *config, const char *text);

#endif
