/*
 * Names that the configuration has, for whoever wrote another one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_KNOWN_H
#define LIB_KNOWN_H

struct snapshot;

enum { KNOWN_NAMES = 8 }; /* that are listed */

/*
 * What belongs behind "there is no pool "x"": ", did you mean "y"?" for the name that word is
 * nearest to, "; there are: a, b, c and 4 more" when none is near, or "" when there is nothing of
 * the kind; without any provider, where to take some from.  Good until this thread calls any of
 * them again.
 */
const char *known_addresses(const struct snapshot *snapshot, const char *word);
const char *known_pools(const struct snapshot *snapshot, const char *word);
const char *known_providers(const struct snapshot *snapshot, const char *word);
const char *known_streams(const struct snapshot *snapshot, const char *word);

#endif
