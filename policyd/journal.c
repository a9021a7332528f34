/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/journal.h"

#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/journal_file.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

enum {
    AGAIN_S = 1,     /* after a write that failed */
    BATCH_MAX = 512, /* in one transaction */
};

enum work { PUT_ROW, PUT_LIFE, PUT_NODES, READ_ROWS, FIND_ROW, TRIM_ROWS };

/* Something to do, and later something done. */
struct job {
    STAILQ_ENTRY(job) next;
    enum work what;
    struct journal_row row; /* PUT_ROW; READ_ROWS, FIND_ROW: its key */
    int64_t number;         /* PUT_LIFE, READ_ROWS, TRIM_ROWS */
    struct journal_node *nodes;
    size_t node_count;
    struct journal_rows found;
    journal_put_fn *put;
    journal_read_fn *read;
    void *arg; /* not ours */
};

STAILQ_HEAD(jobs, job);

struct journal {
    struct journal_file *file; /* the thread's, once it runs */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of what follows, to the next empty line */
    pthread_cond_t wake;
    struct jobs todo;
    struct jobs done;
    bool closing;
    char trouble[160];

    struct event *readable;
    int fd; /* an eventfd: something is done */
    struct journal_self self;
};

static void
job_free(struct job *job)
{
    free(job->row.key);
    free(job->row.row);
    journal_nodes_free(job->nodes, job->node_count);
    journal_rows_clear(&job->found);
    free(job);
}

static void *
copy(const void *data, size_t length)
{
    char *out = mem_array(length + 1, 1);

    if (length > 0)
        memcpy(out, data, length);
    return out;
}

/* -------------------------------------------------------------- the thread */

static int
carry_out(struct journal_file *file, struct job *job)
{
    switch (job->what) {
    case PUT_ROW:
        return journal_file_put_row(file, &job->row);
    case PUT_LIFE:
        return journal_file_put_life(file, (uint64_t)job->number);
    case PUT_NODES:
        return journal_file_put_nodes(file, job->nodes, job->node_count);
    case READ_ROWS:
        journal_rows_clear(&job->found); /* it may be the second time */
        return journal_file_read(file, job->row.key, (int)job->number, &job->found);
    case FIND_ROW:
        journal_rows_clear(&job->found);
        return journal_file_find(file, job->row.key, &job->found);
    case TRIM_ROWS:
        return journal_file_trim(file, job->number);
    }
    return SQLITE_MISUSE;
}

/* All of it, or nothing. */
static int
write_batch(struct journal *journal, struct jobs *batch)
{
    int r = journal_file_begin(journal->file);
    struct job *job;

    if (r != SQLITE_OK)
        return r;
    STAILQ_FOREACH(job, batch, next)
    {
        r = carry_out(journal->file, job);
        if (r != SQLITE_OK)
            break;
    }
    if (r == SQLITE_OK)
        r = journal_file_commit(journal->file);
    if (r != SQLITE_OK)
        journal_file_rollback(journal->file);
    return r;
}

/* Note and say, once, that it goes wrong, or well again; the lock is held. */
static void
set_trouble(struct journal *journal, const char *why)
{
    bool was = journal->trouble[0] != '\0';

    snprintf(journal->trouble, sizeof(journal->trouble), "%s", why);
    if (why[0] != '\0' && !was)
        log_error("store: cannot write %s: %s -- no grants are taken until it can be",
                  journal_file_path(journal->file), why);
    if (why[0] == '\0' && was)
        log_info("store: %s can be written to again", journal_file_path(journal->file));
}

static void
take_batch(struct journal *journal, struct jobs *batch)
{
    struct job *job;

    for (int i = 0; i < BATCH_MAX && (job = STAILQ_FIRST(&journal->todo)) != NULL; i++) {
        STAILQ_REMOVE_HEAD(&journal->todo, next);
        STAILQ_INSERT_TAIL(batch, job, next);
    }
}

/* The lock is held on entry and on return. */
static void
work(struct journal *journal, struct jobs *batch)
{
    static const uint64_t one = 1;
    ssize_t ignored;
    int r;

    pthread_mutex_unlock(&journal->lock);
    r = write_batch(journal, batch);
    pthread_mutex_lock(&journal->lock);
    set_trouble(journal, r == SQLITE_OK ? "" : journal_file_why(journal->file));
    if (r == SQLITE_OK) {
        STAILQ_CONCAT(&journal->done, batch);
        ignored = write(journal->fd, &one, sizeof(one));
        (void)ignored;
        return;
    }
    STAILQ_CONCAT(batch, &journal->todo); /* in their order */
    STAILQ_CONCAT(&journal->todo, batch);
    if (!journal->closing) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += AGAIN_S;
        pthread_cond_timedwait(&journal->wake, &journal->lock, &until);
    }
}

static void *
thread_main(void *arg)
{
    struct journal *journal = arg;
    struct jobs batch = STAILQ_HEAD_INITIALIZER(batch);

    pthread_mutex_lock(&journal->lock);
    for (;;) {
        bool closing = journal->closing;

        take_batch(journal, &batch);
        if (!STAILQ_EMPTY(&batch))
            work(journal, &batch);
        else if (closing)
            break;
        else
            pthread_cond_wait(&journal->wake, &journal->lock);
        if (closing && journal->trouble[0] != '\0')
            break; /* it was tried once more */
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

/* ---------------------------------------------------------------- the loop */

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
    struct journal *journal = arg;
    struct jobs done = STAILQ_HEAD_INITIALIZER(done);
    struct job *job;
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof(count));

    (void)ignored;
    (void)what;
    pthread_mutex_lock(&journal->lock);
    STAILQ_CONCAT(&done, &journal->done);
    pthread_mutex_unlock(&journal->lock);
    while ((job = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, next);
        if (job->put != NULL)
            job->put(job->arg);
        if (job->read != NULL)
            job->read(job->arg, job->found.items, job->found.count);
        job_free(job);
    }
}

static void
hand_over(struct journal *journal, struct job *job)
{
    pthread_mutex_lock(&journal->lock);
    STAILQ_INSERT_TAIL(&journal->todo, job, next);
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
}

static struct job *
job_new(enum work what)
{
    struct job *job = mem_new(sizeof(*job));

    job->what = what;
    return job;
}

void
journal_put(struct journal *journal, const struct journal_row *row, journal_put_fn *done, void *arg)
{
    struct job *job = job_new(PUT_ROW);

    job->row = *row;
    job->row.key = mem_strdup(row->key);
    job->row.row = copy(row->row, row->length);
    job->put = done;
    job->arg = arg;
    hand_over(journal, job);
}

void
journal_set_nodes(struct journal *journal, const struct journal_node *nodes, size_t count)
{
    struct job *job = job_new(PUT_NODES);

    job->nodes = mem_array(count, sizeof(*nodes));
    job->node_count = count;
    for (size_t i = 0; i < count; i++)
        job->nodes[i] =
            (struct journal_node){mem_strdup(nodes[i].name), nodes[i].heard_ms, nodes[i].gone};
    hand_over(journal, job);
}

static void
ask_for(struct journal *journal, enum work what, const char *key, int most, journal_read_fn *done,
        void *arg)
{
    struct job *job = job_new(what);

    job->row.key = mem_strdup(key);
    job->number = most;
    job->read = done;
    job->arg = arg;
    hand_over(journal, job);
}

void
journal_read(struct journal *journal, const char *after, int most, journal_read_fn *done, void *arg)
{
    ask_for(journal, READ_ROWS, after, most, done, arg);
}

void
journal_find(struct journal *journal, const char *key, journal_read_fn *done, void *arg)
{
    ask_for(journal, FIND_ROW, key, 1, done, arg);
}

void
journal_trim(struct journal *journal, int64_t now_ms)
{
    struct job *job = job_new(TRIM_ROWS);

    job->number = now_ms;
    hand_over(journal, job);
}

uint64_t
journal_new_life(struct journal *journal)
{
    struct job *job = job_new(PUT_LIFE);

    journal->self.life = journal_file_life_after(journal->self.life);
    job->number = (int64_t)journal->self.life;
    hand_over(journal, job);
    return journal->self.life;
}

uint64_t
journal_life(const struct journal *journal)
{
    return journal->self.life;
}

uint64_t
journal_id(const struct journal *journal)
{
    return journal->self.id;
}

const struct journal_node *
journal_nodes(const struct journal *journal, size_t *ret_count)
{
    *ret_count = journal->self.node_count;
    return journal->self.nodes;
}

/* ------------------------------------------------------------ open, close */

static int
start_thread(struct journal *journal)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    r = pthread_create(&journal->thread, NULL, thread_main, journal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    journal->running = r == 0;
    return -r;
}

int
journal_open(struct event_base *base, const char *path, struct journal **ret_journal,
             struct err *err)
{
    struct journal *journal = mem_new(sizeof(*journal));
    int r;

    STAILQ_INIT(&journal->todo);
    STAILQ_INIT(&journal->done);
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->wake, NULL);
    journal->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    journal->readable = event_new(base, journal->fd, EV_READ | EV_PERSIST, on_done, journal);
    r = journal_file_open(path, &journal->file, &journal->self, err);
    if (r == 0) {
        r = start_thread(journal);
        if (r < 0)
            err_set(err, r, "no thread: %s", strerror(-r));
    }
    if (r < 0) {
        journal_close(journal);
        return r;
    }
    event_add(journal->readable, NULL);
    *ret_journal = journal;
    return 0;
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

void
journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    if (journal->running) {
        pthread_mutex_lock(&journal->lock);
        journal->closing = true;
        pthread_cond_signal(&journal->wake);
        pthread_mutex_unlock(&journal->lock);
        pthread_join(journal->thread, NULL);
    }
    journal_file_close(journal->file);
    jobs_free(&journal->todo);
    jobs_free(&journal->done);
    journal_nodes_free(journal->self.nodes, journal->self.node_count);
    event_free(journal->readable);
    if (journal->fd >= 0)
        close(journal->fd);
    pthread_cond_destroy(&journal->wake);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}
