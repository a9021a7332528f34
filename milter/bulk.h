/*
 * What the large providers require of bulk mail, seen in a message's header.
 *
 *   list_unsubscribe  one List-Unsubscribe field, with a URI in <>
 *                     (RFC 2369, sections 2 and 3.2)
 *   one_click         the same with an https URI, and one List-Unsubscribe-Post field that is
 *                     "List-Unsubscribe=One-Click" (RFC 8058, section 3.1)
 *   aligned_from      the one author's domain is aligned with that of the envelope sender, or with
 *                     one that signs: they have the same organizational domain (RFC 7489, 3.1)
 *   one_from          one From field, with one address
 *                     (RFC 5322, section 3.6.2, and what providers read there)
 *
 * Pure: the list of public suffixes, which tells organizational domains, is the one that libpsl
 * was built with.  Signatures are not verified: it is the site's own mail, and whoever signs
 * after the milter is not seen.
 *
 * All of it is strangers' text: the room is that of one struct, the time that of the header.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_BULK_H
#define MILTER_BULK_H

#include "engine/require.h"
#include "milter/bulk_value.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    BULK_SIGNATURES_MAX = 8, /* signatures that are looked at */
    BULK_NAMES_SIZE = 128,
};

/* An all-zero struct has seen nothing. */
struct bulk {
    unsigned from_count; /* fields */
    unsigned unsubscribe_count;
    unsigned post_count;
    bool one_author;               /* the last From names one address; the rest is of that, too */
    char author[BULK_DOMAIN_SIZE]; /* its domain */
    struct bulk_uris uris;         /* of the last List-Unsubscribe */
    bool one_click;                /* the last List-Unsubscribe-Post says so */
    size_t signature_count;
    char signers[BULK_SIGNATURES_MAX][BULK_DOMAIN_SIZE]; /* "": none that could be read */
};

/* A field of the header; value may be folded. */
void bulk_header(struct bulk *bulk, const char *name, const char *value);

/*
 * Which of the set required is not met?  sender: the envelope sender without
 * <> and tag; "" for the null sender.
 */
unsigned bulk_unmet(const struct bulk *bulk, unsigned required, const char *sender);

/* "list_unsubscribe one_from": a set that is not empty. */
const char *bulk_print(unsigned set, char out[static BULK_NAMES_SIZE]);

/* "one_from: ...": the first of a set that is not empty, and what would be right. */
const char *bulk_reply(unsigned unmet);

#endif
