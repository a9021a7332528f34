/*
 * How fast lines of Postfix' log are understood: cut, parsed, their replies read
 * and held against the rules, as postpool-policyd does with each, but without
 * file and daemon.
 *
 *   bin_maillog FILE               measure, with the rules of that configuration
 *   bin_maillog --lines MESSAGES   print a log of so many messages
 *
 * Prints medians; asserts nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/maillog.h"
#include "bench/measure.h"
#include "engine/hash.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/outcome.h"
#include "policyd/queued.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 7, MESSAGES = 20000 };

#define STAMP "2026-11-05T10:11:12.345678+01:00 mx1 postfix/"
#define RELAY "relay=mx%d.p%d.example[192.0.2.%d]:25, delay=1.2, delays=0.05/0.01/0.6/0.54, "

/* What servers say to a delivery that fails, for the first rule and the last, and for none. */
static const struct {
    const char *status, *dsn, *words;
} refusals[] = {
    {"deferred", "4.2.2", "452 4.2.2 The recipient's mailbox is full"},
    {"bounced", "5.1.1", "550 5.1.1 <user@p.example>: Recipient address rejected: User unknown"},
    {"deferred", "4.7.1", "450 4.7.1 Greylisting in action, please come back later"},
    {"deferred", "4.7.0", "421 4.7.0 Too many connections from your host"},
    {"bounced", "5.7.1", "554 5.7.1 Client host [192.0.2.11] blocked using zen.spamhaus.org"},
    {"deferred", "4.3.0", "451 4.3.0 Temporary lookup failure"},
    {"deferred", "4.0.0", "450-Please see the page of the postmaster 450 for what this is about"},
    {"bounced", "5.7.1", "550 5.7.1 Not taken, ask our helpdesk about number 4711-0815-42"},
};
enum { REFUSALS = sizeof(refusals) / sizeof(*refusals) };

enum mix { DAY, SENT, REFUSED, MIXES };

static const struct {
    const char *name;
    int refused_percent;
    bool all_lines; /* of all daemons, not only the results */
} mixes[MIXES] = {
    [DAY] = {"a day: all lines, every tenth delivery fails", 10, true},
    [SENT] = {"results alone, all of them sent", 0, false},
    [REFUSED] = {"results alone, all of them failed", 100, false},
};

static void
add_result(struct buf *out, const char *id, int number, bool fails)
{
    int provider = number % 40, pick = number / 7 % REFUSALS;

    buf_printf(out, STAMP "pp-a%d/smtp[%d]: %s: to=<user%d@p%d.example>, " RELAY, number % 5,
               4000 + number % 90, id, number, provider, number % 3, provider, number % 250);
    if (fails)
        buf_printf(out,
                   "dsn=%s, status=%s (host mx.p%d.example[192.0.2.%d] said: %s (in reply to RCPT "
                   "TO command))\n",
                   refusals[pick].dsn, refusals[pick].status, provider, number % 250,
                   refusals[pick].words);
    else
        buf_printf(out, "dsn=2.0.0, status=sent (250 2.0.0 OK  1762333872 x%d-%d.42 - gsmtp)\n",
                   number, number * 7 % 1000);
}

/* All that the log says of one message, from its coming to its going. */
static void
add_message(struct buf *out, const char *id, int number, bool fails)
{
    buf_printf(out, STAMP "submission/smtpd[311]: connect from app%d.site.example[10.0.0.%d]\n",
               number % 9, number % 9);
    buf_printf(out,
               STAMP "submission/smtpd[311]: %s: client=app%d.site.example[10.0.0.%d], "
                     "sasl_method=PLAIN, sasl_username=app-%d\n",
               id, number % 9, number % 9, number % 9);
    buf_printf(out, STAMP "cleanup[388]: %s: message-id=<%d.4711@app.site.example>\n", id, number);
    buf_printf(out,
               STAMP "qmgr[300]: %s: from=<news+pp=bulk.abcdefghijkl.mnopqrst@c%d.example>, "
                     "size=%d, nrcpt=1 (queue active)\n",
               id, number % 50, 2000 + number);
    buf_printf(out,
               STAMP "submission/smtpd[311]: disconnect from app%d.site.example[10.0.0.%d] ehlo=1 "
                     "auth=1 mail=1 rcpt=1 data=1 quit=1 commands=6\n",
               number % 9, number % 9);
    add_result(out, id, number, fails);
    buf_printf(out, STAMP "qmgr[300]: %s: removed\n", id);
}

static void
make_lines(struct buf *out, enum mix mix, int messages)
{
    for (int i = 0; i < messages; i++) {
        bool fails = (int)(hash_mix((uint64_t)i) % 100) < mixes[mix].refused_percent;
        char id[32];

        snprintf(id, sizeof(id), "4Zk9b%07dzPq", i);
        if (mixes[mix].all_lines)
            add_message(out, id, i, fails);
        else
            add_result(out, id, i, fails);
    }
}

/* ------------------------------------------------------------------ measuring */

struct reader {
    struct outcome_view view;
    struct queued *queued;
    size_t lines, results, rules;
};

static void
read_line(struct reader *reader, const char *text, size_t length)
{
    struct maillog_frame frame;
    struct maillog line;
    struct outcome outcome;
    const char *sender;

    reader->lines++;
    if (!maillog_cut(text, length, &frame))
        return;
    maillog_parse(frame.ident, frame.message, &line);
    if (line.kind == MAILLOG_ACTIVE)
        queued_note(reader->queued, line.queue_id, line.sender);
    if (line.kind == MAILLOG_REMOVED || line.kind == MAILLOG_NEW)
        queued_remove(reader->queued, line.queue_id);
    if (line.kind != MAILLOG_RESULT)
        return;
    sender = queued_sender(reader->queued, line.queue_id);
    if (!outcome_make(&reader->view, &frame.time, &line, NULL,
                      sender != NULL ? sender : "news+pp=bulk.abcdefghijkl.mnopqrst@c.example",
                      &outcome))
        return;
    reader->results++;
    reader->rules += outcome.rule != NULL;
}

/* What this program used of a processor: others may run beside it. */
static double
cpu_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

/* One round: lines a second. */
static double
run(const struct conf *conf, const struct buf *text, struct reader *ret_reader)
{
    struct reader reader = {.view = {.conf = conf, .now_ms = 1793870000000},
                            .queued = queued_new()};
    const char *at = text->data, *end = text->data + text->length, *newline;
    double begin = cpu_us();

    while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        read_line(&reader, at, (size_t)(newline - at));
        at = newline + 1;
    }
    begin = cpu_us() - begin;
    queued_free(reader.queued);
    *ret_reader = reader;
    return (double)reader.lines * 1e6 / begin;
}

static void
measure(const struct conf *conf)
{
    struct buf texts[MIXES] = {0};
    double speed[MIXES][ROUNDS];
    struct reader reader[MIXES];

    for (int mix = 0; mix < MIXES; mix++)
        make_lines(&texts[mix], (enum mix)mix, MESSAGES);
    for (int round = 0; round < ROUNDS; round++)
        for (int mix = 0; mix < MIXES; mix++)
            speed[mix][round] = run(conf, &texts[mix], &reader[mix]);
    printf("lines a second of a processor's time, medians of %d rounds, %zu rules\n\n%-46s %10s "
           "%10s %8s %8s\n",
           ROUNDS, conf->replies.count, "", "lines", "lines/s", "results", "rules");
    for (int mix = 0; mix < MIXES; mix++) {
        printf("%-46s %10zu %10.0f %8zu %8zu\n", mixes[mix].name, reader[mix].lines,
               measure_quantile(speed[mix], ROUNDS, 0.5), reader[mix].results, reader[mix].rules);
        buf_clear(&texts[mix]);
    }
    printf("\ntarget: 100000 lines/s for a day's\n");
}

int
main(int argc, char **argv)
{
    struct conf_problems problems = {0};
    struct conf *conf;

    if (argc == 3 && strcmp(argv[1], "--lines") == 0) {
        struct buf text = {0};

        make_lines(&text, DAY, atoi(argv[2]));
        fwrite(text.data, 1, text.length, stdout);
        buf_clear(&text);
        return ferror(stdout) || fflush(stdout) != 0;
    }
    if (argc != 2) {
        fprintf(stderr, "usage: bin_maillog FILE | --lines MESSAGES\n");
        return 2;
    }
    if (conf_load(argv[1], &conf, &problems) < 0) {
        fprintf(stderr, "bin_maillog: %s\n", problems.count > 0 ? problems.items[0].text : "?");
        return 1;
    }
    conf_problems_clear(&problems);
    measure(conf);
    conf_unref(conf);
    return 0;
}
