/*
 * A place in a log, whatever the log is: who keeps it, together with what came of
 * the lines before it, goes on there after a restart.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_PLACE_H
#define POLICYD_PLACE_H

#include "policyd/follow.h"
#include "policyd/sysjournal.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PLACE_FEEDERS = 4,
    PLACE_TEXT_SIZE = 512,
};

enum place_kind {
    PLACE_NONE,    /* not known */
    PLACE_FILE,    /* file */
    PLACE_JOURNAL, /* cursor */
    PLACE_PIPE,    /* feeders */
};

/* How far the lines are told that a "postpool feedback -" hands in.  id 0: none does. */
struct place_feeder {
    uint64_t id;
    uint64_t batch; /* all of it, and all before it */
    uint64_t told;  /* bytes of the next one */
};

/* All zero: PLACE_NONE. */
struct place {
    enum place_kind kind;
    struct follow_place file;
    char cursor[SYSJOURNAL_CURSOR_SIZE];
    struct place_feeder feeders[PLACE_FEEDERS]; /* heard of last first */
};

/* Is it where reached is, or behind it?  False for places that have nothing to do with each other.
 */
bool place_has_reached(const struct place *place, const struct place *reached);

/* As one line of text, and back.  place_parse(): false for what place_print() does not write. */
void place_print(const struct place *place, char ret_text[PLACE_TEXT_SIZE]);
bool place_parse(const char *text, struct place *ret_place);

#endif
