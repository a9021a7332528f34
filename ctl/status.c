/*
 * postpool status: what does the running postpool-policyd say?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: postpool status [--json]\n"
    "\n"
    "Asks the running postpool-policyd: its streams with their pools, its addresses and whether\n"
    "this host has them, and how many decisions each got since the daemon's start.\n";

int
ctl_status(const struct ctl *ctl, int argc, char **argv)
{
    struct conf *conf;
    char *answer = NULL;
    int r, status;

    if (!ctl_arguments(argc, argv, 0, usage, &status))
        return status;
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    r = ctl_ask(conf, ctl->json ? "status json" : "status", &answer);
    if (r == 0)
        fputs(answer, stdout);
    free(answer);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}
