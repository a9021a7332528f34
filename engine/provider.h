/*
 * Which mailbox provider does a domain belong to?  By its name, else by the
 * hosts that take its mail.
 *
 * Letter case and a dot at the end mean nothing in domains and hosts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_PROVIDER_H
#define ENGINE_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>

struct provider;
struct snapshot;

enum { PROVIDER_DOMAIN_SIZE = 254 }; /* longest domain, RFC 1035, with NUL */

/* The provider that names exactly this domain; NULL when none does. */
const struct provider *provider_by_domain(const struct snapshot *snapshot, const char *domain);

/*
 * The one provider whose suffixes match all hosts, or "other": for no hosts,
 * for hosts of several providers, and when one is nobody's.
 *
 * The suffix ".google.com" matches "aspmx.l.google.com", and also "google.com"
 * itself: whose the names below are, that is the one above them.  It does not
 * match "notgoogle.com".  Of several suffixes the longest counts.  A host with
 * other characters than letters, digits, "-", "_" and "." is nobody's.
 */
const struct provider *provider_by_mx(const struct snapshot *snapshot, const char *const *hosts,
                                      size_t count);

/*
 * Copy domain to out in lower case and without the dot at its end.  Returns
 * false for what can have no MX record that is worth asking for: an address
 * literal, UTF-8, an empty or too long name or label.
 */
bool provider_domain(const char *domain, char out[static PROVIDER_DOMAIN_SIZE]);

#endif
