/*
 * The way to the Redis that is to be written to: as configured, through a
 * Sentinel, or where a Cluster sends us.  Whom to connect to next; nothing is
 * connected here.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_WAY_H
#define POLICYD_REDIS_WAY_H

#include "lib/redis_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;

/* An all-zero struct is an empty one. */
struct redis_way {
    struct redis_url url; /* as configured */
    char **sentinels;     /* owned, and each of them: HOST[:PORT] */
    size_t sentinel_count;
    size_t sentinel; /* whose turn it is */
    size_t tried;    /* of the Sentinels, in a row, in vain */
    char *master;    /* owned; its name, for Sentinels */
    char *moved;     /* owned; where a redirection sent us, as Redis writes it; NULL: nowhere */
    bool moved_asking;
    int moves; /* in a row */
};

/* One connection to make. */
struct redis_step {
    const char *path; /* of a socket, not the caller's; NULL: host and port */
    char *host;       /* the caller's */
    uint16_t port;
    bool sentinel; /* it is a Sentinel: ask it for the master */
    bool asking;   /* each command there is to be announced, because its keys are on their way */
};

void redis_way_read(struct redis_way *way, const struct conf *conf);
void redis_way_clear(struct redis_way *way);

/*
 * here: the host that we were connected to last, or NULL.  0, or -EINVAL: a
 * redirection to no address.  A redirection is followed once.
 */
int redis_way_next(struct redis_way *way, const char *here, struct redis_step *ret_step);

/* The Sentinel whose turn it is was of no use.  True: another one is left to be asked at once. */
bool redis_way_next_sentinel(struct redis_way *way);

/* A Cluster says that our keys are at where.  False: it has said so too often to go at once. */
bool redis_way_move(struct redis_way *way, const char *where, bool asking);

/* The master was found; everything is well there. */
void redis_way_found(struct redis_way *way);
void redis_way_settle(struct redis_way *way);

#endif
