/*
 * How a Postfix differs from what was planned for it, in sentences.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_DIFFERENCE_H
#define TRANSPORT_MAPS_DIFFERENCE_H

#include <stddef.h>

struct err;
struct plan;
struct site;

struct differences {
    char **items; /* owned; "main.cf: smtpd_milters is missing" */
    size_t count;
    size_t services;         /* that are planned */
    size_t services_present; /* of these, as planned */
};

void differences_make(const struct site *site, const struct plan *plan,
                      struct differences *differences);
void differences_clear(struct differences *differences);

/*
 * A unified diff from one text to the other, named by path, made by diff(1).
 * Returns 0 and sets *ret_diff ("" for equal texts), the caller's; or a
 * negative errno, -ENOENT when there is no diff(1).
 */
int difference_unified(const char *path, const char *before, const char *after, char **ret_diff,
                       struct err *err);

#endif
