/*
 * Pages in the file of hours: those that this host has to show, and those that
 * others have shown, which are kept beside its own sums.
 *
 * Each file has an id of its own, by which pages go: a host may get another name
 * without counting twice, or lose its file and be told of what it was by the
 * others.  Calls block, as those of hours_file.h do; 0 or a negative errno.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_PAGES_H
#define POLICYD_HOURS_PAGES_H

#include "policyd/hours_page.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct hours_file;

enum { HOURS_ID_SIZE = 17, HOURS_LIST_MAX = 10000, HOURS_NODES_MAX = 1000 };

/* An hour as it was counted up to some version; another one differs. */
struct hours_version {
    int64_t hour;
    int64_t version;
};

/* Of the file: 16 hexadecimal digits, made when the file was; valid as long as it is open. */
const char *hours_pages_id(const struct hours_file *file);
bool hours_pages_is_id(const char *text, size_t length);

/*
 * The newest hour before `below` that is not shown as it is now: 1, and its page, which the caller
 * clears, or 0.  ret_left: how many more there are, of all.
 */
int hours_pages_next(struct hours_file *file, const char *node, int64_t below,
                     struct hours_version *ret_version, struct hours_page *ret_page,
                     int64_t *ret_left, struct err *err);

/* That version is shown now. */
int hours_pages_shown(struct hours_file *file, const struct hours_version *version,
                      struct err *err);

/* These are all that are shown there, in any order: what is not is shown again, and the newest. */
int hours_pages_compare(struct hours_file *file, struct hours_version *there, size_t count,
                        struct err *err);

/*
 * Of what the host with that id shows, keep in there what is not known yet, the newest first.
 * Nothing is that old that it is before `oldest`, or was removed from the file to make room.
 */
int hours_pages_wanted(struct hours_file *file, const char *id, int64_t oldest,
                       struct hours_version *there, size_t *count, struct err *err);

/* Such an hour, in place of what was known of it.  length 0: it is gone there; what is known stays.
 * What is no page is passed over: *ret_odd. */
int hours_pages_take(struct hours_file *file, const char *id, const struct hours_version *version,
                     const char *bytes, size_t length, bool *ret_odd, struct err *err);

/* Hosts whose pages there are, of some hours; by name. */
typedef void hours_nodes_fn(void *arg, const char *node);
int hours_pages_nodes(struct hours_file *file, int64_t from, int64_t to, hours_nodes_fn *each,
                      void *arg, struct err *err);

#endif
