/*
 * The thread that has the file of hours: it alone waits for the disk.
 *
 * What is handed over is carried out in order.  A file that cannot be opened or
 * written to is tried again and again, what is to be kept waits meanwhile; one
 * that is damaged is left alone until the next start.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_THREAD_H
#define POLICYD_HOURS_THREAD_H

#include "policyd/hours_file.h"

struct err;
struct event_base;
struct hours_thread;

enum {
    HOURS_ASKS_MAX = 64,         /* questions that wait */
    HOURS_ASK_MS = 20 * 1000,    /* a question that takes longer is broken off */
    HOURS_TRIM_MS = 3600 * 1000, /* so often old hours are looked for */
    HOURS_OPEN_MS = 5 * 1000,    /* between two tries to open the file */
    HOURS_AGAIN_MS = 1000,       /* between two tries to write to it */
};

/* Called from the loop, never from inside a function of the thread. */
struct hours_thread_events {
    void (*on_loaded)(void *arg,
                      struct hours_saved *saved);   /* what is in it becomes the callee's */
    void (*on_kept)(void *arg, int64_t bytes);      /* a batch is; so large is the file */
    void (*on_trouble)(void *arg, const char *why); /* another reason than before; "": none */
    void *arg;                                      /* not ours */
};

/* NULL: there is no thread to be had.  The file need not be there, or be right. */
struct hours_thread *hours_thread_new(struct event_base *base, const char *path,
                                      const struct hours_limits *limits,
                                      const struct hours_thread_events *events);

/* What was handed over is tried once more, questions are broken off.  Takes NULL. */
void hours_thread_free(struct hours_thread *thread);

void hours_thread_set_limits(struct hours_thread *thread, const struct hours_limits *limits);

/* What is kept is wanted: on_loaded. */
void hours_thread_load(struct hours_thread *thread);

/* Keep a batch, which becomes the thread's: on_kept. */
void hours_thread_keep(struct hours_thread *thread, struct hours_batch *batch);

/* Free what takes long. */
void hours_thread_drop(struct hours_thread *thread, struct queued *queued);

/*
 * Have work() look at the file in the thread, and done() told of it in the loop, exactly once,
 * unless the thread is freed before: then free_arg() alone is called.  false: too many wait.
 */
struct hours_ask {
    int (*work)(void *arg, struct hours_file *file, struct err *err);
    void (*done)(void *arg, int r, const char *why);
    void (*free_arg)(void *arg); /* after done, too */
    void *arg;
};
bool hours_thread_ask(struct hours_thread *thread, const struct hours_ask *ask);

#endif
