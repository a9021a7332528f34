/*
 * postpool accounts, grade: what accounts have earned, and what they have by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "engine/grade.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: postpool accounts [ACCOUNT] [--grade new|trusted|attention] [--json]\n"
    "       postpool grade ACCOUNT new|trusted|attention [--for TIME] --why TEXT\n"
    "       postpool grade ACCOUNT earned --why TEXT\n\n"
    "accounts: the grade of each account, the domain of a sender, and why it has that.\n"
    "grade: by hand, until TIME is over (30d) or for ever; earned: what it earned holds again.\n"
    "On all hosts that share the store.\n";

static int
complain(const char *text)
{
    fprintf(stderr, "postpool: %s\n\n%s", text, usage);
    return CTL_USAGE;
}

static bool
is_word(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return text[0] != '\0';
}

struct wanted {
    const char *grade, *time, *why;
};

/* False to end with *ret_status. */
static bool
parse(int argc, char **argv, struct wanted *wanted, int *ret_status)
{
    static const struct option options[] = {
        {"grade", required_argument, NULL, 'g'},
        {"for", required_argument, NULL, 'f'},
        {"why", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *ret_status = CTL_USAGE;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'g')
            wanted->grade = optarg;
        else if (c == 'f')
            wanted->time = optarg;
        else if (c == 'w')
            wanted->why = optarg;
        else if (c == 'h')
            return fputs(usage, stdout), *ret_status = CTL_GOOD, false;
        else
            return fputs(usage, stderr), false;
    }
    return true;
}

int
ctl_accounts(const struct ctl *ctl, int argc, char **argv)
{
    struct wanted wanted = {.grade = NULL};
    struct buf question = {0};
    enum grade grade;
    char *account;
    int status;

    if (!parse(argc, argv, &wanted, &status))
        return status;
    if (wanted.time != NULL || wanted.why != NULL)
        return complain("--for and --why are for postpool grade");
    if (argc - optind > 1)
        return complain("one argument too many");
    if (wanted.grade != NULL && !grade_find(wanted.grade, strlen(wanted.grade), &grade))
        return complain("there are the grades new, trusted and attention");
    if (optind < argc && !is_word(argv[optind]))
        return complain("an account is the domain of a sender");
    buf_printf(&question, "accounts%s", ctl->json ? " json" : "");
    if (wanted.grade != NULL)
        buf_printf(&question, " grade=%s", wanted.grade);
    if (optind < argc) {
        account = mem_strdup(argv[optind]);
        addr_lower(account);
        buf_printf(&question, " account=%s", account);
        free(account);
    }
    status = ctl_print(ctl, buf_text(&question));
    buf_clear(&question);
    return status;
}

int
ctl_grade(const struct ctl *ctl, int argc, char **argv)
{
    struct wanted wanted = {.grade = NULL};
    char *question, time[24] = "-";
    const char *account, *to;
    enum grade grade;
    int64_t ms;
    struct err err;
    int status;

    if (!parse(argc, argv, &wanted, &status))
        return status;
    if (argc - optind != 2 || wanted.grade != NULL)
        return complain("an account and its grade are needed");
    account = argv[optind];
    to = argv[optind + 1];
    if (!is_word(account))
        return complain("an account is the domain of a sender");
    if (strcmp(to, "earned") != 0 && !grade_find(to, strlen(to), &grade))
        return complain("there are new, trusted, attention and earned");
    if (strcmp(to, "earned") == 0 && wanted.time != NULL)
        return complain("--for is for a grade by hand");
    if (wanted.why == NULL || wanted.why[0] == '\0' || strpbrk(wanted.why, "\r\n") != NULL)
        return complain("--why is needed, in one line: others will want to know");
    if (wanted.time != NULL) {
        if (units_parse_duration(wanted.time, &ms, &err) < 0) {
            fprintf(stderr, "postpool: --for: %s\n", err.msg);
            return CTL_USAGE;
        }
        snprintf(time, sizeof(time), "%lld", (long long)ms);
    }
    question = mem_printf("grade %s %s %s %s", account, to, time, wanted.why);
    status = ctl_print(ctl, question);
    free(question);
    return status;
}
