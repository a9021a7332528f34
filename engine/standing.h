/*
 * The standing of one account: from what became of its mail, day by day.
 *
 *   new        --enough volume on enough days, faults under the limits-->  trusted
 *   any        --faults over the limits, by more than chance-->            attention
 *   attention  --some days with faults well under the limits-->            new
 *
 * It gets better only when a day is over, and worse at once.  Over a limit is what is
 * STANDING_CHANCE standard deviations beyond it (and FAULTS_MIN faults, of enough results), so
 * that whoever is under it does not get there by chance, however little is sent.
 *
 * Streams may have limits of their own: each result brings along what share of a fault it
 * allows, so that sums of mail with different limits can be judged.
 *
 * Nodes share the state as a record of the store, written by compare and set; its
 * version is the owner's to keep.  Each node notes its own figures of the day,
 * absolute and never less than before, so that notes may come twice and in any
 * order; a day is turned from what stands in the record, and whoever does it first,
 * it comes to the same.
 *
 * A value without pointers.  Pure: which day it is is told.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_STANDING_H
#define ENGINE_STANDING_H

#include "engine/grade.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STANDING_PAST_MAX = 22,  /* days with mail that are kept; the oldest gives way, ... */
    STANDING_PAST_DAYS = 60, /* ... and what is older than that counts no more */
    STANDING_NODES_MAX = 12, /* that send an account's mail on one day; more are not counted */
    STANDING_AHEAD_MAX = 1,  /* days that clocks of nodes may be apart */
    STANDING_WHO_SIZE = 32,
    STANDING_WHY_SIZE = 112,
    STANDING_FIGURE_MAX = 1000000000,
    STANDING_TEXT_SIZE = 4096, /* room for any state as text */
    STANDING_FAULTS_MIN = 5,   /* fewer are no reason */
    STANDING_CHANCE = 3,
};

/* Each 1 or more. */
struct standing_rules {
    int volume;     /* results, ... */
    int days;       /* ... on so many days with mail, up to STANDING_PAST_MAX: trusted */
    int day_volume; /* results: it is a day with mail */
    int samples;    /* results: fewer are not judged */
    int better;     /* percent of the limits, that faults must be under ... */
    int good_days;  /* ... on so many days with mail: no attention any more */
    int idle_days;  /* without mail: forgotten */
};

/* allowed: faults, in FAULT_ALL parts. */
struct standing_figures {
    uint32_t results;
    uint32_t faults[FAULTS];
    uint64_t allowed[FAULTS];
};

struct standing_day {
    int32_t day; /* as in engine/date.h */
    struct standing_figures figures;
};

struct standing_node {
    uint64_t node;    /* made of its name */
    uint32_t heard_s; /* time of day of the last result among them */
    struct standing_figures figures;
};

/* What was said by hand. */
struct standing_hand {
    bool set;
    enum grade grade;
    int64_t until_s; /* time of day; 0: for ever */
    char who[STANDING_WHO_SIZE];
    char why[STANDING_WHY_SIZE];
};

/* All zero: nothing is known. */
struct standing {
    enum grade grade; /* as it was earned */
    int32_t since;    /* day; of GRADE_ATTENTION the last one that gave reason for it */
    char why[STANDING_WHY_SIZE];
    struct standing_hand hand;
    int32_t day;                                    /* under way */
    struct standing_node nodes[STANDING_NODES_MAX]; /* their figures of the day */
    size_t node_count;
    struct standing_day past[STANDING_PAST_MAX]; /* days with mail, the newest last */
    size_t past_count;
};

/* A fault of mail whose result was counted before: a complaint, or a bounce that comes late. */
void standing_blame(struct standing_figures *figures, enum fault fault);

/* A result: with a fault, or without: FAULTS.  A complaint is beside the results. */
void standing_count(struct standing_figures *figures, const struct fault_limits *limits,
                    enum fault fault);

/* More faults than allowed, by more than chance? */
bool standing_is_over(uint32_t faults, uint64_t allowed);

/* The grade that holds: what was said by hand, as long as that lasts, or what was earned. */
enum grade standing_grade(const struct standing *standing, int64_t now_s);

/* Is it the same as none? */
bool standing_is_nothing(const struct standing *standing);

/*
 * The figures of the node on day so far; an earlier day than the one under way is late and not
 * counted.  A day to come must be turned to first.  False: nothing new.
 */
bool standing_note(struct standing *standing, int32_t day, const char *node, uint32_t heard_s,
                   const struct standing_figures *figures);

/* Those of one node, or all zero. */
struct standing_node standing_of_node(const struct standing *standing, const char *node);

/* The sums of all nodes on the day under way. */
struct standing_figures standing_today(const struct standing *standing);

/* Of the day under way and those behind it: is that over the limits?  True: it gives attention. */
bool standing_judge(struct standing *standing, const struct standing_rules *rules);

/* On that day something gave reason for attention.  False: that is known. */
bool standing_accuse(struct standing *standing, int32_t day, const char *why);

/*
 * It is today.  A standing that is further than STANDING_AHEAD_MAX days ahead was turned by a clock
 * that was wrong: it comes back, and forgets the days that are to come.
 */
void standing_come_back(struct standing *standing, int32_t today);

/* Until today is under way; the days in between had no mail. */
void standing_turn_to(struct standing *standing, const struct standing_rules *rules, int32_t today);

/* hand->set false: what was said by hand holds no more.  Texts are cut to printable ASCII. */
void standing_order(struct standing *standing, const struct standing_hand *hand);

/* What is missing for the next grade, in a few words; "" of GRADE_TRUSTED. */
void standing_missing(const struct standing *standing, const struct standing_rules *rules,
                      char text[static STANDING_WHY_SIZE]);

/* As text.  standing_parse() takes what standing_print() wrote: 0, or -EINVAL. */
size_t standing_print(const struct standing *standing, char text[static STANDING_TEXT_SIZE]);
int standing_parse(const char *text, size_t length, struct standing *ret_standing);

/* "bounces: 34 of 210 results WHERE, 10.5 allowed" */
void standing_why(const struct standing_figures *figures, enum fault fault, const char *where,
                  char text[static STANDING_WHY_SIZE]);

/*
 * What one node sees of an account's mail in one stream, result by result, so that what turns
 * bad is known before a day's sums tell: the day, and its last results, of which twice as many
 * may be faults.  All zero: nothing yet.
 */
struct standing_watch {
    int32_t day;
    struct standing_figures today;
    struct standing_figures last[2]; /* of them the first is full */
};

/*
 * A result on day, without a fault: FAULTS.  Returns the fault that is over its limit now, with
 * the figures that say so, or FAULTS.  Complaints are for standing_judge() alone: they come long
 * after the mail.
 */
enum fault standing_see(struct standing_watch *watch, const struct standing_rules *rules,
                        const struct fault_limits *limits, int32_t day, enum fault fault,
                        struct standing_figures *ret_figures);

#endif
