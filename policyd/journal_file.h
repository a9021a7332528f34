/*
 * The file of the journal: a database of SQLite, with tables that have names
 * of their own, because it may be that of the other kind of store, too.
 *
 * Not for two threads at once.  Everything blocks.  Codes are those of SQLite,
 * but for journal_file_open().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_JOURNAL_FILE_H
#define POLICYD_JOURNAL_FILE_H

#include "policyd/journal.h"

struct err;
struct journal_file;

/* Some rows, or some nodes; all owned. */
struct journal_rows {
    struct journal_row *items;
    size_t count;
};

struct journal_self {
    uint64_t id;
    uint64_t life;
    struct journal_node *nodes; /* owned */
    size_t node_count;
};

/*
 * Open the file, or make one, lock it, and begin a life.  0 or a negative
 * errno with the reason; -EBUSY when another process has it.
 */
int journal_file_open(const char *path, struct journal_file **ret_file,
                      struct journal_self *ret_self, struct err *err);
void journal_file_close(struct journal_file *file); /* takes NULL */

/* More than life: lives ascend, so that of two rows it can be told which is the later. */
uint64_t journal_file_life_after(uint64_t life);

int journal_file_begin(struct journal_file *file);
int journal_file_commit(struct journal_file *file);
void journal_file_rollback(struct journal_file *file);

int journal_file_put_row(struct journal_file *file, const struct journal_row *row);
int journal_file_put_life(struct journal_file *file, uint64_t life);
int journal_file_put_nodes(struct journal_file *file, const struct journal_node *nodes,
                           size_t count);
int journal_file_read(struct journal_file *file, const char *after, int most,
                      struct journal_rows *ret_rows);
int journal_file_find(struct journal_file *file, const char *key, struct journal_rows *ret_rows);
int journal_file_trim(struct journal_file *file, int64_t now_ms);

const char *journal_file_path(const struct journal_file *file);
const char *journal_file_why(const struct journal_file *file); /* the last code was an error */

void journal_rows_clear(struct journal_rows *rows);
void journal_nodes_free(struct journal_node *nodes, size_t count);

#endif
