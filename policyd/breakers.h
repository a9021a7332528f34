/*
 * Suspensions: what replies accuse, and what an admin takes out, is held back,
 * probed, and let grow back; on every host, and over restarts.
 *
 * Each thing (an address, an address at a provider, one at a domain of no
 * provider, an account) has a breaker (engine/breaker.h), made when something
 * happens to it first.  The store keeps them as records, "breaker/address/a1";
 * what happens here is added to what the store has: when another host was faster
 * it is added again to that.  Without a store, or while it is away, breakers hold
 * on this host.
 *
 * What holds is put into curbs, where decisions look.
 *
 * Memory: up to 7 KiB for each; see BREAKERS_MAX.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_BREAKERS_H
#define POLICYD_BREAKERS_H

#include "engine/breaker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct breakers;
struct buf;
struct conf;
struct control_call;
struct curbs;
struct event_base;
struct json;
struct outcome;
struct provider;

enum {
    /*
     * Domains and accounts; beyond it those that only count hits give way, the idlest first, and
     * then those that wait for probes longer than conf->suspension.forget_ms.
     * Addresses, and addresses at providers, are bounded by the configuration.
     */
    BREAKERS_MAX = 10000,
    BREAKERS_HOLDS_MAX = 1000,  /* so many more by hand, or of other hosts, when none gives way */
    BREAKERS_PAIRS_MAX = 20000, /* addresses at providers, as in curbs */
    BREAKERS_LISTENERS_MAX = 4,
    BREAKERS_KEY_SIZE = 400,       /* room for any key */
    BREAKERS_LATE_MS = 10 * 60000, /* a result that is told of later changes nothing any more */
};

enum breakers_scope {
    BREAKERS_ADDRESS,
    BREAKERS_PROVIDER, /* an address at a provider */
    BREAKERS_DOMAIN,   /* an address at a domain that is no provider's */
    BREAKERS_ACCOUNT,
    BREAKERS_SCOPES,
};

/* Whose breaker it is.  Pointers are of the running configuration. */
struct breakers_whose {
    enum breakers_scope scope;
    const struct address *address;   /* NULL for BREAKERS_ACCOUNT */
    const struct provider *provider; /* BREAKERS_PROVIDER */
    const char *name;                /* BREAKERS_DOMAIN, BREAKERS_ACCOUNT: a domain, lower case */
};

/* Who wants to know: what whose says is suspended now, or may send again (probes at first). */
typedef void breakers_change_fn(void *arg, const struct breakers_whose *whose, bool suspended);

struct breakers_start {
    struct event_base *base; /* NULL: breakers_tick() is called by the owner */
    const struct conf *conf; /* must stay until breakers_set_conf() */
    struct curbs *curbs;     /* not ours, of conf's snapshot; must stay likewise */
    /* The clock of the store, milliseconds. */
    int64_t (*now_ms)(void *arg);
    /* See store_put().  False, or NULL: there is no store. */
    bool (*put)(void *arg, const char *key, uint64_t version, const void *bytes, size_t length);
    void *arg; /* not ours */
};

struct breakers *breakers_new(const struct breakers_start *start);
void breakers_free(struct breakers *breakers); /* takes NULL */

/* At most BREAKERS_LISTENERS_MAX, before the loop runs. */
void breakers_listen(struct breakers *breakers, breakers_change_fn *on_change, void *arg);

/* The configuration changed; curbs have its snapshot already. */
void breakers_set_conf(struct breakers *breakers, const struct conf *conf, struct curbs *curbs);

/* What became of an attempt.  For feedback_listen(). */
void breakers_on_outcome(void *breakers, const struct outcome *outcome);

/* What the store says: the answer to a put, and what another host wrote.  See policyd/store.h. */
void breakers_on_put(void *breakers, const char *key, bool written, uint64_t version,
                     const void *bytes, size_t length);
void breakers_on_record(void *breakers, const char *key, uint64_t version, const void *bytes,
                        size_t length);

/*
 * By hand.  until_ms: of the store's clock, or BREAKER_FOR_EVER; replies change nothing
 * until then, and what was before goes on after it.  False: there are too many breakers.
 */
bool breakers_suspend(struct breakers *breakers, const struct breakers_whose *whose,
                      int64_t until_ms, const char *why);
bool breakers_drain(struct breakers *breakers, const struct breakers_whose *whose, const char *why);

/* Whole at once; what was counted is forgotten.  False: nothing was held back there. */
bool breakers_resume(struct breakers *breakers, const struct breakers_whose *whose);

/*
 * For a cause that lasts and is told of again and again: when it is suspended already
 * only the end is put off, without a word in the log.
 */
bool breakers_keep_suspended(struct breakers *breakers, const struct breakers_whose *whose,
                             enum breaker_cause cause, int64_t until_ms, const char *why);

/*
 * The cause is over: probes follow, or, where nothing was wrong with it, it is whole at
 * once.  What else suspends it is not touched.
 */
void breakers_end(struct breakers *breakers, const struct breakers_whose *whose,
                  enum breaker_cause cause, bool whole);

/* What holds, or NULL: nothing ever happened.  Good until anything else is called. */
const struct breaker *breakers_find(struct breakers *breakers, const struct breakers_whose *whose);

/* May nothing but probes leave from address to provider (NULL: anywhere)? */
bool breakers_is_suspended(struct breakers *breakers, const struct address *address,
                           const struct provider *provider);

/*
 * Call each for the addresses that nothing but probes may leave from: anywhere
 * (provider NULL), or to that provider.
 */
void breakers_each_suspended(struct breakers *breakers,
                             void (*each)(void *arg, const struct address *address,
                                          const struct provider *provider),
                             void *arg);

int64_t breakers_now_ms(const struct breakers *breakers);

/* Let time pass: called each second. */
void breakers_tick(struct breakers *breakers);

/* Answer a question of the control socket.  False: it is none about suspensions. */
bool breakers_question(struct breakers *breakers, const char *question, struct control_call *call,
                       struct buf *answer);

/*
 * What is held back: a line for each, or an array "suspensions" in the open JSON
 * object; one of both is NULL.  Returns how many.
 */
size_t breakers_status(struct breakers *breakers, struct buf *text, struct json *json);

#endif
