/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/reach.h"

#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "policyd/outcome.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_SIZE = 120, GUESSES_MAX = 16 };

enum state { FINE, CUT, GUESSED };

/* Of the kernel, about an address. */
enum answer {
    OPEN,    /* there is a way */
    CLOSED,  /* there is none; for others there is */
    NOBODYS, /* there is none from any address: that is no address's fault */
};

/* What is known of an address. */
struct record {
    enum state state;
    uint64_t answered; /* the number of the outcome in which somebody answered; 0: nobody yet */
    /* Troubles since then; times are the log's. */
    uint64_t since; /* number of the first */
    struct ip hosts[REACH_HOSTS];
    int64_t at_ms[REACH_HOSTS];
    size_t host_count;
    int64_t binds_ms[REACH_BINDS]; /* the newest last */
    size_t bind_count;
    int64_t checked_ms; /* when the kernel was asked last; 0: never */
    enum answer checked;
    struct ip to;     /* CUT: a host to which there is no way; family 0: it cannot be bound */
    int64_t until_ms; /* GUESSED: suspended until then, and then on probation */
    unsigned guesses; /* in a row */
};

struct reach {
    struct reach_start start;
    struct record *records; /* by address.index */
    struct event *timer;
    uint64_t number; /* of the outcome under way */
};

/* --------------------------------------------------------------- the words */

enum trouble { NO_TROUBLE, TROUBLE_BIND, TROUBLE_NET };

/* What connect(2) says of the network on this side, or of a router; not of the host. */
static bool
is_network(const char *words)
{
    static const char *const errors[] = {
        "Network is unreachable", "No route to host",        "Network is down",  "Host is down",
        "Permission denied",      "Operation not permitted", "Invalid argument",
    };

    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
        if (strcmp(words, errors[i]) == 0)
            return true;
    return false;
}

/* "connect to name[address]:25: words".  False: it is not of that form. */
static bool
read_connect(const char *text, struct ip *ret_host, const char **ret_words)
{
    const char *open = strchr(text, '['), *close = open != NULL ? strchr(open, ']') : NULL;
    const char *words = close != NULL ? strstr(close, ": ") : NULL;
    char ip[IP_TEXT_SIZE];

    if (words == NULL || (size_t)(close - open) > sizeof(ip))
        return false;
    memcpy(ip, open + 1, (size_t)(close - open) - 1);
    ip[close - open - 1] = '\0';
    *ret_words = words + 2;
    return ip_parse(ip, ret_host);
}

/* With smtp_bind_address_enforce that is all that Postfix says. */
static bool
is_bind(const struct reply *reply)
{
    return reply->origin == REPLY_LOCAL && strcmp(reply->enhanced, "4.4.0") == 0 &&
           strcmp(reply->text, "server configuration error") == 0;
}

static enum trouble
read_trouble(const struct outcome *outcome, struct ip *ret_host, const char **ret_words)
{
    if (outcome->status == MAILLOG_SENT)
        return NO_TROUBLE;
    if (is_bind(&outcome->reply))
        return TROUBLE_BIND;
    if (outcome->reply.origin == REPLY_CONNECT &&
        read_connect(outcome->reply.text, ret_host, ret_words) && is_network(*ret_words))
        return TROUBLE_NET;
    return NO_TROUBLE;
}

/* Did anybody answer?  One who refuses the connection is there, too. */
static bool
is_answered(const struct outcome *outcome)
{
    static const char refused[] = ": Connection refused";
    size_t length = strlen(outcome->reply.text);

    return outcome->status == MAILLOG_SENT || outcome->reply.origin == REPLY_SAID ||
           outcome->reply.origin == REPLY_LOST ||
           (outcome->reply.origin == REPLY_CONNECT && length >= strlen(refused) &&
            strcmp(outcome->reply.text + length - strlen(refused), refused) == 0);
}

/* ------------------------------------------------------------------ others */

static bool
is_here(const struct reach *reach, const struct address *address)
{
    return reach->start.is_present(reach->start.arg, address);
}

static bool
is_other(const struct reach *reach, const struct address *address, const struct address *other)
{
    return other != address && other->ip.family == address->ip.family && is_here(reach, other);
}

/* Does the kernel lead another of ours to the host? */
static bool
has_other_way(const struct reach *reach, const struct address *address, const struct ip *host)
{
    const struct snapshot *snapshot = reach->start.snapshot;
    int ignored;

    for (size_t i = 0, asked = 0; i < snapshot->address_count && asked < REACH_OTHERS_MAX; i++) {
        const struct address *other = &snapshot->addresses[i];

        if (!is_other(reach, address, other))
            continue;
        asked++;
        if (reach->start.way(&other->ip, host, &ignored) == WAY_OPEN)
            return true;
    }
    return false;
}

/* Was another of ours answered while the address was not? */
static bool
is_other_answered(const struct reach *reach, const struct address *address)
{
    const struct snapshot *snapshot = reach->start.snapshot;
    uint64_t since = reach->records[address->index].since;

    for (size_t i = 0; i < snapshot->address_count; i++)
        if (is_other(reach, address, &snapshot->addresses[i]) && reach->records[i].answered > since)
            return true;
    return false;
}

/* -------------------------------------------------------------- suspension */

static void
forget_troubles(struct record *record)
{
    record->host_count = record->bind_count = 0;
}

static void
mend(struct reach *reach, const struct address *address)
{
    struct record *record = &reach->records[address->index];

    forget_troubles(record);
    record->state = FINE;
    record->guesses = 0;
    reach->start.mended(reach->start.arg, address);
}

static void
cut(struct reach *reach, const struct address *address, const struct ip *host, int error)
{
    struct record *record = &reach->records[address->index];
    char why[WHY_SIZE], ip[IP_TEXT_SIZE];

    record->state = CUT;
    record->to = host != NULL ? *host : (struct ip){0};
    if (host != NULL) {
        ip_print(host, ip);
        snprintf(why, sizeof(why), REACH_CAUSE "no route to %s: %s", ip, strerror(error));
    } else {
        snprintf(why, sizeof(why), REACH_CAUSE "bind: %s", strerror(error));
    }
    reach->start.cut(reach->start.arg, address, REACH_KEEP_MS, why);
}

/* Ask the kernel; what is CLOSED is cut.  host NULL: can it be bound? */
static enum answer
check(struct reach *reach, const struct address *address, const struct ip *host)
{
    struct record *record = &reach->records[address->index];
    int error = 0;

    record->checked = OPEN;
    switch (reach->start.way(&address->ip, host, &error)) {
    case WAY_OPEN:
        break;
    case WAY_NO_BIND:
        record->checked = CLOSED;
        cut(reach, address, NULL, error);
        break;
    case WAY_NONE:
        record->checked =
            record->state == CUT || has_other_way(reach, address, host) ? CLOSED : NOBODYS;
        if (record->checked == CLOSED)
            cut(reach, address, host, error);
        break;
    }
    return record->checked;
}

/* The same, once in a while: a log can be full of troubles. */
static enum answer
check_at_times(struct reach *reach, const struct address *address, const struct ip *host,
               int64_t now_ms)
{
    struct record *record = &reach->records[address->index];

    if (record->checked_ms > 0 && now_ms - record->checked_ms < REACH_PAUSE_MS)
        return record->checked;
    record->checked_ms = now_ms;
    return check(reach, address, host);
}

static void
guess(struct reach *reach, const struct address *address, const char *what, int64_t now_ms)
{
    struct record *record = &reach->records[address->index];
    int64_t for_ms = REACH_GUESS_MS;
    char why[WHY_SIZE];

    for (unsigned i = 0; i < record->guesses && for_ms < REACH_GUESS_MOST_MS; i++)
        for_ms *= 2;
    if (for_ms > REACH_GUESS_MOST_MS)
        for_ms = REACH_GUESS_MOST_MS;
    if (record->guesses < GUESSES_MAX)
        record->guesses++;
    record->state = GUESSED;
    record->until_ms = now_ms + for_ms;
    forget_troubles(record);
    snprintf(why, sizeof(why), REACH_CAUSE "%s", what);
    reach->start.cut(reach->start.arg, address, for_ms, why);
}

/* ------------------------------------------------------------- what happens */

static void
drop_old(struct record *record, int64_t at_ms)
{
    size_t left = 0;

    for (size_t i = 0; i < record->host_count; i++)
        if (at_ms - record->at_ms[i] <= REACH_WINDOW_MS) {
            record->hosts[left] = record->hosts[i];
            record->at_ms[left++] = record->at_ms[i];
        }
    record->host_count = left;
    for (left = 0; left < record->bind_count; left++)
        if (at_ms - record->binds_ms[left] <= REACH_WINDOW_MS)
            break;
    record->bind_count -= left;
    memmove(record->binds_ms, record->binds_ms + left,
            record->bind_count * sizeof(record->binds_ms[0]));
}

static void
note_host(struct record *record, const struct ip *host, int64_t at_ms)
{
    size_t place = 0;

    while (place < record->host_count && ip_compare(&record->hosts[place], host) != 0)
        place++;
    if (place == REACH_HOSTS) /* as many as fit are a reason already */
        return;
    record->host_count += place == record->host_count;
    record->hosts[place] = *host;
    record->at_ms[place] = at_ms;
}

static void
on_net(struct reach *reach, const struct address *address, const struct ip *host, const char *words,
       int64_t at_ms, int64_t now_ms)
{
    struct record *record = &reach->records[address->index];
    char what[WHY_SIZE];

    if (check_at_times(reach, address, host, now_ms) != OPEN)
        return;
    note_host(record, host, at_ms);
    snprintf(what, sizeof(what), "%s", words);
    if (record->state == GUESSED || /* no better than before */
        (record->host_count == REACH_HOSTS && is_other_answered(reach, address)))
        guess(reach, address, what, now_ms);
}

static void
on_bind(struct reach *reach, const struct address *address, int64_t at_ms, int64_t now_ms)
{
    struct record *record = &reach->records[address->index];

    if (check_at_times(reach, address, NULL, now_ms) != OPEN)
        return;
    if (record->bind_count < REACH_BINDS)
        record->binds_ms[record->bind_count++] = at_ms;
    if (record->state == GUESSED || record->bind_count == REACH_BINDS)
        guess(reach, address, "Postfix cannot bind it", now_ms);
}

static void
on_answer(struct reach *reach, const struct address *address, int64_t now_ms)
{
    struct record *record = &reach->records[address->index];

    record->answered = reach->number;
    forget_troubles(record);
    if (record->state == GUESSED && now_ms >= record->until_ms)
        mend(reach, address); /* until then it may be what was under way */
}

/* Is the address suspended, or absent, so that troubles tell nothing new? */
static bool
is_told(const struct reach *reach, const struct address *address, int64_t now_ms)
{
    struct record *record = &reach->records[address->index];

    if (record->state == GUESSED && now_ms - record->until_ms > REACH_GUESS_MOST_MS) {
        record->state = FINE; /* so long ago that it is another matter */
        record->guesses = 0;
    }
    return !is_here(reach, address) || record->state == CUT ||
           (record->state == GUESSED && now_ms < record->until_ms);
}

void
reach_on_outcome(void *arg, const struct outcome *outcome)
{
    struct reach *reach = arg;
    const struct address *address = outcome->address;
    int64_t now_ms = reach->start.now_ms(reach->start.arg);
    const char *words = "";
    struct record *record;
    enum trouble trouble;
    struct ip host = {0};

    if (reach->start.off || address == NULL ||
        clock_ms(CLOCK_REALTIME_COARSE) - outcome->at_ms > REACH_WINDOW_MS)
        return;
    reach->number++;
    if (is_answered(outcome))
        on_answer(reach, address, now_ms);
    trouble = read_trouble(outcome, &host, &words);
    if (trouble == NO_TROUBLE || is_told(reach, address, now_ms))
        return;
    record = &reach->records[address->index];
    drop_old(record, outcome->at_ms);
    if (record->host_count + record->bind_count == 0)
        record->since = reach->number;
    if (trouble == TROUBLE_BIND)
        on_bind(reach, address, outcome->at_ms, now_ms);
    else
        on_net(reach, address, &host, words, outcome->at_ms, now_ms);
}

void
reach_tick(struct reach *reach)
{
    const struct snapshot *snapshot = reach->start.snapshot;

    for (size_t i = 0; i < snapshot->address_count; i++) {
        const struct address *address = &snapshot->addresses[i];
        struct record *record = &reach->records[i];

        if (record->state != CUT)
            continue;
        if (!is_here(reach, address) ||
            check(reach, address, record->to.family != 0 ? &record->to : NULL) == OPEN)
            mend(reach, address);
    }
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    reach_tick(arg);
}

void
reach_set_snapshot(struct reach *reach, const struct snapshot *snapshot, bool off)
{
    const struct snapshot *before = reach->start.snapshot;
    struct record *records = mem_array(snapshot->address_count, sizeof(*records));
    uint32_t *to = mem_must(snapshot_moves(before, snapshot));

    for (size_t i = 0; i < before->address_count; i++) {
        if (to[i] == UINT32_MAX)
            continue;
        if (!off && ip_compare(&before->addresses[i].ip, &snapshot->addresses[to[i]].ip) == 0)
            records[to[i]] = reach->records[i];
        else if (reach->records[i].state != FINE)
            reach->start.mended(reach->start.arg, &snapshot->addresses[to[i]]);
    }
    free(to);
    free(reach->records);
    reach->records = records;
    reach->start.snapshot = snapshot;
    reach->start.off = off;
}

struct reach *
reach_new(const struct reach_start *start)
{
    static const struct timeval check = {REACH_CHECK_MS / 1000, 0};
    struct reach *reach = mem_new(sizeof(*reach));

    reach->start = *start;
    reach->records = mem_array(start->snapshot->address_count, sizeof(*reach->records));
    if (start->base != NULL) {
        reach->timer = event_new(start->base, -1, EV_PERSIST, on_timer, reach);
        event_add(reach->timer, &check);
    }
    return reach;
}

void
reach_free(struct reach *reach)
{
    if (reach == NULL)
        return;
    if (reach->timer != NULL)
        event_free(reach->timer);
    free(reach->records);
    free(reach);
}
