/*
 * Feedback-ID: the header by which Google counts complaints of its users for the senders that ask
 * for the sums (Postmaster Tools): up to three identifiers of groups of mail, and who sends,
 * "campaign:customer:kind:SenderId".
 *
 * A stream has a text for it, in which {stream} and {account} stand for the stream's name and the
 * domain of the sender.
 *
 * Source: Google, "Feedback Loop" of the Gmail help for senders.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_FEEDBACK_ID_H
#define LIB_FEEDBACK_ID_H

#include "engine/snapshot.h"

struct err;

enum {
    FEEDBACK_ID_FIELDS_MAX = 4,
    FEEDBACK_ID_SENDER_MIN = 5, /* of the last field */
    FEEDBACK_ID_SENDER_MAX = 15,
    FEEDBACK_ID_TEXT_MAX = 120,
    FEEDBACK_ID_ACCOUNT_MAX = 100, /* what is longer is cut */
    FEEDBACK_ID_SIZE = FEEDBACK_ID_TEXT_MAX + STREAM_NAME_MAX + FEEDBACK_ID_ACCOUNT_MAX + 1,
};

/* May text be that of a stream?  0 or -EINVAL, and err says why. */
int feedback_id_check(const char *text, struct err *err);

/* The header's value, of a text that was checked.  In account, ":" and what is odd become "_". */
void feedback_id_print(const char *text, const char *stream, const char *account,
                       char out[static FEEDBACK_ID_SIZE]);

#endif
