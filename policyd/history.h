/*
 * What is known of messages in the queue: which addresses refused one, which
 * greylisted it, and the last words of who refused it.  Pure.
 *
 * Kept for each recipient, by the message's id; messages without a tag, which
 * have their sender for an id, share it with others of that sender.  A refusal counts
 * when the other side meant it for good and the message is tried again all the
 * same (struct outcome, rescued): once for each address.
 *
 * It is forgotten when the recipient's mail was sent or returned, when the
 * message left the queue, when HISTORY_MS passed since it was heard of, and, of
 * too many, those that nothing was heard of for longest.  Who is forgotten begins
 * anew.  Names of addresses are kept, so that they hold after a reload.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HISTORY_H
#define POLICYD_HISTORY_H

#include "engine/hash.h"
#include "lib/conf.h"

#include <stddef.h>
#include <stdint.h>

struct history;
struct lookup_history;
struct outcome;

enum {
    HISTORY_MAX = 100 * 1000,                        /* recipients of messages */
    HISTORY_BYTES_MAX = 32 * 1024 * 1024,            /* that they take */
    HISTORY_REFUSED_MAX = CONF_RESCUE_ADDRESSES_MAX, /* addresses that are named of one */
    HISTORY_MS = 24 * 3600 * 1000,
    HISTORY_GREYLIST_MS = 6 * 3600 * 1000, /* the address is kept for the retry so long */
};

/* secret: random, of this process, because strangers choose recipients; copied. */
struct history *history_new(const uint8_t secret[static HASH_KEY_SIZE]);
void history_free(struct history *history); /* takes NULL */

/* now_ms: of a clock that does not go back. */
void history_outcome(struct history *history, const struct outcome *outcome, int64_t now_ms);

/* The message left the queue. */
void history_gone(struct history *history, const char *queue_id);

/*
 * What that says of the next try, to ret_history, which is all zero before.
 * Addresses are those of conf, whose rescue.addresses ends it.
 */
void history_find(struct history *history, const struct conf *conf, const char *message_id,
                  const char *recipient, int64_t now_ms, struct lookup_history *ret_history);

size_t history_count(const struct history *history);

#endif
