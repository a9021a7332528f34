/*
 * Which stream is this message?
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_CLASSIFY_H
#define ENGINE_CLASSIFY_H

#include "engine/ip.h"

#include <stdbool.h>
#include <stddef.h>

struct match;
struct snapshot;
struct stream;

struct header {
    const char *name;
    const char *value; /* unfolded, without white space at its ends */
};

/* What is known of one message.  Texts are the caller's; NULL: not known. */
struct facts {
    const char *sender;    /* envelope sender without <>; "" for the null sender */
    const char *sasl_user; /* login name */
    const char *daemon;    /* Postfix' {daemon_name} */
    struct ip client;      /* family 0: not known */
    const char *const *recipients;
    size_t recipient_count;
    const struct header *headers; /* at least those that snapshot.headers names */
    size_t header_count;
    unsigned granted; /* a set, 1 << enum condition_type: conditions of these types hold */
};

/*
 * The first stream that takes the message: one with a match group whose
 * conditions all hold, or one without groups.  A condition over something that
 * is not known does not hold.  Never NULL: the last stream takes everything.
 *
 * With what cannot be known granted it is the first stream that may take the message: where
 * that is the same as without, it is sure.
 */
const struct stream *classify(const struct snapshot *snapshot, const struct facts *facts);

/* Do the conditions of any of the groups hold, or are there none? */
bool classify_any(const struct match *matches, size_t count, const struct facts *facts);

#endif
