/*
 * What the control socket is asked about accounts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/standings_inside.h"

#include "engine/date.h"
#include "engine/snapshot.h"
#include "lib/addr.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 24 * 3600 };

#define NO_GRADES "no stream has grades, so that accounts are not graded"

/* One account, as people see it. */
struct shown {
    const char *name;
    const struct standing *standing;
    enum grade grade; /* that holds */
    bool by_hand;
    struct standing_figures today;
    char missing[STANDING_WHY_SIZE];
};

static const struct standing nothing;

/* item may be NULL. */
static void
look(const struct standings *standings, const char *name, const struct standings_item *item,
     struct shown *shown)
{
    int64_t now_s = standings_now_s(standings);

    shown->name = name;
    shown->standing = item != NULL && item->standing != NULL ? item->standing : &nothing;
    shown->grade = standing_grade(shown->standing, now_s);
    shown->by_hand = shown->standing->hand.set &&
                     (shown->standing->hand.until_s == 0 || now_s < shown->standing->hand.until_s);
    shown->today = standing_today(shown->standing);
    if (item != NULL && item->standing == NULL && item->days[0].day == standings_day(now_s))
        shown->today = item->days[0].figures;
    standing_missing(shown->standing, &standings->conf->standing, shown->missing);
}

/* "by hand until 2026-12-27, root (uid 0): a friend; earned: new" */
static void
print_hand(const struct shown *shown, struct buf *text)
{
    const struct standing_hand *hand = &shown->standing->hand;
    char date[DATE_SIZE];

    buf_puts(text, "by hand");
    if (hand->until_s != 0) {
        date_print(standings_day(hand->until_s), date);
        buf_printf(text, " until %s", date);
    }
    buf_printf(text, ", %s: %s; earned: %s", hand->who, hand->why,
               grade_text(shown->standing->grade));
}

/* "since 2026-11-27, 1001 results on 7 days" */
static void
print_earned(const struct shown *shown, struct buf *text)
{
    char date[DATE_SIZE];

    if (shown->standing->why[0] != '\0') {
        date_print(shown->standing->since, date);
        buf_printf(text, "since %s, %s", date, shown->standing->why);
    }
    if (shown->missing[0] != '\0')
        buf_printf(text, "%s%s", shown->standing->why[0] != '\0' ? "; " : "", shown->missing);
}

static void
print_text(const struct shown *shown, struct buf *text)
{
    buf_printf(text, "%s: %s ", shown->name, grade_text(shown->grade));
    if (shown->by_hand)
        print_hand(shown, text);
    else
        print_earned(shown, text);
    buf_printf(text, "; today %u results", shown->today.results);
    for (int i = 0; i < FAULTS; i++)
        if (shown->today.faults[i] > 0)
            buf_printf(text, ", %u %s", shown->today.faults[i], fault_text((enum fault)i));
    buf_puts(text, "\n");
}

static void
add_figures(const struct standing_figures *figures, struct json *json)
{
    json_number(json, "results", figures->results);
    for (int i = 0; i < FAULTS; i++)
        json_number(json, fault_text((enum fault)i), figures->faults[i]);
}

static void
add_json(const struct shown *shown, struct json *json)
{
    const struct standing *standing = shown->standing;
    char date[DATE_SIZE];

    json_open(json, NULL, '{');
    json_text(json, "account", shown->name);
    json_text(json, "grade", grade_text(shown->grade));
    json_text(json, "earned", grade_text(standing->grade));
    date_print(standing->since, date);
    json_text(json, "since", standing->why[0] != '\0' ? date : NULL);
    json_text(json, "why", standing->why);
    json_text(json, "missing", shown->missing);
    if (shown->by_hand) {
        json_open(json, "by_hand", '{');
        json_number(json, "until", standing->hand.until_s);
        json_text(json, "who", standing->hand.who);
        json_text(json, "why", standing->hand.why);
        json_close(json, '}');
    }
    json_open(json, "today", '{');
    add_figures(&shown->today, json);
    json_close(json, '}');
    json_open(json, "days", '[');
    for (size_t i = 0; i < standing->past_count; i++) {
        json_open(json, NULL, '{');
        date_print(standing->past[i].day, date);
        json_text(json, "day", date);
        add_figures(&standing->past[i].figures, json);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

/* ------------------------------------------------------------------ to list */

struct wanted {
    bool json, graded;
    enum grade grade;
    const char *account; /* NULL: all that have a record */
};

/* False: some word is wrong.  words is cut up. */
static bool
parse_words(char *words, struct wanted *wanted)
{
    for (char *word = strsep(&words, " "); word != NULL; word = strsep(&words, " "))
        if (strcmp(word, "json") == 0) {
            wanted->json = true;
        } else if (strncmp(word, "account=", 8) == 0 && word[8] != '\0') {
            wanted->account = word + 8;
        } else if (strncmp(word, "grade=", 6) == 0) {
            wanted->graded = grade_find(word + 6, strlen(word + 6), &wanted->grade);
            if (!wanted->graded)
                return false;
        } else if (word[0] != '\0') {
            return false;
        }
    return true;
}

/* Who needs attention first, then by name. */
static int
compare(const void *a, const void *b, void *now_s)
{
    const struct standings_item *one = *(const struct standings_item *const *)a;
    const struct standings_item *other = *(const struct standings_item *const *)b;
    enum grade grade = standing_grade(one->standing, *(int64_t *)now_s);
    enum grade other_grade = standing_grade(other->standing, *(int64_t *)now_s);

    if (grade != other_grade)
        return grade > other_grade ? -1 : 1;
    return strcmp(one->name, other->name);
}

/* Those that are wanted, and how many; the caller frees the list. */
static const struct standings_item **
collect(const struct standings *standings, const struct wanted *wanted, size_t *ret_count)
{
    const struct standings_item **items = mem_array(standings->records, sizeof(*items));
    int64_t now_s = standings_now_s(standings);
    size_t count = 0;

    for (size_t i = 0; i < STANDINGS_BUCKETS; i++) {
        const struct standings_item *item;

        LIST_FOREACH(item, &standings->buckets[i], chain)
        if (item->standing != NULL &&
            (!wanted->graded || standing_grade(item->standing, now_s) == wanted->grade))
            items[count++] = item;
    }
    qsort_r(items, count, sizeof(*items), compare, &now_s);
    *ret_count = count;
    return items;
}

static void
list(struct standings *standings, const struct wanted *wanted, struct buf *answer)
{
    struct json json = {.out = answer};
    const struct standings_item **items, *one = NULL;
    size_t count = 1, shown_count;

    if (wanted->account != NULL) {
        one = standings_find(standings, wanted->account);
        items = mem_array(1, sizeof(*items));
        items[0] = one;
        count = !wanted->graded || standings_grade(standings, wanted->account) == wanted->grade;
    } else {
        items = collect(standings, wanted, &count);
    }
    shown_count = count < STANDINGS_LIST_MAX ? count : STANDINGS_LIST_MAX;
    if (wanted->json) {
        json_open(&json, NULL, '{');
        json_open(&json, "accounts", '[');
    }
    for (size_t i = 0; i < shown_count; i++) {
        struct shown shown;

        look(standings, items[i] != NULL ? items[i]->name : wanted->account, items[i], &shown);
        if (wanted->json)
            add_json(&shown, &json);
        else
            print_text(&shown, answer);
    }
    if (wanted->json) {
        json_close(&json, ']');
        json_number(&json, "more", (long long)(count - shown_count));
        json_close(&json, '}');
        buf_puts(answer, "\n");
    } else if (count == 0) {
        if (!standings->conf->snapshot->has_grades)
            buf_puts(answer, NO_GRADES "\n");
        else if (wanted->graded)
            buf_puts(answer, "no such account has that grade\n");
        else
            buf_puts(answer, "no account has sent enough to be graded\n");
    } else if (count > shown_count) {
        buf_printf(answer, "and %zu more: name one, or a grade\n", count - shown_count);
    }
    free(items);
}

/* ------------------------------------------------------------------ by hand */

static char *
word(char **rest)
{
    char *found = strsep(rest, " ");

    if (*rest == NULL)
        *rest = found + strlen(found);
    return found;
}

/* What is ordered; false and why: it is nothing. */
static bool
parse_order(const struct standings *standings, const char *grade, const char *time, const char *why,
            struct standing_hand *hand, struct buf *answer)
{
    long long ms = 0;
    char *end;

    hand->set = strcmp(grade, "earned") != 0;
    if (hand->set && !grade_find(grade, strlen(grade), &hand->grade)) {
        buf_puts(answer, "error: there are new, trusted, attention and earned");
        return false;
    }
    if (strcmp(time, "-") != 0) {
        ms = strtoll(time, &end, 10);
        if (*time == '\0' || *end != '\0' || ms <= 0 ||
            ms / 1000 > (long long)STANDINGS_HAND_DAYS_MAX * DAY_S) {
            buf_printf(answer, "error: milliseconds are needed, of at most %d days, or -",
                       STANDINGS_HAND_DAYS_MAX);
            return false;
        }
        hand->until_s = standings_now_s(standings) + (ms + 999) / 1000;
    }
    if (why[0] == '\0') {
        buf_puts(answer, "error: why?  Others will want to know");
        return false;
    }
    snprintf(hand->why, sizeof(hand->why), "%.*s", (int)sizeof(hand->why) - 1, why);
    return true;
}

static void
order(struct standings *standings, char *rest, struct control_call *call, struct buf *answer)
{
    char *account = word(&rest);
    const char *grade = word(&rest), *time = word(&rest);
    struct standing_hand hand = {.set = false};
    struct standings_item *item;
    struct shown shown;

    if (!parse_order(standings, grade, time, rest, &hand, answer))
        return;
    addr_lower(account);
    item = standings_make(standings, account);
    if (item == NULL) {
        buf_puts(answer, "error: that is no account, the domain of a sender is one; or there are "
                         "too many already");
        return;
    }
    if (item->standing == NULL && standings->records >= STANDINGS_RECORDS_MAX) {
        buf_puts(answer, "error: too many accounts have a record already");
        return;
    }
    snprintf(hand.who, sizeof(hand.who), "%s", control_user(call));
    free(item->order);
    item->order = mem_new(sizeof(*item->order));
    *item->order = hand;
    item->order_sent = false;
    log_info("account %s: %s by %s: %s", item->name, grade, control_user(call), rest);
    standings_update(standings, item);
    look(standings, item->name, item, &shown);
    print_text(&shown, answer);
    if (!standings->conf->snapshot->has_grades)
        buf_puts(answer, NO_GRADES ": it makes no difference\n");
}

bool
standings_question(struct standings *standings, const char *question, struct control_call *call,
                   struct buf *answer)
{
    bool lists =
        strncmp(question, "accounts", 8) == 0 && (question[8] == '\0' || question[8] == ' ');
    struct wanted wanted = {.json = false};
    char *text;

    if (!lists && strncmp(question, "grade ", 6) != 0)
        return false;
    text = mem_strdup(question + (lists ? 8 : 6));
    if (!lists)
        order(standings, text, call, answer);
    else if (parse_words(text, &wanted))
        list(standings, &wanted, answer);
    else
        buf_puts(answer, "error: behind accounts there may be json, grade=new|trusted|attention "
                         "and account=DOMAIN");
    free(text);
    return true;
}

void
standings_explain(struct standings *standings, const char *account, struct buf *text)
{
    const struct standings_item *item = standings_find(standings, account);
    struct shown shown;

    look(standings, account, item, &shown);
    buf_printf(text, "%s (", grade_text(shown.grade));
    if (shown.by_hand)
        print_hand(&shown, text);
    else
        print_earned(&shown, text);
    buf_puts(text, ")");
}

void
standings_status(struct standings *standings, struct buf *text, struct json *json)
{
    long long graded[GRADES] = {0};
    int64_t now_s = standings_now_s(standings);

    if (!standings->conf->snapshot->has_grades)
        return;
    for (size_t i = 0; i < STANDINGS_BUCKETS; i++) {
        const struct standings_item *item;

        LIST_FOREACH(item, &standings->buckets[i], chain)
        if (item->standing != NULL)
            graded[standing_grade(item->standing, now_s)]++;
    }
    if (json != NULL) {
        json_open(json, "standing", '{');
        json_number(json, "accounts", (long long)standings->count);
        for (int i = 0; i < GRADES; i++)
            json_number(json, grade_text((enum grade)i), graded[i]);
        json_close(json, '}');
        return;
    }
    buf_printf(text, "accounts: %lld trusted, %lld need attention, %lld are new; %zu sent little\n",
               graded[GRADE_TRUSTED], graded[GRADE_ATTENTION], graded[GRADE_NEW],
               standings->count - standings->records);
}
