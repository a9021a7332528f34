/*
 * The files of Postfix that we write, as text: main.cf, master.cf and the
 * tables in DIR/postpool.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_FILES_H
#define TRANSPORT_MAPS_FILES_H

#include "transport-maps/table.h"

#include <stdbool.h>

struct err;
struct site;

/* All owned; NULL: there is none, or it is not spoken of. */
struct files {
    char *main, *master;
    char *tables[TABLE_COUNT];
};

/* main.cf and master.cf as the site was read with, and the tables as they are now. */
struct files files_present(const struct site *site);
struct files files_copy(const struct files *files);
void files_clear(struct files *files);

/* Is every file that wanted has the same in now? */
bool files_have(const struct files *now, const struct files *wanted);

/*
 * Write the files that wanted has and now has otherwise; now follows.  Tables
 * first, since the others name them; main.cf last, since it has the milters.
 * Returns 0, or a negative errno with the reason.
 */
int files_write(const struct site *site, struct files *now, const struct files *wanted,
                struct err *err);

/*
 * Remove the tables that wanted has not, and their directory with the last of
 * them; now follows.  Returns 0; 1, when the directory has other files in it
 * and stays; or a negative errno with the reason.
 */
int files_remove_tables(const struct site *site, struct files *now, const struct files *wanted,
                        struct err *err);

#endif
