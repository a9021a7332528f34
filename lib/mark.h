/*
 * The mark of a message that leaves, in a header of it: STREAM.ID.MAC:ACCOUNT.
 *
 * A report brings back what a provider leaves of a message, and the tag left it before it
 * went out.  The mark says what the tag says, and whose message it is.  Everybody who
 * gets the message can read it, so it is good for nothing but reports: its mac is
 * of its own, over all the rest, and no tag can be made of it.  Letter case
 * means nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_MARK_H
#define LIB_MARK_H

#include "lib/conf.h"
#include "lib/tag.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    MARK_MAC_LENGTH = 16,
    MARK_ACCOUNT_MAX = 180,
    MARK_SIZE = STREAM_NAME_MAX + 1 + TAG_ID_MAX + 1 + MARK_MAC_LENGTH + 1 + MARK_ACCOUNT_MAX + 1
};

struct mark {
    char stream[STREAM_NAME_MAX + 1];
    char id[TAG_ID_MAX + 1];
    char account[MARK_ACCOUNT_MAX + 1]; /* of a-z, 0-9, "-", "." and "_" */
};

/* Write the mark of mail of this account, a domain.  false: the account has no form for it. */
bool mark_print(const uint8_t secret[static CONF_SECRET_SIZE], const char *stream, const char *id,
                const char *account, char out[static MARK_SIZE]);

/* Read text as a mark.  false: it is none that mark_print() made with this secret. */
bool mark_read(const uint8_t secret[static CONF_SECRET_SIZE], const char *text,
               struct mark *ret_mark);

#endif
