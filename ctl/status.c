/*
 * postpool status: what does the running postpool-policyd say?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

int
ctl_status(const struct ctl *ctl, int argc, char **argv)
{
    struct conf *conf;
    char *answer = NULL;
    int r;

    (void)argv;
    if (argc > 1) {
        fprintf(stderr, "usage: postpool status [--json]\n");
        return CTL_USAGE;
    }
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    r = ctl_ask(conf, ctl->json ? "status json" : "status", &answer);
    if (r == 0)
        fputs(answer, stdout);
    free(answer);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}
