/*
 * postpool report: what happened to mail?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: postpool report [--by address|stream|provider|account|pool|hour|node] [--since 7d]\n"
    "                       [--node NAME] [--json]\n"
    "\n"
    "What happened to mail on all hosts that share a Redis, or on the one that is named: how many\n"
    "recipients were sent to, deferred (each try counts) and bounced, and the delay that 50, 95\n"
    "and 99 percent of what was sent did not exceed.  It is as of feedback.log, hour by hour, for\n"
    "up to 90 days.\n";

struct options {
    const char *by, *since, *node;
};

/* Returns false for a command line that is wrong. */
static bool
take_options(int argc, char **argv, struct options *ret_options)
{
    for (int i = 1; i < argc; i++) {
        const char **place = strcmp(argv[i], "--by") == 0      ? &ret_options->by
                             : strcmp(argv[i], "--since") == 0 ? &ret_options->since
                             : strcmp(argv[i], "--node") == 0  ? &ret_options->node
                                                               : NULL;

        if (place == NULL || i + 1 == argc || strchr(argv[i + 1], ' ') != NULL)
            return false;
        *place = argv[++i];
    }
    return true;
}

int
ctl_report(const struct ctl *ctl, int argc, char **argv)
{
    struct options options = {"address", "7d", NULL};
    char *question;
    int64_t since_ms;
    struct err err;
    int status;

    if (argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
        fputs(usage, stdout);
        return CTL_GOOD;
    }
    if (!take_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (units_parse_duration(options.since, &since_ms, &err) < 0) {
        fprintf(stderr, "postpool: --since: %s\n", err.msg);
        return CTL_USAGE;
    }
    question =
        mem_printf("report %s %s%s%s%s", options.by, options.since, ctl->json ? " json" : "",
                   options.node != NULL ? " node=" : "", options.node != NULL ? options.node : "");
    status = ctl_print(ctl, question);
    free(question);
    return status;
}
