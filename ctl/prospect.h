/*
 * What came of a world (engine/world.h), for people to read and as JSON: of mail that was made up
 * (postpool simulate), or that a log tells of (postpool replay).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_PROSPECT_H
#define CTL_PROSPECT_H

#include <stddef.h>
#include <stdint.h>

struct address;
struct buf;
struct conf;
struct err;
struct json;
struct world;
struct zone;

/* Postfix' maximal_queue_lifetime, as it is by itself, and as long as Postfix lets it be. */
#define PROSPECT_LIFETIME_MS ((int64_t)5 * 24 * 3600 * 1000)
#define PROSPECT_LIFETIME_MAX_MS ((int64_t)100 * 24 * 3600 * 1000)

/* Another one, "2d".  0; or -EINVAL or -ERANGE with what is wrong. */
int prospect_lifetime(const char *text, int64_t *ret_ms, struct err *err);

/* Nothing is ours. */
struct prospect {
    const struct conf *conf;
    const struct world *world;
    const struct zone *zone; /* as in struct world_setup, for times that are printed */
};

struct prospect_warning {
    const char *what; /* one word for programs, "thin" */
    char *of, *text;  /* owned */
};

struct prospect_warnings {
    struct prospect_warning *items; /* owned */
    size_t count;
};

/* What the admin should know of it; the caller clears it. */
void prospect_warnings(const struct prospect *prospect, struct prospect_warnings *ret_warnings);
void prospect_clear(struct prospect_warnings *warnings);

/* Tables: streams, how long mail waited, days by address, the warm-up calendar, pools, warnings. */
void prospect_print(const struct prospect *prospect, struct buf *out);

/* The same and the rest of it, as members of the open object. */
void prospect_json(const struct prospect *prospect, struct json *json);

/* -------------------------------------------------- for the files of this name */

/* The day on which it first has its full volume; -1: it has not.  It has a schedule. */
int32_t prospect_full_day(const struct prospect *prospect, const struct address *address);

enum { PROSPECT_TIME_SIZE = 40 };

/* "2026-12-01 10:00", by the clock of the prospect.  Returns out. */
const char *prospect_time(const struct prospect *prospect, int64_t at_ms,
                          char out[static PROSPECT_TIME_SIZE]);

enum { PROSPECT_NUMBER_SIZE = 32 };

/* "30,000,000".  Returns out. */
const char *prospect_number(uint64_t number, char out[static PROSPECT_NUMBER_SIZE]);

#endif
