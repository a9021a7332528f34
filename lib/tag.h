/*
 * The tag in the envelope sender: user+pp=<stream>.<id>.<mac>@domain.
 *
 * It carries a message's stream and id to where the address is chosen, and is
 * gone before the message leaves the host.  id is 12 or 16 and mac 8 characters of
 * base32 (a-z2-7); the id is random, and tells when the message came in; the mac is SipHash-2-4
 * over "stream.id" under a secret that the milter and the policy daemon share.  Letter case means
 * nothing: mail software may change it.  In a quoted local part the tag stands before the closing
 * quote.
 *
 * An id of 16 also tells a day: when the recipient was active last, as the sender hinted.  Without
 * the secret nobody can read it there: ids are told to others, in the log and in mail.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_TAG_H
#define LIB_TAG_H

#include "engine/snapshot.h"
#include "lib/addr.h"
#include "lib/conf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TAG_ID_LENGTH = 12, /* of one that tells no day */
    TAG_DAY_LENGTH = 4, /* so much longer is one that does */
    TAG_ID_MAX = TAG_ID_LENGTH + TAG_DAY_LENGTH,
    TAG_MAC_LENGTH = 8,
    TAG_LENGTH_MAX = 4 + STREAM_NAME_MAX + 1 + TAG_ID_MAX + 1 + TAG_MAC_LENGTH,
    TAG_DAY_MAX = UINT16_MAX,
    TAG_NO_DAY = -1,
    TAG_SENDER_SIZE = ADDR_MAX + 1, /* room for any tagged sender */
};

struct tag {
    char stream[STREAM_NAME_MAX + 1];
    char id[TAG_ID_MAX + 1];
    char mac[TAG_MAC_LENGTH + 1];
};

/* An id from the time of day and 36 random bits. */
void tag_id(uint64_t random, int64_t now_s, char id[static TAG_ID_LENGTH + 1]);

/*
 * When the id was made, by the time of day; of one that is older than 97 days a later time.  -1: it
 * is no id of a tag, but, say, a sender, which has an "@".
 */
int64_t tag_time_s(const char *id, int64_t now_s);

/* Add a day, 0 to TAG_DAY_MAX (engine/date.h), to the id, which tells none yet. */
void tag_add_day(const uint8_t secret[static CONF_SECRET_SIZE], char id[static TAG_ID_MAX + 1],
                 int32_t day);

/* The day that a genuine tag's id tells; TAG_NO_DAY: none, or it is no id. */
int32_t tag_day(const uint8_t secret[static CONF_SECRET_SIZE], const char *id);

/*
 * Write sender with a tag to out.  Returns 0, or -EINVAL for a sender that
 * addr_split() refuses, with the tag or without, or that is the null sender.
 */
int tag_add(const uint8_t secret[static CONF_SECRET_SIZE], const char *sender, const char *stream,
            const char *id, char out[static TAG_SENDER_SIZE]);

/*
 * Find the tag at the end of sender's local part.  Says nothing of whether it
 * is genuine.  Returns false, and leaves *ret_tag alone, when there is none.
 */
bool tag_find(const char *sender, struct tag *ret_tag);

/* Is the tag one that tag_add() made with this secret? */
bool tag_verify(const uint8_t secret[static CONF_SECRET_SIZE], const struct tag *tag);

/* Take every tag from the end of sender's local part, in place.  Returns how many. */
int tag_remove(char *sender);

#endif
