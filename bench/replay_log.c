/*
 * Prints a log as a Postfix without postpool writes it, of so many messages in a week: codes and
 * receipts all day long, newsletters in the mornings; every tenth delivery fails at first, and is
 * tried again until it is over.
 *
 *   bin_replay_log MESSAGES
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/hash.h"
#include "engine/heap.h"
#include "lib/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DAYS = 7,
    DAY_S = 86400,
    BEGIN_S = 1793836800, /* 2026-11-05T00:00:00Z */
    TRIES_MAX = 4,
    RECIPIENTS_MAX = 3,
    SENDERS = 200,
    DOMAINS = 5000,
    PROVIDERS = 3,
};

/* Messages come at one of two speeds; bulk mail in two hours of the day alone. */
enum { BULK_PERCENT = 70, BULK_BEGIN_S = 8 * 3600, BULK_S = 2 * 3600, FAIL_PERCENT = 10 };

struct message {
    int64_t at_ms; /* of its next try */
    uint64_t number;
    size_t place;
    int tries, left; /* left: recipients, the last ones are done first */
    bool bulk;
};

static const struct {
    const char *domain, *mx, *ip;
    int percent;
} providers[PROVIDERS] = {
    {"gmail.com", "gmail-smtp-in.l.google.com", "142.250.27.26", 40},
    {"outlook.com", "outlook-com.olc.protection.outlook.com", "52.101.73.4", 15},
    {"yahoo.com", "mta5.am0.yahoodns.net", "67.195.204.73", 10},
};

static const struct {
    const char *dsn, *words;
    bool for_good;
} refusals[] = {
    {"5.1.1", "550 5.1.1 <user>: Recipient address rejected: User unknown", true},
    {"4.2.0", "450 4.2.0 <user>: Recipient address rejected: Greylisted, see the help", false},
    {"4.7.0", "421 4.7.0 Try again later, closing connection", false},
    {"4.2.2", "452 4.2.2 The recipient's mailbox is full", false},
};
enum { REFUSALS = sizeof(refusals) / sizeof(*refusals) };

static uint64_t
chance(uint64_t number, uint64_t what, uint64_t below)
{
    return hash_mix(number * 64 + what) % below;
}

static void
begin_line(int64_t at_ms, const char *ident)
{
    static int64_t shown_s = -1;
    static char stamp[32];
    int64_t s = at_ms / 1000;

    if (s != shown_s) {
        time_t time = (time_t)s;
        struct tm tm;

        gmtime_r(&time, &tm);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        shown_s = s;
    }
    printf("%s.%03d000+00:00 mx1 postfix/%s", stamp, (int)(at_ms % 1000), ident);
}

static void
print_id(uint64_t number)
{
    printf(": 4Zk%08" PRIX64 ": ", number);
}

static void
print_try(const struct message *message, int recipient, int64_t at_ms)
{
    uint64_t number = message->number * RECIPIENTS_MAX + (uint64_t)recipient;
    uint64_t dice = chance(number, 1, 100);
    char domain[64], mx[64], ip[32];
    size_t i = 0;

    while (i < PROVIDERS && dice >= (uint64_t)providers[i].percent)
        dice -= (uint64_t)providers[i++].percent;
    if (i < PROVIDERS) {
        snprintf(domain, sizeof(domain), "%s", providers[i].domain);
        snprintf(mx, sizeof(mx), "%s", providers[i].mx);
        snprintf(ip, sizeof(ip), "%s", providers[i].ip);
    } else {
        int its = (int)chance(number, 2, DOMAINS);

        snprintf(domain, sizeof(domain), "d%d.example", its);
        snprintf(mx, sizeof(mx), "mx.d%d.example", its);
        snprintf(ip, sizeof(ip), "192.0.2.%d", its % 250);
    }
    begin_line(at_ms, "smtp[4711]");
    print_id(message->number);
    printf("to=<user%" PRIu64 "@%s>, relay=%s[%s]:25, delay=1.2, delays=0.05/0.01/0.6/0.54, ",
           chance(number, 3, 100000000), domain, mx, ip);
}

/* Returns how many recipients are to be tried again. */
static int
try_message(struct message *message)
{
    int again = 0;

    for (int i = 0; i < message->left; i++) {
        uint64_t number = message->number * RECIPIENTS_MAX + (uint64_t)i;
        uint64_t fate = chance(number, 8 + (uint64_t)message->tries, 100);
        size_t why = chance(number, 4, REFUSALS);

        print_try(message, i, message->at_ms + 1200 + i);
        if (fate >= FAIL_PERCENT) {
            printf("dsn=2.0.0, status=sent (250 2.0.0 OK  1762333872 x%" PRIu64 ".42 - gsmtp)\n",
                   number);
            continue;
        }
        again += !refusals[why].for_good;
        printf("dsn=%s, status=%s (host said[192.0.2.1] said: %s (in reply to RCPT TO command))\n",
               refusals[why].dsn, refusals[why].for_good ? "bounced" : "deferred",
               refusals[why].words);
    }
    return again;
}

static void
print_active(const struct message *message)
{
    begin_line(message->at_ms, "qmgr[300]");
    print_id(message->number);
    printf("from=<%s@s%d.example>, size=%d, nrcpt=%d (queue active)\n",
           message->bulk ? "news" : "noreply", (int)chance(message->number, 5, SENDERS),
           2000 + (int)chance(message->number, 6, 50000), message->left);
}

static void
print_coming(const struct message *message)
{
    int app = (int)chance(message->number, 5, SENDERS) % 9;

    begin_line(message->at_ms - 40, "submission/smtpd[311]");
    printf(": connect from app%d.site.example[10.0.0.%d]\n", app, app);
    begin_line(message->at_ms - 30, "submission/smtpd[311]");
    print_id(message->number);
    printf("client=app%d.site.example[10.0.0.%d], sasl_method=PLAIN, sasl_username=app-%d\n", app,
           app, app);
    begin_line(message->at_ms - 20, "cleanup[388]");
    print_id(message->number);
    printf("message-id=<%" PRIu64 ".4711@app.site.example>\n", message->number);
    begin_line(message->at_ms - 10, "submission/smtpd[311]");
    printf(": disconnect from app%d.site.example[10.0.0.%d] ehlo=1 auth=1 mail=1 rcpt=1 data=1 "
           "quit=1 commands=6\n",
           app, app);
}

static bool
before(const void *a, const void *b)
{
    const struct message *x = a, *y = b;

    return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->number < y->number;
}

/* One try of it, after which it comes again, or is gone. */
static void
take_up(struct heap *heap, struct message *message)
{
    if (message->tries == 0)
        print_coming(message);
    print_active(message);
    message->left = try_message(message);
    message->tries++;
    if (message->left > 0 && message->tries < TRIES_MAX) {
        message->at_ms += 300 * 1000 * (1 << message->tries);
        mem_must(heap_add(heap, message) ? message : NULL);
        return;
    }
    begin_line(message->at_ms + 2000, "qmgr[300]");
    print_id(message->number);
    puts("removed");
    free(message);
}

/* The tries that are due until then. */
static void
take_up_until(struct heap *heap, int64_t until_ms)
{
    struct message *message;

    while ((message = heap_first(heap)) != NULL && message->at_ms <= until_ms) {
        heap_remove(heap, message);
        take_up(heap, message);
    }
}

/* When the next one comes, after that.  By day and hour there is a given number of each kind. */
static int64_t
next_ms(int64_t at_ms, uint64_t messages, bool bulk)
{
    uint64_t of_day = messages * (bulk ? BULK_PERCENT : 100 - BULK_PERCENT) / 100 / DAYS;
    int64_t step_ms = (int64_t)(bulk ? BULK_S : DAY_S) * 1000 / (int64_t)(of_day + 1);
    int64_t in_day_s;

    at_ms += step_ms > 0 ? step_ms : 1;
    in_day_s = at_ms / 1000 % DAY_S;
    if (bulk && in_day_s < BULK_BEGIN_S)
        at_ms += (BULK_BEGIN_S - in_day_s) * 1000;
    if (bulk && in_day_s >= BULK_BEGIN_S + BULK_S)
        at_ms += (DAY_S + BULK_BEGIN_S - in_day_s) * 1000;
    return at_ms;
}

int
main(int argc, char **argv)
{
    struct heap heap = {.before = before, .place = offsetof(struct message, place)};
    uint64_t messages = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
    int64_t at_ms[2] = {(int64_t)BEGIN_S * 1000, (int64_t)BEGIN_S * 1000};

    if (messages == 0) {
        fprintf(stderr, "usage: bin_replay_log MESSAGES\n");
        return 2;
    }
    for (uint64_t i = 0; i < messages; i++) {
        struct message *message = mem_new(sizeof(*message));

        message->bulk = at_ms[1] < at_ms[0];
        message->at_ms = at_ms[message->bulk];
        message->number = i;
        message->left = 1 + (int)(chance(i, 7, 10) == 0) * (RECIPIENTS_MAX - 1);
        at_ms[message->bulk] = next_ms(message->at_ms, messages, message->bulk);
        take_up_until(&heap, message->at_ms);
        take_up(&heap, message);
    }
    take_up_until(&heap, INT64_MAX);
    heap_clear(&heap);
    return ferror(stdout) || fflush(stdout) != 0;
}
