/*
 * A world for the engine: one host that has all addresses of a configuration, a store that
 * answers at once, deliveries that take no time, and a clock that the caller turns.
 *
 * Nothing is modelled that decisions are made of: who leaves from where, and what has no room,
 * say decide(), meters and books; what an address that warms up may send, warmup_turn() and
 * allowances; what is suspended, breakers and curbs.  So what happens here is what
 * postpool-policyd(8) would do with that mail.  What waits is looked at when there may be room, as
 * policyd/pace.c wakes it; but messages of one kind that came in the same minute are one entry.
 *
 *   world_send()    mail, in the order of time: leaves, or waits, or is over
 *   sent()          told of all that leaves, at once or later; there the caller says world_result()
 *   world_run()     time goes on without mail
 *   world_day() ... what came of it
 *
 * The same calls give the same world.  Pure; times are of day, in milliseconds since 1970, days as
 * in engine/date.h.
 *
 * Memory: 32 bytes for each entry that waits; for each day 12 for an address; what meters,
 * books and breakers take.  A call costs about a microsecond for each recipient that leaves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WORLD_H
#define ENGINE_WORLD_H

#include "engine/breaker.h"
#include "engine/decide.h"
#include "engine/grade.h"
#include "engine/standing.h"
#include "engine/warmup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct pool;
struct provider;
struct snapshot;
struct stream;
struct world;
struct zone;

enum {
    WORLD_WAITS = 8,                 /* how long what left had waited, see world_wait_ms[] */
    WORLD_TURN_MS = 300 * 1000,      /* after midnight warm-ups are turned, as policyd does */
    WORLD_ACCOUNTS_MAX = 200 * 1000, /* that are known; others are new */
    WORLD_RECORDS_MAX = 15000,       /* of them, whose days are kept */
    WORLD_LANES_MAX = 100 * 1000, /* kinds of mail that wait; what is one more waits with others */
};

/* waits[i] counts what had waited less than world_wait_ms[i], and no less than the one before. */
extern const int64_t world_wait_ms[WORLD_WAITS];

/* Recipients of the same kind at the same time. */
struct world_mail {
    int64_t at_ms; /* when they came in; not before any that was told of earlier */
    const struct stream *stream;
    size_t provider;     /* place of that of their domain; PROVIDER_OTHER */
    const char *account; /* domain of the sender, lower case, or a login; NULL or "": none */
    const char *domain;  /* of the recipients, lower case; NULL: not told.  Where the provider is
                            "other" an address may be suspended at that domain alone */
    enum grade grade;    /* of the account: which pool of the stream; without world_setup.standing,
                            or without an account */
    uint64_t key;        /* decide_key() of message and domain */
    bool apart;          /* each is a message of its own: the keys of the others follow from key */
    int32_t quiet_days;  /* as in struct decide_question */
    uint32_t count;      /* recipients; 0: nothing happens */
    uint64_t token;      /* the caller's, told again by sent() and ended() */
};

/* What came of them at once.  The three add up to count. */
struct world_outcome {
    uint32_t left, waiting, ended;
    const struct address *address; /* that the last of them left from; NULL: none did */
    /* waiting > 0: */
    bool outside, full, suspended, unengaged; /* why; none: no pool of theirs has an address */
    int64_t room_ms; /* not before that will there be room, as far as is known; INT64_MAX */
};

/* Recipients that leave.  Good as long as the call that told of them. */
struct world_sent {
    int64_t at_ms, since_ms; /* now, and when they came in */
    const struct stream *stream;
    const struct pool *pool; /* that the address is from */
    const struct address *address;
    size_t provider;
    const char *account, *domain; /* "" where it did not matter for what waited */
    uint32_t count;               /* 1: each is decided on */
    bool exceeds;                 /* over a cap: the pool's rule is "exceed" */
    uint64_t token;
    uint32_t meters[DECISION_METERS];
};

/* Recipients that are not sent any more. */
struct world_ended {
    int64_t at_ms, since_ms;
    const struct stream *stream;
    size_t provider;
    uint32_t count;
    bool deadline; /* that of the stream was over; else world_setup.lifetime_ms */
    uint64_t token;
};

enum world_result {
    WORLD_ACCEPTED,
    WORLD_BOUNCED,   /* refused for good, which says nothing of the address: no such recipient */
    WORLD_REFUSED,   /* refused, now or for good, for what may be the address: not accepted */
    WORLD_EXCUSED,   /* put off by the other side: greylisting, its own trouble */
    WORLD_UNREACHED, /* nobody saw them: their grants are given back */
};

/* Whom a reply accuses. */
enum world_accused { WORLD_NOBODY, WORLD_ADDRESS, WORLD_ADDRESS_PROVIDER, WORLD_ACCOUNT };

struct world_reply {
    enum world_result result;
    uint32_t count;                  /* recipients that it is of */
    enum world_accused accused;      /* with WORLD_REFUSED */
    const struct reaction *reaction; /* that of its rule; NULL: none */
    uint32_t rule;                   /* a number of the rule, not 0 with reaction */
    bool for_good; /* 5xx: where it suspends an address, its warm-up was blocked; and an account
                      answers for it, with WORLD_UNREACHED, too */
};

/* A reply brought it about that less, or nothing, leaves from there. */
struct world_suspension {
    int64_t at_ms, until_ms; /* then its first probes go, or it is slowed no more */
    enum world_accused accused;
    const struct address *address;   /* NULL with WORLD_ACCOUNT */
    const struct provider *provider; /* with WORLD_ADDRESS_PROVIDER; NULL: it is name alone */
    const char *name;                /* an account, or a domain of no provider; else NULL */
    uint32_t rule;
    bool slowed; /* else suspended */
};

struct world_setup {
    const struct snapshot *snapshot;         /* not ours */
    struct warmup_rules warmup;              /* conf->warmup */
    const struct breaker_policy *suspension; /* not ours: conf->suspension; NULL: nothing is ever
                                                suspended */
    int64_t probe_ms;                        /* conf->suspension_probe_ms */
    const struct standing_rules *standing;   /* not ours: conf->standing; NULL: accounts earn
                                                nothing */
    const struct zone *zone; /* not ours: days of warm-ups are those of its clock; NULL: UTC ... */
    int32_t offset_s;        /* ... and so much later */
    int64_t start_ms;        /* it is then, and nothing was ever sent */
    int64_t lifetime_ms;     /* what waits for so long is returned to its sender; 0: never */
    int wake_per_s;          /* conf->wake_rate: what waits is taken up no faster; 0: every
                                quarter of an hour, as Postfix itself might */
    /* By address.index: warm-ups as they stood at the start; NULL: all begin on the first day. */
    const struct warmup *warmups;
    const bool *present; /* by address.index: that are there; NULL: all of every host */
    /* From these nothing but world_tell() and what reads may be called. */
    void (*sent)(void *arg, const struct world_sent *sent);                  /* may be NULL */
    void (*ended)(void *arg, const struct world_ended *ended);               /* may be NULL */
    void (*suspended)(void *arg, const struct world_suspension *suspension); /* may be NULL */
    void *arg;                                                               /* not ours */
};

/* Both NULL only without memory. */
struct world *world_new(const struct world_setup *setup);
void world_free(struct world *world); /* takes NULL */

/*
 * Mail comes in; before that, time goes on to when it does.  0; -ENOMEM: the world is not to be
 * relied on any more.
 */
int world_send(struct world *world, const struct world_mail *mail,
               struct world_outcome *ret_outcome);

/* Time goes on to then: what waits leaves as there is room, days end.  0 or -ENOMEM. */
int world_run(struct world *world, int64_t until_ms);

int64_t world_now_ms(const struct world *world);
const struct snapshot *world_snapshot(const struct world *world);

/*
 * What became of recipients that were sent, now.  To be called in sent(), or later with a copy.
 * What nobody tells of has no result: a warm-up does not go on by it.
 */
void world_tell(struct world *world, const struct world_sent *sent,
                const struct world_reply *reply);

/* ------------------------------------------------------------ what came of it */

/* Of one stream: on one day, or since the start.  All are recipients. */
struct world_stream {
    uint64_t offered;            /* came in */
    uint64_t sent;               /* left */
    uint64_t at_once;            /* of these, without having waited */
    uint64_t delayed;            /* had to wait, when they came in */
    uint64_t ended, late;        /* given up: too old for Postfix, and for the stream's deadline */
    uint64_t waiting;            /* at the end of it; since the start: now */
    uint64_t waiting_most;       /* at any time */
    int64_t waited_most_ms;      /* of what left */
    int64_t waited_ms;           /* in sum, of what left */
    uint64_t waits[WORLD_WAITS]; /* of what left */
};

/* Of one address on one day. */
struct world_address {
    uint32_t sent;
    uint32_t allowance; /* of its warm-up; WARMUP_UNLIMITED */
    uint16_t stage;     /* from 0; that after the last: it is warm */
    uint8_t events;     /* enum warmup_event */
    uint8_t result;     /* enum warmup_result, when the day is over; allowance has a limit */
};

struct world_day {
    int32_t day;
    const struct world_address *addresses; /* by address.index */
    const struct world_stream *streams;    /* by stream.index */
    const uint64_t *providers;             /* sent, by provider.index */
    size_t grades[GRADES];                 /* accounts of that grade at the end of it */
};

size_t world_days(const struct world *world);
struct world_day world_day(const struct world *world, size_t place); /* the first is 0 */

/* Since the start. */
struct world_stream world_stream(const struct world *world, const struct stream *stream);
uint64_t world_sent_of(const struct world *world, const struct address *address,
                       const struct stream *stream);
uint64_t world_sent_to(const struct world *world, const struct pool *pool,
                       const struct provider *provider);
uint64_t world_sent_from(const struct world *world, const struct pool *pool);

/* Do accounts earn anything, and what have they?  standing: NULL: none is kept.  In any order. */
bool world_has_standings(const struct world *world);
typedef void world_account_fn(void *arg, const char *account, const struct standing *standing);
void world_accounts(const struct world *world, world_account_fn *each, void *arg);

/* The warm-up as it stands; NULL: it has none. */
const struct warmup *world_warmup(const struct world *world, const struct address *address);

/*
 * The most that came in, or had its hours begin, for a pool, as the first that it would leave from:
 * in a minute, an hour and a day of the clock; provider NULL: to all of them.
 */
struct world_peak {
    uint64_t minute, hour, day;
    int64_t minute_ms, hour_ms; /* when that began */
    int32_t day_at;
};
struct world_peak world_peak(const struct world *world, const struct pool *pool,
                             const struct provider *provider);

#endif
