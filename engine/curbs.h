/*
 * What is held back now: addresses, addresses at one provider, and accounts
 * that are suspended, probed, slowed down or drained.
 *
 * decide() looks here for each candidate; somebody else, who knows why, fills
 * it.  A curb holds until it is set otherwise: until_ms is what people are
 * told, no alarm clock.
 *
 * What is slowed down and has caps of its own works with a share of them; what
 * has none sends one message after the other, or lets only that share of messages pass in each
 * minute.  See engine/decide.h.
 *
 * Memory: 33 bytes for each address once any is held back, 64 for an address at
 * a provider or an account, and an account's name; see the limits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_CURBS_H
#define ENGINE_CURBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct provider;
struct snapshot;

#define CURB_NOT_KNOWN INT64_MAX /* nobody can say when it will be better */

enum {
    CURBS_PAIRS_MAX = 20000,    /* addresses at providers that are held back at a time */
    CURBS_ACCOUNTS_MAX = 20000, /* accounts, and addresses at domains, likewise */
    CURBS_ACCOUNT_MAX = 300,    /* bytes of an account's name; longer ones are cut */
    CURB_WHOLE = 100,           /* percent */
};

struct curb {
    uint8_t share;    /* percent of its caps; CURB_WHOLE: nothing is held back; 0: suspended */
    bool drained;     /* takes no new messages: those that left or tried from it before may */
    bool probing;     /* share 0: its time is over, probes go now and then */
    uint32_t probes;  /* share 0: so many messages may go all the same, to see how it fares */
    int64_t until_ms; /* when it may be better, of decide_question.now_ms's clock; or
                         CURB_NOT_KNOWN */
    int64_t paced_us; /* the next message may leave then, by the same clock; see curbs_pace() */
};

/* Whose curb it is. */
enum curb_scope { CURB_ADDRESS, CURB_PROVIDER, CURB_ACCOUNT };

struct curbs;

/* Addresses and providers are those of snapshot, which must outlive it.  NULL only without memory.
 */
struct curbs *curbs_new(const struct snapshot *snapshot);
void curbs_free(struct curbs *curbs); /* takes NULL */

/*
 * The configuration changed: curbs go over by the names of what they are of;
 * those of what is gone are gone.  The snapshot before must still be there.
 * Takes a fixed time for each address and each curb.
 *
 * False only without memory; then nothing has changed.
 */
bool curbs_set_snapshot(struct curbs *curbs, const struct snapshot *snapshot);

/*
 * From now on that curb holds, save its paced_us; the one before does not.  A whole share, not
 * drained, takes the entry out.  Curbs of an address and of it at a provider
 * hold beside each other: the stricter decides.
 *
 * False: there are too many, or there is no memory; then nothing is held back
 * there beyond what was, and mail goes on.
 */
bool curbs_set_address(struct curbs *curbs, const struct address *address, const struct curb *curb);
bool curbs_set_provider(struct curbs *curbs, const struct address *address,
                        const struct provider *provider, const struct curb *curb);

/*
 * An address at a recipient domain of no provider ("other"), lower case, which
 * says nothing of the others there.
 */
bool curbs_set_domain(struct curbs *curbs, const struct address *address, const char *domain,
                      const struct curb *curb);

/* account: the domain of senders, lower case, not "". */
bool curbs_set_account(struct curbs *curbs, const char *account, const struct curb *curb);

/*
 * What holds there.  Never NULL; good until the next call that sets something.
 * account may be NULL.
 */
const struct curb *curbs_address(const struct curbs *curbs, const struct address *address);
const struct curb *curbs_provider(const struct curbs *curbs, const struct address *address,
                                  const struct provider *provider);
const struct curb *curbs_domain(const struct curbs *curbs, const struct address *address,
                                const char *domain); /* domain may be NULL */
const struct curb *curbs_account(const struct curbs *curbs, const char *account);

/*
 * A message of account is given to address: takes one probe of each of
 * these that is suspended and has some.  decide_spend() does so.  domain: of the
 * recipient, NULL where it is a provider's.
 */
void curbs_probe(struct curbs *curbs, const struct address *address,
                 const struct provider *provider, const char *domain, const char *account);

/*
 * A message leaves at now_us: the next one may so much later, of each of these that is slowed
 * down.  whole_us: how far apart they may be where nothing is slowed.  provider, domain: NULL
 * where that does not count.  What was set before, and what is set otherwise, goes on from there.
 */
void curbs_pace(struct curbs *curbs, const struct address *address, const struct provider *provider,
                const char *domain, int64_t whole_us, int64_t now_us);

/* How far apart they are then. */
int64_t curb_gap_us(const struct curb *curb, int64_t whole_us);

/* Nothing is held back anywhere. */
bool curbs_is_empty(const struct curbs *curbs);

/*
 * Counts events by which something may have room sooner than it seemed: a curb
 * was set otherwise.  Not probes that are taken.
 */
uint64_t curbs_changes(const struct curbs *curbs);

#endif
