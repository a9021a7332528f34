/*
 * Calls of store_redis.lua as Redis gets them, and what comes back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_REDIS_SCRIPT_H
#define POLICYD_REDIS_SCRIPT_H

#include "engine/book.h"

#include <stddef.h>
#include <stdint.h>

struct redisReply;

/* The script itself. */
extern const char redis_script[];

enum { REDIS_SHA_SIZE = 41 };

/* A command, its parts owned.  An all-zero struct is an empty one. */
struct redis_args {
    char **items;
    size_t *lengths;
    size_t count;
    size_t room;
};

void redis_args_add(struct redis_args *args, const void *data, size_t length);
void redis_args_print(struct redis_args *args, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void redis_args_clear(struct redis_args *args);

/* Who calls. */
struct redis_caller {
    const char *sha;    /* of the script */
    const char *prefix; /* of the keys */
    const char *node;
    const char *run_id;
    uint64_t life;
    int64_t node_timeout_ms;
    int64_t earliest_ms; /* what the time is there, at the earliest; 0: it does not know */
    int64_t latest_ms;   /* the same, at the latest */
    unsigned nodes;      /* how many there are, as far as the caller knows; 0: it does not */
    int64_t clock_ms;    /* for tests: the time; 0: the server's own */
};

/* Begin a call of op; key: of a book, NULL: none.  What is special to op goes behind it. */
void redis_script_begin(struct redis_args *args, const struct redis_caller *caller, const char *op,
                        const char *key);
void redis_script_ask(struct redis_args *args, const struct redis_caller *caller, const char *key,
                      const struct caps *caps, const struct book_ask *ask);

/* How long a book may matter after a call, in milliseconds. */
int64_t redis_script_keep_ms(const struct caps *caps, int64_t node_timeout_ms);

/* A call is carried out so long after it was sent at most: LATE_CALL in the script. */
enum { REDIS_CALL_LATE_MS = 3000 };

enum redis_status {
    REDIS_OK_THERE, /* it was carried out */
    REDIS_STALE,    /* the row does not fit */
    REDIS_HELLO,    /* the node is not known in this life: beat */
    REDIS_TAKEN,    /* another process has the node's name */
    REDIS_RESTATE,  /* rows must be put back, and confirmed, first */
    REDIS_ALIVE,    /* forget: the node is there */
    REDIS_UNKNOWN,  /* forget: there is no such node */
    REDIS_LATE,     /* it was sent too long ago, by what the others know */
    REDIS_STRANGE,  /* no answer of the script */
};

struct redis_answer {
    enum redis_status status;
    int64_t now_ms;
    int64_t generation;
    unsigned count; /* of nodes, with those that are away */
    bool learning;
    int64_t stepped_ms;      /* so far was the clock put forward, as was found, and put right */
    uint64_t records;        /* the highest version of a record */
    struct book_answer book; /* ask */
    const char *row;         /* ask, reset: the node's own, as it stands; not ours */
    size_t row_length;
    bool confirmed;                 /* beat, confirm, forget, bye */
    const struct redisReply *nodes; /* these, too: name, life, heard, confirmed of each; not ours */
    bool written;                   /* record */
    bool full;                      /* record: not written, there are too many */
    uint64_t version;               /* record, that is there now; 0: none */
    const char *value;              /* record: likewise, not ours */
    size_t value_length;
    bool all;                      /* records: these are all that there are, and graves */
    const struct redisReply *list; /* records: name, version, value of each; not ours */
};

/* reply must outlive *ret_answer.  Anything that is no answer of the script is REDIS_STRANGE. */
void redis_script_answer(const struct redisReply *reply, struct redis_answer *ret_answer);

#endif
