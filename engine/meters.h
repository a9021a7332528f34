/*
 * The meters of one configuration: one for each thing that has caps.
 *
 * An address, an address at one provider, a stream, an account in a
 * stream.  Those of address and provider, and of accounts, are made when they
 * are first met.  A meter keeps its number as long as it is there, from one
 * configuration to the next; the number of one that is gone is used again when
 * meters_set_keep() is over.
 *
 * Memory: 200 bytes for each, and an account's name; at most
 * METERS_ACCOUNTS_MAX accounts, and what addresses, providers and streams make.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_METERS_H
#define ENGINE_METERS_H

#include "engine/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowances;
struct snapshot;
struct warming;

#define METERS_NONE UINT32_MAX /* the number of no meter: nothing is capped there */

enum {
    METERS_ACCOUNTS_MAX = 200000, /* accounts at a time; those that are idle make room */
    METERS_ACCOUNT_MAX = 255,     /* bytes of an account's name; longer ones are cut */
    METERS_KEY_SIZE = 400,        /* room for any meter's key */
};

enum meters_kind {
    METERS_ADDRESS,
    METERS_PROVIDER, /* an address at a provider */
    METERS_STREAM,
    METERS_ACCOUNT,
};

enum metered_state {
    METERED_USED,
    METERED_GONE,  /* its caps are no more, its number is not free yet */
    METERED_SPARE, /* the number is nobody's */
};

struct metered {
    struct meter meter;
    const struct caps *caps; /* of the snapshot, not ours; NULL: they are no more */
    char *account;           /* METERS_ACCOUNT: owned */
    int64_t gone_ms;         /* METERED_GONE: since when */
    uint32_t of;             /* whose: the id of an address or stream */
    uint32_t other;          /* METERS_PROVIDER: its id; METERS_ACCOUNT: the next in its chain */
    uint32_t binding;        /* which snapshot caps are of */
    uint8_t kind;            /* enum meters_kind */
    uint8_t state;           /* enum metered_state */
    bool queued;             /* meters_next() will look at it */
    uint8_t off;             /* percent of its caps that are not to be used; see meters_scale() */
};

struct meters;

/* Meters for snapshot, which must outlive them.  NULL only without memory. */
struct meters *meters_new(const struct snapshot *snapshot);
void meters_free(struct meters *meters); /* takes NULL */

/*
 * The configuration changed.  Meters go over by the names of what they are of;
 * those without caps now are gone.  The snapshot before must still be there,
 * and snapshot must outlive the meters.  Takes a fixed time for each address,
 * and one for each address and provider, but none for accounts.
 *
 * False only without memory; then nothing has changed.
 */
bool meters_set_snapshot(struct meters *meters, const struct snapshot *snapshot, int64_t now_ms);

/*
 * For addresses that warm up, in the place of what the configuration has; NULL: none does.  They
 * must outlive the meters, or the next call; to be followed by meters_set_snapshot(), with the
 * snapshot that they are for, also whenever they have changed.
 */
void meters_set_allowances(struct meters *meters, const struct allowances *allowances);

/* See allowances_engaged(); and whether any address warms up. */
uint32_t meters_engaged(const struct meters *meters, size_t address);
bool meters_warm_up(const struct meters *meters);

/*
 * Is the cap that the meter waits for room under the allowance of an address that warms up?  Then
 * whose, and which part of it.
 */
bool meters_warming(struct meters *meters, uint32_t number, struct warming *ret_warming);

/* The caps of an address and of it at providers are others: more than they were, or less. */
void meters_recap(struct meters *meters, size_t address, int64_t now_ms);

/* Has the address caps at that provider? */
bool meters_has_provider(const struct meters *meters, size_t address, size_t provider);

/* The longest that anybody keeps the number of a meter that he took a grant of. */
void meters_set_keep(struct meters *meters, int64_t keep_ms);

/* How many numbers there are, with those that are not used. */
size_t meters_count(const struct meters *meters);
struct metered *meters_at(struct meters *meters, uint32_t number);

/* Else nothing but meters_tend() may be asked of that number. */
bool meters_is_used(struct meters *meters, uint32_t number);

/*
 * To be called for each number now and then: what is held and not used, or used
 * and not reported, is queued for meters_next(); an account is forgotten when
 * its longest window and the time to keep are over and nothing is held of it.
 */
void meters_tend(struct meters *meters, uint32_t number, int64_t now_ms);

/*
 * The numbers.  METERS_NONE: no caps there, or (provider and account) no
 * memory or too many accounts.
 */
uint32_t meters_address(const struct meters *meters, size_t address);
uint32_t meters_provider(struct meters *meters, size_t address, size_t provider);

/* Would that number have to be made first? */
bool meters_is_unmet(const struct meters *meters, size_t address, size_t provider);
uint32_t meters_stream(const struct meters *meters, size_t stream);
uint32_t meters_account(struct meters *meters, size_t stream, const char *account);

/* How many accounts are known; and how often one was not counted because they were too many. */
size_t meters_accounts(const struct meters *meters, uint64_t *ret_refused);

/* "address/a1", "provider/a1/google", "stream/bulk", "account/bulk/app-news" */
void meters_key(const struct meters *meters, uint32_t number, char key[static METERS_KEY_SIZE]);

/* The number of the meter with that key, made when there are caps for it; else METERS_NONE. */
uint32_t meters_find(struct meters *meters, const char *key);

/* How many nodes share the caps; 1 at first. */
void meters_set_nodes(struct meters *meters, unsigned nodes);
unsigned meters_nodes(const struct meters *meters);

/* Before the first ask: others were made by the same keys, and no number of theirs is above seq. */
void meters_set_seq(struct meters *meters, uint32_t seq);

/*
 * Work with percent of each cap only, 1 to 100, or with all of it again.  What is
 * held beyond a lease of that is returned, and the store is asked for no more than
 * fits under it, of whatever node.  So where more counts already when it sinks
 * there is no room until that fits.
 *
 * Other nodes go on as they were told: what they hold, and take under the whole
 * cap, counts here.  A node that is alone gives out its share of the part; those
 * that did not hear of it, their share of the whole.  The caps themselves hold
 * always.
 */
void meters_scale(struct meters *meters, uint32_t number, unsigned percent, int64_t now_ms);

/* 100: all of it. */
unsigned meters_percent(const struct metered *metered);

/* Any works with less. */
bool meters_are_scaled(const struct meters *meters);

/*
 * Counts events by which an address, or an address at a provider, had room
 * sooner than its meter had said: an answer of the store, a grant given back,
 * a reset.
 */
uint64_t meters_gains(const struct meters *meters);

/* Somebody wanted a grant of it, or took one and few are left. */
void meters_want(struct meters *meters, uint32_t number);

/* Mail wants a grant and none is held; see meter_miss(). */
void meters_miss(struct meters *meters, uint32_t number, int64_t now_ms);

/* Somebody wants count grants of it at once. */
void meters_want_many(struct meters *meters, uint32_t number, uint32_t count);

/* Spend one grant, and see that there will be more. */
void meters_take(struct meters *meters, uint32_t number, int64_t now_ms);
void meters_exceed(struct meters *meters, uint32_t number, int64_t now_ms);

/* Count recipients that left already, whether there is room or not. */
void meters_count_late(struct meters *meters, uint32_t number, uint32_t count, int64_t now_ms);

/* A grant that was spent at at_ms never was used.  Do not call meter_give_back() for it. */
void meters_give_back(struct meters *meters, uint32_t number, int64_t at_ms, int64_t now_ms);

/*
 * The store's answer to what meters_next() asked.  Likewise.  False: it is to an
 * ask of a meter that was there before by the same key; nobody waits for it.
 */
bool meters_answered(struct meters *meters, uint32_t number, const struct book_answer *answer,
                     int64_t now_ms);

/* Every use is forgotten: what is held goes, save a share, and it is asked for anew. */
void meters_reset(struct meters *meters, uint32_t number);

/* Let meters_next() look at it when it has something to return or to report. */
void meters_touch(struct meters *meters, uint32_t number);

/*
 * The next meter that has something to ask: its number, and *ret_ask as
 * meter_ask() leaves it.  METERS_NONE: none has.
 */
uint32_t meters_next(struct meters *meters, int64_t now_ms, struct book_ask *ret_ask);

/* Is there anything for meters_next() to look at? */
bool meters_pending(const struct meters *meters);

/*
 * All of them begin a new life, without the store, and so do those that are
 * made until it is there again: see meter_go_alone().  gone_ms: when the others
 * have given up on this node, which may be still to come.
 */
void meters_lapse(struct meters *meters, int64_t gone_ms);

/* From the next meters_lapse() on: is the share there at once, or when it must be free? */
void meters_set_share(struct meters *meters, bool at_once);

/* The store is there again. */
void meters_rejoin(struct meters *meters);

/* Between the two. */
bool meters_are_alone(const struct meters *meters);

#endif
