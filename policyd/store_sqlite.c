/*
 * The books of one host in a file of SQLite.
 *
 * A thread of its own reads and writes, so that the loop never waits for the
 * disk; what came while it worked is carried out in one transaction.  Every
 * commit is on the disk before its answers are given (synchronous=FULL), so
 * that neither a crash nor a power cut forgets a lease that may have been used.
 *
 * A disk that is full or read-only: asks wait and are tried again each second,
 * no more leases are given meanwhile.  A file that is damaged is not touched.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/store.h"

#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/record.h"
#include "policyd/sqlite_file.h"
#include "policyd/sqlite_records.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    RETRY_MS = 1000,
    BATCH_MAX = 1000,
    TRIM_MS = 10 * 1000, /* so often ... */
    TRIM_STEP = 200,     /* ... so many entries are looked at: 200,000 in three hours */
};

struct call {
    STAILQ_ENTRY(call) next;
    char *key;
    struct caps caps;
    struct book_ask ask;
    struct book_answer answer;
    bool reset;             /* no ask: forget the key */
    bool damaged;           /* its entry cannot be read: it waits for a reset */
    struct record_put *put; /* owned; NULL: none, else no ask */
};

STAILQ_HEAD(call_list, call);

struct sqlite {
    struct store store;      /* first, so that one is the other */
    struct event_base *base; /* not ours */
    struct event *finished;
    int ends[2]; /* a pipe: a byte in it says that answers are there */
    uint64_t life;
    char *path;
    char node[BOOK_NODE_MAX + 1];
    int64_t offset_ms; /* store clock - boot clock; constant in a life */
    time_t started;
    bool up; /* as the loop knows it */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct call_list asked;    /* under lock */
    struct call_list answered; /* under lock */
    bool ending;               /* under lock */
    bool failing;              /* under lock: the last transaction failed */
    char why[256];             /* under lock: why */

    struct sqlite_file *file; /* the thread's, once it runs */
    int64_t opened_ms;        /* by the store's clock */
    int64_t trimmed_ms;       /* likewise; the thread's */
    struct call_list damaged; /* likewise */
    struct sqlite_records records;
    bool told;               /* of the records at the start */
    uint64_t calls, commits; /* the loop's */
};

static int64_t
now_ms(const struct store *store)
{
    return ((const struct sqlite *)store)->offset_ms + clock_ms(CLOCK_BOOTTIME);
}

static void
call_free(struct call *call)
{
    free(call->key);
    record_put_free(call->put);
    free(call);
}

/* One ask on the book in the file. */
static int
carry_out(struct sqlite *sqlite, struct call *call, struct err *err)
{
    struct book book = {0};
    int r;

    if (call->reset)
        return sqlite_file_remove(sqlite->file, call->key, err);
    if (call->put != NULL)
        return sqlite_records_put(&sqlite->records, sqlite->file, call->put, now_ms(&sqlite->store),
                                  err);
    r = sqlite_file_load(sqlite->file, call->key, &book, err);
    if (r == -EILSEQ) { /* one entry: the others are counted on */
        log_error("store: %s -- it has no room until then", err->msg);
        call->damaged = true;
        return 0;
    }
    if (r < 0)
        return r;
    call->ask.node = sqlite->node;
    call->ask.life = sqlite->life;
    r = book_ask(&book, &call->caps, &call->ask, now_ms(&sqlite->store), &call->answer);
    if (r == -ESTALE) { /* reset meanwhile: begin anew, and nothing of before counts */
        struct book_ask first = call->ask;

        book_clear(&book);
        first.first = true;
        r = book_ask(&book, &call->caps, &first, now_ms(&sqlite->store), &call->answer);
    }
    if (r == 0)
        r = sqlite_file_save(sqlite->file, call->key, &book, err);
    else
        err_set(err, r, "%s: %s", call->key, strerror(-r));
    book_clear(&book);
    return r;
}

/* Calls whose entry is damaged wait aside; a reset of their key brings them back. */
static void
part(struct sqlite *sqlite, struct call_list *batch)
{
    struct call_list fine = STAILQ_HEAD_INITIALIZER(fine), again = STAILQ_HEAD_INITIALIZER(again);
    struct call_list waiting = STAILQ_HEAD_INITIALIZER(waiting);

    while (!STAILQ_EMPTY(batch)) {
        struct call *call = STAILQ_FIRST(batch), *damaged;

        STAILQ_REMOVE_HEAD(batch, next);
        if (call->damaged) {
            STAILQ_INSERT_TAIL(&sqlite->damaged, call, next);
            continue;
        }
        STAILQ_INSERT_TAIL(&fine, call, next);
        while (call->reset && (damaged = STAILQ_FIRST(&sqlite->damaged)) != NULL) {
            STAILQ_REMOVE_HEAD(&sqlite->damaged, next);
            damaged->damaged = strcmp(damaged->key, call->key) != 0;
            if (damaged->damaged)
                STAILQ_INSERT_TAIL(&waiting, damaged, next);
            else
                STAILQ_INSERT_TAIL(&again, damaged, next);
        }
        STAILQ_CONCAT(&sqlite->damaged, &waiting);
    }
    STAILQ_CONCAT(batch, &fine);
    pthread_mutex_lock(&sqlite->lock);
    STAILQ_CONCAT(&sqlite->asked, &again);
    pthread_mutex_unlock(&sqlite->lock);
}

static int
carry_out_all(struct sqlite *sqlite, struct call_list *calls, struct err *err)
{
    struct call *call;
    int r = sqlite_file_begin(sqlite->file, err);

    STAILQ_FOREACH(call, calls, next)
    if (r == 0)
        r = carry_out(sqlite, call, err);
    if (r == 0)
        r = sqlite_file_commit(sqlite->file, now_ms(&sqlite->store), err);
    if (r < 0) {
        sqlite_file_rollback(sqlite->file);
        sqlite_records_undone(&sqlite->records);
    } else {
        part(sqlite, calls);
    }
    return r;
}

static void
take_batch(struct sqlite *sqlite, struct call_list *batch)
{
    for (int i = 0; i < BATCH_MAX && !STAILQ_EMPTY(&sqlite->asked); i++) {
        struct call *call = STAILQ_FIRST(&sqlite->asked);

        STAILQ_REMOVE_HEAD(&sqlite->asked, next);
        STAILQ_INSERT_TAIL(batch, call, next);
    }
}

static void
tell_loop(struct sqlite *sqlite)
{
    if (write(sqlite->ends[1], "", 1) < 0 && errno != EAGAIN)
        log_error("store: pipe: %s", strerror(errno));
}

/* With the lock held; waits for something to do, at most so long. */
static void
pause_thread(struct sqlite *sqlite, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    if (!sqlite->ending)
        pthread_cond_timedwait(&sqlite->wake, &sqlite->lock, &until);
}

/* With the lock held, which is let go meanwhile: entries that nobody needs go, some at a time. */
static void
trim(struct sqlite *sqlite)
{
    int64_t time_ms = now_ms(&sqlite->store);
    struct err err;

    if (time_ms - sqlite->trimmed_ms < TRIM_MS)
        return;
    sqlite->trimmed_ms = time_ms;
    pthread_mutex_unlock(&sqlite->lock);
    if (sqlite_file_trim(sqlite->file, TRIM_STEP, sqlite->life, sqlite->opened_ms, time_ms, &err) <
        0)
        log_debug("store: %s", err.msg); /* what is wrong is said when something is asked */
    pthread_mutex_lock(&sqlite->lock);
}

static void *
work(void *arg)
{
    struct sqlite *sqlite = arg;
    struct call_list batch = STAILQ_HEAD_INITIALIZER(batch);

    pthread_mutex_lock(&sqlite->lock);
    for (;;) {
        struct err err;
        int r;

        trim(sqlite);
        if (!sqlite->ending && STAILQ_EMPTY(&sqlite->asked) && STAILQ_EMPTY(&batch)) {
            pause_thread(sqlite, TRIM_MS);
            continue;
        }
        if (STAILQ_EMPTY(&batch))
            take_batch(sqlite, &batch);
        if (STAILQ_EMPTY(&batch))
            break; /* ending, and all is done */
        pthread_mutex_unlock(&sqlite->lock);
        r = carry_out_all(sqlite, &batch, &err);
        pthread_mutex_lock(&sqlite->lock);
        sqlite->failing = r < 0;
        if (r < 0)
            snprintf(sqlite->why, sizeof(sqlite->why), "%.250s", err.msg);
        else
            STAILQ_CONCAT(&sqlite->answered, &batch);
        tell_loop(sqlite);
        if (r < 0 && sqlite->ending)
            break;
        if (r < 0)
            pause_thread(sqlite, RETRY_MS);
    }
    pthread_mutex_unlock(&sqlite->lock);
    while (!STAILQ_EMPTY(&batch)) {
        struct call *call = STAILQ_FIRST(&batch);

        STAILQ_REMOVE_HEAD(&batch, next);
        call_free(call);
    }
    return NULL;
}

static void
set_up(struct sqlite *sqlite, bool up, const char *why)
{
    if (sqlite->up == up)
        return;
    sqlite->up = up;
    if (up)
        log_info("store %s is back -- counting goes on", sqlite->path);
    else
        log_error("store %s: %s -- no more is given out under caps until it works again",
                  sqlite->path, why);
    sqlite->store.events.on_up(sqlite->store.events.arg, up);
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
    struct sqlite *sqlite = arg;
    struct call_list answered = STAILQ_HEAD_INITIALIZER(answered);
    char ignored[64], why[sizeof(sqlite->why)];
    bool failing;

    (void)what;
    while (read(fd, ignored, sizeof(ignored)) > 0)
        ;
    pthread_mutex_lock(&sqlite->lock);
    STAILQ_CONCAT(&answered, &sqlite->answered);
    failing = sqlite->failing;
    strcpy(why, sqlite->why);
    pthread_mutex_unlock(&sqlite->lock);
    if (!sqlite->told)
        sqlite_records_tell(&sqlite->records, &sqlite->store);
    sqlite->told = true;
    set_up(sqlite, !failing, why);
    sqlite->commits += !STAILQ_EMPTY(&answered);
    while (!STAILQ_EMPTY(&answered)) {
        struct call *call = STAILQ_FIRST(&answered);

        STAILQ_REMOVE_HEAD(&answered, next);
        if (call->put != NULL)
            store_tell_put(&sqlite->store, call->put);
        else if (!call->reset)
            sqlite->store.events.on_answer(sqlite->store.events.arg, call->key, &call->answer);
        call_free(call);
    }
}

static void
hand_over(struct sqlite *sqlite, struct call *call)
{
    sqlite->calls++;
    pthread_mutex_lock(&sqlite->lock);
    STAILQ_INSERT_TAIL(&sqlite->asked, call, next);
    pthread_cond_signal(&sqlite->wake);
    pthread_mutex_unlock(&sqlite->lock);
}

static void
ask(struct store *store, const char *key, const struct caps *caps, const struct book_ask *asked)
{
    struct call *call = mem_new(sizeof(*call));

    call->key = mem_strdup(key);
    call->caps = *caps;
    call->ask = *asked;
    hand_over((struct sqlite *)store, call);
}

static void
reset(struct store *store, const char *key)
{
    struct call *call = mem_new(sizeof(*call));

    call->key = mem_strdup(key);
    call->reset = true;
    hand_over((struct sqlite *)store, call);
}

static void
put(struct store *store, struct record_put *one)
{
    struct call *call = mem_new(sizeof(*call));

    call->put = one;
    hand_over((struct sqlite *)store, call);
}

static bool
is_up(const struct store *store)
{
    return ((const struct sqlite *)store)->up;
}

static void
status(const struct store *store, struct buf *text, struct json *json)
{
    const struct sqlite *sqlite = (const struct sqlite *)store;

    if (text != NULL)
        buf_printf(text, "store SQLite %s, %s; %llu calls in %llu commits\n", sqlite->path,
                   sqlite->up ? "works" : "DOES NOT WORK, nothing is given out under caps",
                   (unsigned long long)sqlite->calls, (unsigned long long)sqlite->commits);
    if (json == NULL)
        return;
    json_text(json, "type", "sqlite");
    json_text(json, "path", sqlite->path);
    json_bool(json, "up", sqlite->up);
    json_number(json, "calls", (long long)sqlite->calls);
    json_number(json, "commits", (long long)sqlite->commits);
}

static void
free_list(struct call_list *list)
{
    while (!STAILQ_EMPTY(list)) {
        struct call *call = STAILQ_FIRST(list);

        STAILQ_REMOVE_HEAD(list, next);
        call_free(call);
    }
}

/* What was asked is carried out still, so that what is returned at the end is kept. */
static void
close_store(struct store *store)
{
    struct sqlite *sqlite = (struct sqlite *)store;

    pthread_mutex_lock(&sqlite->lock);
    sqlite->ending = true;
    pthread_cond_signal(&sqlite->wake);
    pthread_mutex_unlock(&sqlite->lock);
    pthread_join(sqlite->thread, NULL);
    event_free(sqlite->finished);
    close(sqlite->ends[0]);
    close(sqlite->ends[1]);
    free_list(&sqlite->asked);
    free_list(&sqlite->answered);
    free_list(&sqlite->damaged);
    sqlite_records_clear(&sqlite->records);
    sqlite_file_close(sqlite->file);
    pthread_cond_destroy(&sqlite->wake);
    pthread_mutex_destroy(&sqlite->lock);
    free(sqlite->path);
    free(sqlite);
}

static int
start(struct sqlite *sqlite, struct err *err)
{
    sigset_t all, before;
    int r;

    if (pipe(sqlite->ends) < 0)
        return err_set(err, -errno, "store: pipe: %s", strerror(errno));
    evutil_make_socket_nonblocking(sqlite->ends[0]);
    evutil_make_socket_nonblocking(sqlite->ends[1]);
    evutil_make_socket_closeonexec(sqlite->ends[0]);
    evutil_make_socket_closeonexec(sqlite->ends[1]);
    sqlite->finished =
        event_new(sqlite->base, sqlite->ends[0], EV_READ | EV_PERSIST, on_finished, sqlite);
    event_add(sqlite->finished, NULL);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    r = pthread_create(&sqlite->thread, NULL, work, sqlite);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : err_set(err, -r, "store: no thread: %s", strerror(r));
}

static int
open_store(struct event_base *base, const struct conf *conf, const struct store_events *events,
           struct store **ret_store, struct err *err)
{
    struct sqlite *sqlite = mem_new(sizeof(*sqlite));
    int r;

    sqlite->store = (struct store){&store_sqlite, *events};
    sqlite->base = base;
    sqlite->path = mem_strdup(conf->store_path);
    sqlite->up = true;
    sqlite->ends[0] = sqlite->ends[1] = -1;
    snprintf(sqlite->node, sizeof(sqlite->node), "%s", conf->node);
    STAILQ_INIT(&sqlite->asked);
    STAILQ_INIT(&sqlite->answered);
    STAILQ_INIT(&sqlite->damaged);
    pthread_mutex_init(&sqlite->lock, NULL);
    pthread_cond_init(&sqlite->wake, NULL);
    r = getrandom(&sqlite->life, sizeof(sqlite->life), 0) == sizeof(sqlite->life)
            ? 0
            : err_set(err, -EIO, "store: getrandom: %s", strerror(errno));
    if (r == 0)
        r = sqlite_file_open(sqlite->path, &sqlite->file, err);
    if (r == 0)
        r = sqlite_file_clock(sqlite->file, clock_ms(CLOCK_BOOTTIME), &sqlite->offset_ms, err);
    sqlite->opened_ms = sqlite->trimmed_ms = now_ms(&sqlite->store);
    if (r == 0)
        r = sqlite_records_load(&sqlite->records, sqlite->file, err);
    if (r == 0)
        r = start(sqlite, err);
    if (r < 0) {
        sqlite_records_clear(&sqlite->records);
        if (sqlite->finished != NULL)
            event_free(sqlite->finished);
        sqlite_file_close(sqlite->file);
        free(sqlite->path);
        free(sqlite);
        return r;
    }
    event_active(sqlite->finished, EV_READ, 0); /* to tell of the records that are there */
    *ret_store = &sqlite->store;
    return 0;
}

const struct store_kind store_sqlite = {
    .open = open_store,
    .close = close_store,
    .ask = ask,
    .put = put,
    .now_ms = now_ms,
    .is_up = is_up,
    .reset = reset,
    .status = status,
};
