/*
 * What this node counted itself, in a file: so that a Redis that lost its
 * data is made whole.
 *
 * For each book the node's own row, as it last stood in Redis; the nodes that
 * it knew of; and who it is.  A thread writes; nothing here waits for the
 * disk but journal_open(), journal_end() and journal_close().  What is handed over is carried
 * out in order.  While the file cannot be written to, everything waits, and
 * the log says so.
 *
 * The file is locked as long as it is open: one host, one daemon.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_JOURNAL_H
#define POLICYD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct event_base;
struct journal;

struct journal_row {
    char *key;
    void *row;
    size_t length;
    int64_t until_ms; /* it matters until then, in the store's time */
};

struct journal_node {
    char *name;
    int64_t heard_ms; /* 0: it was there when it was last looked */
    bool gone;        /* it said goodbye */
};

/* It is written.  From the loop, never from inside journal_put(). */
typedef void journal_put_fn(void *arg);

/* Some rows, the keys ascending; not the callee's.  From the loop. */
typedef void journal_read_fn(void *arg, const struct journal_row *rows, size_t count);

/*
 * Open the file, or make one, and begin a life in it.  0 or a negative errno
 * with the reason; -EBUSY when another process has it.
 */
int journal_open(struct event_base *base, const char *path, struct journal **ret_journal,
                 struct err *err);

/*
 * What was handed over is written, to the disk, and nothing is that comes after;
 * nobody is called back.  0, or -EIO: it cannot be.
 */
int journal_end(struct journal *journal);

/* Takes NULL.  Ends it, where that was not done. */
void journal_close(struct journal *journal);

uint64_t journal_id(const struct journal *journal);   /* of the file, for ever */
uint64_t journal_life(const struct journal *journal); /* more than any before */
uint64_t journal_new_life(struct journal *journal);

/* The nodes as they were known when the file was opened; not the caller's. */
const struct journal_node *journal_nodes(const struct journal *journal, size_t *ret_count);

/* done may be NULL.  What is given is copied. */
void journal_put(struct journal *journal, const struct journal_row *row, journal_put_fn *done,
                 void *arg);
void journal_set_nodes(struct journal *journal, const struct journal_node *nodes, size_t count,
                       journal_put_fn *done, void *arg);

/* At most so many rows whose keys come after that one; "": from the first. */
void journal_read(struct journal *journal, const char *after, int most, journal_read_fn *done,
                  void *arg);

/* The row of one key, or none. */
void journal_find(struct journal *journal, const char *key, journal_read_fn *done, void *arg);

/* Forget the rows that matter no more. */
void journal_trim(struct journal *journal, int64_t now_ms);

#endif
