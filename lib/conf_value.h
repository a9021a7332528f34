/*
 * What a key of the configuration holds: from text to the struct member.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_VALUE_H
#define LIB_CONF_VALUE_H

#include "lib/conf_key.h"

struct err;

/*
 * Put text, as it stands in the file, into the member of a key that holds text
 * there.  Returns 0, or a negative errno with the reason; *member is then
 * untouched.
 */
int conf_value_set(const struct conf_key *key, const char *text, void *member, struct err *err);

/* Put the key's default there, if it has one. */
void conf_value_default(const struct conf_key *key, void *member);

/* Free what the member holds. */
void conf_value_clear(const struct conf_key *key, void *member);

/*
 * ", did you mean "x"?" for the candidate that word is nearest to, or "" when
 * none is near.  The text is valid until the next call.
 */
const char *conf_nearest(const char *word, const char *const *candidates, size_t count);

/* The name of a header field, RFC 5322 section 2.2; the name of a host.  0, or -EINVAL. */
int conf_check_header(const char *text, struct err *err);
int conf_check_host(const char *text, struct err *err);

#endif
