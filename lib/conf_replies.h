/*
 * The reply rules of the configuration file.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_REPLIES_H
#define LIB_CONF_REPLIES_H

#include "lib/conf_key.h"

extern const struct conf_key conf_reply_keys[]; /* of one rule */

/*
 * Fill conf.replies from setting, which may be NULL.  A rule that is not the
 * first to fit each of its samples is a mistake, and so is one that is the first to
 * fit what it says it must not.  To be called when the providers
 * have been read.
 */
void conf_read_replies(struct conf_reader *reader, config_setting_t *setting);

#endif
