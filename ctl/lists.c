/*
 * postpool lists: are the addresses in DNS lists?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: postpool lists [--json]\n\n"
    "Asks the running postpool-policyd what the DNS lists last said of each address; it asks\n"
    "them by itself.\n";

int
ctl_lists(const struct ctl *ctl, int argc, char **argv)
{
    struct conf *conf;
    char *answer = NULL;
    int r, status;

    if (!ctl_arguments(argc, argv, 0, usage, &status))
        return status;
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    r = ctl_ask(conf, ctl->json ? "lists json" : "lists", &answer);
    if (r == 0)
        fputs(answer, stdout);
    free(answer);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}
