/*
 * SMTP transactions that the policy service has seen recipients of.
 *
 * Postfix gives each a name, "instance", that comes with all its requests.  The
 * table holds so many of them; where it is full, one that was quiet for long is
 * forgotten, as is every one after TRANSACTION_LIFE_MS.  What is forgotten stays
 * spent.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_TRANSACTIONS_H
#define POLICYD_TRANSACTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRANSACTIONS_MAX = 65536,
    TRANSACTION_LIFE_MS = 3600 * 1000,
};

struct transaction {
    uint64_t key;       /* 0: nobody's place */
    int64_t active_ms;  /* monotonic */
    int64_t taken_ms;   /* the store's clock, when the last grant was taken */
    uint64_t recipient; /* hash of the one that was asked for last */
    uint32_t account;   /* its meter; METERS_NONE: nothing is counted */
    uint32_t stream;    /* place of the first stream that any recipient is in */
    uint32_t taken;     /* grants of that meter, which may be given back */
    uint32_t kept;      /* recipients that were counted and may not be given back */
    uint32_t over;      /* recipients that were let in over quota, and not counted */
    uint8_t answer;     /* what the last recipient was answered, enum policy_answered */
    bool told;          /* the header was asked for */
    bool settled;       /* the message is in */
};

struct transactions;

/* count_max: a power of two, at least 8.  The table takes memory as it fills, 64 bytes for each. */
struct transactions *transactions_new(size_t count_max);
void transactions_free(struct transactions *transactions); /* takes NULL */

/* NULL: not known, or forgotten by now.  The pointer is good until the next transactions_add(). */
struct transaction *transactions_find(struct transactions *transactions, uint64_t key,
                                      int64_t now_ms);

/* key is not in the table.  Its account is METERS_NONE and its stream UINT32_MAX: not known yet. */
struct transaction *transactions_add(struct transactions *transactions, uint64_t key,
                                     int64_t now_ms);

/* The numbers of meters and streams are others now: nothing may be given back any more. */
void transactions_keep(struct transactions *transactions);

#endif
