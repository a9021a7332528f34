/*
 * The inside of the lists: lists.c asks, lists_report.c tells.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_LISTS_INSIDE_H
#define POLICYD_LISTS_INSIDE_H

#include "policyd/lists.h"
#include "policyd/survey.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct dns;
struct event;

/* A list that is being asked. */
struct asked_list {
    struct lists *lists;        /* not ours */
    const struct dnslist *list; /* not ours */
    struct survey *survey;
    struct event *timer;
    bool settled;       /* it said once what is listed, or turned out to be of no use */
    uint64_t questions; /* since the start, or since it is configured */
    uint64_t failures;
};

TAILQ_HEAD(list_call_list, list_call);

struct lists {
    struct event_base *base;           /* not ours */
    const struct lists_events *events; /* not ours */
    void *arg;                         /* not ours */
    struct dns *dns;                   /* NULL: there is none, or nothing to ask */
    const struct snapshot *snapshot;   /* not ours */
    const struct address **addresses;  /* owned list of what is not ours: place by place */
    size_t address_count;
    struct asked_list *items;
    size_t count;
    struct list_call_list calls; /* open questions */
    size_t open;
};

#endif
