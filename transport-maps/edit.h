/*
 * Marked blocks in the text of main.cf and master.cf, put in and taken out.
 *
 * Everything of ours stands between two marks.  A block has one of three forms:
 *
 * - it replaces a parameter of main.cf: the lines that were there come first,
 *   each behind "#| ", then ours;
 * - it continues a service of master.cf that is the site's own: "-o" lines;
 * - it adds what the file did not have: parameters or services.  Each file has
 *   at most one of these; it stays where it is when text is written behind it.
 *
 * Taking blocks out gives back, byte for byte, the text without them, whatever
 * was changed elsewhere in the meantime.  The end mark carries a sum over the
 * block, so that changes made inside one by hand are seen.
 *
 * Pure: text in, text out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_EDIT_H
#define TRANSPORT_MAPS_EDIT_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* A parameter of main.cf. */
struct edit_param {
    char *name, *value; /* owned */
};

/* Lines that continue a service of master.cf. */
struct edit_extra {
    char *service, *type; /* owned */
    char *lines;          /* owned; each starts with a blank and ends in a newline */
};

/* A file taken apart: the site's text, and what the blocks in it hold. */
struct edit_file {
    char *plain;   /* owned; the text without blocks */
    bool anchored; /* there is an adding block ... */
    size_t anchor; /* ... and it stands here in plain */
    struct edit_param *params;
    size_t param_count;
    struct edit_extra *extras;
    size_t extra_count;
    char *services;     /* owned; services of the adding block of master.cf, never NULL */
    size_t blocks;      /* how many there are */
    size_t edited_line; /* first line of a block that was changed by hand; 0: none */
};

/*
 * Take text apart.  Returns 0, or -EINVAL when marks do not pair up; *ret_file
 * is then untouched and err has the number of the line.
 */
int edit_parse_main(const char *text, struct edit_file *ret_file, struct err *err);
int edit_parse_master(const char *text, struct edit_file *ret_file, struct err *err);
void edit_file_clear(struct edit_file *file);

/*
 * file->plain with blocks for these parameters: where main.cf sets one (the
 * last time, if several), the lines are replaced; the others are added.
 */
char *edit_main(const struct edit_file *file, const struct edit_param *params, size_t count);

/*
 * file->plain with blocks that continue these services, and one that adds
 * services (lines of master.cf, "" for none).  An extra whose service the
 * site does not have is left out.
 */
char *edit_master(const struct edit_file *file, const struct edit_extra *extras, size_t count,
                  const char *services);

const struct edit_param *edit_find_param(const struct edit_param *params, size_t count,
                                         const char *name);

#endif
