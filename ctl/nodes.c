/*
 * postpool nodes: which hosts share the caps?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: postpool nodes [--json]\n"
    "       postpool nodes forget NODE\n\n"
    "Lists the hosts that share the store.  forget: a host is gone for good; a Redis that\n"
    "lost its data does not wait for what it counted any longer.\n";

int
ctl_nodes(const struct ctl *ctl, int argc, char **argv)
{
    bool forgets = argc > 1 && strcmp(argv[1], "forget") == 0;
    char *question, *answer = NULL;
    struct conf *conf;
    int r, status;

    if (!ctl_arguments(argc, argv, 2, usage, &status))
        return status;
    if (argc != (forgets ? 3 : 1)) {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    question =
        forgets ? mem_printf("forget %s", argv[2]) : mem_strdup(ctl->json ? "nodes json" : "nodes");
    r = ctl_ask(conf, question, &answer);
    if (r == 0)
        fputs(answer, stdout);
    free(answer);
    free(question);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}
