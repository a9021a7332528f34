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
    char *question;
    int status;

    if (!ctl_arguments(argc, argv, 2, usage, &status))
        return status;
    if (argc != (forgets ? 3 : 1)) {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (!forgets)
        return ctl_print(ctl, ctl->json ? "nodes json" : "nodes");
    question = mem_printf("forget %s", argv[2]);
    status = ctl_print(ctl, question);
    free(question);
    return status;
}
