/*
 * The book of one capped key: who took how much of it, and when.
 *
 * A cap of C recipients in a window W promises that no sliding window of
 * length W holds more than C.  Nodes take leases, blocks of grants, and report
 * later when they used them.  The book never gives out more than
 *
 *     uses that are still in the window + everything leased and not reported
 *
 * leaves of C.  A use is kept in a bucket of W / BOOK_BUCKETS and counts until
 * W and two bucket lengths after its bucket began: the one for where in the
 * bucket it was, the other as a margin between a decision and its effect.
 * So of a cap that is always wanted, W / (W + 2 buckets) is used.
 *
 * A lease may begin later than now (a ticket): when the room that it needs
 * will be there.  Tickets are in order, so that nodes do not come again and
 * again for the same room.
 *
 * A smooth cap gives out at most its burst and then C / W: see
 * book_burst().  That is the generic cell rate algorithm (ITU-T I.371) on
 * leases; how a node spends a lease is its own matter.
 *
 * Times are of the store's clock, in milliseconds.  Pure: the caller loads and
 * saves.  store_redis.lua does the same for Redis; a test holds one
 * against the other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_BOOK_H
#define ENGINE_BOOK_H

#include "engine/caps.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BOOK_BUCKETS = 512,
    BOOK_REPORTS_MAX = 8,
    BOOK_NODE_MAX = 64, /* characters of a node's name */
};

/* Uses of one bucket.  bucket x bucket length is when it began. */
struct book_use {
    int64_t bucket;
    uint32_t count;
};

struct book_uses {
    int64_t window_ms;      /* which window they are counted for */
    struct book_use *items; /* owned; sorted by bucket */
    size_t count;
    size_t room;
};

/* What one node did.  Only the node itself changes it. */
struct book_row {
    char node[BOOK_NODE_MAX + 1];
    uint64_t life;       /* the process it was; another one does not know what this one held */
    uint64_t seq;        /* asks that were carried out */
    uint32_t held;       /* leased and not reported */
    int64_t from_ms;     /* where its latest lease begins */
    uint32_t last_count; /* the answer to ask number seq, in case it got lost */
    int64_t last_again_ms;
    uint8_t last_window;
    struct book_uses uses[CAP_WINDOWS_MAX];
};

struct book {
    struct book_row *rows; /* owned */
    size_t row_count;
    int64_t paced_us[CAP_WINDOWS_MAX]; /* smooth: where the next lease would fit, by window */
    int64_t paced_window_ms[CAP_WINDOWS_MAX];
    uint8_t paced_percent[CAP_WINDOWS_MAX]; /* of the cap that was worked with then; 0: all of it */
};

/* Recipients that were let through at a time. */
struct book_report {
    int64_t at_ms;
    int32_t count; /* negative: given back; they never left */
    bool excess;   /* nothing was held for them: sent although the cap was reached */
};

struct book_ask {
    const char *node;
    uint64_t life;
    uint64_t seq; /* one more than the last that was answered in this life; the first is 1, or: */
    bool first; /* nothing is known of what was asked before in this life, save that seq is more */
    struct book_report reports[BOOK_REPORTS_MAX];
    size_t report_count;
    uint32_t unused; /* held, and not needed any more */
    uint32_t want;   /* grants; 0: none */
    uint8_t percent; /* work with that share of each cap, see book_limit(); 0: all of it */
    uint32_t away;   /* nodes that cannot be heard: each may go on with its share, see below */
    uint32_t nodes;  /* all of them, also those away; 0: no share is kept back */
    bool lost_share; /* first of a life: its node was away for so long that an earlier process of
                        it may have used its share, and cannot tell any more */
};

struct book_answer {
    uint64_t seq;     /* of the ask */
    uint32_t count;   /* grants; 0: none for now */
    int64_t from_ms;  /* when they may be used from */
    int64_t again_ms; /* count is 0: not before this will an ask have more; 0: when it is wanted */
    int64_t room_ms;  /* again_ms is not 0: when one grant can be used at the earliest, if nothing
                         is given back; the same where others hold all, and nobody knows */
    uint8_t window;   /* place of the cap that made it later than now */
    uint32_t counted[CAP_WINDOWS_MAX]; /* used and held by all under each cap, with this */
};

/*
 * A node that cannot reach the store goes on with its share of each cap, when
 * all that others may have taken before counts no more (engine/meter.h).  So
 * from the moment that a node is away its share is kept back from the others.
 */
uint32_t book_share(const struct cap *cap, uint32_t nodes);

/*
 * What is left of a cap of which only percent is to be used for now: at least 1.
 * 0 or 100: all of it.
 *
 * With an ask that says so a lease is given only when all that counts, of any node,
 * fits under that.  What counts already may be more; then there is no room until
 * it fits.  Shares of nodes that are away are kept back from the whole cap, and may
 * come on top of what is left of it: no node can pass the cap itself.
 */
uint32_t book_limit(const struct cap *cap, unsigned percent);

/* Caps that have only that left of each. */
void book_left(const struct caps *caps, unsigned percent, struct caps *ret_left);

/*
 * Carry ask out at now_ms.  The same ask again gives the same answer and
 * changes nothing.  Returns 0; -ENOMEM; or -ESTALE when the row is behind the
 * node (the store lost something): the node's own row must be put back first.
 */
int book_ask(struct book *book, const struct caps *caps, const struct book_ask *ask, int64_t now_ms,
             struct book_answer *ret_answer);

/*
 * What the node of the row holds is lost with it: count it as used at at_ms.
 * 0 or -ENOMEM.
 */
int book_row_lapse(struct book_row *row, const struct caps *caps, int64_t at_ms);

/* NULL: the node has none. */
struct book_row *book_row_find(struct book *book, const char *node);

/* The most that is counted in a window of that cap now: used and held. */
uint64_t book_counted(const struct book *book, const struct cap *cap, int64_t now_ms);

/*
 * Is the book as good as an empty one at now_ms, for every cap that it was
 * kept for?  life: of the process that can still ask; what rows of other lives
 * hold was used by since_ms, when that one began, or never.
 */
bool book_is_over(const struct book *book, uint64_t life, int64_t since_ms, int64_t now_ms);

/* Take out what no window counts any more. */
void book_trim(struct book *book, int64_t now_ms);

void book_clear(struct book *book);

/* Grants that a smooth cap lets go at once: a twentieth, but no fewer than 100 (or all). */
uint32_t book_burst(const struct cap *cap);

/* How many grants one lease should have, with so many nodes. */
uint32_t book_lease_size(const struct caps *caps, unsigned nodes);

/*
 * The book as bytes, for a file: *ret_data is the caller's.  Not for
 * another machine.  0 or -ENOMEM; book_unpack() -EINVAL for anything that
 * book_pack() did not write.
 */
int book_pack(const struct book *book, void **ret_data, size_t *ret_length);
int book_unpack(const void *data, size_t length, struct book *ret_book);

#endif
