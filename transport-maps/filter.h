/*
 * Content filters: services of master.cf that mail passes on its way.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_FILTER_H
#define TRANSPORT_MAPS_FILTER_H

#include <stdbool.h>
#include <stddef.h>

struct cf_service;
struct site;

/* An smtp(8) or lmtp(8) service that some content_filter names. */
struct filter {
    const struct cf_service *service; /* the site's */
    bool shared;                      /* it delivers mail to the world, too */
};

/* All of them, each once.  Returns how many; *ret_filters is the caller's to free(). */
size_t filter_find_all(const struct site *site, struct filter **ret_filters);

#endif
