/*
 * postpool: the admin's command.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"
#include "ctl/transports.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name;
    int (*run)(const struct ctl *ctl, int argc, char **argv);
    const char *help;
} commands[] = {
    {"check", ctl_check, "[FILE]: is the configuration right? every mistake with file and line"},
    {"status", ctl_status, "the running policy daemon: streams, addresses, decisions"},
    {"explain", ctl_explain,
     "where would this message leave from, and why? or the story of a QUEUE-ID"},
    {"tail", ctl_tail, "decisions and results as they come"},
    {"report", ctl_report, "[--by WHAT] [--since TIME]: what happened to mail"},
    {"suspensions", ctl_suspensions, "what is suspended, slowed or drained, and why"},
    {"suspend", ctl_suspend, "ADDRESS --why TEXT: no mail leaves from it (suspend --help)"},
    {"drain", ctl_suspend, "ADDRESS --why TEXT: it takes no new messages"},
    {"resume", ctl_suspend, "ADDRESS: as if nothing had happened"},
    {"accounts", ctl_accounts, "[ACCOUNT]: what accounts have earned, and why (accounts --help)"},
    {"grade", ctl_grade, "ACCOUNT GRADE --why TEXT: an account's grade by hand"},
    {"warmup", ctl_warmup,
     "[start|pause|advance|back ADDRESS]: how far new addresses are (warmup --help)"},
    {"simulate", ctl_simulate,
     "--volume STREAM=NUMBER/day,...: what would become of that mail? (simulate --help)"},
    {"engagement", ctl_engagement,
     "import FILE | show | test RECIPIENT: who was active of late (engagement --help)"},
    {"release", ctl_volume, "KEY|all: grants that this node holds go back to the store"},
    {"reset", ctl_volume, "KEY: forget what was counted under a cap (it may be passed once)"},
    {"settle", ctl_volume, "spent|returned ID RECIPIENT: the result of a delivery"},
    {"store", ctl_store, "set-aside: put a damaged store file aside, so that a new one is begun"},
    {"nodes", ctl_nodes, "[forget NODE]: the hosts that share the caps"},
    {"lists", ctl_lists, "are the addresses in DNS lists?"},
    {"provider", ctl_provider, "DOMAIN: which mailbox provider is a recipient domain of?"},
    {"replies", ctl_replies,
     "[test TEXT]: the rules for servers' replies; which one does a reply fall under?"},
    {"feedback", ctl_feedback,
     "-: lines of the mail log from standard input, for the policy daemon"},
    {"replay", ctl_replay, "MAILLOG...: what would have happened to the mail of a log?"},
    {"reload", ctl_reload, "both daemons take the configuration anew, or say why not"},
    {"transports", ctl_transports,
     "render|diff|apply|remove|status: what postpool puts into Postfix"},
};

static void
print_help(FILE *out)
{
    fprintf(out, "usage: postpool [-c FILE] [--json] COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        fprintf(out, "  %-11s %s\n", commands[i].name, commands[i].help);
    fprintf(out,
            "\n  -c FILE     configuration (default: %s)\n"
            "  --json      print data as JSON\n"
            "  -h, --help, -V, --version; each command has --help of its own\n\n"
            "Exit status: 0 good, 1 bad news, 2 wrong command line or configuration.\n",
            CONF_FILE);
}

/* --json may stand anywhere: take it out.  Returns the new argc. */
static int
take_json(int argc, char **argv, bool *ret_json)
{
    int kept = 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            *ret_json = true;
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    return kept;
}

static int
run(const struct ctl *ctl, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strcmp(commands[i].name, argv[0]) == 0)
            return commands[i].run(ctl, argc, argv);
    fprintf(stderr, "postpool: there is no command \"%s\"; see postpool --help\n", argv[0]);
    return CTL_USAGE;
}

static int
take(int argc, char **argv)
{
    struct ctl ctl = {.file = CONF_FILE};
    int i;

    argc = take_json(argc, argv, &ctl.json);
    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
            ctl.file = argv[++i];
        } else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            print_help(stdout);
            return CTL_GOOD;
        } else if (strcmp(argv[i], "-V") == 0 || strcmp(argv[i], "--version") == 0) {
            printf("postpool %s\n", PACKAGE_VERSION);
            return CTL_GOOD;
        } else {
            fprintf(stderr, "postpool: %s %s; see postpool --help\n",
                    strcmp(argv[i], "-c") == 0 ? "a file is needed behind" : "unknown option",
                    argv[i]);
            return CTL_USAGE;
        }
    }
    if (i == argc) {
        print_help(stderr);
        return CTL_USAGE;
    }
    return run(&ctl, argc - i, argv + i);
}

/*
 * Standard streams that are closed would be the next files that are opened, and be written to:
 * something takes their place that fails when it is used, as they would.
 */
static void
fill_standard(void)
{
    int fd;

    for (int wanted = STDIN_FILENO; wanted <= STDERR_FILENO; wanted++)
        if (fcntl(wanted, F_GETFD) < 0 && errno == EBADF) {
            fd = open("/dev/null", wanted == STDIN_FILENO ? O_WRONLY : O_RDONLY);
            if (fd > STDERR_FILENO)
                close(fd);
        }
}

/* What was to be shown and is lost is bad news, whatever the command says. */
static int
end_output(int status)
{
    int reason = ferror(stdout) ? EIO : 0;

    if (fflush(stdout) != 0)
        reason = errno;
    if (reason == 0)
        return status;
    fprintf(stderr, "postpool: standard output: %s\n", strerror(reason));
    return status != CTL_GOOD ? status : CTL_BAD_NEWS;
}

int
main(int argc, char **argv)
{
    fill_standard();
    log_open("postpool", true);
    return end_output(take(argc, argv));
}
