/*
 * postpool status: what does the running postpool-policyd say?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

static const char usage[] =
    "usage: postpool status [--json]\n"
    "\n"
    "Asks the running postpool-policyd: its streams with their pools, its addresses and whether\n"
    "this host has them, and how many decisions each got since the daemon's start.\n";

int
ctl_status(const struct ctl *ctl, int argc, char **argv)
{
    return ctl_show(ctl, argc, argv, "status", usage);
}
