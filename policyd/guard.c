/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/guard.h"

#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum {
    PAUSE_MIN_MS = 100, /* before a worker that died young is replaced */
    PAUSE_MAX_MS = 1000,
    YOUNG_MS = 1000,
    END_MS = 15000, /* for the worker to end after SIGTERM: it waits for store and disk */
    GRACE_MS = 50,  /* the guard may have been asleep itself */
};

static volatile sig_atomic_t end_asked;
static volatile sig_atomic_t reload_asked;

static void
on_signal(int number)
{
    if (number == SIGHUP)
        reload_asked = 1;
    else if (number != SIGCHLD)
        end_asked = 1;
}

/* What the guard was asked to do. */
struct job {
    int64_t watchdog_ms;
    guard_work_fn *work;
    void (*ready)(void *arg);
    void *arg;     /* not ours */
    sigset_t mask; /* the signal mask before the guard's, open for its signals */
};

struct worker {
    pid_t pid;
    int alive; /* read end */
    int64_t started_ms;
    bool up; /* gave a sign of life */
};

static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

/* From here on they come while *ret_mask is the mask, and then those that waited, too. */
static void
catch_signals(void (*handler)(int), sigset_t *ret_mask)
{
    struct sigaction action = {.sa_handler = handler};
    sigset_t ours;

    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &action, NULL);
        sigaddset(&ours, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &ours, ret_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigdelset(ret_mask, signals[i]);
}

static int
become_worker(const struct job *job, int alive_fd, bool first)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};

#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a worker without guard would hang unseen */
#endif
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &plain, NULL);
    signal(SIGHUP, SIG_IGN); /* until the loop takes it; the file is read anew in any case */
    sigprocmask(SIG_SETMASK, &job->mask, NULL);
    return job->work(job->arg, alive_fd, first);
}

/* In the worker this does not return: it exits with what work() returned. */
static int
worker_start(struct worker *worker, const struct job *job, bool first)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    *worker =
        (struct worker){.pid = fork(), .alive = ends[0], .started_ms = clock_ms(CLOCK_MONOTONIC)};
    if (worker->pid == 0) {
        close(ends[0]);
        exit(become_worker(job, ends[1], first));
    }
    close(ends[1]);
    if (worker->pid < 0) {
        close(ends[0]);
        return -errno;
    }
    return 0;
}

/* The worker's exit status, or 128 + the signal that ended it. */
static int
worker_reap(struct worker *worker)
{
    int status;

    while (waitpid(worker->pid, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    close(worker->alive);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
worker_end(struct worker *worker)
{
    struct timespec pause = {0, 20 * 1000 * 1000};
    int64_t deadline = clock_ms(CLOCK_MONOTONIC) + END_MS;
    siginfo_t info;
    int status;

    kill(worker->pid, SIGTERM);
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid != 0)
            break;
        if (clock_ms(CLOCK_MONOTONIC) > deadline) {
            log_error("worker does not end -- killed");
            kill(worker->pid, SIGKILL);
            break;
        }
        nanosleep(&pause, NULL);
    }
    status = worker_reap(worker);
    return status == 128 + SIGTERM ? 0 : status; /* it had not come so far as to take the signal */
}

enum sign { SIGN_ALIVE, SIGN_SILENT, SIGN_GONE, SIGN_SIGNAL };

static enum sign
worker_listen(const struct worker *worker, int64_t wait_ms, const sigset_t *mask)
{
    struct timespec wait = {wait_ms / 1000, (wait_ms % 1000) * 1000000};
    struct pollfd poll = {.fd = worker->alive, .events = POLLIN};
    char bytes[256];
    int r = ppoll(&poll, 1, &wait, mask);

    if (r < 0)
        return SIGN_SIGNAL;
    if (r == 0)
        return SIGN_SILENT;
    return read(worker->alive, bytes, sizeof(bytes)) > 0 ? SIGN_ALIVE : SIGN_GONE;
}

/* Stay with one worker until it has ended.  Returns its status. */
static int
watch(struct worker *worker, const struct job *job, bool first)
{
    for (;;) {
        enum sign sign = worker_listen(worker, job->watchdog_ms, &job->mask);

        if (sign == SIGN_SILENT)
            sign = worker_listen(worker, GRACE_MS, &job->mask);
        if (sign == SIGN_ALIVE && !worker->up) {
            worker->up = true;
            if (first)
                job->ready(job->arg);
        }
        if (end_asked)
            return worker_end(worker);
        if (reload_asked) {
            reload_asked = 0;
            kill(worker->pid, SIGHUP);
        }
        if (sign == SIGN_SILENT) {
            log_error("worker %ld stands still for %lld ms -- killed", (long)worker->pid,
                      (long long)job->watchdog_ms);
            kill(worker->pid, SIGKILL);
            return worker_reap(worker);
        }
        if (sign == SIGN_GONE)
            return worker_reap(worker);
    }
}

/* The end of the worker is still to be signalled when it starts: only a wish to end cuts it short.
 */
static void
rest(int64_t pause_ms, const sigset_t *mask)
{
    int64_t left, end_ms = clock_ms(CLOCK_MONOTONIC) + pause_ms;

    while (!end_asked && (left = end_ms - clock_ms(CLOCK_MONOTONIC)) > 0) {
        struct timespec wait = {left / 1000, (left % 1000) * 1000000};

        ppoll(NULL, 0, &wait, mask);
    }
}

int
guard_run(int64_t watchdog_ms, guard_work_fn *work, void (*ready)(void *arg), void *arg)
{
    struct job job = {.watchdog_ms = watchdog_ms, .work = work, .ready = ready, .arg = arg};
    int64_t pause_ms = 0;
    bool first = true;

    catch_signals(on_signal, &job.mask);
    while (!end_asked) {
        struct worker worker;
        int r = worker_start(&worker, &job, first);
        int status;

        if (r < 0) {
            log_error("cannot start a worker: %s", strerror(-r));
            return 1;
        }
        status = watch(&worker, &job, first);
        if (end_asked || (first && !worker.up))
            return status; /* one that never came up has said why */
        first = false;
        log_error("worker %ld ended with status %d -- a new one is started", (long)worker.pid,
                  status);
        if (clock_ms(CLOCK_MONOTONIC) - worker.started_ms > YOUNG_MS)
            pause_ms = 0;
        rest(pause_ms, &job.mask);
        pause_ms = pause_ms == 0                 ? PAUSE_MIN_MS
                   : pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2
                                                 : PAUSE_MAX_MS;
    }
    return 0;
}
