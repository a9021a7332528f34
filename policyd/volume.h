/*
 * Volume: the caps of the running configuration, what this node holds of
 * them, and the store behind, also for others who keep records there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_VOLUME_H
#define POLICYD_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct buf;
struct conf;
struct control_call;
struct decide_question;
struct err;
struct event_base;
struct grant_key;
struct json;
struct lookup_view;
struct meters;
struct mx_note;
struct stream;
struct volume;
struct warmup;
struct warmup_plan;

enum {
    VOLUME_GRANTS_MAX = 1000 * 1000,
    VOLUME_READY_MS = 3000, /* how long the start waits for the first leases */
    VOLUME_LISTENERS_MAX = 3,
};

struct volume_figures {
    uint64_t asks; /* of the store */
    uint64_t answers;
    uint64_t lapses; /* times that everything held was lost */
};

/* Who keeps records in the store: see store_put() and the events of store.h. */
struct volume_listener {
    void (*on_put)(void *arg, const char *key, bool written, uint64_t version, const void *bytes,
                   size_t length);
    void (*on_record)(void *arg, const char *key, uint64_t version, const void *bytes,
                      size_t length);
    void *arg; /* not ours */
};

/* Is there anything to be kept?  Caps, grades, or results that are followed. */
bool volume_needs_store(const struct conf *conf);

/*
 * Would a store open with this configuration?  Before the loop, so that a
 * damaged file is refused where the admin sees it.  0, or a negative errno.
 */
int volume_check(const struct conf *conf, struct err *err);

/*
 * on_room is called from the loop when the store has answered: who waits for
 * a grant should look again.  0, or a negative errno with the reason.
 */
int volume_new(struct event_base *base, struct conf *conf, void (*on_room)(void *arg), void *arg,
               struct volume **ret_volume, struct err *err);

/* Returns what is held to the store.  Takes NULL. */
void volume_free(struct volume *volume);

/*
 * The configuration changed.  conf must stay until the next call.  When a
 * store is needed for the first time and cannot be opened: a negative errno
 * with the reason, and everything that is capped has no room.
 */
int volume_set_conf(struct volume *volume, struct conf *conf, struct err *err);

/*
 * From now on, beside others: at most VOLUME_LISTENERS_MAX, before the loop runs, so that they hear
 * of what is there at the start.  They hear of the records of all, and know theirs by the keys.
 */
void volume_listen(struct volume *volume, const struct volume_listener *listener);

/*
 * The end: what is being put is waited for, and what those who keep records put because of it; two
 * seconds at most, and not at all while the store is away.  They hear no more after that.  The
 * loop runs meanwhile, without on_room and ready.
 */
void volume_end_records(struct volume *volume);

/* See store_put().  False: there is no store, and on_put is not called. */
bool volume_put(struct volume *volume, const char *key, uint64_t version, const void *bytes,
                size_t length);

/*
 * See store_hash().  volume_has_hashes(): there is a store for many hosts; the others do nothing
 * and say false without one.
 */
struct store_hash;
struct store_hash_item;
bool volume_has_hashes(const struct volume *volume);
bool volume_hash(struct volume *volume, const struct store_hash *hash,
                 void (*done)(void *arg, const char *why, const struct store_hash_item *items,
                              size_t count),
                 void *arg);
void volume_hash_forget(struct volume *volume);
int64_t volume_generation(const struct volume *volume); /* see store_generation() */

/* The parts of a view that are about volume. */
void volume_view(struct volume *volume, struct lookup_view *view);

/* Hand to the store what meters want by now; after each batch of decisions. */
void volume_flush(struct volume *volume);

/*
 * Ask for leases of what every lookup needs, addresses and streams, again where
 * the store has none yet; ready is called when they are there, and the records
 * told, or will not be within VOLUME_READY_MS.
 */
void volume_prepare(struct volume *volume, void (*ready)(void *arg), void *arg);

/*
 * What address may send on day, as its warm-up says.  It holds from volume_recap() on, which takes
 * time for each address, so that many are changed at a time.
 */
void volume_warm(struct volume *volume, const struct address *address, const struct warmup *warmup,
                 const struct warmup_plan *plan, int32_t day);
void volume_recap(struct volume *volume);

struct meters *volume_meters(struct volume *volume);
int64_t volume_now_ms(const struct volume *volume); /* the store's clock */
bool volume_is_up(const struct volume *volume);

/*
 * The result of a delivery: spent, or given back.  False when no grant is open
 * for that message and recipient.
 */
bool volume_spend(struct volume *volume, const char *message_id, const char *recipient);
bool volume_give_back(struct volume *volume, const char *message_id, const char *recipient);

/* The same by its key; what is settled meanwhile is left alone. */
void volume_give_back_key(struct volume *volume, const struct grant_key *key);

/* The address of the grant that is open for it; NULL: none is, or this host lost it. */
const struct address *volume_chosen(struct volume *volume, const char *message_id,
                                    const char *recipient);

/* Recipients of stream whose grants are open. */
size_t volume_under_way(const struct volume *volume, const struct stream *stream);

/*
 * Recipients in domain that were counted as "other" are at provider (a place).
 * Those whose grants are open are given back at "other", and settled at the
 * provider from now on.  Those whose result came before the answer of the DNS
 * count at both; so do they that are not among the newest 20,000 grants.
 */
void volume_move(struct volume *volume, const char *domain, size_t provider,
                 const struct mx_note *notes, size_t count);

/* Forget every use under key ("address/a1").  False: no such key has caps. */
bool volume_reset(struct volume *volume, const char *key);

/* Is there a cap under key? */
bool volume_knows(struct volume *volume, const char *key);

/* Return what this node holds of key, or of all keys with NULL.  How many grants. */
uint64_t volume_release(struct volume *volume, const char *key);

/* The nodes that share the caps, see store_nodes().  False: there is no store. */
bool volume_nodes(struct volume *volume, struct buf *text, struct json *json);

/* A node is gone for good, see store_forget().  False: there is no store, and done is not called.
 */
bool volume_forget(struct volume *volume, const char *node,
                   void (*done)(void *arg, int r, const char *why), void *arg);

/*
 * Answer a question of the control socket.  False: it is none about volume.
 * call is who asks, for the log.
 */
bool volume_question(struct volume *volume, const char *question, struct control_call *call,
                     struct buf *answer);

/* Caps, what is used and held; text or json is NULL. */
void volume_status(struct volume *volume, struct buf *text, struct json *json);

#endif
