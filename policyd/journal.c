/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/journal.h"

#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/sqlite_file.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    AGAIN_S = 1,     /* after a write that failed */
    BATCH_MAX = 512, /* in one transaction */
    LIFE_BITS = 53,  /* what a number in Lua can hold */
};

/* Its tables have names of their own: the file may be that of the other kind of store, too. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS redis_self (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS redis_nodes (name TEXT PRIMARY KEY, heard INTEGER, gone INTEGER) "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS redis_rows (key TEXT PRIMARY KEY, row BLOB, until INTEGER)"
    " WITHOUT ROWID;";

enum statement {
    PUT_ROW,
    PUT_LIFE,
    DROP_NODES,
    PUT_NODE,
    READ_ROWS,
    FIND_ROW,
    TRIM_ROWS,
    STATEMENTS,
};

static const char *const texts[STATEMENTS] = {
    [PUT_ROW] = "REPLACE INTO redis_rows VALUES (?1, ?2, ?3)",
    [PUT_LIFE] = "REPLACE INTO redis_self VALUES ('life', ?1)",
    [DROP_NODES] = "DELETE FROM redis_nodes",
    [PUT_NODE] = "REPLACE INTO redis_nodes VALUES (?1, ?2, ?3)",
    [READ_ROWS] = "SELECT key, row, until FROM redis_rows WHERE key > ?1 ORDER BY key LIMIT ?2",
    [FIND_ROW] = "SELECT key, row, until FROM redis_rows WHERE key = ?1",
    [TRIM_ROWS] = "DELETE FROM redis_rows WHERE until < ?1",
};

/* Something to do, and later something done. */
struct job {
    STAILQ_ENTRY(job) next;
    enum statement what;    /* DROP_NODES: put nodes instead */
    struct journal_row row; /* PUT_ROW; READ_ROWS, FIND_ROW: its key */
    int64_t number;         /* PUT_LIFE, READ_ROWS, TRIM_ROWS */
    struct journal_node *nodes;
    size_t node_count;
    struct journal_row *found;
    size_t found_count;
    journal_put_fn *put;
    journal_read_fn *read;
    void *arg; /* not ours */
};

STAILQ_HEAD(jobs, job);

struct journal {
    sqlite3 *db; /* the thread's, once it runs */
    sqlite3_stmt *statements[STATEMENTS];
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
    uint64_t id;
    uint64_t life;
    struct journal_node *nodes; /* owned */
    size_t node_count;
};

static void
nodes_free(struct journal_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(nodes[i].name);
    free(nodes);
}

static void
found_free(struct job *job)
{
    for (size_t i = 0; i < job->found_count; i++) {
        free(job->found[i].key);
        free(job->found[i].row);
    }
    free(job->found);
    job->found = NULL;
    job->found_count = 0;
}

static void
job_free(struct job *job)
{
    free(job->row.key);
    free(job->row.row);
    nodes_free(job->nodes, job->node_count);
    found_free(job);
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
run(sqlite3_stmt *statement)
{
    int r = sqlite3_step(statement);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : r;
}

static int
put_nodes(struct journal *journal, const struct job *job)
{
    int r = run(journal->statements[DROP_NODES]);

    for (size_t i = 0; r == SQLITE_OK && i < job->node_count; i++) {
        sqlite3_stmt *put = journal->statements[PUT_NODE];

        sqlite3_bind_text(put, 1, job->nodes[i].name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(put, 2, job->nodes[i].heard_ms);
        sqlite3_bind_int(put, 3, job->nodes[i].gone);
        r = run(put);
    }
    return r;
}

static int
read_rows(sqlite3_stmt *statement, struct job *job)
{
    size_t room = 0;
    int r;

    found_free(job); /* it may be the second time */
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        struct journal_row *row;

        if (job->found_count == room) {
            room = room > 0 ? 2 * room : 16;
            job->found = mem_resize(job->found, room, sizeof(*job->found));
        }
        row = &job->found[job->found_count++];
        row->key = mem_strdup((const char *)sqlite3_column_text(statement, 0));
        row->length = (size_t)sqlite3_column_bytes(statement, 1);
        row->row = copy(sqlite3_column_blob(statement, 1), row->length);
        row->until_ms = sqlite3_column_int64(statement, 2);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int
carry_out(struct journal *journal, struct job *job)
{
    sqlite3_stmt *statement = journal->statements[job->what];

    switch (job->what) {
    case PUT_ROW:
        sqlite3_bind_text(statement, 1, job->row.key, -1, SQLITE_STATIC);
        sqlite3_bind_blob(statement, 2, job->row.row, (int)job->row.length, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, job->row.until_ms);
        return run(statement);
    case READ_ROWS:
        sqlite3_bind_int64(statement, 2, job->number);
        /* fall through */
    case FIND_ROW:
        sqlite3_bind_text(statement, 1, job->row.key, -1, SQLITE_STATIC);
        return read_rows(statement, job);
    case DROP_NODES:
        return put_nodes(journal, job);
    default:
        sqlite3_bind_int64(statement, 1, job->number);
        return run(statement);
    }
}

/* All of it, or nothing. */
static int
write_batch(struct journal *journal, struct jobs *batch)
{
    int r = sqlite3_exec(journal->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    struct job *job;

    if (r != SQLITE_OK)
        return r;
    STAILQ_FOREACH(job, batch, next)
    {
        r = carry_out(journal, job);
        if (r != SQLITE_OK)
            break;
    }
    if (r == SQLITE_OK)
        r = sqlite3_exec(journal->db, "COMMIT", NULL, NULL, NULL);
    if (r != SQLITE_OK)
        sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
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
                  sqlite3_db_filename(journal->db, "main"), why);
    if (why[0] == '\0' && was)
        log_info("store: %s can be written to again", sqlite3_db_filename(journal->db, "main"));
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
    set_trouble(journal, r == SQLITE_OK ? "" : sqlite3_errmsg(journal->db));
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
            job->read(job->arg, job->found, job->found_count);
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
job_new(enum statement what)
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
    struct job *job = job_new(DROP_NODES);

    job->nodes = mem_array(count, sizeof(*nodes));
    job->node_count = count;
    for (size_t i = 0; i < count; i++)
        job->nodes[i] =
            (struct journal_node){mem_strdup(nodes[i].name), nodes[i].heard_ms, nodes[i].gone};
    hand_over(journal, job);
}

static void
ask_for(struct journal *journal, enum statement what, const char *key, int most,
        journal_read_fn *done, void *arg)
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

/* Lives ascend, so that of two rows it can be told which is the later. */
static uint64_t
life_after(uint64_t life)
{
    struct timespec now;
    uint64_t us;

    clock_gettime(CLOCK_REALTIME, &now);
    us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    return us > life && us < (uint64_t)1 << LIFE_BITS ? us : life + 1;
}

uint64_t
journal_new_life(struct journal *journal)
{
    struct job *job = job_new(PUT_LIFE);

    journal->life = life_after(journal->life);
    job->number = (int64_t)journal->life;
    hand_over(journal, job);
    return journal->life;
}

uint64_t
journal_life(const struct journal *journal)
{
    return journal->life;
}

uint64_t
journal_id(const struct journal *journal)
{
    return journal->id;
}

const struct journal_node *
journal_nodes(const struct journal *journal, size_t *ret_count)
{
    *ret_count = journal->node_count;
    return journal->nodes;
}

/* ------------------------------------------------------------ open, close */

static int
fail(struct journal *journal, const char *path, struct err *err)
{
    int code = sqlite3_errcode(journal->db) & 0xff;
    int r = code == SQLITE_BUSY || code == SQLITE_LOCKED      ? -EBUSY
            : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? -EINVAL
                                                              : -EIO;

    if (r == -EBUSY)
        return err_set(err, r, "%s: another process has it open", path);
    return err_set(err, r, "%s: %s", path, sqlite3_errmsg(journal->db));
}

static int
read_self(struct journal *journal)
{
    sqlite3_stmt *statement;
    int r =
        sqlite3_prepare_v2(journal->db, "SELECT name, value FROM redis_self", -1, &statement, NULL);

    if (r != SQLITE_OK)
        return r;
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        uint64_t value = (uint64_t)sqlite3_column_int64(statement, 1);

        if (strcmp(name, "id") == 0)
            journal->id = value;
        if (strcmp(name, "life") == 0)
            journal->life = value;
    }
    sqlite3_finalize(statement);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int
write_self(struct journal *journal)
{
    char text[200];

    while (journal->id == 0) {
        evutil_secure_rng_get_bytes(&journal->id, sizeof(journal->id));
        journal->id >>= 64 - LIFE_BITS;
    }
    journal->life = life_after(journal->life);
    snprintf(text, sizeof(text), "REPLACE INTO redis_self VALUES ('id', %llu), ('life', %llu)",
             (unsigned long long)journal->id, (unsigned long long)journal->life);
    return sqlite3_exec(journal->db, text, NULL, NULL, NULL);
}

static int
read_nodes(struct journal *journal)
{
    sqlite3_stmt *statement;
    size_t room = 0;
    int r = sqlite3_prepare_v2(journal->db, "SELECT name, heard, gone FROM redis_nodes", -1,
                               &statement, NULL);

    if (r != SQLITE_OK)
        return r;
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        if (journal->node_count == room) {
            room = room > 0 ? 2 * room : 16;
            journal->nodes = mem_resize(journal->nodes, room, sizeof(*journal->nodes));
        }
        journal->nodes[journal->node_count++] = (struct journal_node){
            mem_strdup((const char *)sqlite3_column_text(statement, 0)),
            sqlite3_column_int64(statement, 1), sqlite3_column_int(statement, 2) != 0};
    }
    sqlite3_finalize(statement);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

/* The file is checked, or made, as that of the other kind of store. */
static int
prepare(const char *path, struct err *err)
{
    struct sqlite_file *file;
    int r = sqlite_file_open(path, &file, err);

    if (r == 0)
        sqlite_file_close(file);
    return r;
}

static int
open_db(struct journal *journal, const char *path, struct err *err)
{
    mode_t before = umask(0077);
    int r =
        sqlite3_open_v2(path, &journal->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL);

    if (r == SQLITE_OK)
        r = sqlite3_exec(journal->db,
                         "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                         "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE;",
                         NULL, NULL, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_exec(journal->db, schema, NULL, NULL, NULL);
    if (r == SQLITE_OK)
        r = read_self(journal);
    if (r == SQLITE_OK)
        r = read_nodes(journal);
    if (r == SQLITE_OK)
        r = write_self(journal);
    if (r == SQLITE_OK)
        r = sqlite3_exec(journal->db, "COMMIT", NULL, NULL, NULL);
    for (int i = 0; r == SQLITE_OK && i < STATEMENTS; i++)
        r = sqlite3_prepare_v2(journal->db, texts[i], -1, &journal->statements[i], NULL);
    umask(before);
    return r == SQLITE_OK ? 0 : fail(journal, path, err);
}

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
    r = prepare(path, err);
    if (r == 0)
        r = open_db(journal, path, err);
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
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(journal->statements[i]);
    sqlite3_close(journal->db);
    jobs_free(&journal->todo);
    jobs_free(&journal->done);
    nodes_free(journal->nodes, journal->node_count);
    event_free(journal->readable);
    if (journal->fd >= 0)
        close(journal->fd);
    pthread_cond_destroy(&journal->wake);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}
