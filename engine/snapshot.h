/*
 * The part of the configuration that decisions are made from.
 *
 * A snapshot never changes once it is loaded; a reload makes a new one.
 * Everything in it belongs to the snapshot and goes with snapshot_free().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_SNAPSHOT_H
#define ENGINE_SNAPSHOT_H

#include "engine/caps.h"
#include "engine/grade.h"
#include "engine/ip.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STREAM_NAME_MAX = 32,  /* characters; a stream name is part of the tag */
    ADDRESS_NAME_MAX = 32, /* characters; "pp-NAME" is a Postfix service name */
    PROVIDER_NAME_MAX = 32,
    PROVIDER_OTHER = 0, /* place of the provider that takes what no other does */
    ENGAGED_WEEKS_MAX = 13,
    ENGAGED_WEEK = 7, /* stages of a warm-up */
};

struct week;
struct zone;

/* One pool IP.  Postfix reaches it through the smtp(8) service "pp-<name>". */
struct address {
    char *name;
    size_t index; /* place in snapshot.addresses */
    struct ip ip;
    struct ip public_ip; /* what others see it as, behind NAT; family 0: the same */
    char *helo;
    char *node;            /* the node that it is pinned to; NULL: any that has it */
    bool elsewhere;        /* pinned to another node than this one */
    int maxproc;           /* most smtp(8) processes at a time */
    uint64_t seed;         /* hash of the name */
    const struct pool *of; /* a pool that has it, whose knobs it takes; NULL: none */
    struct caps caps;
    const struct schedule *schedule; /* of its warm-up, not ours; NULL: it is warm */
    struct schedule *own_schedule;   /* that, where nobody else has it; NULL */
    int32_t started;                 /* when the warm-up was to begin, as in engine/date.h */
};

/* What becomes of a recipient when no address of pool and ladder has room under its caps. */
enum exhausted {
    EXHAUSTED_DEFER,
    EXHAUSTED_EXCEED, /* sent all the same, and counted */
};

/* What follows when a message does not meet what its stream requires. */
enum unmet {
    UNMET_WARN, /* it is said and counted, and the message goes out */
    UNMET_TEMPFAIL,
    UNMET_REJECT,
};

struct member {
    const struct address *address; /* not ours */
    double weight;                 /* share of the pool's mail; > 0 */
};

struct pool {
    char *name;
    size_t index; /* place in snapshot.pools */
    struct member *members;
    size_t member_count;
    const struct pool **overflow; /* the ladder: asked in order when this pool has none */
    size_t overflow_count;
    enum exhausted exhausted;

    /* Postfix's own per-transport parameters; 0 or NULL: as the site has it. */
    int concurrency;     /* destination_concurrency_limit */
    int rate_delay_s;    /* destination_rate_delay, seconds */
    int recipient_limit; /* destination_recipient_limit */
    char *tls;           /* smtp_tls_security_level */
};

enum condition_type {
    CONDITION_HEADER,    /* a header of that name exists, or has that value */
    CONDITION_SASL_USER, /* glob over the login name; letter case counts */
    CONDITION_SENDER,    /* glob over the envelope sender, "<>" for the null sender */
    CONDITION_CLIENT,    /* network that the client's address is in */
    CONDITION_DAEMON,    /* glob over {daemon_name}; letter case counts */
    CONDITION_RECIPIENT, /* glob; one envelope recipient is enough */
};

struct condition {
    enum condition_type type;
    char *name;         /* CONDITION_HEADER: header name */
    char *glob;         /* pattern with * and ?; NULL: none */
    regex_t *regex;     /* CONDITION_HEADER, instead of glob; NULL: none */
    char *regex_source; /* what regex was made from */
    struct ip_net net;  /* CONDITION_CLIENT */
};

/* Conditions that must all hold. */
struct match {
    struct condition *conditions;
    size_t condition_count;
};

struct stream {
    char *name;
    size_t index;                        /* place in snapshot.streams */
    const struct pool *pool;             /* not ours */
    const struct pool *by_grade[GRADES]; /* for mail of accounts of that grade; NULL: pool */
    bool is_graded;                      /* any of these is there */
    struct fault_limits limits;          /* of each account's mail in it */
    char *kind;                          /* of mail; "" or NULL: its own name */
    struct match *matches;               /* one is enough */
    size_t match_count;                  /* 0: takes every message */
    struct caps caps;
    struct caps account_caps; /* of each account in this stream */
    int priority;             /* the higher ones get room first */
    int active;               /* most recipients in Postfix' active queue; 0: any */
    unsigned require;         /* what is required of its messages, REQUIRE_BIT() */
    enum unmet unmet;
    struct week *hours;  /* its mail leaves then; NULL: at any time */
    struct zone *zone;   /* whose clock hours are of; NULL: UTC */
    char *zone_name;     /* as it is written, "local": the host's */
    int64_t deadline_ms; /* what is older is not sent; 0: none is too old */
    int64_t slo_ms;      /* slo_share percent are to be delivered within it; 0: no such aim */
    int slo_share;
    bool mark;         /* its mail leaves with a mark, lib/mark.h */
    char *feedback_id; /* what its Feedback-ID is made of, lib/feedback_id.h; "" or NULL: none */
};

/* A mailbox provider.  All names are lower case. */
struct provider {
    char *name;
    size_t index;   /* place in snapshot.providers */
    char **domains; /* recipient domains that are its own, not their subdomains */
    size_t domain_count;
    char **mx; /* suffixes of its MX hosts, each beginning with "." */
    size_t mx_count;
    struct caps caps; /* of each address at this provider */
};

/* A domain or a suffix, and whose it is. */
struct provider_name {
    const char *name;                /* not ours */
    const struct provider *provider; /* not ours */
};

struct schedule;

struct snapshot {
    struct address *addresses;
    size_t address_count;
    const struct address **addresses_by_name; /* sorted, for snapshot_find_address() */
    struct pool *pools;
    size_t pool_count;
    struct stream *streams; /* in the order they are tried; the last takes every message */
    size_t stream_count;
    const struct stream **streams_by_name; /* sorted, for snapshot_find_stream() */
    char **bypass;                         /* recipient domains left alone, lower case, sorted */
    size_t bypass_count;
    char **headers; /* header names that conditions ask for, each once */
    size_t header_count;
    struct provider *providers; /* the first is always "other" */
    size_t provider_count;
    struct provider_name *provider_domains; /* of all providers, sorted by name */
    size_t provider_domain_count;
    struct provider_name *provider_mx; /* likewise */
    size_t provider_mx_count;
    struct schedule *schedules; /* that the configuration has */
    size_t schedule_count;
    /* In each week of a warm-up who may pass: recipients that were active within so many days. */
    uint32_t engaged_days[ENGAGED_WEEKS_MAX]; /* 1 or more, not shrinking */
    size_t engaged_weeks;                     /* behind them everybody */
    bool has_caps;      /* any address, provider or stream does, or an address warms up */
    bool has_grades;    /* any stream has a pool for accounts of a grade */
    bool provider_caps; /* any provider does, or an address warms up with shares of providers */
    unsigned require;   /* what any stream requires */
};

/* Frees the list, too. */
void matches_free(struct match *matches, size_t count);

/* Is any address of its pool, or of the pools on the ladder behind it, not in warm-up? */
bool stream_has_warm(const struct stream *stream);

/* Takes NULL. */
void snapshot_free(struct snapshot *snapshot);

/*
 * By an address's place in the snapshot before: the place of the address of
 * that name now, or UINT32_MAX.  The caller frees the list; NULL only without
 * memory.
 */
uint32_t *snapshot_moves(const struct snapshot *before, const struct snapshot *now);

const struct address *snapshot_find_address(const struct snapshot *snapshot, const char *name);
const struct pool *snapshot_find_pool(const struct snapshot *snapshot, const char *name);
const struct provider *snapshot_find_provider(const struct snapshot *snapshot, const char *name);

/* name need not end in NUL.  Letter case counts: names are lower case. */
const struct stream *snapshot_find_stream(const struct snapshot *snapshot, const char *name,
                                          size_t length);

/* Is domain, or a parent domain of it, under bypass?  domain is lower case. */
bool snapshot_is_bypass(const struct snapshot *snapshot, const char *domain);

#endif
