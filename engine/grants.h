/*
 * Grants that wait for their result: what was reserved for one recipient of
 * one message, until a delivery says whether it is spent or given back.
 *
 * A grant stands for counters that were charged already.  So whatever ends one
 * without a result leaves them charged: a grant that is too old, that had to
 * make room, or whose address is gone counts as spent.  The error is then on
 * the side of sending less.
 *
 * Memory: 72 bytes for each grant, taken 1,024 grants at a time and kept until
 * grants_free(); 69 MiB at 1,000,000.  Nothing is ever copied into a larger
 * place, so that neither memory nor time has a peak when it grows.  Each call
 * costs the same however many are open, save where it says otherwise.
 *
 * Times are of one clock that does not go back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_GRANTS_H
#define ENGINE_GRANTS_H

#include "engine/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GRANT_METERS = 4,                /* counters that one grant charges, at most */
    GRANTS_LIMIT = 16 * 1024 * 1024, /* most that grants_new() can be asked for */
    GRANTS_REMAPS = 8,               /* calls of grants_remap() whose work may be left for later */
    GRANTS_STREAMS = 1024,           /* streams that are counted apart */
    GRANTS_ACCOUNTS = 4096,          /* numbers of accounts, likewise */
};

#define GRANT_NO_METER UINT32_MAX /* a place in meters that charges nothing */
#define GRANT_SAME SIZE_MAX       /* instead of a map: nothing changed */
#define GRANT_GONE UINT32_MAX     /* in a map: the new configuration does not have it */

struct grant {
    uint32_t address;              /* by address.index */
    uint32_t meters[GRANT_METERS]; /* the counters that were charged, or GRANT_NO_METER */
    uint32_t domain; /* hash of the recipient's domain whose provider is not known; else 0 */
    int64_t at_ms;   /* when it was reserved */
};

/* One recipient of one message, in 128 bits: by chance no two are the same. */
struct grant_key {
    uint64_t high, low;
};

/*
 * secret: random, of this process, because strangers choose recipients.
 *
 * message_id is taken as it is.  Recipients are the same when they differ in
 * the case of ASCII letters or in quoting only: the result of a delivery may
 * spell them in another way than the lookup did.
 */
void grant_key(const uint8_t secret[static HASH_KEY_SIZE], const char *message_id,
               const char *recipient, struct grant_key *ret_key);

/* How many are open, and how many ended in which way since grants_new(). */
struct grants_figures {
    uint64_t open;       /* those count, too, that are over but were not met yet */
    uint64_t expired;    /* no result came in time */
    uint64_t dropped;    /* made room for newer ones */
    uint64_t homeless;   /* the address is gone since a grants_remap() */
    uint64_t spent;      /* by grants_spend() */
    uint64_t given_back; /* by grants_give_back() */
};

struct grants;

/*
 * most: how many can be open, from 1 to GRANTS_LIMIT; what is outside counts
 * as the nearer end.  lifetime_ms: how long a grant waits for its result.
 * NULL only when there is no memory.
 */
struct grants *grants_new(size_t most, int64_t lifetime_ms);
void grants_free(struct grants *grants); /* takes NULL */

/* Holds for those that are open, too. */
void grants_set_lifetime(struct grants *grants, int64_t lifetime_ms);

void grants_figures(const struct grants *grants, struct grants_figures *ret_figures);

/*
 * The open grant of key, or NULL.  It belongs to grants, and is good until the
 * next call that may change something: all but grants_figures().
 */
const struct grant *grants_find(struct grants *grants, const struct grant_key *key, int64_t now_ms);

/*
 * The same, by whoever lets the mail go: from now on somebody has asked for the
 * grant, which was reserved before he did.
 */
const struct grant *grants_ask(struct grants *grants, const struct grant_key *key, int64_t now_ms);

enum grant_state {
    GRANT_NONE,     /* there is none, or it is settled */
    GRANT_RESERVED, /* and nobody has asked for it */
    GRANT_ASKED,
};

enum grant_state grants_state(struct grants *grants, const struct grant_key *key, int64_t now_ms);

/*
 * Open a grant for key, with grant->at_ms as the time.  When key has one open
 * already, that one stays, *ret_is_new is false, and what the caller charged
 * for this one is to be undone.
 *
 * stream: what grants_of_stream() counts it for, a number below GRANTS_STREAMS
 * that is the stream's whatever the configuration; 0: nothing.
 *
 * When there are as many as can be, or no memory for more, the oldest one is
 * dropped.  Never NULL; good as long as what grants_find() returns.
 */
const struct grant *grants_reserve(struct grants *grants, const struct grant_key *key,
                                   const struct grant *grant, uint16_t stream, bool *ret_is_new);

/* How many are open, as in the figures. */
size_t grants_of_stream(const struct grants *grants, uint16_t stream);

/*
 * The open grant of key is of that account, a number below GRANTS_ACCOUNTS but 0: what
 * grants_of_account() counts it for.  Once for a grant.
 */
void grants_set_account(struct grants *grants, const struct grant_key *key, uint16_t account,
                        int64_t now_ms);

/* How many are open, as grants_of_stream() says. */
size_t grants_of_account(const struct grants *grants, uint16_t account);

/*
 * Look at the newest grants, at most most of them, and call each for those with
 * that domain until it returns false.  It may change meters and domain.
 */
void grants_of_domain(struct grants *grants, uint32_t domain, size_t most,
                      bool (*each)(void *arg, struct grant *grant), void *arg);

/*
 * The result is here.  True when key had an open grant, which is gone then:
 * the second time it is false.  What was given back is in *ret_grant, so that
 * the caller can take it off the counters.
 */
bool grants_spend(struct grants *grants, const struct grant_key *key, int64_t now_ms);
bool grants_give_back(struct grants *grants, const struct grant_key *key, int64_t now_ms,
                      struct grant *ret_grant);

/*
 * Do work that is due, in at most most steps: let go what expired, oldest
 * first, then go on with what grants_remap() left.  Returns how many steps
 * were made; fewer than most: nothing is due now.  To be called now and then.
 */
size_t grants_expire(struct grants *grants, int64_t now_ms, size_t most);

/*
 * The configuration changed, and with it the numbers of addresses and meters:
 * new = map[old].  GRANT_GONE, or an old number at or beyond the map's count:
 * it is no more.  A grant whose address is gone counts as spent; a meter that
 * is gone becomes GRANT_NO_METER.  meter_count GRANT_SAME: meters have the
 * numbers that they had.
 *
 * Holds at once.  The maps are copied, and grants are rewritten when they are
 * met or by grants_expire().  Only without memory for the copy, or when
 * GRANTS_REMAPS earlier calls wait still, this call looks at all grants itself.
 */
void grants_remap(struct grants *grants, const uint32_t *address_map, size_t address_count,
                  const uint32_t *meter_map, size_t meter_count);

#endif
