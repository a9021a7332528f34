/*
 * The inside of the worker: policyd.c holds everything together, policyd_reload.c
 * takes over another configuration, policyd_question.c answers postpool(1).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_POLICYD_INSIDE_H
#define POLICYD_POLICYD_INSIDE_H

#include "policyd/dns.h"
#include "policyd/policyd.h"

#include <time.h>

struct control_call;
struct lookup_view;

/* policyd owns everything here that is not marked. */
enum { RELOAD_ASKS_MAX = 16 };

/* Who waits for a reload, and how the answer is wanted. */
struct reload_asks {
    size_t count;
    struct control_call *calls[RELOAD_ASKS_MAX];
    bool json[RELOAD_ASKS_MAX];
};

struct policyd {
    const struct policyd_start *start; /* not ours */
    struct event_base *base;
    struct conf *conf;
    struct roster *roster;
    struct figures *figures;
    struct volume *volume;
    struct curbs *curbs;
    struct breakers *breakers;
    struct warmups *warmups;
    struct standings *standings;
    struct engagements *engagements;
    struct wake *wake;
    struct pace *pace; /* NULL: not yet */
    struct story *story;
    struct slo *slo; /* how long mail takes, of late */
    struct feedback *feedback;
    struct hours *hours;     /* what happened to mail, for the report */
    struct history *history; /* what feedback told of messages in the queue */
    struct mx *mx;           /* whose are the recipient domains? */
    struct reach *reach;     /* which addresses reach nobody */
    struct lists *lists;     /* DNS lists that are asked for the addresses; NULL: not ready yet */
    struct netwatch *netwatch;
    struct server *server;        /* NULL: not ready yet */
    struct policy_server *policy; /* NULL: not ready yet, or none is wanted */
    struct control *control;
    struct reload *reload;          /* NULL: none is under way */
    bool reload_again;              /* another was asked for meanwhile */
    struct reload_asks reload_asks; /* who waits for it */
    struct reload_asks reload_next; /* and for the other one */
    bool ending;                    /* nothing is woken or reloaded any more: parts are gone */
    time_t started;
};

/* What suspends addresses beside replies: from the log, and, when all is ready, from DNS. */
void policyd_watch_reach(struct policyd *policyd);
void policyd_ask_lists(struct policyd *policyd);

/* conf takes the place of policyd->conf, and is known to breakers already. */
void policyd_causes_set_conf(struct policyd *policyd, const struct conf *conf);

/* What the configuration says about DNS; holds as long as conf does. */
struct dns_start policyd_dns_start(const struct conf *conf);

/*
 * Load the configuration anew, and take it over if it is right.  call hears what
 * came of it; NULL: nobody does.
 */
void policyd_reload(struct policyd *policyd, struct control_call *call, bool json);

/* The day that it is, as in engine/date.h, in UTC. */
int32_t policyd_today(void);

/* What lookups are answered from. */
void policyd_view(void *arg, struct lookup_view *ret_view);

/* Make them, when breakers and feedback are there. */
void policyd_init_warmups(struct policyd *policyd);

void policyd_init_standings(struct policyd *policyd);

/* See store_put(); arg is the policyd. */
bool policyd_keep(void *policyd, const char *key, uint64_t version, const void *bytes,
                  size_t length);

/* Make wake and pace, when breakers and feedback are there. */
void policyd_init_wake(struct policyd *policyd);

/* For control_new(). */
void policyd_on_ask(void *arg, struct control_call *call, const char *question);

#endif
