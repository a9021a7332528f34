/*
 * "postpool report": what the file of hours has, as a table or as JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_REPORT_H
#define POLICYD_HOURS_REPORT_H

#include "policyd/hours_share.h"
#include "policyd/hours_sums.h"
#include "policyd/hours_unmet.h"

struct buf;
struct conf;
struct control_call;
struct hours_advice;
struct hours_thread;
struct snapshot;

enum { HOURS_NAME_SIZE = 65 }; /* of a host */

/* What was asked for. */
struct hours_question {
    enum hours_by by;
    int64_t since_ms; /* before now */
    bool json;
    char node[HOURS_NAME_SIZE]; /* that host alone; "": all */
};

/* "address 7d", then perhaps "json" and "node=mta2".  0, or -EINVAL with what is wrong. */
int hours_question_parse(const char *text, struct hours_question *ret_question, struct err *err);

/* All that an answer is made of. */
struct hours_report {
    struct hours_question question;
    const char *node;
    int64_t from_ms, to_ms;     /* time of day; from_ms is an hour's beginning */
    int64_t kept_ms;            /* so long hours are kept; 0: not known */
    struct hours_shared shared; /* how far others' figures are in it */
    char **nodes;               /* those whose figures are in it, this one first; owned */
    size_t node_count;
    struct hours_sums sums;
    struct hours_unmet unmet;          /* HOURS_BY_STREAM */
    const struct hours_advice *advice; /* NULL: none */
    const struct snapshot *snapshot;   /* what streams aim at; NULL: not known */
};

/* Pure but for the local time. */
void hours_report_print(const struct hours_report *report, struct buf *text);
void hours_report_json(const struct hours_report *report, struct buf *text);

/* Have the thread find the answer to call's question; conf's node and pools. */
void hours_report_ask(struct hours_thread *thread, struct conf *conf,
                      const struct hours_shared *shared, struct control_call *call,
                      const char *question);

#endif
