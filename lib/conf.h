/*
 * The configuration file, read into one struct that never changes.
 *
 * conf_load() reads libconfig syntax, checks all of it and reports every
 * mistake, not only the first.  A file with a mistake gives no struct conf:
 * whoever runs on an older one keeps it.
 *
 * A struct conf is counted: conf_ref() and conf_unref() from any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_H
#define LIB_CONF_H

#include "engine/ip.h"
#include "engine/snapshot.h"
#include "engine/standing.h"
#include "engine/warmup.h"
#include "lib/dnslist.h"
#include "lib/hint.h"
#include "lib/nameserver.h"
#include "lib/replies.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CONF_FILE SYSCONFDIR "/postpool/postpool.conf"

enum {
    CONF_SECRET_SIZE = 16,
    CONF_RESCUE_ADDRESSES_MAX = 3, /* most that rescue.addresses can be */
    CONF_DIFF_LINES = 20,          /* conf_diff_short() */
};

/* What the policy service says of a recipient over an account's or stream's caps. */
enum over_quota { OVER_QUOTA_DEFER, OVER_QUOTA_REJECT, OVER_QUOTA_HOLD, OVER_QUOTA_TAG };

enum store_type { STORE_SQLITE, STORE_REDIS };

struct conf_list {
    char **items; /* owned */
    size_t count;
};

struct conf {
    atomic_int refs;
    char *file; /* as given to conf_load() */
    struct snapshot *snapshot;

    char *node;
    char *user;  /* whom the daemons become when root started them */
    char *group; /* their group; "" for the user's own */
    char *tag_secret_file;
    uint8_t secret[CONF_SECRET_SIZE]; /* from that file; see secret_known */
    bool secret_known;                /* false: the caller may not read the file */

    char *lookup;       /* endpoint of the socketmap server */
    char *control;      /* endpoint of the control socket */
    char *listen_owner; /* of the unix sockets; "" for the daemon's user */
    char *listen_group; /* "" for the daemon's group */
    int listen_mode;    /* of the lookup socket */
    int clients;        /* most lookup connections at a time */
    char *policy;       /* endpoint of the policy service; NULL: none */
    enum over_quota over_quota;
    int64_t grant_lifetime_ms; /* how long a grant waits for its result */

    enum store_type store_type;
    char *store_path;                 /* SQLite: the file */
    char *store_url;                  /* Redis: where it is; "" with sentinels */
    char *store_tls_ca;               /* Redis: whom rediss:// trusts, a file; NULL: the system's */
    char *store_tls_cert;             /* Redis: our certificate, a file; NULL: none */
    char *store_tls_key;              /* Redis: its key, a file; NULL: none */
    char *store_tls_name;             /* Redis: in its certificate; NULL: the host we connect to */
    bool store_tls_sentinels;         /* Redis: they, too, are spoken to with TLS */
    char *store_prefix;               /* of every key in Redis */
    struct conf_list store_sentinels; /* "host:port" */
    char *store_master;               /* what the sentinels call it */
    bool store_durable;               /* a lease counts when a replica has it, too */
    int64_t store_node_timeout_ms;    /* a node that is not heard of for so long is away */
    bool store_share_at_once;         /* not strict when Redis is away: see meter_go_alone() */

    char *feedback_log; /* what is followed for results, or "none" */

    char *figures_path;      /* the file, or "none" */
    int64_t figures_keep_ms; /* what is older goes */
    int figures_megabytes;   /* beyond it the oldest goes */
    int figures_accounts;    /* in one hour; others are counted together */
    int figures_thin;        /* messages a month from one address to one provider: fewer are told */
    int figures_most;        /* percent of a shared pool's mail: more of one account's are told */

    struct conf_list complaint_addresses; /* patterns: mail to them is read as reports */
    char *complaint_header;               /* name of the header that tells whose mail it was */
    char *mark_header;                    /* name of the header that marks are in */

    bool rescue_enabled;  /* refusals that accuse an address become deferrals */
    int rescue_addresses; /* that may refuse a message, before it is given up */

    int wake_rate;                     /* deferred messages woken in a second, at most; 0: none */
    int wake_processes;                /* postqueue(1) at a time */
    int64_t wake_timeout_ms;           /* for one of them */
    char *wake_postqueue;              /* its path */
    char *wake_config_directory;       /* of Postfix; NULL: its default */
    struct breaker_policy suspension;  /* how what is suspended comes back */
    struct conf_list suspension_steps; /* as written */
    int64_t suspension_probe_ms;       /* probes that are not answered are sent again after that */
    bool suspension_network;           /* addresses that reach nobody are suspended */

    struct warmup_rules warmup; /* what moves a warm-up on, and back */
    int64_t warmup_idle_ms;     /* as written */
    char *warmup_zone_name;     /* as written */
    struct zone *warmup_zone;   /* whose days count; NULL: UTC */
    char *engagement_path;      /* the file of recipients and their activity, or "none" */
    struct conf_list engaged;   /* as written */
    struct hint_rules hint;

    struct standing_rules standing; /* how accounts are graded */
    struct fault_limits standing_limits;
    int standing_under_way;   /* recipients of one account on this host; 0: any number */
    int64_t standing_idle_ms; /* as written */

    int64_t watchdog_ms; /* a policyd whose loop stands still that long is killed */

    char *milter_socket;
    char *milter_pid_file; /* postpool reload signals what it names */
    char *milter_owner;
    char *milter_group;
    int milter_mode;
    char *stream_header;            /* name of the header the milter adds */
    struct conf_list strip;         /* headers the milter removes */
    struct conf_list internal_text; /* as written */
    struct ip_net *internal;        /* networks whose mail is the site's own */
    size_t internal_count;
    struct conf_list local_domains; /* where Postfix does not say, these are local */
    struct conf_list local_mailers; /* transports that deliver on this host */

    struct conf_list dns_server_text; /* as written */
    struct nameserver *dns_servers;   /* none: what the system's resolv.conf names */
    size_t dns_server_count;
    int64_t dns_timeout_ms; /* for one answer of one server */

    struct replies replies; /* rules for the replies of servers, in their order */

    struct dnslist *lists; /* DNS lists that are asked for the addresses */
    size_t list_count;

    char **lines; /* sorted "path = value", what conf_diff() compares */
    size_t line_count;
};

/* What conf_load() found, in the order of the file. */
struct conf_problem {
    bool warning; /* else the file is refused */
    char *text;   /* "file:line: what is wrong, and what would be right" */
};

struct conf_problems {
    struct conf_problem *items;
    size_t count;
    size_t error_count;
};

/*
 * Read file.  Returns 0 with *ret_conf set (one reference, the caller's), or
 * -EINVAL with the reasons in problems.  problems is emptied first and may
 * hold warnings after success; conf_problems_clear() frees what is in it.
 *
 * A secret file that may not be read is no mistake (the admin's command runs
 * as anyone); secret_known tells.
 */
int conf_load(const char *file, struct conf **ret_conf, struct conf_problems *problems);

/* The same from text, for tests; includes are not possible. */
int conf_load_text(const char *text, struct conf **ret_conf, struct conf_problems *problems);

/* Add one; where is "file" or "file:line", text is copied. */
void conf_problems_add(struct conf_problems *problems, bool warning, const char *where,
                       const char *text);
void conf_problems_clear(struct conf_problems *problems);

struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf *conf); /* takes NULL */

/*
 * Call changed(arg, line) for each setting that differs: "+ path = value" for
 * one that is new, "- path = value" for one that is gone, "~ path = value (was
 * value)" for one that changed.  What may hold a password or a key is "(not shown)".  Returns
 * how many.
 */
size_t conf_diff(const struct conf *before, const struct conf *after,
                 void (*changed)(void *arg, const char *line), void *arg);

/*
 * The same in few lines, for a log: CONF_DIFF_LINES at most, then "and 12 more".  Where there are
 * more changes, those of one thing are one line, "~ pools.bulk: 3 settings", and those of many
 * things of a kind, "+ replies: 90 members, 712 settings"; what is very long is cut, ending in
 * " ...".  Returns how many settings differ.
 */
size_t conf_diff_short(const struct conf *before, const struct conf *after,
                       void (*told)(void *arg, const char *line), void *arg);

/* Call visit(arg, path, initial, help) for every key the file may hold. */
void conf_each_key(void (*visit)(void *arg, const char *path, const char *initial,
                                 const char *help),
                   void *arg);

#endif
