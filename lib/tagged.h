/*
 * What an envelope sender alone tells of a message.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_TAGGED_H
#define LIB_TAGGED_H

#include "lib/tag.h"

struct conf;
struct stream;

/*
 * The stream: by the tag, if that is genuine, else by the streams whose
 * conditions ask for nothing but the sender.  Never NULL.
 *
 * id tells the message from others: the tag's id, else the sender in lower
 * case; "" for the null sender.
 */
const struct stream *tagged_stream(const struct conf *conf, const char *sender,
                                   char id[static TAG_SENDER_SIZE]);

/* An id for this recipient: bounces have no sender to tell them apart, so it is in place of "". */
void tagged_recipient(char id[static TAG_SENDER_SIZE], const char *recipient);

#endif
