/*
 * The site's own Postfix: what it would be without us.
 *
 * site_load() reads main.cf and master.cf, takes our blocks out in memory, and
 * asks postconf for the rest.  Nothing is changed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_SITE_H
#define TRANSPORT_MAPS_SITE_H

#include "transport-maps/cf.h"
#include "transport-maps/edit.h"

#include <stdbool.h>
#include <stddef.h>

struct err;

struct site_value {
    const char *name; /* not ours */
    char *raw;        /* as written, "$name" and all */
    char *expanded;
};

struct site {
    char *dir; /* absolute */
    char *main_path, *master_path;
    char *main_text, *master_text; /* as they are, with our blocks */
    struct edit_file main, master; /* the same, taken apart */
    struct cf_services services;   /* of master.plain */
    struct site_value *values;
    size_t value_count;
    int version;        /* 307 for Postfix 3.7 */
    char **star_tables; /* tables in transport_maps with an entry for "*" */
    size_t star_count;
    char **catch_all_tables; /* of these, the ones that have an answer for every address */
    size_t catch_all_count;
};

/*
 * dir: where main.cf is; NULL for Postfix's default.  Without the two files
 * there, may_lack says whether that is an error (-ENOENT) or they are taken as
 * empty.  Returns 0 or a negative errno with the reason; *ret_site is then
 * untouched, else site_free() it.
 */
int site_load(const char *dir, bool may_lack, struct site **ret_site, struct err *err);
void site_free(struct site *site); /* takes NULL */

/* The site's value of a parameter that site.c has in its table, never NULL. */
const char *site_raw(const struct site *site, const char *name);
const char *site_expanded(const struct site *site, const char *name);

/*
 * A site's value to stand behind ours: references to the parameters that we
 * change would bring ours a second time, so they are replaced by what the site
 * wrote there.  The caller owns the result.
 */
char *site_own_value(const struct site *site, const char *value);

/* The parameters of main.cf that we put something in front of; ends in NULL. */
extern const char *const site_changed[];

#endif
