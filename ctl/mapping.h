/*
 * Streams as the admin tells them, for mail that is known by a log alone: headers that conditions
 * ask for do not stand there.
 *
 *   bulk=*@news.example.com      a glob over the envelope sender; "<>": the null sender
 *   bulk=login:app-*             over the login
 *   bulk=client:10.0.0.0/8       the network that the client's address is in
 *   bulk=service:submission      a glob over the name of the smtpd(8) that took it in, as it stands
 *                                in "postfix/submission/smtpd"
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_MAPPING_H
#define CTL_MAPPING_H

#include "engine/ip.h"

#include <stddef.h>

struct err;
struct snapshot;
struct stream;

/* All zero: nothing is told. */
struct mapping {
    struct mapping_rule *rules; /* owned, in their order */
    size_t count;
};

/* Whose mail it is.  NULL, or family 0: not known. */
struct mapping_facts {
    const char *sender; /* without <> */
    const char *login;
    const char *service;
    struct ip client;
};

/* One more, behind those that are there.  Streams are the snapshot's.  0, or -EINVAL. */
int mapping_add(struct mapping *mapping, const struct snapshot *snapshot, const char *text,
                struct err *err);

/* That of the first that fits; NULL: none does. */
const struct stream *mapping_find(const struct mapping *mapping, const struct mapping_facts *facts);

void mapping_clear(struct mapping *mapping);

#endif
