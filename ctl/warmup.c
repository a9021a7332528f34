/*
 * postpool warmup: how far new addresses are, and what is done about it by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/mem.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: postpool warmup [--volume RECIPIENTS] [--json]\n"
    "       postpool warmup start|pause|advance|back ADDRESS --why TEXT\n\n"
    "Shows for each address in warm-up its stage, what it may send today and did, the date of its\n"
    "full volume if all goes well (with so many RECIPIENTS a day for it), and its history.\n"
    "pause: it stays at its stage until start; start at its full volume: it begins anew;\n"
    "advance, back: one stage, at once.  On all hosts that share the store.\n";

static int
complain(const char *text)
{
    fprintf(stderr, "postpool: %s\n\n%s", text, usage);
    return CTL_USAGE;
}

static int
show(const struct ctl *ctl, const char *volume)
{
    char *question;
    int status;

    if (volume != NULL &&
        (volume[0] == '\0' || strlen(volume) > 9 || strspn(volume, "0123456789") != strlen(volume)))
        return complain("--volume: a number of up to 9 digits is needed");
    question = mem_printf("warmup%s%s%s", volume != NULL ? " " : "", volume != NULL ? volume : "",
                          ctl->json ? " json" : "");
    status = ctl_print(ctl, question);
    free(question);
    return status;
}

static int
order(const struct ctl *ctl, const char *what, const char *address, const char *why)
{
    static const char *const orders[] = {"start", "pause", "advance", "back"};
    char *question;
    bool known = false;
    int status;

    for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++)
        known |= strcmp(what, orders[i]) == 0;
    if (!known)
        return complain("there are start, pause, advance and back");
    if (address == NULL || address[0] == '\0' || strpbrk(address, " \r\n") != NULL)
        return complain("an address is needed, by its name");
    if (why == NULL || why[0] == '\0' || strpbrk(why, "\r\n") != NULL)
        return complain("--why is needed, in one line: others will want to know");
    question = mem_printf("warmup %s %s %s", what, address, why);
    status = ctl_print(ctl, question);
    free(question);
    return status;
}

int
ctl_warmup(const struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {
        {"volume", required_argument, NULL, 'v'},
        {"why", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *volume = NULL, *why = NULL;
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'v')
            volume = optarg;
        else if (c == 'w')
            why = optarg;
        else if (c == 'h')
            return fputs(usage, stdout), CTL_GOOD;
        else
            return fputs(usage, stderr), CTL_USAGE;
    }
    if (argc - optind > 2)
        return complain("one argument too many");
    if (optind == argc)
        return why == NULL ? show(ctl, volume) : complain("--why is for what is done by hand");
    if (volume != NULL)
        return complain("--volume is for the forecast");
    return order(ctl, argv[optind], argv[optind + 1], why);
}
