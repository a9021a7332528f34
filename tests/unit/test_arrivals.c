/*
 * What left a site, by its log: each recipient once, in the order of time, of the right stream.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "ctl/arrivals.h"
#include "ctl/mails.h"
#include "ctl/mapping.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/tag.h"

#include <errno.h>

static const char more[] =
    "providers: { big = { domains = ( \"big.test\" ); mx = ( \".mx.big.test\" ); }; };\n"
    "milter: { internal = ( \"10.0.0.0/8\" ); local_domains = ( \"here.test\" ); };\n"
    "replies: ( { name = \"busy\"; code = 4; pattern = \"too many\"; class = \"provider\";\n"
    "             samples = ( \"421 4.7.0 too many\" ); } );\n";

enum { TOLD_MAX = 64 };

/* What the last reading told, and of what. */
static struct {
    struct conf *conf;
    struct mapping mapping;
    struct arrivals *arrivals;
    struct arrival told[TOLD_MAX];
    char accounts[TOLD_MAX][64], domains[TOLD_MAX][64];
    size_t count;
} world;

static void
on_arrival(void *arg, const struct arrival *arrival)
{
    (void)arg;
    assert_true(world.count < TOLD_MAX);
    snprintf(world.accounts[world.count], sizeof(*world.accounts), "%s", arrival->account);
    snprintf(world.domains[world.count], sizeof(*world.domains), "%s", arrival->domain);
    world.told[world.count++] = *arrival;
}

static int
set_up(void **state)
{
    struct arrivals_start start = {.mapping = &world.mapping, .each = on_arrival};

    (void)state;
    world.conf = unit_conf_with(more);
    start.conf = world.conf;
    world.arrivals = arrivals_new(&start);
    world.count = 0;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arrivals_free(world.arrivals);
    mapping_clear(&world.mapping);
    conf_unref(world.conf);
    return 0;
}

/* A line at 2026-11-05T10:00:00Z and so many seconds. */
static void
hear(int at_s, const char *ident, const char *format, ...)
{
    va_list ap;
    char *message, *text;

    va_start(ap, format);
    message = mem_vprintf(format, ap);
    va_end(ap);
    text = mem_printf("2026-11-05T%02d:%02d:%02d.000000+00:00 mx postfix/%s[77]: %s",
                      10 + at_s / 3600, at_s / 60 % 60, at_s % 60, ident, message);
    arrivals_hear(world.arrivals, text, strlen(text));
    free(text);
    free(message);
}

static const int64_t begin_ms = 1793872800000;

#define SENT "relay=mx1.mx.big.test[192.0.2.9]:25, delay=1, dsn=2.0.0, status=sent (250 ok)"
#define BUSY                                                                                       \
    "relay=mx1.mx.big.test[192.0.2.9]:25, delay=1, dsn=4.7.0, status=deferred (host x[192.0.2.9] " \
    "said: 421 4.7.0 too many (in reply to RCPT TO command))"
#define NO_USER                                                                                   \
    "relay=mx.c.test[192.0.2.9]:25, delay=1, dsn=5.1.1, status=bounced (host x[192.0.2.9] said: " \
    "550 5.1.1 no (in reply to RCPT TO command))"
#define SILENT                                                                                     \
    "relay=none, delay=30, dsn=4.4.1, status=deferred (connect to mx2.mx.big.test[192.0.2.9]:25: " \
    "Connection timed out)"

/* All that the log says of one message until it is handed out. */
static void
hear_coming(int at_s, const char *id, const char *sender, const char *client)
{
    hear(at_s, "smtpd", "%s: client=%s", id, client);
    hear(at_s, "cleanup", "%s: message-id=<%s@x>", id, id);
    hear(at_s + 1, "qmgr", "%s: from=<%s>, size=100, nrcpt=1 (queue active)", id, sender);
}

static const struct arrivals_figures *
end(void)
{
    arrivals_end(world.arrivals);
    return arrivals_figures(world.arrivals);
}

static void
test_one_message(void **state)
{
    const struct arrivals_figures *figures;
    const struct arrival *told = world.told;

    (void)state;
    hear_coming(0, "A", "News@Client.test", "app[10.0.0.7]");
    hear(5, "smtp", "A: to=<b@other.test>, " SENT);
    hear(6, "smtp", "A: to=<b@BIG.test>, " SILENT);
    hear(7, "smtp", "A: to=<b@c.test>, " NO_USER);
    assert_int_equal(world.count, 0); /* others may have come before */
    figures = end();
    assert_int_equal(world.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(told[i].at_ms, begin_ms + 1000);
        assert_string_equal(world.accounts[i], "client.test");
        assert_string_equal(told[i].stream->name, "client");
        assert_int_equal(told[i].first, i == 0);
    }
    assert_string_equal(world.domains[1], "big.test");
    assert_string_equal(told[0].provider->name, "big"); /* by the host that took it */
    assert_string_equal(told[1].provider->name, "big");
    assert_string_equal(told[2].provider->name, "other");
    assert_int_equal(told[0].status, MAILLOG_SENT);
    assert_true(told[0].reached);
    assert_int_equal(told[1].status, MAILLOG_DEFERRED);
    assert_false(told[1].reached);
    assert_int_equal(told[2].status, MAILLOG_BOUNCED);
    assert_int_equal(told[2].code, 550);
    assert_true(told[2].reached);
    assert_int_not_equal(told[0].key, told[1].key);
    assert_int_equal(figures->lines, 6);
    assert_int_equal(figures->postfix, 6);
    assert_int_equal(figures->messages, 1);
    assert_int_equal(figures->recipients, 3);
    assert_int_equal(figures->sent, 1);
    assert_int_equal(figures->deferred, 1);
    assert_int_equal(figures->bounced, 1);
    assert_int_equal(figures->first_ms, begin_ms);
    assert_int_equal(figures->last_ms, begin_ms + 7000);
    assert_int_equal(figures->relayed, 2); /* not the one that no host heard of */
    assert_int_equal(figures->relayed_there, 1);
    assert_string_equal(figures->relay_host, "mx1.mx.big.test");
}

/* However often it is tried, a recipient came once; each reply counts. */
static void
test_once(void **state)
{
    const struct arrivals_figures *figures;

    (void)state;
    hear_coming(0, "A", "a@site.test", "app[10.0.0.7]");
    hear(2, "smtp", "A: to=<b@big.test>, " BUSY);
    hear(2, "smtp", "A: to=<c@big.test>, " SENT);
    for (int i = 1; i <= 6; i++) {
        hear(i * 700, "qmgr", "A: from=<a@site.test>, size=100, nrcpt=2 (queue active)");
        hear(i * 700 + 1, "error",
             "A: to=<d@big.test>, relay=none, delay=1, dsn=4.7.0, "
             "status=deferred (delivery temporarily suspended)");
        hear(i * 700 + 1, "smtp", "A: to=<b@big.test>, " BUSY);
    }
    assert_int_equal(world.count, 2); /* the rest is from long ago */
    hear(5000, "smtp", "A: to=<b@big.test>, " SENT);
    hear(5000, "smtp", "A: to=<d@big.test>, " SENT);
    hear(5001, "qmgr", "A: removed");
    figures = end();
    assert_int_equal(world.count, 3);
    assert_int_equal(world.told[0].status, MAILLOG_DEFERRED);
    assert_string_equal(world.told[0].rule->name, "busy");
    assert_int_equal(figures->tries[ATTEMPT_OUT], 10);
    assert_int_equal(figures->recipients, 3);
    assert_int_equal(figures->messages, 1);
    assert_int_equal(figures->ruled, 7);
    assert_int_equal(arrivals_ruled(world.arrivals, 0), 7);
    /* d came with the others, but its time is over */
    assert_int_equal(world.told[2].at_ms, begin_ms + 1000);
}

/* Postfix uses short queue ids again. */
static void
test_ids_again(void **state)
{
    const struct arrivals_figures *figures;

    (void)state;
    for (int i = 0; i < 5; i++) {
        hear_coming(i * 10, "A", i == 2 ? "" : "a@site.test", "app[10.0.0.7]");
        hear(i * 10 + 2, "smtp", "A: to=<b@big.test>, " BUSY);
        if (i % 2 == 0) /* or its end is not in the log */
            hear(i * 10 + 3, "qmgr", "A: removed");
    }
    figures = end();
    assert_int_equal(figures->messages, 5);
    assert_int_equal(figures->recipients, 5);
    assert_string_equal(world.accounts[2], "");
}

/* A bounce has the id of a message whose end is not in the log. */
static void
test_id_of_a_bounce(void **state)
{
    const struct arrivals_figures *figures;

    (void)state;
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            hear_coming(0, "A", "", "app[10.0.0.7]");
        hear(100 * i, "cleanup", "A: message-id=<%d@x>", i);
        hear(100 * i + 1, "qmgr", "A: from=<>, size=9, nrcpt=1 (queue active)");
        hear(100 * i + 2, "smtp", "A: to=<b@big.test>, " BUSY);
    }
    figures = end();
    assert_int_equal(figures->messages, 2);
    assert_int_equal(figures->recipients, 2);
    assert_int_equal(world.told[1].at_ms, begin_ms + 101000);
}

static void
test_order(void **state)
{
    (void)state;
    hear_coming(0, "A", "a@site.test", "app[10.0.0.7]");
    hear_coming(10, "B", "b@site.test", "app[10.0.0.7]");
    hear_coming(20, "C", "c@site.test", "app[10.0.0.7]");
    hear(31, "smtp", "C: to=<b@c.test>, " SENT);
    hear(32, "smtp", "B: to=<b@b.test>, " SENT);
    hear(300, "smtp", "A: to=<b@a.test>, " SILENT);
    assert_int_equal(world.count, 0);
    hear(620, "qmgr", "X: removed");
    assert_int_equal(world.count, 2);
    end();
    assert_int_equal(world.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world.domains[i][0], "abc"[i]);
        assert_int_equal(world.told[i].at_ms, begin_ms + i * 10000 + 1000);
    }
    assert_string_equal(world.told[0].provider->name, "big"); /* by the host that is silent */
}

/* What is no mail that leaves from an address of ours. */
static void
test_left_out(void **state)
{
    const struct arrivals_figures *figures;

    (void)state;
    hear_coming(0, "A", "a@site.test", "app[10.0.0.7]");
    hear(2, "local", "A: to=<b@mx>, relay=local, delay=1, dsn=2.0.0, status=sent (x)");
    hear(2, "lmtp", "A: to=<b@x.test>, relay=x[x]:24, delay=1, dsn=2.0.0, status=sent (x)");
    hear(2, "smtp",
         "A: to=<b@x.test>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, dsn=2.0.0, "
         "status=sent (250 2.0.0 from MTA: 250 2.0.0 Ok: queued as B)");
    hear(2, "relay/smtp", "A: to=<b@x.test>, " SENT);
    hear(2, "smtp", "A: to=<b@deep.internal.test>, " SENT);
    hear(2, "smtp", "A: to=<b@Here.test>, " SENT);
    hear(2, "smtp", "B: to=<b@x.test>, " SENT);
    hear(2, "smtp",
         "A: to=<b@x.test>, relay=x[192.0.2.9]:25, delay=1, dsn=2.0.0, "
         "status=deliverable (ok)");
    figures = end();
    assert_int_equal(world.count, 0);
    assert_int_equal(figures->tries[ATTEMPT_OUT], 0);
    assert_int_equal(figures->tries[ATTEMPT_FILTER], 1);
    assert_int_equal(figures->tries[ATTEMPT_RELAY], 1);
    assert_int_equal(figures->tries[ATTEMPT_BYPASS], 2);
    assert_int_equal(figures->tries[ATTEMPT_UNKNOWN], 1);
}

/* A log begins in the midst of something, and has more than this. */
static void
test_beginning(void **state)
{
    static const char *const others[] = {"", "garbage", "Nov  5 10:00:00 mx kernel: x",
                                         "Nov  5 10:00:00 mx sshd[1]: x",
                                         "Nov  5 10:00:00 mx postfix/smtpd[1]: connect from x"};
    const struct arrivals_figures *figures;

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++)
        arrivals_hear(world.arrivals, others[i], strlen(others[i]));
    hear(0, "smtp", "A: to=<b@x.test>, " SENT);
    hear(0, "qmgr", "B: from=<x@news.test>, size=100, nrcpt=1 (queue active)");
    hear(1, "smtp", "B: to=<b@x.test>, " SENT);
    hear(1, "smtp", "B: to=<b c@x.test>, " SENT);
    hear(1, "smtp", "C: to=<b@x.test>, relay=x");
    figures = end();
    assert_int_equal(world.count, 1);
    assert_int_equal(world.told[0].at_ms, begin_ms);
    assert_int_equal(figures->before, 1);
    assert_int_equal(figures->tries[ATTEMPT_UNKNOWN], 1);
    assert_int_equal(figures->lines, 10);
    assert_int_equal(figures->foreign, 2);
    assert_int_equal(figures->odd, 2);
    assert_int_equal(figures->postfix, 3);
}

static void
expect_stream(const char *stream, const char *perhaps)
{
    const struct arrivals_figures *figures = end();

    assert_int_equal(world.count, 1);
    assert_string_equal(world.told[0].stream->name, stream);
    assert_string_equal(world.told[0].perhaps->name, perhaps);
    assert_int_equal(figures->unsure, strcmp(stream, perhaps) != 0);
}

/* By what the log tells; the rest may be something else. */
static void
test_streams(void **state)
{
    static const struct {
        const char *client, *sender, *stream, *perhaps;
    } cases[] = {
        {"app[10.0.0.7]", "a@client.test", "client", "tx"},
        {"app[10.0.0.7]", "a@site.test", "default", "tx"},
        {"app[192.0.2.7], sasl_method=PLAIN, sasl_username=u", "a@client.test", "client", "tx"},
        /* forwarded for others: no milter looked at it */
        {"app[192.0.2.7]", "a@client.test", "client", "client"},
        {"app[192.0.2.7]", "a@site.test", "default", "default"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        if (i > 0)
            set_up(state);
        hear_coming(0, "A", cases[i].sender, cases[i].client);
        hear(2, "smtp", "A: to=<b@x.test>, " SENT);
        expect_stream(cases[i].stream, cases[i].perhaps);
        if (i + 1 < COUNT(cases))
            tear_down(state);
    }
}

static void
test_stream_of_sendmail(void **state)
{
    (void)state;
    hear(0, "pickup", "A: uid=1000 from=<app>");
    hear(0, "cleanup", "A: message-id=<1@x>");
    hear(0, "qmgr", "A: from=<a@client.test>, size=100, nrcpt=1 (queue active)");
    hear(2, "smtp", "A: to=<b@x.test>, " SENT);
    expect_stream("client", "tx");
}

/* What a filter hands back is its client's who handed it in. */
static void
test_stream_behind_a_filter(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(mapping_add(&world.mapping, world.conf->snapshot, "bulk=login:app-*", &err),
                     0);
    hear(0, "submission/smtpd", "A: client=x[192.0.2.7], sasl_method=PLAIN, sasl_username=app-1");
    hear(0, "cleanup", "A: message-id=<1@x>");
    hear(0, "qmgr", "A: from=<a@site.test>, size=100, nrcpt=1 (queue active)");
    hear_coming(1, "B", "a@site.test", "localhost[127.0.0.1]");
    hear(2, "smtp",
         "A: to=<b@x.test>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, dsn=2.0.0, status=sent (250 "
         "2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as B)");
    hear(2, "qmgr", "A: removed");
    hear(3, "smtp", "B: to=<b@x.test>, " SENT);
    expect_stream("bulk", "bulk");
}

/* Postfix makes bounces itself: no milter looks at them. */
static void
test_stream_of_a_bounce(void **state)
{
    (void)state;
    hear(0, "cleanup", "A: message-id=<1@x>");
    hear(0, "qmgr", "A: from=<>, size=100, nrcpt=1 (queue active)");
    hear(2, "smtp", "A: to=<b@x.test>, " SENT);
    expect_stream("default", "default");
}

/* A log of a site that has postpool already. */
static void
test_stream_by_tag(void **state)
{
    char sender[TAG_SENDER_SIZE];

    (void)state;
    assert_int_equal(tag_add(world.conf->secret, "a@client.test", "bulk", "abcdefghijkl", sender),
                     0);
    hear_coming(0, "A", sender, "app[10.0.0.7]");
    hear(2, "smtp", "A: to=<b@x.test>, " SENT);
    expect_stream("bulk", "bulk");
    assert_string_equal(world.accounts[0], "client.test");
}

static void
test_stream_by_mapping(void **state)
{
    static const struct {
        const char *mapping, *stream;
    } cases[] = {
        {"bulk=*@news.site.test", "bulk"},
        {"bulk=*@site.test", "default"},
        {"bulk=<>", "default"},
        {"bulk=login:app-*", "bulk"},
        {"bulk=login:APP-*", "default"},
        {"bulk=client:10.0.0.0/8", "bulk"},
        {"bulk=client:10.1.0.0/16", "default"},
        {"bulk=service:submission", "bulk"},
        {"bulk=service:sub", "default"},
    };
    struct err err;

    for (size_t i = 0; i < COUNT(cases); i++) {
        if (i > 0)
            set_up(state);
        assert_int_equal(mapping_add(&world.mapping, world.conf->snapshot, cases[i].mapping, &err),
                         0);
        hear(0, "submission/smtpd",
             "A: client=app[10.0.0.7], sasl_method=PLAIN, sasl_username=app-1");
        hear(0, "cleanup", "A: message-id=<1@x>");
        hear(0, "qmgr", "A: from=<a@News.site.test>, size=100, nrcpt=1 (queue active)");
        hear(2, "smtp", "A: to=<b@x.test>, " SENT);
        expect_stream(cases[i].stream, strcmp(cases[i].stream, "bulk") == 0 ? "bulk" : "tx");
        if (i + 1 < COUNT(cases))
            tear_down(state);
    }
}

static void
test_mapping_mistakes(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"bulk", "\"bulk\" is not STREAM=SENDER, say bulk=*@news.example.com: also "
                 "STREAM=login:NAME, client:NETWORK or service:NAME"},
        {"bulk=", "\"bulk=\" is not STREAM=SENDER, say bulk=*@news.example.com: also "
                  "STREAM=login:NAME, client:NETWORK or service:NAME"},
        {"bulks=*", "there is no stream \"bulks\", did you mean \"bulk\"?"},
        {"bulk=client:10.0.0.1/8", "\"10.0.0.1/8\" is no network, say 10.0.0.0/8"},
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(mapping_add(&world.mapping, world.conf->snapshot, cases[i].text, &err),
                         -EINVAL);
        assert_string_equal(err.msg, cases[i].message);
    }
    assert_int_equal(world.mapping.count, 0);
}

/* Messages whose end never comes are let go, and what comes of them later does not count again. */
static void
test_too_many(void **state)
{
    const struct arrivals_figures *figures;
    char id[16];

    (void)state;
    hear(0, "qmgr", "X: removed");
    hear_coming(5, "A", "a@site.test", "app[10.0.0.7]");
    hear(7, "smtp", "A: to=<b@big.test>, " BUSY);
    for (int i = 0; i < MAILS_MAX; i++) {
        snprintf(id, sizeof(id), "B%d", i);
        hear(8, "cleanup", "%s: message-id=<x>", id);
    }
    hear(100, "qmgr", "A: from=<a@site.test>, size=100, nrcpt=1 (queue active)");
    hear(101, "smtp",
         "A: to=<b@big.test>, relay=mx.c.test[192.0.2.9]:25, delay=96, dsn=2.0.0, "
         "status=sent (250 ok)");
    figures = end();
    assert_int_equal(figures->forgotten, 2);
    assert_int_equal(figures->recipients, 1);
}

/* Many recipients of one message that are deferred, again and again. */
static void
test_many_recipients(void **state)
{
    struct mails *mails = mails_new();
    struct mail *mail = mails_begin(mails, (struct span){"A", 1});
    char text[32];

    (void)state;
    for (int i = 0; i < 50000; i++) {
        struct span recipient = {text, (size_t)snprintf(text, sizeof(text), "r%d@x.test", i)};

        assert_false(mails_was_tried(mail, recipient));
        mails_note_tried(mails, mail, recipient);
        mails_note_tried(mails, mail, recipient);
        assert_true(mails_was_tried(mail, recipient));
    }
    assert_int_equal(mail->tried_count, 50000);
    mails_free(mails);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_id_of_a_bounce, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_of_sendmail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_behind_a_filter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_of_a_bounce, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_by_tag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_by_mapping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mapping_mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
        cmocka_unit_test(test_many_recipients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
