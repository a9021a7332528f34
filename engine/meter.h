/*
 * What one node holds of one capped key: grants it may spend without asking,
 * and the uses that it has yet to report.  See engine/book.h for the other side.
 *
 * Times are of the store's clock, in milliseconds, no earlier than it really
 * is there: a use counts a little longer rather than shorter.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_METER_H
#define ENGINE_METER_H

#include "engine/book.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    METER_USES = 4,
    METER_MISS_S = 75 * 60, /* whoever was turned away comes again within that, or not for this */
};

struct meter_use {
    int64_t at_ms;    /* of the last one */
    int32_t count;    /* negative: given back */
    uint32_t span_ms; /* from the first one to the last */
};

/* There are hundreds of thousands of these: small numbers are kept small. */
struct meter {
    int64_t from_ms;
    int64_t next_from_ms;
    int64_t again_ms;  /* no use in asking before */
    int64_t active_ms; /* last time that a grant was spent or came */
    int64_t excess_ms;
    uint32_t held;         /* may be spent from from_ms on */
    uint32_t next;         /* another lease, from next_from_ms on */
    uint32_t excess;       /* sent over the cap, not yet reported */
    uint32_t excess_total; /* sent over the cap, since the start */
    uint32_t seq;          /* of the last ask; before the first one, any that was never used */
    uint32_t age_ms;       /* a lease is used within that, or not at all */
    uint32_t asked_low;    /* when it was made, in ms: the lower 32 bits */
    uint32_t counted[CAP_WINDOWS_MAX]; /* by all nodes, under each cap, as the store said */
    uint32_t counted_s;                /* when it said so, in s */
    uint32_t room_after_ms;            /* so long after again_ms there can be room */
    uint32_t missed_s; /* when mail was turned away, as counted_s; see meter_miss() */
    uint8_t window;    /* place of the cap that room is waited for under */
    uint8_t use_count;
    uint8_t lacking;    /* grants that somebody needs at once and that are not held; at most 255 */
    bool asked : 1;     /* an ask is under way */
    bool wanted : 1;    /* there was no grant for somebody */
    bool returned : 1;  /* something was given back that the store has yet to hear of */
    bool own : 1;       /* no store: what is held is of this node's share */
    bool begun : 1;     /* it has asked in this life */
    bool returning : 1; /* what is held goes back with the next ask */
    bool mixed : 1;     /* uses are noted of another lease than the one that is held */
    struct meter_use uses[METER_USES]; /* not yet reported, in order of time */
};

enum meter_state {
    METER_FREE, /* a grant is there */
    METER_COLD, /* none is held, and whether there is room is not known: ask */
    METER_FULL, /* no room before meter_room_ms() */
};

enum meter_state meter_state(const struct meter *meter, int64_t now_ms);

/* METER_FULL: when there can be room, if nothing is given back before. */
int64_t meter_room_ms(const struct meter *meter, int64_t now_ms);

/* METER_FULL: until when; then it is free, or worth asking for. */
int64_t meter_full_ms(const struct meter *meter);

/* The same for count grants at once; METER_FULL also when some of them are there. */
enum meter_state meter_state_many(const struct meter *meter, uint32_t count, int64_t now_ms);
int64_t meter_room_many_ms(const struct meter *meter, uint32_t count, int64_t now_ms);

/* What is held, now and for later; alone: the next grant of the share, if there is any. */
uint32_t meter_held(const struct meter *meter);

/*
 * METER_COLD, and mail that wants one may not wait for the store.  Until somebody takes one, for
 * METER_MISS_S at most, a grant is kept at hand: what lies unused goes back but for one, and an
 * old one is changed for another.  Else whoever comes again less often than a lease may lie would
 * find none each time, where the store is slow.
 */
void meter_miss(struct meter *meter, int64_t now_ms);

/* Spend one grant; meter_state() was METER_FREE at the same now_ms. */
void meter_take(struct meter *meter, const struct caps *caps, int64_t now_ms);

/* Send one over the cap. */
void meter_exceed(struct meter *meter, int64_t now_ms);

/* Count recipients that were sent already, when nobody knew that they belong here. */
void meter_count(struct meter *meter, uint32_t count, int64_t now_ms);

/*
 * The grant spent at at_ms never was used.  It is held again if it was of the
 * same lease, and grows no younger by that; else the store hears of it.
 */
void meter_give_back(struct meter *meter, int64_t at_ms);

/* An ask is under way for longer than ms. */
bool meter_asked_for(const struct meter *meter, int64_t ms, int64_t now_ms);

/*
 * Is there something to ask or report?  Then *ret_ask has all but node, life,
 * away and nodes, and the meter waits for meter_answered(); whoever carries the
 * ask out repeats it until there is an answer.  size is book_lease_size();
 * idle_ms: what lies unused for so long is returned.
 */
bool meter_ask(struct meter *meter, const struct caps *caps, uint32_t size, int64_t idle_ms,
               int64_t now_ms, struct book_ask *ret_ask);

void meter_answered(struct meter *meter, const struct book_answer *answer, int64_t now_ms);

/*
 * Its caps are more than they were: what was said of when there is room is void,
 * and a lease that begins later goes back, because now there may be one at once.
 */
void meter_grow(struct meter *meter, int64_t now_ms);

/* Return what is held, and report what was spent, with the next ask. */
void meter_return(struct meter *meter);

/*
 * A new life begins: everything held is lost, and the store counts it, with
 * what was not reported, as used.
 */
void meter_lapse(struct meter *meter);

/*
 * The store is away for longer than the other nodes wait for us.  Go on with
 * this node's share of each cap, one grant at a time: not before everything
 * counts no more that others may have taken while they could, and then so far
 * apart that no window holds more than the share.  The book keeps it back from
 * the others meanwhile.
 *
 * That is twice the longest window: leases that others had then are used within
 * nine sixteenths of a window, for tickets, and a quarter, their age; and count for
 * one more.
 *
 * at_once: not wait for that.  Then a window may hold the share of each node that
 * is alone on top of the cap, until what was used before counts no more.
 *
 * nodes: how many there are, this one among them.
 */
void meter_go_alone(struct meter *meter, const struct caps *caps, uint32_t nodes, bool at_once,
                    int64_t now_ms);

/* While alone: the caps are others now.  With less of them than there are nodes nothing leaves. */
void meter_set_share(struct meter *meter, const struct caps *caps);

/* The store is back: the share is no more; what was used of it will be reported. */
void meter_rejoin(struct meter *meter);

#endif
