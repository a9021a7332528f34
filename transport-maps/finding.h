/*
 * What a site's Postfix has that matters for the pools, and what that means.
 *
 * Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_FINDING_H
#define TRANSPORT_MAPS_FINDING_H

#include <stddef.h>

struct conf;
struct site;

enum finding_level {
    FINDING_NOTE,   /* good to know */
    FINDING_WARN,   /* something will not be as one may think */
    FINDING_REFUSE, /* not without --force */
};

struct finding {
    enum finding_level level;
    char *text; /* owned; one line */
};

struct findings {
    struct finding *items;
    size_t count;
    size_t refused;
};

void findings_make(const struct conf *conf, const struct site *site, struct findings *findings);
void findings_clear(struct findings *findings);

#endif
