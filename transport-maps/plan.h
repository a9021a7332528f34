/*
 * What postpool puts into Postfix: worked out, not yet written.
 *
 * The parts, in the order in which they may take effect: the base (tables,
 * one smtp(8) service for each address, the resolver, taking the tag out),
 * which changes nothing by itself; then the switch, which has qmgr ask our
 * resolver; then what smtpd asks of a message that comes in: the milters, which
 * set tags, and the policy service.
 *
 * Pure: from the configuration and the site to text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_PLAN_H
#define TRANSPORT_MAPS_PLAN_H

#include "transport-maps/edit.h"
#include "transport-maps/site.h"
#include "transport-maps/table.h"

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct err;

/* A file under DIR/postpool. */
struct plan_table {
    const char *name;
    char *text; /* owned; NULL: this site does not need it */
};

struct plan {
    struct plan_table tables[TABLE_COUNT];
    struct edit_param *params; /* owned, what smtpd asks last */
    size_t param_count;
    struct edit_extra *extras; /* owned */
    size_t extra_count;
    char *services; /* owned; lines of master.cf */
};

enum plan_part {
    PLAN_BASE = 1,
    PLAN_SWITCH = 2,
    PLAN_INTAKE = 4,
    PLAN_ALL = 7,
};

/*
 * Returns 0, or a negative errno with the reason: -ENOENT when master.cf has
 * no qmgr, -EEXIST when something of the site's own is in the way.
 */
int plan_make(const struct conf *conf, const struct site *site, struct plan *ret_plan,
              struct err *err);
void plan_clear(struct plan *plan);

/* What part does this belong to?  Also for what was found in a file. */
enum plan_part plan_param_part(const struct edit_param *param);
enum plan_part plan_extra_part(const struct edit_extra *extra);

/* The text of main.cf with only these parts; the caller owns it. */
char *plan_main(const struct edit_file *file, const struct edit_param *params, size_t count,
                unsigned parts);

/* The same for master.cf. */
char *plan_master(const struct edit_file *file, const struct edit_extra *extras, size_t count,
                  const char *services, unsigned parts);

/* Those of the services in file that the plan has no more, as lines; the caller owns them. */
char *plan_leftover(const struct plan *plan, const struct edit_file *master);

/* Do services ask policyd about what servers refuse for good? */
bool plan_rescues(const struct conf *conf);

/* An endpoint of ours as Postfix is told, and whether a chrooted service can reach it. */
char *plan_endpoint(const char *endpoint, const struct site *site, bool *ret_chroot_safe);

/* The restrictions that ask the policy service: ours stands first in each.  Ends in NULL. */
extern const char *const plan_restrictions[];

/* "check_policy_service { ... }"; the caller owns it.  conf->policy is not NULL. */
char *plan_policy(const struct conf *conf, const struct site *site, bool *ret_chroot_safe);

#endif
