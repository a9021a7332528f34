/*
 * postpool suspend, resume, drain, suspensions: what is held back, by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: postpool suspend ADDRESS [--provider NAME | --domain NAME] [--for TIME] --why TEXT\n"
    "       postpool suspend --account DOMAIN [--for TIME] --why TEXT\n"
    "       postpool drain ADDRESS [--provider NAME | --domain NAME] --why TEXT\n"
    "       postpool resume ADDRESS [--provider NAME | --domain NAME] | --account DOMAIN\n"
    "       postpool suspensions [--json]\n\n"
    "suspend: no mail leaves from the address (to the provider, or to recipients of a domain of\n"
    "no provider), or of the account, until TIME is over (2h, 7d) or it is resumed.\n"
    "drain: it takes no new messages, those that were tried from it before go on.\n"
    "On all hosts that share the store.\n";

/* What the command line says. */
struct wanted {
    const char *address, *provider, *domain, *account, *time, *why;
};

static bool
complain(const char *text)
{
    fprintf(stderr, "postpool: %s\n\n%s", text, usage);
    return false;
}

/* One line, which the control socket takes as one. */
static bool
is_word(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f || *text == '/')
            return false;
    return true;
}

static bool
is_right(const char *command, const struct wanted *wanted)
{
    bool suspends = strcmp(command, "suspend") == 0, resumes = strcmp(command, "resume") == 0;

    if ((wanted->address == NULL) == (wanted->account == NULL))
        return complain("an address is needed, or --account");
    if ((wanted->provider != NULL) + (wanted->domain != NULL) + (wanted->account != NULL) > 1)
        return complain("only one of --provider, --domain and --account");
    if (wanted->account != NULL && !suspends && !resumes)
        return complain("an account cannot be drained");
    if (wanted->time != NULL && !suspends)
        return complain("--for is for suspend");
    if (resumes != (wanted->why == NULL))
        return complain(resumes ? "--why is not for resume"
                                : "--why is needed: others will want to know");
    if (wanted->why != NULL && (wanted->why[0] == '\0' || strpbrk(wanted->why, "\r\n") != NULL))
        return complain("--why: one line is needed");
    for (size_t i = 0; i < 4; i++) {
        const char *names[] = {wanted->address, wanted->provider, wanted->domain, wanted->account};

        if (names[i] != NULL && (names[i][0] == '\0' || !is_word(names[i])))
            return complain("a name has no blanks and no slashes");
    }
    if (suspends && wanted->account != NULL &&
        (strchr(wanted->account, '@') != NULL || strchr(wanted->account, '.') == NULL))
        return complain("--account: the domain of a sender is needed, such as \"example.com\"; a "
                        "login is none");
    return true;
}

/* Returns true to go on; false to end with *ret_status, after saying why. */
static bool
parse(int argc, char **argv, struct wanted *wanted, int *ret_status)
{
    static const struct option options[] = {
        {"provider", required_argument, NULL, 'p'},
        {"domain", required_argument, NULL, 'd'},
        {"account", required_argument, NULL, 'a'},
        {"for", required_argument, NULL, 'f'},
        {"why", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *command = argv[0];
    int c;

    *ret_status = CTL_USAGE;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'p')
            wanted->provider = optarg;
        else if (c == 'd')
            wanted->domain = optarg;
        else if (c == 'a')
            wanted->account = optarg;
        else if (c == 'f')
            wanted->time = optarg;
        else if (c == 'w')
            wanted->why = optarg;
        else if (c == 'h')
            return fputs(usage, stdout), *ret_status = CTL_GOOD, false;
        else
            return fputs(usage, stderr), false;
    }
    if (optind < argc)
        wanted->address = argv[optind++];
    if (optind < argc)
        return complain("one argument too many");
    return is_right(command, wanted);
}

/* "address/a1", ...; the caller's. */
static char *
what_of(const struct wanted *wanted)
{
    char *account, *what;

    if (wanted->provider != NULL)
        return mem_printf("provider/%s/%s", wanted->address, wanted->provider);
    if (wanted->account == NULL && wanted->domain == NULL)
        return mem_printf("address/%s", wanted->address);
    account = mem_strdup(wanted->account != NULL ? wanted->account : wanted->domain);
    addr_lower(account);
    what = wanted->account != NULL ? mem_printf("account/%s", account)
                                   : mem_printf("domain/%s/%s", wanted->address, account);
    free(account);
    return what;
}

int
ctl_suspend(const struct ctl *ctl, int argc, char **argv)
{
    struct wanted wanted = {.address = NULL};
    const char *command = argv[0];
    char *what, *question;
    int64_t ms = 0;
    struct err err;
    int status;

    if (!parse(argc, argv, &wanted, &status))
        return status;
    if (wanted.time != NULL && units_parse_duration(wanted.time, &ms, &err) < 0) {
        fprintf(stderr, "postpool: --for: %s\n", err.msg);
        return CTL_USAGE;
    }
    what = what_of(&wanted);
    if (strcmp(command, "suspend") == 0 && wanted.time != NULL)
        question = mem_printf("suspend %s %lld %s", what, (long long)ms, wanted.why);
    else if (strcmp(command, "suspend") == 0)
        question = mem_printf("suspend %s - %s", what, wanted.why);
    else if (wanted.why != NULL)
        question = mem_printf("%s %s %s", command, what, wanted.why);
    else
        question = mem_printf("%s %s", command, what);
    status = ctl_print(ctl, question);
    free(question);
    free(what);
    return status;
}

int
ctl_suspensions(const struct ctl *ctl, int argc, char **argv)
{
    return ctl_show(ctl, argc, argv, "suspensions", usage);
}
