/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/survey.h"

#include "lib/mem.h"
#include "policyd/listing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FAMILIES = 2,
    TESTS = 2 * FAMILIES, /* of each family: what must be listed, and what must not */
    PAUSE_PART = 4,       /* of the interval, between two rounds in a hurry */
};

enum phase { RESTING, TESTING, ASKING };

struct survey {
    const struct dnslist *list;         /* not ours */
    const struct survey_events *events; /* not ours */
    void *arg;                          /* not ours */
    struct survey_address *addresses;
    size_t count;
    bool uses[FAMILIES];  /* IPv4, IPv6: some address is of it */
    bool holds[FAMILIES]; /* the list has such addresses */
    enum survey_belief belief;
    char why[SURVEY_WHY_SIZE];

    uint32_t round; /* answers to an older one are late */
    enum phase phase;
    bool hurried;
    int64_t began_ms;
    int64_t resume_ms;   /* RESTING until then */
    int64_t surveyed_ms; /* the end of the last round in a hurry */
    size_t next;         /* test or address */
    size_t open;         /* questions */
    size_t failures;     /* in a row */
    struct listing tests[TESTS];
    size_t reasons[SURVEY_REASONS_MAX]; /* addresses whose reason is to be asked for */
    size_t reason_count;
};

static int
family_of(const struct ip *ip)
{
    return ip->family == 4 ? 0 : 1;
}

static void
let_go(struct survey *survey, size_t place)
{
    struct survey_address *address = &survey->addresses[place];

    if (!address->held)
        return;
    address->held = false;
    survey->events->let_go(survey->arg, place);
}

static void
set_finding(struct survey_address *address, enum survey_finding finding)
{
    address->finding = finding;
    if (finding == SURVEY_LISTED)
        return;
    free(address->reason);
    address->reason = NULL;
}

/* What was answered too long ago does not count any more. */
static void
lapse(struct survey *survey, int64_t now_ms)
{
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_address *address = &survey->addresses[i];

        if (address->finding == SURVEY_UNKNOWN ||
            now_ms - address->answered_ms <= SURVEY_KEEP * survey->list->every_ms)
            continue;
        set_finding(address, SURVEY_UNKNOWN);
        let_go(survey, i);
    }
}

static void __attribute__((format(printf, 3, 4)))
believe(struct survey *survey, enum survey_belief belief, const char *format, ...)
{
    enum survey_belief before = survey->belief;
    va_list ap;

    va_start(ap, format);
    vsnprintf(survey->why, sizeof(survey->why), format, ap);
    va_end(ap);
    survey->belief = belief;
    if (belief != SURVEY_GOOD && belief != SURVEY_SILENT && belief != SURVEY_REFUSED)
        for (size_t i = 0; i < survey->count; i++)
            let_go(survey, i);
    if (belief != before)
        survey->events->believed(survey->arg, before);
}

static void
begin(struct survey *survey, bool hurried, int64_t now_ms)
{
    survey->round++;
    survey->phase = TESTING;
    survey->hurried = hurried;
    survey->began_ms = now_ms;
    survey->next = survey->open = survey->failures = survey->reason_count = 0;
    for (size_t i = 0; i < survey->count; i++)
        survey->addresses[i].fresh = false;
    lapse(survey, now_ms);
}

/* The round is over; the next one is after a time. */
static void
rest(struct survey *survey, bool next_hurried, int64_t resume_ms, int64_t now_ms)
{
    survey->round++;
    survey->phase = RESTING;
    survey->hurried = next_hurried;
    survey->resume_ms = resume_ms;
    lapse(survey, now_ms);
}

static void
give_up(struct survey *survey, int64_t now_ms)
{
    int64_t every_ms = survey->list->every_ms;

    rest(survey, true, now_ms + (every_ms < SURVEY_RETRY_MS ? every_ms : SURVEY_RETRY_MS), now_ms);
}

static bool
is_asked(const struct survey *survey, size_t place)
{
    return survey->holds[family_of(&survey->addresses[place].ip)];
}

struct tally {
    size_t asked, known, listed, waiting; /* waiting: listed, and not held yet */
};

static struct tally
count_up(const struct survey *survey)
{
    struct tally tally = {0};

    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_address *address = &survey->addresses[i];
        bool listed = address->fresh && address->finding == SURVEY_LISTED;

        tally.asked += is_asked(survey, i);
        tally.known += address->fresh;
        tally.listed += listed;
        tally.waiting += listed && !address->held;
    }
    return tally;
}

static void
hold_listed(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_address *address = &survey->addresses[i];

        if (!address->fresh || address->finding != SURVEY_LISTED || address->held)
            continue;
        address->held = true;
        survey->events->held(survey->arg, i, false);
    }
}

/* Every address had its turn. */
static void
finish(struct survey *survey, int64_t now_ms)
{
    struct tally tally = count_up(survey);
    bool hurried = survey->hurried;

    if (tally.asked > 0 && tally.known == 0) {
        give_up(survey, now_ms);
        believe(survey, SURVEY_SILENT, "no answer for any address");
        return;
    }
    if (tally.asked > 1 && tally.listed == tally.asked) {
        believe(survey, SURVEY_ALL_OURS, "it lists all %zu of our addresses", tally.asked);
    } else if (tally.waiting > 0 && !hurried) {
        begin(survey, true, now_ms);
        return;
    } else {
        if (tally.asked == 1 || tally.listed < tally.known)
            hold_listed(survey);
        believe(survey, SURVEY_GOOD, "%s", "");
    }
    if (hurried)
        survey->surveyed_ms = now_ms;
    rest(survey, false, hurried ? now_ms : survey->began_ms + survey->list->every_ms, now_ms);
}

static void
finish_if_over(struct survey *survey, int64_t now_ms)
{
    if (survey->phase == ASKING && survey->next == survey->count && survey->open == 0 &&
        survey->reason_count == 0)
        finish(survey, now_ms);
}

/* Put next on an address that is asked for. */
static void
step(struct survey *survey)
{
    while (survey->next < survey->count && !is_asked(survey, survey->next))
        survey->next++;
}

/* An answer that says nothing of addresses ends the round.  Returns whether it is one. */
static bool
is_useless(struct survey *survey, const struct listing *listing, int64_t now_ms)
{
    char code[IP_TEXT_SIZE];

    if (listing->says != LISTING_REFUSED && listing->says != LISTING_ODD)
        return false;
    ip_print(&listing->code, code);
    give_up(survey, now_ms);
    if (listing->says == LISTING_REFUSED)
        believe(survey, SURVEY_REFUSED, "it answers %s: %s", code,
                listing_refusal_text(&listing->code));
    else
        believe(survey, SURVEY_ODD,
                "it answers %s, as no list does: the domain is parked, or the resolver makes "
                "answers up",
                code);
    return true;
}

/* All tests are answered: what is the list worth? */
static void
judge_tests(struct survey *survey, int64_t now_ms)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        const struct listing *must = &survey->tests[2 * i], *must_not = must + 1;
        struct ip point = listing_test_point(i == 0 ? 4 : 6, false);
        char text[IP_TEXT_SIZE];

        if (survey->uses[i] && must_not->says != LISTING_CLEAR) {
            ip_print(&point, text);
            give_up(survey, now_ms);
            believe(survey, SURVEY_EVERYTHING, "it lists %s, which no list may", text);
            return;
        }
        survey->holds[i] = survey->uses[i] && must->says != LISTING_CLEAR;
    }
    /* A list need not know IPv6; one that does not know IPv4 is none. */
    if (survey->uses[0] ? !survey->holds[0] : !survey->holds[1]) {
        struct ip point = listing_test_point(survey->uses[0] ? 4 : 6, true);
        char text[IP_TEXT_SIZE];

        ip_print(&point, text);
        give_up(survey, now_ms);
        believe(survey, SURVEY_DEAD, "it does not list %s, as every list does", text);
        return;
    }
    for (size_t i = 0; i < survey->count; i++) {
        survey->addresses[i].foreign = !is_asked(survey, i);
        if (!survey->addresses[i].foreign)
            continue;
        set_finding(&survey->addresses[i], SURVEY_UNKNOWN);
        let_go(survey, i);
    }
    survey->phase = ASKING;
    survey->next = 0;
    step(survey);
    finish_if_over(survey, now_ms);
}

static void
take_test(struct survey *survey, size_t place, const struct listing *listing, const char *why,
          int64_t now_ms)
{
    if (is_useless(survey, listing, now_ms))
        return;
    if (listing->says == LISTING_FAILED) {
        give_up(survey, now_ms);
        believe(survey, SURVEY_SILENT, "%s", why);
        return;
    }
    survey->tests[place] = *listing;
    if (survey->next == TESTS && survey->open == 0)
        judge_tests(survey, now_ms);
}

static void
take_listed(struct survey *survey, size_t place, const struct listing *listing, int64_t now_ms)
{
    struct survey_address *address = &survey->addresses[place];
    bool news = address->finding != SURVEY_LISTED;

    set_finding(address, SURVEY_LISTED);
    address->code = listing->code;
    if (news)
        address->since_ms = now_ms;
    if (address->held)
        survey->events->held(survey->arg, place, true);
    if (news && !survey->hurried &&
        now_ms - survey->surveyed_ms >= survey->list->every_ms / PAUSE_PART)
        begin(survey, true, now_ms);
    else if (address->reason == NULL && survey->reason_count < SURVEY_REASONS_MAX)
        survey->reasons[survey->reason_count++] = place;
}

static void
take_address(struct survey *survey, size_t place, const struct listing *listing, const char *why,
             int64_t now_ms)
{
    struct survey_address *address = &survey->addresses[place];

    if (is_useless(survey, listing, now_ms))
        return;
    if (listing->says == LISTING_FAILED) {
        if (++survey->failures < SURVEY_FAILURES_MAX)
            return;
        give_up(survey, now_ms);
        believe(survey, SURVEY_SILENT, "%s", why);
        return;
    }
    survey->failures = 0;
    address->answered_ms = now_ms;
    address->fresh = true;
    if (listing->says == LISTING_LISTED) {
        take_listed(survey, place, listing, now_ms);
    } else {
        set_finding(address, SURVEY_CLEAR);
        let_go(survey, place);
    }
}

static void
take_reason(struct survey_address *address, enum dns_result result, const uint8_t *bytes,
            size_t length)
{
    char text[LISTING_REASON_SIZE];

    if (result != DNS_ANSWER || address->finding != SURVEY_LISTED)
        return;
    listing_read_reason(bytes, length, text);
    free(address->reason);
    address->reason = text[0] != '\0' ? mem_strdup(text) : NULL;
}

void
survey_answer(struct survey *survey, const struct survey_question *question, enum dns_result result,
              const uint8_t *bytes, size_t length, const char *why, int64_t now_ms)
{
    struct listing listing;

    if (question->round != survey->round)
        return;
    survey->open--;
    if (why == NULL)
        why = "malformed answer";
    if (question->about == SURVEY_REASON) {
        take_reason(&survey->addresses[question->place], result, bytes, length);
    } else {
        listing = listing_read(survey->list, result, bytes, length);
        (question->about == SURVEY_TEST ? take_test : take_address)(survey, question->place,
                                                                    &listing, why, now_ms);
    }
    finish_if_over(survey, now_ms);
}

static void
ask(struct survey *survey, struct survey_question *question, enum survey_about about, size_t place,
    const struct ip *ip)
{
    *question = (struct survey_question){.round = survey->round, .about = about, .place = place};
    question->type = about == SURVEY_REASON ? DNS_TXT : DNS_A;
    dnslist_question(survey->list->zone, ip, question->name);
    survey->open++;
}

static bool
next_test(struct survey *survey, struct survey_question *ret_question)
{
    for (; survey->next < TESTS; survey->next++) {
        size_t family = survey->next / 2;
        struct ip point = listing_test_point(family == 0 ? 4 : 6, survey->next % 2 == 0);

        if (!survey->uses[family])
            continue;
        ask(survey, ret_question, SURVEY_TEST, survey->next++, &point);
        while (survey->next < TESTS && !survey->uses[survey->next / 2])
            survey->next++;
        return true;
    }
    return false;
}

static int64_t
next_address(struct survey *survey, int64_t now_ms, struct survey_question *ret_question)
{
    int64_t gap_ms = survey->list->every_ms / (int64_t)(survey->count + 1), due_ms;
    size_t place = survey->next;

    if (survey->reason_count > 0) {
        place = survey->reasons[--survey->reason_count];
        ask(survey, ret_question, SURVEY_REASON, place, &survey->addresses[place].ip);
        return 0;
    }
    if (place == survey->count)
        return -1;
    if (survey->hurried && gap_ms > SURVEY_HURRY_MS)
        gap_ms = SURVEY_HURRY_MS;
    due_ms = survey->began_ms + (int64_t)(place + 1) * gap_ms;
    if (now_ms < due_ms)
        return due_ms - now_ms;
    ask(survey, ret_question, SURVEY_ADDRESS, place, &survey->addresses[place].ip);
    survey->next++;
    step(survey);
    return 0;
}

int64_t
survey_next(struct survey *survey, int64_t now_ms, struct survey_question *ret_question)
{
    if (survey->count == 0)
        return SURVEY_RETRY_MS;
    if (survey->phase == RESTING) {
        if (now_ms < survey->resume_ms)
            return survey->resume_ms - now_ms;
        begin(survey, survey->hurried, now_ms);
    }
    if (survey->phase == TESTING)
        return next_test(survey, ret_question) ? 0 : -1;
    return next_address(survey, now_ms, ret_question);
}

void
survey_carry_address(struct survey *to, size_t to_place, struct survey *from, size_t from_place)
{
    struct survey_address *target = &to->addresses[to_place];
    struct survey_address *source = &from->addresses[from_place];

    if (ip_compare(&target->ip, &source->ip) != 0)
        return;
    *target = *source;
    source->reason = NULL;
}

void
survey_carry_belief(struct survey *to, const struct survey *from)
{
    to->belief = from->belief;
    memcpy(to->why, from->why, sizeof(to->why));
}

struct survey *
survey_new(const struct dnslist *list, const struct ip *ips, size_t count,
           const struct survey_events *events, void *arg)
{
    struct survey *survey = mem_new(sizeof(*survey));

    survey->list = list;
    survey->events = events;
    survey->arg = arg;
    survey->addresses = mem_array(count, sizeof(*survey->addresses));
    survey->count = count;
    survey->hurried = true; /* the first round */
    for (size_t i = 0; i < count; i++) {
        survey->addresses[i].ip = ips[i];
        survey->uses[family_of(&ips[i])] = true;
    }
    return survey;
}

void
survey_free(struct survey *survey)
{
    if (survey == NULL)
        return;
    for (size_t i = 0; i < survey->count; i++)
        free(survey->addresses[i].reason);
    free(survey->addresses);
    free(survey);
}

enum survey_belief
survey_belief(const struct survey *survey)
{
    return survey->belief;
}

const char *
survey_why(const struct survey *survey)
{
    return survey->why;
}

size_t
survey_count(const struct survey *survey)
{
    return survey->count;
}

const struct survey_address *
survey_address(const struct survey *survey, size_t place)
{
    return &survey->addresses[place];
}
