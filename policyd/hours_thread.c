/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/hours_thread.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

enum { PROGRESS_STEPS = 10000, WHY_SIZE = sizeof(((struct err *)0)->msg) };

/* Something to do, and later something done. */
struct job {
    STAILQ_ENTRY(job) next;
    enum job_what { KEEP, LOAD, ASK, DROP } what;
    struct hours_batch *batch; /* KEEP */
    struct queued *queued;     /* DROP */
    struct hours_ask ask;      /* ASK */
    struct hours_saved saved;  /* LOAD */
    int64_t bytes;             /* KEEP */
    int r;
    struct err err;
};

STAILQ_HEAD(jobs, job);

struct hours_thread {
    char *path;
    struct hours_thread_events events;
    struct event *readable;
    int fd; /* an eventfd: something is done */
    pthread_t id;
    size_t asks; /* the loop's: questions that are not answered */

    pthread_mutex_t lock; /* of what follows, to the next empty line */
    pthread_cond_t wake;
    struct jobs todo;
    struct jobs done;
    struct hours_limits limits;
    char why[WHY_SIZE]; /* "": all is well */
    bool why_changed;

    struct hours_file *file; /* the thread's, as what follows; NULL: it is not open */
    bool damaged;
    int64_t open_ms, again_ms, trim_ms; /* not before; CLOCK_MONOTONIC */
    int64_t ask_until_ms;               /* while a question is under way; else 0 */
    atomic_bool ending;
};

static void
job_free(struct job *job)
{
    hours_batch_free(job->batch);
    queued_free(job->queued);
    queued_free(job->saved.queued);
    free(job->saved.log);
    if (job->what == ASK)
        job->ask.free_arg(job->ask.arg);
    free(job);
}

/* -------------------------------------------------------------- the thread */

static void
tell_loop(struct hours_thread *thread)
{
    static const uint64_t one = 1;
    ssize_t ignored = write(thread->fd, &one, sizeof(one));

    (void)ignored;
}

/* With the lock held. */
static void
set_why(struct hours_thread *thread, const char *why)
{
    if (strncmp(why, thread->why, WHY_SIZE - 1) == 0)
        return;
    snprintf(thread->why, sizeof(thread->why), "%s", why);
    thread->why_changed = true;
    tell_loop(thread);
}

/* Asked by SQLite from time to time: shall it stop? */
static int
on_progress(void *arg)
{
    struct hours_thread *thread = arg;

    return thread->ask_until_ms != 0 &&
           (thread->ending || clock_ms(CLOCK_MONOTONIC) > thread->ask_until_ms);
}

/* With the lock held, which is let go meanwhile. */
static void
open_file(struct hours_thread *thread)
{
    struct err err;
    int r;

    pthread_mutex_unlock(&thread->lock);
    r = hours_file_open(thread->path, &thread->file, &err);
    if (r == 0)
        sqlite3_progress_handler(hours_file_db(thread->file), PROGRESS_STEPS, on_progress, thread);
    pthread_mutex_lock(&thread->lock);
    thread->damaged = r == -EINVAL;
    thread->open_ms = clock_ms(CLOCK_MONOTONIC) + HOURS_OPEN_MS;
    set_why(thread, r < 0 ? err.msg : "");
}

static void
carry_out(struct hours_thread *thread, struct job *job, const struct hours_limits *limits)
{
    switch (job->what) {
    case KEEP:
        job->r = hours_file_commit(thread->file, job->batch, limits, &job->err);
        if (job->r == 0)
            job->bytes = hours_file_bytes(thread->file);
        return;
    case LOAD:
        job->r = hours_file_load(thread->file, &job->saved, &job->err);
        return;
    case ASK:
        thread->ask_until_ms = clock_ms(CLOCK_MONOTONIC) + HOURS_ASK_MS;
        job->r = job->ask.work(job->ask.arg, thread->file, &job->err);
        if (job->r < 0 && clock_ms(CLOCK_MONOTONIC) > thread->ask_until_ms)
            err_set(&job->err, 0, "it takes longer than %d s", HOURS_ASK_MS / 1000);
        thread->ask_until_ms = 0;
        return;
    case DROP:
        return;
    }
}

/* With the lock held: the first that can be done now, taken out; or NULL. */
static struct job *
take_job(struct hours_thread *thread, int64_t now_ms)
{
    bool can_write = thread->file != NULL && (thread->again_ms <= now_ms || thread->ending);
    struct job *job;

    STAILQ_FOREACH(job, &thread->todo, next)
    {
        if (job->what == DROP || job->what == ASK || can_write)
            break;
    }
    if (job != NULL)
        STAILQ_REMOVE(&thread->todo, job, job, next);
    return job;
}

/* With the lock held, which is let go meanwhile.  False: it is to be tried again. */
static bool
do_job(struct hours_thread *thread, struct job *job)
{
    struct hours_limits limits = thread->limits;
    bool writes = job->what == KEEP || job->what == LOAD;

    if (thread->file == NULL && job->what == ASK) {
        job->r = err_set(&job->err, -EAGAIN, "%s", thread->why);
    } else {
        pthread_mutex_unlock(&thread->lock);
        carry_out(thread, job, &limits);
        pthread_mutex_lock(&thread->lock);
    }
    if (writes)
        set_why(thread, job->r < 0 ? job->err.msg : "");
    if (writes && job->r < 0) {
        STAILQ_INSERT_HEAD(&thread->todo, job, next);
        thread->again_ms = clock_ms(CLOCK_MONOTONIC) + HOURS_AGAIN_MS;
        return false;
    }
    if (job->what == KEEP) { /* freed here: it may be large */
        hours_batch_free(job->batch);
        job->batch = NULL;
    }
    STAILQ_INSERT_TAIL(&thread->done, job, next);
    tell_loop(thread);
    return true;
}

/* With the lock held, which is let go meanwhile: one hour at a time. */
static void
trim(struct hours_thread *thread, int64_t now_ms)
{
    struct hours_limits limits = thread->limits;
    struct err err;
    int r;

    pthread_mutex_unlock(&thread->lock);
    r = hours_file_trim(thread->file, &limits, clock_ms(CLOCK_REALTIME), &err);
    pthread_mutex_lock(&thread->lock);
    if (r <= 0)
        thread->trim_ms = now_ms + HOURS_TRIM_MS;
    if (r < 0)
        log_debug("figures: %s", err.msg); /* what is wrong is said when something is kept */
}

/* With the lock held: wait for something to do, or for the time of what is to be tried again. */
static void
pause_thread(struct hours_thread *thread, int64_t now_ms)
{
    int64_t until_ms = thread->file == NULL ? thread->open_ms : thread->trim_ms;
    struct timespec until;

    if (thread->file != NULL && !STAILQ_EMPTY(&thread->todo) && thread->again_ms < until_ms)
        until_ms = thread->again_ms;
    if (thread->damaged)
        until_ms = now_ms + HOURS_TRIM_MS;
    until.tv_sec = (time_t)(until_ms / 1000);
    until.tv_nsec = (long)(until_ms % 1000) * 1000000;
    pthread_cond_timedwait(&thread->wake, &thread->lock, &until);
}

static void *
work(void *arg)
{
    struct hours_thread *thread = arg;

    pthread_mutex_lock(&thread->lock);
    for (;;) {
        int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
        struct job *job;

        if (thread->file == NULL && !thread->damaged && thread->open_ms <= now_ms) {
            open_file(thread);
            continue;
        }
        job = take_job(thread, now_ms);
        if (job != NULL && !do_job(thread, job) && thread->ending)
            break;
        if (job != NULL)
            continue;
        if (thread->ending)
            break;
        if (thread->file != NULL && thread->trim_ms <= now_ms)
            trim(thread, now_ms);
        else
            pause_thread(thread, now_ms);
    }
    pthread_mutex_unlock(&thread->lock);
    return NULL;
}

/* ---------------------------------------------------------------- the loop */

static void
tell(struct hours_thread *thread, struct job *job)
{
    const struct hours_thread_events *events = &thread->events;

    switch (job->what) {
    case KEEP:
        events->on_kept(events->arg, job->bytes);
        break;
    case LOAD:
        events->on_loaded(events->arg, &job->saved);
        job->saved = (struct hours_saved){0};
        break;
    case ASK:
        thread->asks--;
        job->ask.done(job->ask.arg, job->r, job->err.msg);
        break;
    case DROP:
        break;
    }
}

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
    struct hours_thread *thread = arg;
    struct jobs done = STAILQ_HEAD_INITIALIZER(done);
    char why[WHY_SIZE];
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof(count));
    struct job *job;
    bool changed;

    (void)ignored;
    (void)what;
    pthread_mutex_lock(&thread->lock);
    STAILQ_CONCAT(&done, &thread->done);
    changed = thread->why_changed;
    thread->why_changed = false;
    strcpy(why, thread->why);
    pthread_mutex_unlock(&thread->lock);
    if (changed)
        thread->events.on_trouble(thread->events.arg, why);
    while ((job = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, next);
        tell(thread, job);
        job_free(job);
    }
}

static void
hand_over(struct hours_thread *thread, struct job *job)
{
    pthread_mutex_lock(&thread->lock);
    STAILQ_INSERT_TAIL(&thread->todo, job, next);
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->lock);
}

static struct job *
job_new(enum job_what what)
{
    struct job *job = mem_new(sizeof(*job));

    job->what = what;
    return job;
}

void
hours_thread_load(struct hours_thread *thread)
{
    hand_over(thread, job_new(LOAD));
}

void
hours_thread_keep(struct hours_thread *thread, struct hours_batch *batch)
{
    struct job *job = job_new(KEEP);

    job->batch = batch;
    hand_over(thread, job);
}

void
hours_thread_drop(struct hours_thread *thread, struct queued *queued)
{
    struct job *job = job_new(DROP);

    job->queued = queued;
    hand_over(thread, job);
}

bool
hours_thread_ask(struct hours_thread *thread, const struct hours_ask *ask)
{
    struct job *job;

    if (thread->asks >= HOURS_ASKS_MAX)
        return false;
    thread->asks++;
    job = job_new(ASK);
    job->ask = *ask;
    hand_over(thread, job);
    return true;
}

void
hours_thread_set_limits(struct hours_thread *thread, const struct hours_limits *limits)
{
    pthread_mutex_lock(&thread->lock);
    thread->limits = *limits;
    pthread_mutex_unlock(&thread->lock);
}

/* ------------------------------------------------------------ begin and end */

static int
start(struct hours_thread *thread)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    r = pthread_create(&thread->id, NULL, work, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static void
jobs_free(struct jobs *jobs)
{
    struct job *job;

    while ((job = STAILQ_FIRST(jobs)) != NULL) {
        STAILQ_REMOVE_HEAD(jobs, next);
        job_free(job);
    }
}

static void
thread_free(struct hours_thread *thread)
{
    jobs_free(&thread->todo);
    jobs_free(&thread->done);
    hours_file_close(thread->file);
    if (thread->readable != NULL)
        event_free(thread->readable);
    if (thread->fd >= 0)
        close(thread->fd);
    pthread_cond_destroy(&thread->wake);
    pthread_mutex_destroy(&thread->lock);
    free(thread->path);
    free(thread);
}

struct hours_thread *
hours_thread_new(struct event_base *base, const char *path, const struct hours_limits *limits,
                 const struct hours_thread_events *events)
{
    struct hours_thread *thread = mem_new(sizeof(*thread));
    pthread_condattr_t attributes;

    thread->path = mem_strdup(path);
    thread->limits = *limits;
    thread->events = *events;
    STAILQ_INIT(&thread->todo);
    STAILQ_INIT(&thread->done);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&thread->lock, NULL);
    pthread_cond_init(&thread->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    thread->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (thread->fd >= 0)
        thread->readable = event_new(base, thread->fd, EV_READ | EV_PERSIST, on_done, thread);
    if (thread->readable == NULL || start(thread) < 0) {
        thread_free(thread);
        return NULL;
    }
    event_add(thread->readable, NULL);
    return thread;
}

void
hours_thread_free(struct hours_thread *thread)
{
    if (thread == NULL)
        return;
    pthread_mutex_lock(&thread->lock);
    thread->ending = true;
    pthread_cond_signal(&thread->wake);
    pthread_mutex_unlock(&thread->lock);
    pthread_join(thread->id, NULL);
    thread_free(thread);
}
