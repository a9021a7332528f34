/*
 * The inside of struct breakers: breakers.c is the table and what happens,
 * breakers_crowd.c makes room in it, breakers_hold.c is what follows, breakers_record.c
 * keeps it in step with the store.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_BREAKERS_INSIDE_H
#define POLICYD_BREAKERS_INSIDE_H

#include "policyd/breakers.h"

#include "engine/snapshot.h"

#include <sys/queue.h>

enum {
    BREAKERS_BUCKETS = 4096,
    BREAKERS_PENDING_MAX = 8, /* of one thing; what is older is taken as settled */
};

/* Something that happened and that the store does not know yet. */
struct breakers_event {
    enum {
        BREAKERS_HIT,
        BREAKERS_ACCEPTED,
        BREAKERS_SUSPEND,
        BREAKERS_KEEP,
        BREAKERS_END,
        BREAKERS_DRAIN,
        BREAKERS_RESUME
    } kind;
    int64_t at_ms;
    struct reaction reaction;   /* BREAKERS_HIT */
    uint32_t rule;              /* likewise */
    int64_t until_ms;           /* BREAKERS_SUSPEND, BREAKERS_KEEP */
    enum breaker_cause cause;   /* BREAKERS_KEEP, BREAKERS_END */
    bool whole;                 /* BREAKERS_END: without probes */
    char why[BREAKER_WHY_SIZE]; /* not BREAKERS_END */
};

struct breakers_entry {
    LIST_ENTRY(breakers_entry) chain;
    TAILQ_ENTRY(breakers_entry) order;
    struct breakers_whose whose; /* address NULL, provider NULL: the configuration has none such */
    struct breaker now;          /* what holds: the store's, and what is pending */
    struct breaker stored;       /* without a store the same as now */
    uint64_t version;            /* of what is stored; 0: nothing is */
    struct breakers_event pending[BREAKERS_PENDING_MAX];
    size_t pending_count;
    size_t sent; /* so many of them are in the put under way */
    bool putting;
    int64_t put_ms;    /* when that was, or the last one */
    int64_t probed_ms; /* PROBING: when probes were let go last */
    bool suspended;    /* as listeners know */
    bool counting;     /* in its crowd's */
    TAILQ_ENTRY(breakers_entry) idle;
    char key[]; /* "breaker/provider/a1/google" */
};

/* Things of which there may be too many. */
struct breakers_crowd {
    size_t count, most;
    TAILQ_HEAD(, breakers_entry) counting; /* only count, and can be forgotten: the idlest first */
    bool told;                             /* that there are too many */
    uint64_t gave_way, refused;            /* since the start */
};

struct breakers {
    struct breakers_start start;
    const struct conf *conf; /* not ours */
    struct curbs *curbs;     /* not ours */
    struct event *tick;
    LIST_HEAD(, breakers_entry) buckets[BREAKERS_BUCKETS];
    TAILQ_HEAD(, breakers_entry) all;
    size_t count;
    struct breakers_crowd pairs; /* BREAKERS_PROVIDER */
    struct breakers_crowd names; /* BREAKERS_DOMAIN, BREAKERS_ACCOUNT */
    struct {
        breakers_change_fn *on_change;
        void *arg;
    } listeners[BREAKERS_LISTENERS_MAX];
    size_t listener_count;
};

/* breakers_name.c */
enum { BREAKERS_TITLE_SIZE = 320 };
void breakers_key(const struct breakers_whose *whose, char key[static BREAKERS_KEY_SIZE]);

/* What a key names, whether the configuration has it or not. */
struct breakers_names {
    enum breakers_scope scope;
    char address[ADDRESS_NAME_MAX + 1]; /* not BREAKERS_ACCOUNT */
    const char *other; /* a provider, a domain or an account; into the key; else "" */
};

/* False: it is no key. */
bool breakers_names(const char *key, struct breakers_names *ret_names);

/* What a key names in the configuration; the name points into key.  False: it is no key. */
bool breakers_bind(const struct conf *conf, const char *key, struct breakers_whose *ret_whose);

/* Does the configuration have it? */
bool breakers_is_bound(const struct breakers_whose *whose);

/* "a1 at google", "mail of example.com" */
const char *breakers_title(const char *key, char text[static BREAKERS_TITLE_SIZE]);

/* breakers.c */
struct breakers_entry *breakers_entry_find(struct breakers *breakers, const char *key);

/*
 * Made when it is missing; holds: by hand, or suspended elsewhere, and not only counted.
 * NULL: no such key can be, or there are too many.
 */
struct breakers_entry *breakers_entry_make(struct breakers *breakers, const char *key, bool holds);
void breakers_entry_free(struct breakers *breakers, struct breakers_entry *entry);
/* As breakers_resume(), also of what the configuration does not have. */
bool breakers_resume_key(struct breakers *breakers, const char *key);
enum breaker_change breakers_event_apply(const struct breakers *breakers, struct breaker *breaker,
                                         const struct breakers_event *event);

/* breakers_crowd.c: room for another of scope is made, if need be; holds: see above. */
bool breakers_crowd_has_room(struct breakers *breakers, enum breakers_scope scope, bool holds);
void breakers_crowd_init(struct breakers *breakers);
void breakers_crowd_enter(struct breakers *breakers, struct breakers_entry *entry);
void breakers_crowd_leave(struct breakers *breakers, struct breakers_entry *entry);

/* It may give way, or not any more; is_new: it was accused just now. */
void breakers_crowd_note(struct breakers *breakers, struct breakers_entry *entry, bool is_new);
void breakers_crowd_status(const struct breakers *breakers, struct buf *text, struct json *json);

/* breakers_hold.c: entry->now has changed. */
void breakers_hold(struct breakers *breakers, struct breakers_entry *entry,
                   enum breaker_change change);

/* breakers_record.c: an event was applied to entry->now; the store is to know. */
void breakers_record_add(struct breakers *breakers, struct breakers_entry *entry,
                         const struct breakers_event *event, bool urgent);

/* It is about to go, though something was counted: the store is not to keep it. */
void breakers_record_forget(struct breakers *breakers, struct breakers_entry *entry);

/* Hand to the store what it does not know. */
void breakers_record_flush(struct breakers *breakers, struct breakers_entry *entry);

/* Nothing is left to be told, and nothing to be kept. */
bool breakers_record_is_over(const struct breakers *breakers, const struct breakers_entry *entry);

#endif
