/*
 * Where the books of all caps are kept: SQLite for one host, Redis for many.
 *
 * An ask is handed over with store_ask() and answered exactly once, from the
 * loop, never from inside store_ask(); one ask for a key at a time.  While the
 * store is away asks wait in it and are repeated until they are answered:
 * carrying one out twice does no harm (engine/book.h).  Nothing here blocks.
 *
 * A life is a time in which this node can be sure of what it holds.  It ends
 * with the process, and when the store was not heard of for so long that the
 * other side gives up on us: then on_lapse is called, every ask that waits is
 * forgotten unanswered, and whoever holds grants must let go of them.
 *
 * Records are small values that all nodes share, each with a version: store_put().
 * They outlive the process, and with Redis the loss of its data as long as one
 * node knows them; then the newest version of each is kept.
 *
 * Time: store_now_ms() is the store's clock as far as this node knows it, and
 * never behind it.  It does not follow steps of this host's clock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_STORE_H
#define POLICYD_STORE_H

#include "engine/book.h"
#include "engine/meters.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct conf;
struct err;
struct event_base;
struct json;
struct record;
struct record_put;
struct store;

enum {
    STORE_RECORD_MAX = 4096, /* bytes */
    STORE_RECORD_KEY_MAX = 400,
    STORE_RECORDS_MAX = 20000,
};

struct store_events {
    void (*on_answer)(void *arg, const char *key, const struct book_answer *answer);
    void (*on_lapse)(void *arg, int64_t late_ms); /* so much later the other side may give up */
    void (*on_nodes)(void *arg,
                     unsigned nodes);  /* how many share the caps now, this one among them */
    void (*on_up)(void *arg, bool up); /* it came, or went away; it has logged why */

    /* Of records; each may be NULL.  bytes are gone when it returns. */
    void (*on_put)(void *arg, const char *key, bool written, uint64_t version, const void *bytes,
                   size_t length); /* version and bytes: what is there now */
    void (*on_record)(void *arg, const char *key, uint64_t version, const void *bytes,
                      size_t length); /* another node changed it; version 0, length 0: removed */
    void (*on_records)(void *arg);    /* all that was there at the start was told by on_record */
    void *arg;                        /* not ours */
};

/*
 * Hashes: what may be lost, and is not waited for; see store_hash().  Only a store
 * for many hosts has them.
 */
struct store_hash {
    enum store_hash_what {
        STORE_HASH_SET,  /* a field, and that the key stays for keep_ms from now on */
        STORE_HASH_GET,  /* a field: one item, or none */
        STORE_HASH_ALL,  /* the fields */
        STORE_HASH_DROP, /* a field */
    } what;
    const char *key;
    const char *field;
    const void *bytes; /* SET */
    size_t length;
    int64_t keep_ms;
};

struct store_hash_item {
    const char *name; /* ends in NUL; GET: NULL */
    const char *bytes;
    size_t length;
};

#define STORE_HASH_AWAY "the store is away"

/* Called once, from the loop; items are gone when it returns.  why NULL: it was done. */
typedef void store_hash_fn(void *arg, const char *why, const struct store_hash_item *items,
                           size_t count);

/* Called once, from the loop: 0, or a negative errno and why. */
typedef void store_forgotten_fn(void *arg, int r, const char *why);

/* What kinds of stores have in common; the rest is the kind's own. */
struct store_kind {
    int (*open)(struct event_base *base, const struct conf *conf, const struct store_events *events,
                struct store **ret_store, struct err *err);
    void (*close)(struct store *store);
    void (*ask)(struct store *store, const char *key, const struct caps *caps,
                const struct book_ask *ask);
    void (*put)(struct store *store, struct record_put *put); /* owned */
    int64_t (*now_ms)(const struct store *store);
    bool (*is_up)(const struct store *store);
    void (*reset)(struct store *store,
                  const char *key); /* forget every use of key; asks of it wait */
    void (*status)(const struct store *store, struct buf *text, struct json *json);
    /* NULL, both: this node is the only one there can be. */
    void (*nodes)(const struct store *store, struct buf *text, struct json *json);
    void (*forget)(struct store *store, const char *node, store_forgotten_fn *done, void *arg);
    /* NULL, all: it has none. */
    bool (*hash)(struct store *store, const struct store_hash *hash, store_hash_fn *done,
                 void *arg);
    void (*hash_forget)(struct store *store);
    int64_t (*generation)(const struct store *store);
};

struct store {
    const struct store_kind *kind;
    struct store_events events;
};

extern const struct store_kind store_sqlite;
extern const struct store_kind store_redis;

/*
 * Open the kind that conf names.  0, or a negative errno with the reason: a
 * file that is damaged or not to be written to.  A Redis that is not there is
 * no reason; it may come.
 */
int store_open(struct event_base *base, const struct conf *conf, const struct store_events *events,
               struct store **ret_store, struct err *err);
void store_close(struct store *store); /* takes NULL; what waits is forgotten */

/* caps and ask are copied; node and life are the store's to fill in. */
void store_ask(struct store *store, const char *key, const struct caps *caps,
               const struct book_ask *ask);

/*
 * Write length bytes, up to STORE_RECORD_MAX, under key if its version is still
 * this one; 0: it is not there.  length 0 removes it.  Both are copied.
 *
 * Answered exactly once by on_put, from the loop, unless the store is closed
 * before.  When it was not written, and the version there is the one that was
 * given, there are STORE_RECORDS_MAX already.  While the store is away a put
 * waits and is repeated: one for a key at a time.  It does not end with a life.
 *
 * What another node wrote is told within two seconds, once: by on_record, or
 * by on_put of a put that it made fail.
 */
void store_put(struct store *store, const char *key, uint64_t version, const void *bytes,
               size_t length);

/*
 * May find that the life is over (this host was stopped, or asleep), and call
 * on_lapse first: ask for the time before looking at what is held.
 */
int64_t store_now_ms(const struct store *store);
bool store_is_up(const struct store *store);
void store_reset(struct store *store, const char *key);

/*
 * The nodes that share the caps: a line for each, or an array "nodes" in the
 * open JSON object; one of both is NULL.
 */
void store_nodes(const struct store *store, struct buf *text, struct json *json);

/*
 * A node is gone for good: a store that lost its data waits for it no longer.
 * Refused while it is there.  done is not called when the store is closed before.
 */
void store_forget(struct store *store, const char *node, store_forgotten_fn *done, void *arg);

/* Is it a store that has hashes? */
bool store_has_hashes(const struct store *store);

/*
 * One call at a time, of what is copied.  false: the store is away, or the call before it is under
 * way, and done is not called.  Else done is called once, unless store_hash_forget() comes before,
 * or the store is closed.  What goes wrong with it harms nothing else in the store.
 */
bool store_hash(struct store *store, const struct store_hash *hash, store_hash_fn *done, void *arg);
void store_hash_forget(struct store *store);

/* Another number since it is another server, or lost what it had, as far as is known; 0: it is not.
 */
int64_t store_generation(const struct store *store);

/* For the kinds of stores: call the owner, if it wants to hear of that. */
void store_tell_put(const struct store *store, const struct record_put *put);
void store_tell_record(const struct store *store, const char *key, const struct record *record);
void store_tell_records(const struct store *store);

/* For "status": a line or two to read, or members of the open JSON object; one of both is NULL. */
void store_status(const struct store *store, struct buf *text, struct json *json);

#endif
