/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/standing.h"

#include "engine/hash.h"
#include "engine/line.h"

#include <stdio.h>
#include <string.h>

#define ALLOWED_MAX ((uint64_t)STANDING_FIGURE_MAX * FAULT_ALL)

/* ------------------------------------------------------------------ figures */

static uint32_t
sum(uint32_t a, uint32_t b)
{
    return a < STANDING_FIGURE_MAX - b ? a + b : STANDING_FIGURE_MAX;
}

static void
add(struct standing_figures *figures, const struct standing_figures *more)
{
    figures->results = sum(figures->results, more->results);
    for (int i = 0; i < FAULTS; i++) {
        figures->faults[i] = sum(figures->faults[i], more->faults[i]);
        figures->allowed[i] += more->allowed[i];
        if (figures->allowed[i] > ALLOWED_MAX)
            figures->allowed[i] = ALLOWED_MAX;
    }
}

void
standing_count(struct standing_figures *figures, const struct fault_limits *limits,
               enum fault fault)
{
    struct standing_figures one = {.results = fault != FAULT_COMPLAINT};

    for (int i = 0; i < FAULTS && fault != FAULT_COMPLAINT; i++)
        one.allowed[i] = limits->shares[i];
    if (fault < FAULTS)
        one.faults[fault] = 1;
    add(figures, &one);
}

void
standing_blame(struct standing_figures *figures, enum fault fault)
{
    struct standing_figures one = {.results = 0};

    one.faults[fault] = 1;
    add(figures, &one);
}

bool
standing_is_over(uint32_t faults, uint64_t allowed)
{
    double more = (double)faults - (double)allowed / FAULT_ALL;

    return faults >= STANDING_FAULTS_MIN && more > 0 &&
           more * more > STANDING_CHANCE * STANDING_CHANCE * (double)allowed / FAULT_ALL;
}

/* Any mail, or anything said of it? */
static bool
is_empty(const struct standing_figures *figures)
{
    uint32_t all = figures->results;

    for (int i = 0; i < FAULTS; i++)
        all |= figures->faults[i];
    return all == 0;
}

/* At most percent of what is allowed? */
static bool
is_under(const struct standing_figures *figures, int percent)
{
    for (int i = 0; i < FAULTS; i++)
        if ((uint64_t)figures->faults[i] * 100 * FAULT_ALL >
            figures->allowed[i] * (uint64_t)percent)
            return false;
    return true;
}

void
standing_why(const struct standing_figures *figures, enum fault fault, const char *where,
             char text[static STANDING_WHY_SIZE])
{
    snprintf(text, STANDING_WHY_SIZE, "%s: %u of %u results %s, %.1f allowed", fault_text(fault),
             figures->faults[fault], figures->results, where,
             (double)figures->allowed[fault] / FAULT_ALL);
}

/* ---------------------------------------------------------------- the nodes */

static uint64_t
node_id(const char *node)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool standi";

    return hash_sip(key, node, strlen(node)) & INT64_MAX;
}

/* What is counted grows. */
static bool
is_older(const struct standing_figures *figures, const struct standing_figures *than)
{
    bool older = figures->results < than->results;

    for (int i = 0; i < FAULTS; i++)
        older |= figures->faults[i] < than->faults[i];
    return older;
}

bool
standing_note(struct standing *standing, int32_t day, const char *node, uint32_t heard_s,
              const struct standing_figures *figures)
{
    struct standing_node *its = NULL;
    uint64_t id = node_id(node);

    if (day != standing->day || is_empty(figures))
        return false;
    for (size_t i = 0; i < standing->node_count && its == NULL; i++)
        if (standing->nodes[i].node == id)
            its = &standing->nodes[i];
    if (its == NULL && standing->node_count == STANDING_NODES_MAX)
        return false;
    if (its == NULL) {
        its = &standing->nodes[standing->node_count++];
        *its = (struct standing_node){.node = id};
    }
    if (is_older(figures, &its->figures) || memcmp(&its->figures, figures, sizeof(*figures)) == 0)
        return false;
    its->figures = (struct standing_figures){0};
    add(&its->figures, figures);
    its->heard_s = heard_s;
    return true;
}

struct standing_node
standing_of_node(const struct standing *standing, const char *node)
{
    uint64_t id = node_id(node);

    for (size_t i = 0; i < standing->node_count; i++)
        if (standing->nodes[i].node == id)
            return standing->nodes[i];
    return (struct standing_node){0};
}

struct standing_figures
standing_today(const struct standing *standing)
{
    struct standing_figures today = {0};

    for (size_t i = 0; i < standing->node_count; i++)
        add(&today, &standing->nodes[i].figures);
    return today;
}

/* ------------------------------------------------------------------- grades */

enum grade
standing_grade(const struct standing *standing, int64_t now_s)
{
    const struct standing_hand *hand = &standing->hand;

    return hand->set && (hand->until_s == 0 || now_s < hand->until_s) ? hand->grade
                                                                      : standing->grade;
}

bool
standing_is_nothing(const struct standing *standing)
{
    return standing->grade == GRADE_NEW && !standing->hand.set && standing->past_count == 0 &&
           standing->node_count == 0;
}

void
standing_order(struct standing *standing, const struct standing_hand *hand)
{
    standing->hand = (struct standing_hand){.set = hand->set};
    if (!hand->set)
        return;
    standing->hand.grade = hand->grade;
    standing->hand.until_s = hand->until_s > 0 ? hand->until_s : 0;
    line_copy(standing->hand.who, sizeof(standing->hand.who), hand->who);
    line_copy(standing->hand.why, sizeof(standing->hand.why), hand->why);
}

static void
set_grade(struct standing *standing, enum grade grade, int32_t day, const char *why)
{
    standing->grade = grade;
    standing->since = day;
    line_copy(standing->why, sizeof(standing->why), why);
}

bool
standing_accuse(struct standing *standing, int32_t day, const char *why)
{
    if (standing->grade == GRADE_ATTENTION && standing->since >= day)
        return false;
    set_grade(standing, GRADE_ATTENTION, day, why);
    return true;
}

/* From when on does what it sent count for and against it? */
static int32_t
counts_from(const struct standing *standing)
{
    return standing->grade == GRADE_ATTENTION ? standing->since + 1 : standing->since;
}

/* The first fault, save complaints, that the figures are over with, or FAULTS. */
static enum fault
find_over(const struct standing_figures *figures, const struct standing_rules *rules)
{
    for (int i = FAULT_BOUNCE; i <= FAULT_BLOCK; i++)
        if (figures->results >= (uint32_t)rules->samples &&
            standing_is_over(figures->faults[i], figures->allowed[i]))
            return (enum fault)i;
    return FAULTS;
}

bool
standing_judge(struct standing *standing, const struct standing_rules *rules)
{
    struct standing_figures today = standing_today(standing), recent = today;
    int32_t from = counts_from(standing);
    char why[STANDING_WHY_SIZE];

    if (standing->grade == GRADE_ATTENTION && standing->since >= standing->day)
        return false;
    if (find_over(&today, rules) != FAULTS) {
        standing_why(&today, find_over(&today, rules), "of the day", why);
        return standing_accuse(standing, standing->day, why);
    }
    for (size_t i = standing->past_count; i-- > 0;) {
        struct standing_figures past = standing->past[i].figures;

        if (standing->past[i].day <= standing->day - rules->days)
            break;
        /* Complaints of today are about mail of all these days. */
        if (standing->past[i].day < from) {
            memset(past.faults, 0, sizeof(past.faults));
            past.allowed[FAULT_BOUNCE] = past.allowed[FAULT_BLOCK] = 0;
        }
        add(&recent, &past);
    }
    for (int i = 0; i < FAULTS; i++)
        if (recent.results >= (uint32_t)rules->samples &&
            standing_is_over(recent.faults[i], recent.allowed[i])) {
            standing_why(&recent, (enum fault)i, "of some days", why);
            return standing_accuse(standing, standing->day, why);
        }
    return false;
}

/* Days with mail from day on, the newest most of them, and what they come to. */
static int
sum_days(const struct standing *standing, const struct standing_rules *rules, int32_t from,
         int most, struct standing_figures *ret_sum)
{
    int days = 0;

    *ret_sum = (struct standing_figures){0};
    for (size_t i = standing->past_count; i-- > 0 && days < most;) {
        if (standing->past[i].day < from)
            break;
        add(ret_sum, &standing->past[i].figures);
        days += standing->past[i].figures.results >= (uint32_t)rules->day_volume;
    }
    return days;
}

/* At the end of a day. */
static void
improve(struct standing *standing, const struct standing_rules *rules)
{
    struct standing_figures all;
    int32_t from = counts_from(standing);
    int most = standing->grade == GRADE_ATTENTION ? rules->good_days : STANDING_PAST_MAX;
    int days = sum_days(standing, rules, from, most, &all);
    char why[STANDING_WHY_SIZE];

    if (standing->grade == GRADE_NEW && days >= rules->days &&
        all.results >= (uint32_t)rules->volume && is_under(&all, 100)) {
        snprintf(why, sizeof(why), "%u results on %d days", all.results, days);
        set_grade(standing, GRADE_TRUSTED, standing->day, why);
    } else if (standing->grade == GRADE_ATTENTION && days >= rules->good_days &&
               is_under(&all, rules->better)) {
        snprintf(why, sizeof(why), "%d good days after attention", days);
        set_grade(standing, GRADE_NEW, standing->day, why);
    }
}

static void
keep_day(struct standing *standing)
{
    struct standing_figures today = standing_today(standing);

    standing->node_count = 0;
    if (is_empty(&today))
        return;
    if (standing->past_count == STANDING_PAST_MAX)
        memmove(&standing->past[0], &standing->past[1],
                --standing->past_count * sizeof(standing->past[0]));
    standing->past[standing->past_count++] = (struct standing_day){standing->day, today};
}

static void
forget(struct standing *standing, const struct standing_rules *rules)
{
    size_t old = 0;
    int32_t last =
        standing->past_count > 0 ? standing->past[standing->past_count - 1].day : standing->since;

    if (standing->day - last > rules->idle_days) {
        standing->past_count = 0;
        if (standing->grade != GRADE_NEW)
            set_grade(standing, GRADE_NEW, standing->day, "it sent nothing for long");
    }
    while (old < standing->past_count &&
           standing->past[old].day < standing->day - STANDING_PAST_DAYS)
        old++;
    standing->past_count -= old;
    memmove(&standing->past[0], &standing->past[old],
            standing->past_count * sizeof(standing->past[0]));
}

void
standing_come_back(struct standing *standing, int32_t today)
{
    if (standing->day - today <= STANDING_AHEAD_MAX)
        return;
    standing->day = today;
    standing->node_count = 0;
    while (standing->past_count > 0 && standing->past[standing->past_count - 1].day >= today)
        standing->past_count--;
    if (standing->since > today)
        standing->since = today;
}

void
standing_turn_to(struct standing *standing, const struct standing_rules *rules, int32_t today)
{
    if (today <= standing->day)
        return;
    standing_judge(standing, rules);
    keep_day(standing);
    standing->day = today;
    improve(standing, rules);
    forget(standing, rules);
}

void
standing_missing(const struct standing *standing, const struct standing_rules *rules,
                 char text[static STANDING_WHY_SIZE])
{
    struct standing_figures all;
    int32_t from = counts_from(standing);
    int most = standing->grade == GRADE_ATTENTION ? rules->good_days : STANDING_PAST_MAX;
    int days = sum_days(standing, rules, from, most, &all);

    text[0] = '\0';
    if (standing->grade == GRADE_ATTENTION && days < rules->good_days)
        snprintf(text, STANDING_WHY_SIZE, "%d of %d days since then", days, rules->good_days);
    else if (standing->grade == GRADE_ATTENTION)
        snprintf(text, STANDING_WHY_SIZE, "faults are not under %d %% of the limits",
                 rules->better);
    else if (standing->grade == GRADE_NEW && !is_under(&all, 100))
        snprintf(text, STANDING_WHY_SIZE, "faults are not under the limits");
    else if (standing->grade == GRADE_NEW)
        snprintf(text, STANDING_WHY_SIZE, "%d of %d days, %u of %d results", days, rules->days,
                 all.results, rules->volume);
}

/* ------------------------------------------------------------ result by result */

enum fault
standing_see(struct standing_watch *watch, const struct standing_rules *rules,
             const struct fault_limits *limits, int32_t day, enum fault fault,
             struct standing_figures *ret_figures)
{
    enum fault over;

    if (day > watch->day || watch->day - day > STANDING_AHEAD_MAX)
        *watch = (struct standing_watch){.day = day};
    if (day == watch->day)
        standing_count(&watch->today, limits, fault);
    if (watch->last[1].results >= (uint32_t)rules->samples) {
        watch->last[0] = watch->last[1];
        watch->last[1] = (struct standing_figures){0};
    }
    standing_count(&watch->last[1], limits, fault);
    *ret_figures = watch->today;
    over = find_over(ret_figures, rules);
    if (over != FAULTS)
        return over;
    *ret_figures = watch->last[0];
    add(ret_figures, &watch->last[1]);
    for (int i = 0; i < FAULTS; i++)
        ret_figures->allowed[i] *= 2;
    over = find_over(ret_figures, rules);
    if (over != FAULTS)
        memset(watch->last, 0, sizeof(watch->last)); /* once is enough */
    return over;
}
