/*
 * A look at the text of a configuration file before libconfig's own, for what
 * libconfig does not survive (an include that is a folder ends the program),
 * does not notice (numbers beyond 32 bits) or does not say clearly (which name
 * is there twice).
 *
 * Pure.  Source of the syntax: the libconfig manual, "Configuration File Grammar".
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_SCAN_H
#define LIB_CONF_SCAN_H

#include <stdbool.h>

/* What to do with what is found; texts are valid during the call only. */
struct conf_scan {
    void (*problem)(void *arg, unsigned line, const char *text);
    /* path as it is written.  false: it cannot be read, and that was said. */
    bool (*include)(void *arg, unsigned line, const char *path);
    void *arg; /* not ours */
};

/* Returns whether libconfig may be asked next.  false: at least one problem was told. */
bool conf_scan(const struct conf_scan *scan, const char *text);

#endif
