/*
 * postpool-milter: tells which stream a message is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/daemon.h"
#include "lib/err.h"
#include "lib/log.h"
#include "milter/milter.h"

#include <unistd.h>

/* Everything that needs rights, and then away with them. */
static int
prepare(const struct daemon_options *options, struct conf *conf, const char *pid_file,
        struct err *err)
{
    struct daemon_user user;
    struct endpoint_access access;
    int r = daemon_user(conf, &user, err);

    if (r == 0)
        r = daemon_secret(conf, err);
    if (r == 0)
        r = daemon_access(&user, conf->milter_owner, conf->milter_group, conf->milter_mode, &access,
                          err);
    if (r == 0 && endpoint_path(conf->milter_socket) != NULL)
        r = daemon_make_folder(endpoint_path(conf->milter_socket), &user, &access.group, err);
    if (r == 0)
        r = milter_open(conf, &access, err);
    if (r == 0 && !options->foreground)
        r = daemon_detach(err); /* before libmilter makes threads */
    if (r == 0)
        r = daemon_write_pid(pid_file, &user, err);
    if (r == 0)
        r = daemon_drop(&user, err);
    if (r == 0)
        r = daemon_ready(err);
    return r;
}

int
main(int argc, char **argv)
{
    struct daemon_options options;
    struct conf *conf;
    struct err err;
    const char *pid_file;
    int status;

    if (!daemon_options(argc, argv, "postpool-milter",
                        "Tell Postfix' messages apart: which stream is this, and tag its sender.",
                        &options, &status))
        return status;
    log_open("postpool/milter", true);
    log_set_debug(options.debug);
    if (daemon_load(options.file, &conf) < 0)
        return 2;
    if (options.test) {
        status = daemon_test(conf);
        conf_unref(conf);
        return status;
    }
    pid_file = options.pid_file != NULL ? options.pid_file : conf->milter_pid_file;
    if (prepare(&options, conf, pid_file, &err) < 0) {
        log_error("%s", err.msg);
        conf_unref(conf);
        return 1;
    }
    log_open("postpool/milter", options.foreground);
    status = milter_run();
    unlink(pid_file);
    conf_unref(conf);
    return status;
}
