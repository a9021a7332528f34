/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/lists_inside.h"

#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/dns.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
    STARTS_MAX = 16, /* questions of one list begun in one turn of the loop */
    FULL_MS = 100,   /* how long a list waits when too many questions are open */
    WHY_SIZE = 320,
};

struct list_call {
    TAILQ_ENTRY(list_call) next;
    struct asked_list *asked; /* not ours */
    struct survey_question question;
};

static void
call_free(struct list_call *call)
{
    struct lists *lists = call->asked->lists;

    TAILQ_REMOVE(&lists->calls, call, next);
    lists->open--;
    free(call);
}

static void
set_timer(struct asked_list *asked, int64_t ms)
{
    struct timeval wait = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

    event_add(asked->timer, &wait);
}

static void
on_done(void *arg, enum dns_result result, const uint8_t *bytes, size_t length, const char *why)
{
    struct list_call *call = arg;
    struct asked_list *asked = call->asked;
    struct survey_question question = call->question;

    call_free(call);
    if (result == DNS_FAILED)
        asked->failures++;
    survey_answer(asked->survey, &question, result, bytes, length, why, clock_ms(CLOCK_MONOTONIC));
    set_timer(asked, 0);
}

static void
ask(struct asked_list *asked, const struct survey_question *question)
{
    struct lists *lists = asked->lists;
    struct list_call *call = mem_new(sizeof(*call));

    call->asked = asked;
    call->question = *question;
    TAILQ_INSERT_TAIL(&lists->calls, call, next);
    lists->open++;
    asked->questions++;
    if (lists->dns != NULL)
        dns_ask(lists->dns, call->question.name, question->type, on_done, call);
    else
        on_done(call, DNS_FAILED, NULL, 0, "no c-ares");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct asked_list *asked = arg;
    struct survey_question question;
    int64_t wait_ms = 0;

    (void)fd;
    (void)what;
    for (int i = 0; i < STARTS_MAX; i++) {
        if (asked->lists->open >= LISTS_OPEN_MAX) {
            wait_ms = FULL_MS;
            break;
        }
        wait_ms = survey_next(asked->survey, clock_ms(CLOCK_MONOTONIC), &question);
        if (wait_ms != 0)
            break;
        ask(asked, &question);
    }
    if (wait_ms >= 0) /* else the next answer sets it */
        set_timer(asked, wait_ms);
}

/* Does a list hold the address that suspends it? */
static bool
is_held(const struct lists *lists, size_t place)
{
    for (size_t i = 0; i < lists->count; i++)
        if (lists->items[i].list->action == DNSLIST_SUSPEND &&
            survey_address(lists->items[i].survey, place)->held)
            return true;
    return false;
}

static void
say_why(const struct asked_list *asked, const struct survey_address *address,
        char why[static WHY_SIZE])
{
    char code[IP_TEXT_SIZE];

    ip_print(&address->code, code);
    snprintf(why, WHY_SIZE, "listed by %s (%s)%s%.60s", asked->list->name, code,
             address->reason != NULL ? ": " : "", address->reason != NULL ? address->reason : "");
}

/* Of before: the lists that may have suspended it; the place is that in lists. */
static void
tell_unlisted(const struct lists *lists, const struct lists *before, size_t place)
{
    bool suspends = false;

    for (size_t i = 0; i < before->count; i++)
        suspends |= before->items[i].list->action == DNSLIST_SUSPEND;
    if (suspends)
        lists->events->unlisted(lists->arg, lists->addresses[place]);
}

static void
on_held(void *arg, size_t place, bool again)
{
    struct asked_list *asked = arg;
    struct lists *lists = asked->lists;
    const struct survey_address *address = survey_address(asked->survey, place);
    bool suspends = asked->list->action == DNSLIST_SUSPEND;
    char why[WHY_SIZE], ip[IP_TEXT_SIZE];

    say_why(asked, address, why);
    ip_print(&address->ip, ip);
    if (!again)
        log_warn("address %s: %s is %s -- %s", lists->addresses[place]->name, ip, why,
                 suspends ? "suspended until it is not" : "reported only");
    if (suspends)
        lists->events->listed(lists->arg, lists->addresses[place],
                              SURVEY_KEEP * asked->list->every_ms, why);
}

static void
on_let_go(void *arg, size_t place)
{
    struct asked_list *asked = arg;
    struct lists *lists = asked->lists;
    const struct survey_address *address = survey_address(asked->survey, place);
    char ip[IP_TEXT_SIZE];

    ip_print(&address->ip, ip);
    if (address->finding == SURVEY_CLEAR)
        log_info("address %s: %s is not listed by %s any more", lists->addresses[place]->name, ip,
                 asked->list->name);
    else if (address->finding == SURVEY_UNKNOWN)
        log_info("address %s: %s counts as not listed by %s: nothing was heard for too long",
                 lists->addresses[place]->name, ip, asked->list->name);
    if (asked->list->action == DNSLIST_SUSPEND && !is_held(lists, place))
        tell_unlisted(lists, lists, place);
}

/* What an earlier life of this program suspended, and is not listed, is so no longer. */
static void
settle(struct asked_list *asked)
{
    struct lists *lists = asked->lists;

    if (asked->settled || asked->list->action != DNSLIST_SUSPEND)
        return;
    asked->settled = true;
    for (size_t i = 0; i < lists->count; i++)
        if (lists->items[i].list->action == DNSLIST_SUSPEND && !lists->items[i].settled)
            return;
    for (size_t i = 0; i < lists->address_count; i++)
        if (!is_held(lists, i))
            tell_unlisted(lists, lists, i);
}

static void
on_believed(void *arg, enum survey_belief before)
{
    struct asked_list *asked = arg;
    const char *name = asked->list->name, *why = survey_why(asked->survey);

    switch (survey_belief(asked->survey)) {
    case SURVEY_NOT_YET:
        return;
    case SURVEY_GOOD:
        if (before != SURVEY_NOT_YET)
            log_info("list %s: it answers as a list does again", name);
        break;
    case SURVEY_SILENT:
    case SURVEY_REFUSED:
        log_warn("list %s: %s -- what is known of it counts until it is too old", name, why);
        return;
    case SURVEY_DEAD:
    case SURVEY_EVERYTHING:
    case SURVEY_ALL_OURS:
    case SURVEY_ODD:
        log_warn("list %s: %s -- it is not believed", name, why);
        break;
    }
    settle(asked);
}

static const struct survey_events survey_events = {on_held, on_let_go, on_believed};

static void
open_dns(struct lists *lists, const struct dns_start *start)
{
    struct err err;

    if (lists->count == 0)
        return;
    lists->dns = dns_new(lists->base, start, &err);
    if (lists->dns == NULL)
        log_error("%s -- no list can be asked", err.msg);
}

static void
fill(struct lists *lists, const struct conf *conf)
{
    const struct snapshot *snapshot = conf->snapshot;
    struct ip *ips = mem_array(snapshot->address_count, sizeof(*ips));

    lists->snapshot = snapshot;
    lists->addresses = mem_array(snapshot->address_count, sizeof(*lists->addresses));
    lists->address_count = 0;
    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];

        if (address->elsewhere)
            continue;
        ips[lists->address_count] =
            address->public_ip.family != 0 ? address->public_ip : address->ip;
        lists->addresses[lists->address_count++] = address;
    }
    lists->items = mem_array(conf->list_count, sizeof(*lists->items));
    lists->count = conf->list_count;
    for (size_t i = 0; i < lists->count; i++) {
        struct asked_list *asked = &lists->items[i];

        asked->lists = lists;
        asked->list = &conf->lists[i];
        asked->survey = survey_new(asked->list, ips, lists->address_count, &survey_events, asked);
        asked->timer = evtimer_new(lists->base, on_timer, asked);
        set_timer(asked, 0);
    }
    free(ips);
}

static void
end_questions(struct lists *lists)
{
    dns_free(lists->dns); /* first: it forgets them */
    lists->dns = NULL;
    while (!TAILQ_EMPTY(&lists->calls))
        call_free(TAILQ_FIRST(&lists->calls));
}

/* Free the lists, which have no open questions. */
static void
empty(struct lists *lists)
{
    for (size_t i = 0; i < lists->count; i++) {
        survey_free(lists->items[i].survey);
        event_free(lists->items[i].timer);
    }
    free(lists->items);
    free(lists->addresses);
}

struct lists *
lists_new(struct event_base *base, const struct conf *conf, const struct dns_start *dns,
          const struct lists_events *events, void *arg)
{
    struct lists *lists = mem_new(sizeof(*lists));

    lists->base = base;
    lists->events = events;
    lists->arg = arg;
    TAILQ_INIT(&lists->calls);
    fill(lists, conf);
    open_dns(lists, dns);
    return lists;
}

void
lists_free(struct lists *lists)
{
    if (lists == NULL)
        return;
    end_questions(lists);
    empty(lists);
    free(lists);
}

static struct asked_list *
find_zone(struct lists *lists, const char *zone)
{
    for (size_t i = 0; i < lists->count; i++)
        if (strcmp(lists->items[i].list->zone, zone) == 0)
            return &lists->items[i];
    return NULL;
}

/* to: by place before, the place now; SIZE_MAX: it is gone. */
static void
carry(struct lists *lists, struct lists *before, const size_t *to)
{
    for (size_t i = 0; i < lists->count; i++) {
        struct asked_list *now = &lists->items[i], *from = find_zone(before, now->list->zone);

        if (from == NULL)
            continue;
        survey_carry_belief(now->survey, from->survey);
        now->settled = from->settled;
        now->questions = from->questions;
        now->failures = from->failures;
        for (size_t j = 0; j < before->address_count; j++)
            if (to[j] != SIZE_MAX)
                survey_carry_address(now->survey, to[j], from->survey, j);
    }
}

/* The caller frees it. */
static size_t *
new_places(const struct lists *lists, const struct lists *before)
{
    uint32_t *moves = mem_must(snapshot_moves(before->snapshot, lists->snapshot));
    size_t *place_of = mem_array(lists->snapshot->address_count, sizeof(*place_of));
    size_t *to = mem_array(before->address_count, sizeof(*to));

    for (size_t i = 0; i < lists->snapshot->address_count; i++)
        place_of[i] = SIZE_MAX;
    for (size_t i = 0; i < lists->address_count; i++)
        place_of[lists->addresses[i]->index] = i;
    for (size_t i = 0; i < before->address_count; i++) {
        uint32_t index = moves[before->addresses[i]->index];

        to[i] = index != UINT32_MAX ? place_of[index] : SIZE_MAX;
    }
    free(place_of);
    free(moves);
    return to;
}

/* The name of a list may be another, and what follows. */
static void
tell_held(struct lists *lists)
{
    for (size_t i = 0; i < lists->count; i++)
        for (size_t j = 0; j < lists->address_count; j++)
            if (survey_address(lists->items[i].survey, j)->held)
                on_held(&lists->items[i], j, true);
}

void
lists_set_conf(struct lists *lists, const struct conf *conf, const struct dns_start *dns)
{
    struct lists before;
    bool *were_held;
    size_t *to;

    if (lists == NULL)
        return;
    end_questions(lists);
    before = *lists;
    fill(lists, conf);
    open_dns(lists, dns);
    to = new_places(lists, &before);
    were_held = mem_array(before.address_count, sizeof(*were_held));
    for (size_t i = 0; i < before.address_count; i++)
        were_held[i] = is_held(&before, i);
    carry(lists, &before, to);
    for (size_t i = 0; i < before.address_count; i++)
        if (were_held[i] && to[i] != SIZE_MAX && !is_held(lists, to[i]))
            tell_unlisted(lists, &before, to[i]);
    tell_held(lists);
    free(were_held);
    free(to);
    empty(&before);
}
