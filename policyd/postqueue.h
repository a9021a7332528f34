/*
 * postqueue(1) -i: Postfix takes one deferred message up again.
 *
 * Threads start it and wait for its end, a few at a time: the loop would stand
 * still for the start alone, for milliseconds where processes wait for a CPU.
 *
 * One that does not end in time is killed.  Postfix says nothing about a queue
 * id that it does not have; any failure is one of the command or of Postfix.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_POSTQUEUE_H
#define POLICYD_POSTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct postqueue;

enum {
    POSTQUEUE_PROCESSES_MAX = 16,
    POSTQUEUE_MOST = 1000,    /* queue ids that were taken and are not done yet */
    POSTQUEUE_WHY_SIZE = 200, /* as much is kept of what the command says */
};

struct postqueue_start {
    struct event_base *base;
    const char *command;          /* its path; copied */
    const char *config_directory; /* of Postfix; copied; NULL: its default */
    int processes;                /* at a time, from 1 to POSTQUEUE_PROCESSES_MAX */
    int64_t timeout_ms;           /* for one */
    /* Called from the loop once for each that was taken.  r: 0, or a negative errno and why. */
    void (*done)(void *arg, int r, const char *why);
    void *arg; /* not ours */
};

/* NULL: no threads, said in the log. */
struct postqueue *postqueue_new(const struct postqueue_start *start);

/* What runs is killed, what waits is forgotten.  Takes NULL. */
void postqueue_free(struct postqueue *postqueue);

/* False: POSTQUEUE_MOST were taken and are not done. */
bool postqueue_run(struct postqueue *postqueue, const char *queue_id);

/* How many were taken and not done yet. */
size_t postqueue_under_way(const struct postqueue *postqueue);

#endif
