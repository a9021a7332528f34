/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/postqueue.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/maillog.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 2 }; /* between two looks at a process that has said all and is not gone */

struct job {
    STAILQ_ENTRY(job) next;
    char queue_id[MAILLOG_QUEUE_ID_MAX + 1];
    int r;
    char why[POSTQUEUE_WHY_SIZE];
};

STAILQ_HEAD(job_list, job);

struct worker {
    struct postqueue *postqueue; /* not ours */
    pthread_t thread;
    pid_t pid; /* under lock; 0: none that may be killed */
};

struct postqueue {
    struct postqueue_start start;
    char *command;
    char *config_directory; /* NULL: Postfix' default */
    struct event *finished;
    int ends[2];       /* a pipe: a byte in it says that something is done */
    size_t under_way;  /* the loop's */
    size_t workers_up; /* likewise */
    struct worker workers[POSTQUEUE_PROCESSES_MAX];

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job_list waiting; /* under lock */
    struct job_list done;    /* under lock */
    bool ending;             /* under lock */
};

static bool
is_ending(struct postqueue *postqueue)
{
    bool ending;

    pthread_mutex_lock(&postqueue->lock);
    ending = postqueue->ending;
    pthread_mutex_unlock(&postqueue->lock);
    return ending;
}

/* Start the command with its standard error in *ret_said.  0, or a negative errno. */
static int
spawn(const struct postqueue *postqueue, char *queue_id, pid_t *ret_pid, int *ret_said)
{
    static char name[] = "postqueue", flush[] = "-i", directory[] = "-c";
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
    char *const environment[] = {path, locale, NULL};
    char *const plain[] = {name, flush, queue_id, NULL};
    char *const there[] = {name, directory, postqueue->config_directory, flush, queue_id, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, ignored;
    int ends[2], r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, 0, 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    sigemptyset(&none);
    sigemptyset(&ignored); /* by us; what we handle is not handled there */
    sigaddset(&ignored, SIGPIPE);
    sigaddset(&ignored, SIGHUP);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ignored);
    r = posix_spawn(ret_pid, postqueue->command, &actions, &attributes,
                    postqueue->config_directory != NULL ? there : plain, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (r != 0) {
        close(ends[0]);
        return -r;
    }
    *ret_said = ends[0];
    return 0;
}

/* Read what it says until it closes its end; only the last line that fits is of use. */
static void
listen_to(int said, int64_t deadline_ms, char why[static POSTQUEUE_WHY_SIZE])
{
    size_t used = 0;

    for (;;) {
        int64_t left_ms = deadline_ms - clock_ms(CLOCK_MONOTONIC);
        struct pollfd fd = {.fd = said, .events = POLLIN};
        char bytes[POSTQUEUE_WHY_SIZE];
        ssize_t got;

        if (left_ms <= 0 || poll(&fd, 1, (int)left_ms) <= 0)
            break;
        got = read(said, bytes, sizeof(bytes));
        if (got <= 0)
            break;
        for (ssize_t i = 0; i < got; i++) {
            if (used > 0 && why[used - 1] == '\n')
                used = 0; /* the line before was not the last */
            if (used < POSTQUEUE_WHY_SIZE - 1)
                why[used++] = bytes[i];
        }
    }
    if (used > 0 && why[used - 1] == '\n')
        used--;
    why[used] = '\0';
}

/* Its status as waitpid() tells; killed when it is not gone in time. */
static int
await(struct worker *worker, pid_t pid, int64_t deadline_ms, bool *ret_late)
{
    static const struct timespec pause = {0, LOOK_MS * 1000 * 1000};
    siginfo_t info = {0};
    int status = 0;

    *ret_late = false;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
        if (!*ret_late && clock_ms(CLOCK_MONOTONIC) >= deadline_ms) {
            kill(pid, SIGKILL);
            *ret_late = true;
        }
        nanosleep(&pause, NULL);
    }
    pthread_mutex_lock(&worker->postqueue->lock);
    worker->pid = 0; /* from now on the number may be somebody else's */
    pthread_mutex_unlock(&worker->postqueue->lock);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void
explain(struct job *job, const char *command, int status)
{
    if (status == 0)
        return;
    job->r = -EIO;
    if (WIFSIGNALED(status))
        snprintf(job->why, sizeof(job->why), "%s ended by signal %d", command, WTERMSIG(status));
    else if (job->why[0] == '\0')
        snprintf(job->why, sizeof(job->why), "%s: status %d", command, WEXITSTATUS(status));
}

static void
run(struct worker *worker, struct job *job)
{
    struct postqueue *postqueue = worker->postqueue;
    int64_t deadline_ms = clock_ms(CLOCK_MONOTONIC) + postqueue->start.timeout_ms;
    int said = -1, status;
    pid_t pid;
    bool late;

    job->r = spawn(postqueue, job->queue_id, &pid, &said);
    if (job->r < 0) {
        snprintf(job->why, sizeof(job->why), "%s: %s", postqueue->command, strerror(-job->r));
        return;
    }
    pthread_mutex_lock(&postqueue->lock);
    worker->pid = pid;
    pthread_mutex_unlock(&postqueue->lock);
    if (is_ending(postqueue))
        kill(pid, SIGKILL);
    listen_to(said, deadline_ms, job->why);
    close(said);
    status = await(worker, pid, deadline_ms, &late);
    explain(job, postqueue->command, status);
    if (late) {
        job->r = -ETIMEDOUT;
        snprintf(job->why, sizeof(job->why), "%s did not end within %lld ms", postqueue->command,
                 (long long)postqueue->start.timeout_ms);
    }
}

static void *
work(void *arg)
{
    struct worker *worker = arg;
    struct postqueue *postqueue = worker->postqueue;
    struct job *job;

    pthread_mutex_lock(&postqueue->lock);
    for (;;) {
        while (!postqueue->ending && STAILQ_EMPTY(&postqueue->waiting))
            pthread_cond_wait(&postqueue->wake, &postqueue->lock);
        if (postqueue->ending)
            break;
        job = STAILQ_FIRST(&postqueue->waiting);
        STAILQ_REMOVE_HEAD(&postqueue->waiting, next);
        pthread_mutex_unlock(&postqueue->lock);
        run(worker, job);
        pthread_mutex_lock(&postqueue->lock);
        STAILQ_INSERT_TAIL(&postqueue->done, job, next);
        if (write(postqueue->ends[1], "", 1) < 0 && errno != EAGAIN)
            abort(); /* a full pipe says it, too */
    }
    pthread_mutex_unlock(&postqueue->lock);
    return NULL;
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
    struct postqueue *postqueue = arg;
    struct job_list done;
    struct job *job;
    char bytes[64];

    (void)what;
    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
    STAILQ_INIT(&done);
    pthread_mutex_lock(&postqueue->lock);
    STAILQ_CONCAT(&done, &postqueue->done);
    pthread_mutex_unlock(&postqueue->lock);
    while ((job = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, next);
        postqueue->under_way--;
        postqueue->start.done(postqueue->start.arg, job->r, job->why);
        free(job);
    }
}

static void
start_workers(struct postqueue *postqueue)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    for (int i = 0; i < postqueue->start.processes && i < POSTQUEUE_PROCESSES_MAX; i++) {
        postqueue->workers[i].postqueue = postqueue;
        if (pthread_create(&postqueue->workers[i].thread, NULL, work, &postqueue->workers[i]) != 0)
            break;
        postqueue->workers_up++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct postqueue *
postqueue_new(const struct postqueue_start *start)
{
    struct postqueue *postqueue = mem_new(sizeof(*postqueue));

    postqueue->start = *start;
    postqueue->command = mem_strdup(start->command);
    postqueue->config_directory =
        start->config_directory != NULL ? mem_strdup(start->config_directory) : NULL;
    STAILQ_INIT(&postqueue->waiting);
    STAILQ_INIT(&postqueue->done);
    pthread_mutex_init(&postqueue->lock, NULL);
    pthread_cond_init(&postqueue->wake, NULL);
    if (pipe2(postqueue->ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        postqueue->ends[0] = postqueue->ends[1] = -1;
        log_error("wake: pipe: %s -- no message is taken up before its time", strerror(errno));
        postqueue_free(postqueue);
        return NULL;
    }
    postqueue->finished =
        event_new(start->base, postqueue->ends[0], EV_READ | EV_PERSIST, on_finished, postqueue);
    event_add(postqueue->finished, NULL);
    start_workers(postqueue);
    if (postqueue->workers_up > 0)
        return postqueue;
    log_error("wake: no thread -- no message is taken up before its time");
    postqueue_free(postqueue);
    return NULL;
}

static void
free_list(struct job_list *list)
{
    struct job *job;

    while ((job = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, next);
        free(job);
    }
}

void
postqueue_free(struct postqueue *postqueue)
{
    if (postqueue == NULL)
        return;
    pthread_mutex_lock(&postqueue->lock);
    postqueue->ending = true;
    for (size_t i = 0; i < postqueue->workers_up; i++)
        if (postqueue->workers[i].pid > 0)
            kill(postqueue->workers[i].pid, SIGKILL);
    pthread_cond_broadcast(&postqueue->wake);
    pthread_mutex_unlock(&postqueue->lock);
    for (size_t i = 0; i < postqueue->workers_up; i++)
        pthread_join(postqueue->workers[i].thread, NULL);
    if (postqueue->finished != NULL)
        event_free(postqueue->finished);
    if (postqueue->ends[0] >= 0) {
        close(postqueue->ends[0]);
        close(postqueue->ends[1]);
    }
    free_list(&postqueue->waiting);
    free_list(&postqueue->done);
    pthread_cond_destroy(&postqueue->wake);
    pthread_mutex_destroy(&postqueue->lock);
    free(postqueue->command);
    free(postqueue->config_directory);
    free(postqueue);
}

bool
postqueue_run(struct postqueue *postqueue, const char *queue_id)
{
    struct job *job;

    if (postqueue->under_way >= POSTQUEUE_MOST)
        return false;
    job = mem_new(sizeof(*job));
    snprintf(job->queue_id, sizeof(job->queue_id), "%s", queue_id);
    postqueue->under_way++;
    pthread_mutex_lock(&postqueue->lock);
    STAILQ_INSERT_TAIL(&postqueue->waiting, job, next);
    pthread_cond_signal(&postqueue->wake);
    pthread_mutex_unlock(&postqueue->lock);
    return true;
}

size_t
postqueue_under_way(const struct postqueue *postqueue)
{
    return postqueue->under_way;
}
