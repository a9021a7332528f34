/*
 * postpool lists: are the addresses in DNS lists?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

static const char usage[] =
    "usage: postpool lists [--json]\n\n"
    "Asks the running postpool-policyd what the DNS lists last said of each address; it asks\n"
    "them by itself.\n";

int
ctl_lists(const struct ctl *ctl, int argc, char **argv)
{
    return ctl_show(ctl, argc, argv, "lists", usage);
}
