/*
 * postpool transports: what postpool puts into Postfix, shown, put in, taken out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TRANSPORTS_H
#define CTL_TRANSPORTS_H

struct ctl;

/* argv[0] is "transports".  Returns an exit status of ctl/ctl.h. */
int ctl_transports(const struct ctl *ctl, int argc, char **argv);

#endif
