/*
 * The DNS lists that are asked for the pool IPs, in the background.
 *
 * What follows of an answer is decided in survey.[ch]; here are the questions,
 * their timers and the log.  Never more than LISTS_OPEN_MAX questions are open,
 * whatever the lists and their servers do.  Addresses that are pinned to another
 * node are that node's to ask for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_LISTS_H
#define POLICYD_LISTS_H

#include <stdint.h>

struct address;
struct buf;
struct conf;
struct dns_start;
struct event_base;
struct json;
struct lists;

enum {
    LISTS_OPEN_MAX = 32,     /* questions, of all lists */
    LISTS_ROWS_MAX = 4000,   /* of an answer to postpool(1) */
    LISTS_STATUS_NAMES = 10, /* listed addresses that status names */
};

/* Of lists whose action is "suspend", all of them taken together. */
struct lists_events {
    /* It is listed, or still is; that counts for so long unless it is said again. */
    void (*listed)(void *arg, const struct address *address, int64_t for_ms, const char *why);
    /* It is on none of them, or on none that is believed.  Also at the start, for what an
     * earlier life of this program may have left. */
    void (*unlisted)(void *arg, const struct address *address);
};

/* conf must stay until lists_set_conf(); events and arg are not ours.  dns is only read here. */
struct lists *lists_new(struct event_base *base, const struct conf *conf,
                        const struct dns_start *dns, const struct lists_events *events, void *arg);

/* The other functions take NULL, too: lists that are not asked yet. */

/* What is listed is not said to be unlisted. */
void lists_free(struct lists *lists);

/* Another configuration, while the one before is still there.  What is known stays known. */
void lists_set_conf(struct lists *lists, const struct conf *conf, const struct dns_start *dns);

/* For status, one of text and json is NULL: a line, or an object, for each list. */
void lists_status(const struct lists *lists, struct buf *text, struct json *json);

/* Each address at each list: what is listed first, then what is not clear; LISTS_ROWS_MAX. */
void lists_print(const struct lists *lists, struct buf *text, struct json *json);

#endif
