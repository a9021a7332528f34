/*
 * postpool provider: which mailbox provider does the running postpool-policyd
 * count a domain to?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOMAIN_MAX = 500 }; /* bytes; the longest that exist are half as long */

static const char usage[] = "usage: postpool provider DOMAIN [--json]\n";

/* Is the answer, in either form, that it is not known yet? */
static bool
is_open(const char *answer)
{
    return strncmp(answer, "not known", 9) == 0 || strstr(answer, "\"provider\":null") != NULL;
}

int
ctl_provider(const struct ctl *ctl, int argc, char **argv)
{
    struct conf *conf;
    char *question, *answer = NULL;
    int r, status;

    if (!ctl_arguments(argc, argv, 1, usage, &status))
        return status;
    if (argc < 2) {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (argv[1][0] == '\0' || strlen(argv[1]) > DOMAIN_MAX ||
        strpbrk(argv[1], "@ \t\r\n\"") != NULL) {
        fprintf(stderr, "postpool: \"%.100s\" is no domain, write one such as \"example.com\"\n",
                argv[1]);
        return CTL_USAGE;
    }
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    question = mem_printf("mx %s%s", argv[1], ctl->json ? " json" : "");
    r = ctl_ask(conf, question, &answer);
    if (r == 0) {
        fputs(answer, stdout);
        r = is_open(answer) ? -1 : 0;
    }
    free(answer);
    free(question);
    conf_unref(conf);
    return r == 0 ? CTL_GOOD : CTL_BAD_NEWS;
}
