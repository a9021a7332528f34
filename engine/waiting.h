/*
 * Deferred messages that wait for room: which is the next to be taken up?
 *
 * Messages of one stream, provider and account stand in one lane: what has room
 * for one of them has room for the next.  The lane of the stream with the highest
 * priority goes first, of several the one that is least behind, of those the one
 * whose first message is the oldest; a lane without room sleeps, so that a look at
 * many that are full is cheap.
 *
 * At most WAITING_MAX messages, of one stream WAITING_STREAM_MAX, and
 * WAITING_BYTES_MAX of memory; a message that is one too many takes the place of
 * one of a lower priority, or is not taken: Postfix tries it again by itself,
 * and then it is told of again.
 *
 * Memory: about 220 bytes for each, as much for a lane.  Each call takes the
 * logarithm of how many there are, save where it says otherwise.
 *
 * since_ms need not be of the clock of the others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_WAITING_H
#define ENGINE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WAITING_MAX = 200 * 1000,
    WAITING_STREAM_MAX = 100 * 1000,
    WAITING_BYTES_MAX = 64 * 1024 * 1024,
    WAITING_ONCE_MS = 5000, /* what is told of so shortly after is another recipient */
};

struct lane;
struct waiting;

/* Texts end in NUL; in a waiter they belong to it. */
struct waiter {
    struct lane *lane; /* the list's */
    struct waiter *next;
    size_t place;
    size_t expiry_place;
    int64_t rest_ms;  /* likewise, up to here */
    int64_t ends_ms;  /* it is to be taken up then, room or not; 0: never */
    int64_t since_ms; /* when the message came in */
    int64_t told_ms;  /* when it was told of last */
    const char *queue_id;
    const char *message_id;
    const char *account;   /* domain of the sender, or "" */
    const char *recipient; /* the one that was told of last */
    uint32_t recipients;   /* how many were told of when it was tried last */
    uint32_t vain, odd;    /* the owner's; 0 when it is told of anew */
    bool urgent;           /* before all others in its lane */
};

/* Where it belongs. */
struct waiting_kind {
    size_t stream;
    size_t provider;
    uint64_t account; /* hash of it, where accounts have caps of their own; else 0 */
    unsigned behind;  /* recipients that were not active of late wait behind others */
};

/* NULL only without memory. */
struct waiting *waiting_new(void);
void waiting_free(struct waiting *waiting); /* takes NULL */

/*
 * The streams of a configuration: how many, and the priority of each.  Those
 * that were there before have the place moves[place] now, UINT32_MAX: they are
 * gone, and what waited in them; providers likewise.  Both NULL the first time.
 * Takes a fixed time for each lane, and for each message when one of them is gone.
 * False only without memory; then nothing has changed.
 */
bool waiting_set_streams(struct waiting *waiting, const int *priorities, size_t count,
                         const uint32_t *moves, const uint32_t *provider_moves);

/*
 * A message waits, as said in what, whose texts are copied; its recipients,
 * lane, next, rest_ms, vain and odd are not looked at.  One that waits already, by its
 * queue id, keeps its age, and takes the rest.  False: it was not taken.
 */
bool waiting_add(struct waiting *waiting, const struct waiting_kind *kind,
                 const struct waiter *what);

/* The one with that queue id; NULL: none waits. */
struct waiter *waiting_find(struct waiting *waiting, const char *queue_id);

/* It waits no more. */
void waiting_remove(struct waiting *waiting, struct waiter *waiter);

/* Where it is. */
struct waiting_kind waiting_kind(const struct waiter *waiter);

/* The next to be taken up, of all that neither sleep nor rest; NULL: none. */
struct waiter *waiting_first(struct waiting *waiting, int64_t now_ms);

/* The next one in the lane of waiting_first(); NULL: there is none. */
struct waiter *waiting_second(const struct waiter *first);

/* Its lane has no room before until_ms. */
void waiting_sleep(struct waiting *waiting, struct waiter *waiter, int64_t until_ms);

/* It alone is not to be taken up before until_ms. */
void waiting_rest(struct waiting *waiting, struct waiter *waiter, int64_t until_ms);

/* The first whose ends_ms has come, wherever it is; NULL: there is none. */
struct waiter *waiting_ended(const struct waiting *waiting, int64_t now_ms);

/* Another ends_ms. */
void waiting_set_end(struct waiting *waiting, struct waiter *waiter, int64_t ends_ms);

/* It belongs to another provider than was thought. */
void waiting_move(struct waiting *waiting, struct waiter *waiter, size_t provider);

/* When the next lane or message is up, or has ended; INT64_MAX: none will be. */
int64_t waiting_up_ms(const struct waiting *waiting);

size_t waiting_count(const struct waiting *waiting);

struct waiting_figures {
    size_t count;
    int64_t oldest_ms; /* since_ms of the oldest that does not rest; INT64_MAX: there is none */
    uint64_t refused;  /* were not taken, or gave way, for there being too many */
};

/* Of one stream; takes a fixed time for each of its lanes. */
void waiting_figures(const struct waiting *waiting, size_t stream,
                     struct waiting_figures *ret_figures);

#endif
