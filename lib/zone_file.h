/*
 * Time zones of this host, by name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_ZONE_FILE_H
#define LIB_ZONE_FILE_H

struct err;
struct zone;

#define ZONE_FOLDER "/usr/share/zoneinfo"

/*
 * "Europe/Berlin", as in ZONE_FOLDER, or a rule such as "CET-1CEST,M3.5.0,M10.5.0/3"; "local": the
 * host's own, by TZ or /etc/localtime, UTC when there is neither.  *ret_zone becomes the
 * caller's; NULL is UTC.  Returns 0, or a negative errno with the reason.
 */
int zone_load(const char *name, struct zone **ret_zone, struct err *err);

#endif
