/*
 * What the commands of postpool(1) share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "lib/conf.h"

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;
struct option;

/* Exit statuses. */
enum {
    CTL_GOOD = 0,
    CTL_BAD_NEWS = 1, /* the answer is no, or somebody does not answer */
    CTL_USAGE = 2,    /* the command line or the configuration is wrong */
};

/* What stands before the command's name on the command line. */
struct ctl {
    const char *file; /* -c */
    bool json;        /* --json, also behind the command */
};

/* Load the configuration and print its problems to standard error.  0, or -EINVAL. */
int ctl_load(const char *file, struct conf **ret_conf);

/*
 * Ask policyd.  *ret_answer is its text, the caller's.  Returns 0, or a negative
 * errno after saying on standard error what is wrong; -EREMOTEIO: policyd says so.
 */
int ctl_ask(const struct conf *conf, const char *question, char **ret_answer);

/*
 * Send bytes to policyd's control socket and read the answer until it ends.  Returns 0,
 * or a negative errno with what is wrong in one sentence.
 */
int ctl_exchange(const struct conf *conf, const char *bytes, size_t length, struct buf *answer,
                 struct err *err);

/*
 * A command that takes nothing but --json and prints what policyd answers to
 * question, or to "question json".  Returns an exit status.
 */
int ctl_show(const struct ctl *ctl, int argc, char **argv, const char *question, const char *usage);

/* Load the configuration, ask policyd, and print its answer.  Returns an exit status. */
int ctl_print(const struct ctl *ctl, const char *question);

/* Does policyd run? */
bool ctl_answers(const struct conf *conf);

/*
 * Does the command line ask for help, or is it wrong: more than arguments_max
 * arguments, or an option?  Prints usage then, sets *ret_status and returns false.
 */
bool ctl_arguments(int argc, char **argv, int arguments_max, const char *usage, int *ret_status);

/*
 * The same of a command that has options, before a configuration is read: help, and what is no
 * option at all.  -1: go on, with the arguments from optind on; else an exit status.
 */
int ctl_options(int argc, char **argv, const struct option *options, const char *usage);

/* Is standard output a terminal that shows colours? */
bool ctl_colour(void);

/* The commands; argv[0] is the command's name.  Each returns an exit status. */
int ctl_check(const struct ctl *ctl, int argc, char **argv);
int ctl_status(const struct ctl *ctl, int argc, char **argv);
int ctl_explain(const struct ctl *ctl, int argc, char **argv);
int ctl_volume(const struct ctl *ctl, int argc, char **argv);
int ctl_store(const struct ctl *ctl, int argc, char **argv);
int ctl_lists(const struct ctl *ctl, int argc, char **argv);
int ctl_nodes(const struct ctl *ctl, int argc, char **argv);
int ctl_provider(const struct ctl *ctl, int argc, char **argv);
int ctl_replies(const struct ctl *ctl, int argc, char **argv);
int ctl_feedback(const struct ctl *ctl, int argc, char **argv);
int ctl_story(const struct ctl *ctl, int argc, char **argv);   /* explain QUEUE-ID */
int ctl_suspend(const struct ctl *ctl, int argc, char **argv); /* resume and drain, too */
int ctl_suspensions(const struct ctl *ctl, int argc, char **argv);
int ctl_warmup(const struct ctl *ctl, int argc, char **argv);
int ctl_accounts(const struct ctl *ctl, int argc, char **argv);
int ctl_grade(const struct ctl *ctl, int argc, char **argv);
int ctl_engagement(const struct ctl *ctl, int argc, char **argv);
int ctl_simulate(const struct ctl *ctl, int argc, char **argv);
int ctl_tail(const struct ctl *ctl, int argc, char **argv);
int ctl_report(const struct ctl *ctl, int argc, char **argv);
int ctl_replay(const struct ctl *ctl, int argc, char **argv);
int ctl_reload(const struct ctl *ctl, int argc, char **argv);

#endif
