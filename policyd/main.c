/*
 * postpool-policyd: answers the queue manager's resolver.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/daemon.h"
#include "lib/err.h"
#include "lib/log.h"
#include "policyd/guard.h"
#include "policyd/policyd.h"
#include "policyd/sockets.h"
#include "policyd/volume.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum { BEATS = 4 }; /* signs of life in the watchdog's time */

struct main {
    struct conf *conf;
    struct sockets sockets;
    sigset_t mask; /* of signals, before hold_signals() */
};

/* One descriptor for each client, and some for everything else. */
static void
raise_descriptors(const struct conf *conf)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)conf->clients * (conf->policy != NULL ? 2 : 1) + 256;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
        log_warn("only %llu file descriptors are allowed -- listen.clients = %d cannot be reached",
                 (unsigned long long)limit.rlim_cur, conf->clients);
}

/* With systemd's watchdog it watches us itself; its interval in *ret_ms. */
static bool
systemd_watches(uint64_t *ret_ms)
{
#ifdef HAVE_LIBSYSTEMD
    uint64_t usec;

    if (sd_watchdog_enabled(0, &usec) > 0) {
        *ret_ms = usec / 1000;
        return true;
    }
#endif
    (void)ret_ms;
    return false;
}

static void
on_ready(void *arg)
{
    (void)arg;
#ifdef HAVE_LIBSYSTEMD
    sd_notify(0, "READY=1");
#endif
}

static struct policyd_start
start_of(const struct main *m)
{
    return (struct policyd_start){
        .conf = m->conf,
        .lookup = m->sockets.lookup,
        .control = m->sockets.control,
        .policy = m->sockets.policy,
        .alive_fd = -1,
    };
}

/*
 * A worker after the first loads the file anew: what reloads changed meanwhile
 * must not be lost.  If the file is bad by now, the guard's own is there still.
 */
static int
work(void *arg, int alive_fd, bool first)
{
    struct main *m = arg;
    struct policyd_start start = start_of(m);
    struct conf *newer = NULL;
    int status;

    start.alive_fd = alive_fd;
    start.beat_ms = (uint64_t)m->conf->watchdog_ms / BEATS;
    if (!first && daemon_load(m->conf->file, &newer) == 0 && newer->secret_known)
        start.conf = newer;
    else if (!first)
        log_error("the configuration of the first start is used again");
    status = policyd_run(&start);
    conf_unref(newer);
    conf_unref(m->conf);
    return status;
}

static int
run(struct main *m)
{
    struct policyd_start start = start_of(m);
    uint64_t watchdog_ms;

    if (!systemd_watches(&watchdog_ms))
        return guard_run(m->conf->watchdog_ms, work, on_ready, m);
    sigprocmask(SIG_SETMASK, &m->mask, NULL);
    start.notify = true;
    start.beat_ms = watchdog_ms / BEATS;
    return policyd_run(&start);
}

/* A store may come with a reload, when there are no rights to make it; only now it is needed. */
static int
make_store_folder(const struct conf *conf, const struct daemon_user *user, struct err *err)
{
    int r = daemon_make_folder(conf->store_path, user, NULL, err);

    if (conf->figures_path[0] == '/') /* what is wrong with it is said when it is used */
        daemon_make_folder(conf->figures_path, user, NULL, NULL);
    return volume_needs_store(conf) ? r : 0;
}

/*
 * Whoever started it may end it as soon as he hears that it is ready: that waits until the guard
 * takes it in, or the process id's file would stay.
 */
static void
hold_signals(sigset_t *ret_before)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, ret_before);
}

/* Everything that needs rights, and then away with them. */
static int
prepare(const struct daemon_options *options, struct main *m, struct err *err)
{
    struct daemon_user user;
    int r = daemon_user(m->conf, &user, err);

    if (r == 0)
        r = daemon_secret(m->conf, err);
    if (r == 0)
        r = sockets_open(m->conf, &user, &m->sockets, err);
    if (r == 0 && !options->foreground)
        r = daemon_detach(err);
    if (r == 0 && options->pid_file != NULL)
        r = daemon_write_pid(options->pid_file, &user, err);
    raise_descriptors(m->conf);
    if (r == 0)
        r = make_store_folder(m->conf, &user, err);
    if (r == 0)
        r = daemon_drop(&user, err);
    if (r == 0)
        r = volume_check(m->conf, err);
    hold_signals(&m->mask);
    if (r == 0)
        r = daemon_ready(err);
    return r;
}

int
main(int argc, char **argv)
{
    struct daemon_options options;
    struct main m = {0};
    struct err err;
    int status;

    if (!daemon_options(
            argc, argv, "postpool-policyd",
            "Answer Postfix' queue manager: which pool address does this mail leave from?",
            &options, &status))
        return status;
    signal(SIGHUP, SIG_IGN); /* until somebody can do what it asks for */
    log_open("postpool/policyd", true);
    log_set_debug(options.debug);
    if (daemon_load(options.file, &m.conf) < 0)
        return 2;
    if (options.test) {
        status = daemon_test(m.conf);
        conf_unref(m.conf);
        return status;
    }
    if (prepare(&options, &m, &err) < 0) {
        log_error("%s", err.msg);
        conf_unref(m.conf);
        return 1;
    }
    log_open("postpool/policyd", options.foreground);
    status = run(&m);
    if (options.pid_file != NULL)
        unlink(options.pid_file);
    conf_unref(m.conf);
    return status;
}
