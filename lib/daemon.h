/*
 * What both daemons do on their way up: go to the background, say who they
 * are, become somebody with few rights.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_DAEMON_H
#define LIB_DAEMON_H

#include "lib/conf.h"
#include "lib/endpoint.h"

#include <stdbool.h>
#include <sys/types.h>

struct err;

/* The command line that the daemons share. */
struct daemon_options {
    const char *file;     /* -c */
    const char *pid_file; /* -P; NULL: none */
    bool foreground;      /* -f */
    bool test;            /* -t */
    bool debug;           /* -d */
};

/*
 * Read the command line.  Returns true to go on; false to end with *ret_status
 * (--help, --version, a mistake), after saying what there is to say.
 */
bool daemon_options(int argc, char **argv, const char *program, const char *purpose,
                    struct daemon_options *ret_options, int *ret_status);

/* Load the file and log its problems.  0, or -EINVAL. */
int daemon_load(const char *file, struct conf **ret_conf);

/* 0, or -EACCES when there is no secret to tag and verify with. */
int daemon_secret(const struct conf *conf, struct err *err);

/* For -t: would we start with this?  Says why not; returns the exit status. */
int daemon_test(const struct conf *conf);

/* Whom the daemons become; when not started by root: whoever they are. */
struct daemon_user {
    uid_t uid;
    gid_t gid;
    bool change; /* root started us, so there is somebody to become */
    char name[64];
};

int daemon_user(const struct conf *conf, struct daemon_user *ret_user, struct err *err);

/*
 * Whom a socket belongs to: owner and group by name, "" for the daemon's own.
 * A process without rights cannot give a file away; then it keeps it.
 */
int daemon_access(const struct daemon_user *user, const char *owner, const char *group, int mode,
                  struct endpoint_access *ret_access, struct err *err);

/* Become user for good.  0 or a negative errno. */
int daemon_drop(const struct daemon_user *user, struct err *err);

/*
 * Go to the background.  Who started us waits until daemon_ready(), so that
 * standard error still reaches it and its exit status tells whether we run.
 * 0 or a negative errno.
 */
int daemon_detach(struct err *err);

/* Let go of standard error and of who started us.  0, also when not detached, or a negative errno.
 */
int daemon_ready(struct err *err);

/*
 * Make the folder of a file when it is missing (its parent must be there), for
 * user.  With a group: open to that group alone, which new files in it get, too.
 * 0 or a negative errno.
 */
int daemon_make_folder(const char *path, const struct daemon_user *user, const gid_t *group,
                       struct err *err);

/*
 * Write our process id to path, for user to remove later.  The folder is made
 * when it is missing and belongs to user.  0 or a negative errno.
 */
int daemon_write_pid(const char *path, const struct daemon_user *user, struct err *err);

#endif
