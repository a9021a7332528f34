/*
 * The inside of the file of hours, for the modules it is made of:
 *
 *   hours_open.c   its tables, made and prepared; statements
 *   hours_file.c   what is kept: written, read again, and in the end removed
 *   hours_pages.c  pages: hours as hosts show them to each other
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_FILE_INSIDE_H
#define POLICYD_HOURS_FILE_INSIDE_H

#include "policyd/hours_file.h"

#include <sqlite3.h>

enum statement {
    ADD_MAIL,
    ADD_ACCOUNTS,
    ADD_SUSPENDED,
    ADD_UNMET,
    HAS_ACCOUNT,
    COUNT_ACCOUNTS,
    PUT_QUEUED,
    DROP_QUEUED,
    READ_QUEUED,
    PUT_PLACE,
    READ_PLACE,
    PAGES,
    FREE_PAGES,
    OLDEST,
    NEWEST,
    DROP_MAIL,
    DROP_ACCOUNTS,
    DROP_SUSPENDED,
    DROP_UNMET,
    DROP_CHANGES,
    DROP_SHARED_MAIL,
    DROP_SHARED_ACCOUNTS,
    DROP_SHARED_SUSPENDED,
    DROP_SHARED_UNMET,
    DROP_SHARED_HOURS,
    RAISE_FLOOR,
    READ_FLOOR,
    BUMP,
    TOUCH,
    STATEMENTS,
};

struct hours_file {
    sqlite3 *db;
    char *path;
    int64_t page_size;
    int version;                    /* of its tables as it was opened; 0: it is new */
    int64_t counted_hour, accounts; /* so many it has, in this transaction; -1: not counted */
    char id[17];                    /* HOURS_ID_SIZE */
    sqlite3_stmt *statements[STATEMENTS];
};

/* Carry out what gives no rows. */
int hours_run(struct hours_file *file, const char *sql, struct err *err);

/* Carry out a statement that gives no rows, or whose first row is looked at before hours_done(). */
int hours_step(struct hours_file *file, enum statement which, struct err *err);
void hours_done(struct hours_file *file, enum statement which);
int hours_carry_out(struct hours_file *file, enum statement which, struct err *err);

/* A number, or -1: there is none. */
int hours_ask_number(struct hours_file *file, enum statement which, int64_t *ret_number,
                     struct err *err);

void hours_bind(struct hours_file *file, enum statement which, int at, const char *text);

#endif
