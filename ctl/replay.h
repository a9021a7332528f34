/*
 * What a log tells, and what would have become of it with a configuration: counted by replay.c,
 * for replay_text.c and replay_json.c to print.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_REPLAY_H
#define CTL_REPLAY_H

#include "ctl/arrivals.h"
#include "ctl/mapping.h"
#include "ctl/prospect.h"
#include "engine/tally.h"
#include "engine/world.h"

#include <stdbool.h>

struct buf;
struct conf;
struct json;
struct zone;

/* Suspensions that are kept; of more only the number is. */
enum { REPLAY_SUSPENSIONS_MAX = 10000 };

/* Of one stream. */
struct replay_stream {
    uint64_t messages, recipients;
    uint64_t *perhaps;  /* owned; by place of the stream that these recipients may be of instead */
    struct tally waits; /* of those that waited and left: sent, and delays */
};

struct replay_suspension {
    struct world_suspension its; /* its name: owned */
    size_t rule;                 /* place in conf->replies */
};

struct replay {
    struct conf *conf;
    struct zone *local; /* owned; NULL: UTC */
    struct mapping mapping;
    int64_t lifetime_ms; /* what waits for so long is returned */
    struct arrivals *arrivals;
    struct world *world;                   /* NULL: nothing has come */
    bool failed;                           /* no memory */
    struct replay_stream *streams;         /* owned, by place */
    struct replay_suspension *suspensions; /* owned */
    size_t suspension_count;               /* all of them; kept are REPLAY_SUSPENSIONS_MAX */
    int64_t last_ms;                       /* the last arrival */
};

/* A struct replay comes to hear of mail; and of no more: what waits leaves, or is returned. */
void replay_on_arrival(void *replay, const struct arrival *arrival);
void replay_finish(struct replay *replay);

/* What a cap lets all addresses of a pool send to a provider in so much time; 0: nothing limits it.
 */
uint64_t replay_room(const struct pool *pool, const struct provider *provider, int64_t window_ms);

/* How long so many percent of what waited in the stream at that place, and left, waited at most. */
int64_t replay_waited_ms(const struct replay *replay, size_t stream, int percent);

/* What the log holds, and below it what would have been. */
void replay_print(const struct replay *replay, const struct prospect *prospect, struct buf *out);
void replay_json(const struct replay *replay, const struct prospect *prospect, struct json *json);

#endif
