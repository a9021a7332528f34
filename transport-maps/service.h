/*
 * The services that postpool puts into master.cf, as text.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_SERVICE_H
#define TRANSPORT_MAPS_SERVICE_H

#include "transport-maps/site.h"

struct address;
struct buf;
struct conf;

#define SERVICE_RESOLVER "pp-rewrite"

/* Add "-o name=value" to out, as a line of master.cf. */
void service_option(struct buf *out, const char *name, const char *value);

/* Ours, and behind it value, which is the site's own; the caller owns it. */
char *service_in_front(const struct site *site, const char *ours, const char *value);

/*
 * Add the smtp(8) service that is bound to address.  lookup: where it asks about what a server
 * refuses for good, as Postfix names it; NULL: nowhere.
 */
void service_address(struct buf *out, const struct address *address, const struct site *site,
                     const char *lookup);

/* Add the trivial-rewrite(8) that asks policyd. */
void service_resolver(struct buf *out, const struct conf *conf, const struct site *site);

#endif
