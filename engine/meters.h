/*
 * The meters of one configuration: one for each thing that has caps.
 *
 * An address, an address at one provider, a stream, an account in a
 * stream.  Meters have numbers that stay the same until a reload; those of
 * address and provider, and of accounts, are made when they are first met.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_METERS_H
#define ENGINE_METERS_H

#include "engine/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;

#define METERS_NONE UINT32_MAX /* the number of no meter: nothing is capped there */

enum {
    METERS_ACCOUNTS_MAX = 200000, /* accounts that are known at a time */
    METERS_ACCOUNT_MAX = 255,     /* bytes of an account's name; longer ones are cut */
    METERS_KEY_SIZE = 400,        /* room for any meter's key */
};

enum meters_kind {
    METERS_ADDRESS,
    METERS_PROVIDER, /* an address at a provider */
    METERS_STREAM,
    METERS_ACCOUNT,
};

struct metered {
    struct meter meter;
    const struct caps *caps; /* of the snapshot, not ours */
    char *account;           /* METERS_ACCOUNT: owned */
    uint32_t of;             /* place of the address or stream */
    uint32_t other;          /* METERS_PROVIDER: its place; METERS_ACCOUNT: the next in its chain */
    uint8_t kind;            /* enum meters_kind */
    bool queued;             /* meters_next() will look at it */
};

struct meters;

/*
 * Meters for snapshot, which must outlive them.  NULL only without memory.
 * before: the meters of the running configuration, whose state goes over by
 * name; NULL: none.  They are of no more use then, but must still be freed.
 */
struct meters *meters_new(const struct snapshot *snapshot, struct meters *before);
void meters_free(struct meters *meters); /* takes NULL */

size_t meters_count(const struct meters *meters);
struct metered *meters_at(struct meters *meters, uint32_t number);

/* Where before's meters are now, METERS_NONE for those that are gone; the caller frees it. */
uint32_t *meters_map(const struct meters *before, struct meters *now);

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

/* "address/a1", "provider/a1/google", "stream/bulk", "account/bulk/app-news" */
void meters_key(const struct meters *meters, uint32_t number, char key[static METERS_KEY_SIZE]);

/* The number of the meter with that key, made when there are caps for it; else METERS_NONE. */
uint32_t meters_find(struct meters *meters, const char *key);

/* How many nodes share the caps; 1 at first. */
void meters_set_nodes(struct meters *meters, unsigned nodes);
unsigned meters_nodes(const struct meters *meters);

/*
 * Counts events by which an address, or an address at a provider, had room
 * sooner than its meter had said: an answer of the store, a grant given back,
 * a reset.  Grows from one configuration to the next, too.
 */
uint64_t meters_gains(const struct meters *meters);

/* Somebody wanted a grant of it, or took one and few are left. */
void meters_want(struct meters *meters, uint32_t number);

/* Somebody wants count grants of it at once. */
void meters_want_many(struct meters *meters, uint32_t number, uint32_t count);

/* Spend one grant, and see that there will be more. */
void meters_take(struct meters *meters, uint32_t number, int64_t now_ms);
void meters_exceed(struct meters *meters, uint32_t number, int64_t now_ms);

/*
 * Recipients that were counted for the address at one provider turn out to be
 * at another: count them there, and give them back here.
 */
void meters_move(struct meters *meters, size_t address, size_t from_provider, size_t to_provider,
                 uint32_t count, int64_t now_ms);

/* A grant that was spent at at_ms never was used.  Do not call meter_give_back() for it. */
void meters_give_back(struct meters *meters, uint32_t number, int64_t at_ms, int64_t now_ms);

/* The store's answer to what meters_next() asked.  Likewise. */
void meters_answered(struct meters *meters, uint32_t number, const struct book_answer *answer,
                     int64_t now_ms);

/* Every use is forgotten: what is held goes, and it is asked for anew. */
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

/* All of them begin a new life, without the store: see meter_go_alone(). */
void meters_lapse(struct meters *meters, int64_t now_ms);

/* The store is there again. */
void meters_rejoin(struct meters *meters);

#endif
