/*
 * Values of the header fields that providers look at in bulk mail.
 *
 * Pure.  A value may be folded, and be of any length: each is read once or
 * twice from its beginning, and nothing of it is kept but a domain.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_BULK_VALUE_H
#define MILTER_BULK_VALUE_H

#include <stdbool.h>

enum { BULK_DOMAIN_SIZE = 256 }; /* of a domain and its NUL */

/*
 * From: does it name exactly one address, and nothing that is none?  domain
 * becomes that of the address, in lower case (ASCII); "": there is none that
 * could be compared (a domain literal, or one that does not fit).
 * Source: RFC 5322, sections 3.4 and 4.4, without groups and source routes; RFC 6532.
 */
bool bulk_value_author(const char *value, char domain[static BULK_DOMAIN_SIZE]);

/* What there is among the URIs of a List-Unsubscribe field. */
struct bulk_uris {
    bool any;
    bool https;
};

/* Source: RFC 2369, section 2. */
void bulk_value_uris(const char *value, struct bulk_uris *ret_uris);

/* List-Unsubscribe-Post: is it what RFC 8058, section 5, has it be? */
bool bulk_value_is_one_click(const char *value);

/*
 * DKIM-Signature: the domain that signs, d=, in lower case (ASCII).  Returns
 * false when there is none, or no domain, or more than one.
 * Source: RFC 6376, section 3.2.
 */
bool bulk_value_signer(const char *value, char domain[static BULK_DOMAIN_SIZE]);

#endif
