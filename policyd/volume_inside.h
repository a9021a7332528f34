/*
 * The inside of struct volume, for the files that begin with its name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_VOLUME_INSIDE_H
#define POLICYD_VOLUME_INSIDE_H

#include "engine/hash.h"
#include "policyd/volume.h"

#include <stddef.h>

struct allowances;
struct book_answer;
struct event;
struct grants;
struct snapshot;
struct store;

struct volume {
    struct event_base *base;       /* not ours */
    struct conf *conf;             /* not ours */
    struct meters *meters;         /* NULL: nothing has caps */
    struct allowances *allowances; /* of addresses that warm up; NULL: none does */
    bool *warmed;                  /* by place of the address: its allowance has changed; owned */
    bool any_warmed;
    struct grants *grants;
    uint8_t grant_secret[HASH_KEY_SIZE];
    uint16_t *stream_numbers; /* by stream.index; owned */
    char **stream_names;      /* by number - 1, of all streams that ever were; owned */
    size_t stream_name_count;
    unsigned nodes;      /* that share the caps, as the store said last; 0: it did not */
    struct store *store; /* NULL: none is needed, or it cannot be opened */
    struct volume_listener listeners[VOLUME_LISTENERS_MAX];
    size_t listener_count;
    bool told; /* the store's records, at its start */
    struct event *sweep;
    struct event *retry; /* a store that could not be opened at a reload */
    size_t swept;        /* where the next sweep begins */
    struct event *late;  /* the first leases did not come in time */
    struct event *again; /* some of them are worth asking for again */
    size_t prepared;     /* meters that are to have a lease first: all below that number */
    size_t preparing;    /* those of them that are waited for */
    int64_t ready_ms;    /* no longer than that, in the store's time */
    void (*ready)(void *arg);
    void *ready_arg;
    uint64_t owed;      /* answers that the store owes */
    int64_t owed_ms;    /* since when it gave none of them; owed > 0 */
    uint64_t puts_owed; /* puts of records that it did not answer yet */
    void (*on_room)(void *arg);
    void *arg; /* not ours */
    struct volume_figures figures;
    uint64_t accounts_refused; /* as far as the log has said */
    int64_t accounts_told_ms;
};

/* volume_records.c: the events of records */
struct store_events;
void volume_records_events(struct store_events *events);

/*
 * volume_warm.c: make the meters' caps those of snapshot, and of the warm-ups of its addresses.
 * The one before must still be there.
 */
void volume_warm_set_snapshot(struct volume *volume, const struct snapshot *snapshot);
void volume_warm_clear(struct volume *volume);

/* volume_ready.c */
void volume_ready_open(struct volume *volume);
void volume_ready_close(struct volume *volume);

/* The store has told its records. */
void volume_ready_told(struct volume *volume);

/* One of the first leases: is it there, or not to be had in time?  Else ask for it again. */
void volume_ready_note(struct volume *volume, const struct book_answer *answer);

/* volume_streams.c: numbers for the streams of the configuration, and their end. */
void volume_number_streams(struct volume *volume, const struct snapshot *snapshot);
void volume_forget_streams(struct volume *volume);

#endif
