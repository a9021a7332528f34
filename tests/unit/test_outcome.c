/*
 * What a line of the log makes of a message: whose, from where, to whom, and what was meant.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "engine/tallies.h"
#include "lib/conf.h"
#include "policyd/eximlog.h"
#include "policyd/hours_count.h"
#include "policyd/outcome.h"

#include <ctype.h>

#define NOV_5 INT64_C(1762337471000) /* 2025-11-05 10:11:11 UTC */
#define MORE                                                                                 \
    "providers: { google = { domains = ( \"gmail.com\" ); mx = ( \".google.com\" ); }; };\n" \
    "replies: ( { name = \"blocked\"; class = \"address\"; pattern = \"blocked\"; "          \
    "samples = ( \"550 5.7.1 blocked\" ); }, { name = \"unknown\"; class = \"recipient\"; "  \
    "code = 550; samples = ( \"550 5.1.1 who?\" ); } );"

static struct outcome outcome;

/* The line has all that follows "Nov  5 10:11:12 mx ". */
static bool
make(const struct conf *conf, const char *sender, const char *text)
{
    struct outcome_view view = {.conf = conf, .now_ms = NOV_5, .local_offset_s = 0};
    char all[1000];
    struct maillog_frame frame;
    struct maillog line;

    snprintf(all, sizeof(all), "Nov  5 10:11:12 mx %s", text);
    assert_true(maillog_cut(all, strlen(all), &frame));
    maillog_parse(frame.ident, frame.message, &line);
    assert_int_equal(line.kind, MAILLOG_RESULT);
    return outcome_make(&view, &frame.time, &line, NULL, sender, &outcome);
}

static void
test_sent(void **state)
{
    struct conf *conf = unit_conf_with(MORE);
    char tagged[TAG_SENDER_SIZE];

    (void)state;
    assert_int_equal(tag_add(conf->secret, "Joe@A.Test", "bulk", "abcdefghij23", tagged), 0);
    assert_true(make(conf, tagged,
                     "postfix/pp-b1/smtp[7]: 4ABC: to=<X@Gmail.com>, relay=x.test[192.0.2.9]:25, "
                     "delay=1.5, delays=0.1/0.2/0.3/0.9, dsn=2.0.0, status=sent (250 Ok)"));
    assert_int_equal(outcome.at_ms, NOV_5 + 1000);
    assert_string_equal(outcome.queue_id, "4ABC");
    assert_string_equal(outcome.message_id, "abcdefghij23");
    assert_string_equal(outcome.sender, "Joe@A.Test");
    assert_string_equal(outcome.account, "a.test");
    assert_string_equal(outcome.recipient, "X@Gmail.com");
    assert_string_equal(outcome.domain, "gmail.com");
    assert_string_equal(outcome.stream->name, "bulk");
    assert_string_equal(outcome.address->name, "b1");
    assert_string_equal(outcome.provider->name, "google");
    assert_int_equal(outcome.status, MAILLOG_SENT);
    assert_int_equal(outcome.delay_ms, 1500);
    assert_int_equal(outcome.delays_ms[3], 900);
    assert_true(outcome.reached);
    assert_null(outcome.rule);
    conf_unref(conf);
}

/* Words that postpool alone says for itself, from a server that mail goes to by another way. */
static void
test_words_of_ours(void **state)
{
    static const struct {
        const char *text;
        bool own, full, late;
    } cases[] = {
        {"4.7.1, status=deferred (" OUTCOME_FULL ")", true, true, false},
        {"4.7.1, status=deferred (host x.test[192.0.2.9] said: 450 4.7.1 " OUTCOME_FULL
         " (in reply to RCPT TO command))",
         false, false, false},
        {"4.7.1, status=deferred (host x.test[192.0.2.9] refused to talk to me: 421 " OUTCOME_BUSY
         ")",
         false, false, false},
        {"5.4.7, status=bounced (" OUTCOME_EXPIRED ")", false, false, true},
        {"5.4.7, status=bounced (host x.test[192.0.2.9] said: 550 5.4.7 " OUTCOME_EXPIRED
         " (in reply to end of DATA command))",
         false, false, false},
    };
    struct conf *conf = unit_conf_with(MORE);
    char line[500];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(line, sizeof(line),
                 "postfix/smtp[7]: 4A: to=<x@b.test>, relay=x.test[192.0.2.9]:25, delay=1, "
                 "delays=0/0/0/1, dsn=%s",
                 cases[i].text);
        print_message("%s\n", line);
        assert_true(make(conf, "joe@a.test", line));
        assert_int_equal(outcome.own, cases[i].own);
        assert_int_equal(outcome.full, cases[i].full);
        assert_int_equal(outcome.late, cases[i].late);
        assert_int_equal(outcome.ours, cases[i].own || cases[i].late);
    }
    conf_unref(conf);
}

/* The provider by the host that was asked, an address that is not ours, a bounce. */
static void
test_where(void **state)
{
    struct conf *conf = unit_conf_with(MORE);

    (void)state;
    assert_true(make(conf, "",
                     "postfix/pp-zz/smtp[7]: 4A: to=<x@b.test>, relay=mx.google.com[192.0.2.9]:25, "
                     "delay=1, delays=0/0/0/1, dsn=4.2.0, status=deferred (host "
                     "mx.google.com[192.0.2.9] said: 450 4.2.0 wait (in reply to MAIL FROM "
                     "command))"));
    assert_string_equal(outcome.provider->name, "google");
    assert_null(outcome.address);
    assert_string_equal(outcome.message_id, "x@b.test");
    assert_string_equal(outcome.account, "");
    assert_false(outcome.reached);
    assert_null(outcome.rule);
    conf_unref(conf);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *service, *code, *status, *words;
        const char *rule;
        bool rescued, full;
    } cases[] = {
        {"pp-b1/smtp", "5.7.1", "bounced", "550 5.7.1 blocked", "blocked", false, false},
        {"pp-b1/smtp", "4.7.1", "deferred", "550 5.7.1 blocked", "blocked", true, false},
        {"pp-b1/smtp", "4.7.1", "deferred", "450 4.7.1 blocked", "blocked", false, false},
        {"smtp", "4.7.1", "deferred", "550 5.7.1 blocked", "blocked", false, false},
        {"pp-b1/smtp", "4.7.1", "SOFTBOUNCE", "550 5.7.1 blocked", "blocked", true, false},
        {"pp-b1/smtp", "4.1.1", "SOFTBOUNCE", "550 5.1.1 who?", "unknown", false, false},
        {"pp-b1/smtp", "4.1.1", "deferred", "550 5.1.1 who?", "unknown", false, false},
        {"error", "4.7.1", "deferred", NULL, NULL, false, true},
        {"error", "4.7.1", "deferred", OUTCOME_BUSY, NULL, false, true},
        {"error", "4.7.1", "deferred", "delivery temporarily suspended: x", NULL, false, false},
        {"pp-b1/smtp", "4.7.1", "deferred", NULL, NULL, false, false},
        {"error", "5.7.1", "bounced", NULL, NULL, false, false},
    };
    struct conf *conf = unit_conf_with(MORE);
    char line[500];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool is_reply = cases[i].words != NULL && isdigit((unsigned char)cases[i].words[0]);

        if (is_reply)
            snprintf(line, sizeof(line),
                     "postfix/%s[7]: 4A: to=<x@b.test>, relay=a.test[192.0.2.9]:25, delay=1, "
                     "delays=0/0/0/1, dsn=%s, status=%s (host a.test[192.0.2.9] said: %s (in "
                     "reply to RCPT TO command))",
                     cases[i].service, cases[i].code, cases[i].status, cases[i].words);
        else
            snprintf(line, sizeof(line),
                     "postfix/%s[7]: 4A: to=<x@b.test>, relay=none, delay=1, delays=0/0/0/1, "
                     "dsn=%s, status=%s (%s)",
                     cases[i].service, cases[i].code, cases[i].status,
                     cases[i].words != NULL ? cases[i].words
                                            : OUTCOME_FULL ", expected within a minute");
        print_message("%s\n", line);
        assert_true(make(conf, "joe@a.test", line));
        assert_string_equal(outcome.rule != NULL ? outcome.rule->name : "",
                            cases[i].rule != NULL ? cases[i].rule : "");
        assert_int_equal(outcome.rescued, cases[i].rescued);
        assert_int_equal(outcome.full, cases[i].full);
        assert_int_equal(outcome.reached, is_reply);
    }
    conf_unref(conf);
}

/* Who turned it into a deferral knew the host alone; the domain's provider has another rule. */
static void
test_rescued_by_the_host(void **state)
{
    static const char line[] =
        "postfix/pp-b1/smtp[7]: 4A: to=<x@gmail.com>, relay=%s[192.0.2.9]:25, delay=1, "
        "delays=0/0/0/1, dsn=4.7.1, status=deferred (host %s[192.0.2.9] said: 550 5.7.1 %s (in "
        "reply to RCPT TO command))";
    struct conf *conf = unit_conf_with(
        "providers: { google = { domains = ( \"gmail.com\" ); mx = ( \".google.com\" ); }; };\n"
        "replies: ( { name = \"content\"; provider = \"google\"; class = \"content\";\n"
        "             pattern = \"blocked\"; samples = ( \"550 blocked\" ); },\n"
        "           { name = \"blocked\"; class = \"address\"; pattern = \"blocked\";\n"
        "             samples = ( \"550 blocked\" ); } );\n");
    char text[500];

    (void)state;
    snprintf(text, sizeof(text), line, "mx.b.test", "mx.b.test", "blocked");
    assert_true(make(conf, "joe@a.test", text));
    assert_string_equal(outcome.rule->name, "content");
    assert_true(outcome.rescued);
    snprintf(text, sizeof(text), line, "mx.google.com", "mx.google.com", "blocked");
    assert_true(make(conf, "joe@a.test", text));
    assert_false(outcome.rescued);
    conf_unref(conf);
}

/* Exim's lines come to the same; the address is told by the transport or by where it was sent from.
 */
static void
test_exim(void **state)
{
    static const struct {
        const char *line, *address, *rule;
        enum maillog_status status;
        bool reached;
    } cases[] = {
        {"=> X@gmail.com F=<joe@a.test> R=r T=pp-b1 H=x.test [192.0.2.9] C=\"250 OK\" QT=2s DT=1s",
         "b1", NULL, MAILLOG_SENT, true},
        {"=> X@gmail.com F=<joe@a.test> R=r T=remote_smtp H=x.test [192.0.2.9]:25 "
         "I=[127.0.1.3]:57065 C=\"250 OK\" QT=2s DT=1s",
         "b1", NULL, MAILLOG_SENT, true},
        {"=> X@gmail.com F=<joe@a.test> R=r T=remote_smtp H=x.test [192.0.2.9]:25 "
         "I=[127.0.9.9]:57065 C=\"250 OK\" QT=2s",
         NULL, NULL, MAILLOG_SENT, true},
        {"** X@gmail.com F=<joe@a.test> R=r T=pp-b1 H=x.test [192.0.2.9]: SMTP error from remote "
         "mail "
         "server after RCPT TO:<X@gmail.com>: 550 5.1.1 who?",
         "b1", "unknown", MAILLOG_BOUNCED, true},
        {"== X@gmail.com R=r T=pp-b1 defer (111): Connection refused", "b1", NULL, MAILLOG_DEFERRED,
         false},
    };
    struct conf *conf = unit_conf_with(MORE);
    struct outcome_view view = {.conf = conf, .now_ms = NOV_5, .local_offset_s = 0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct maillog_frame frame;
        struct eximlog exim;
        struct maillog line;
        struct reply reply;
        char text[500];

        snprintf(text, sizeof(text), "2025-11-05 10:11:12 1xWin0-0001SB-1F %s", cases[i].line);
        assert_true(eximlog_cut(text, strlen(text), &frame));
        eximlog_parse(frame.message, &exim);
        eximlog_as_maillog(&exim, &line);
        assert_int_equal(line.kind, MAILLOG_RESULT);
        eximlog_reply(&exim, &reply);
        assert_true(outcome_make(&view, &frame.time, &line, &reply, "joe@a.test", &outcome));
        assert_int_equal(outcome.at_ms, NOV_5 + 1000);
        assert_string_equal(outcome.queue_id, "1xWin0-0001SB-1F");
        assert_string_equal(outcome.recipient, "X@gmail.com");
        assert_string_equal(outcome.provider->name, "google");
        assert_int_equal(outcome.status, cases[i].status);
        assert_int_equal(outcome.reached, cases[i].reached);
        assert_string_equal(outcome.address != NULL ? outcome.address->name : "none",
                            cases[i].address != NULL ? cases[i].address : "none");
        assert_string_equal(outcome.rule != NULL ? outcome.rule->name : "none",
                            cases[i].rule != NULL ? cases[i].rule : "none");
    }
    conf_unref(conf);
}

/* Returned, because it waited too long: what was said last, and when it was given up. */
static void
test_expired(void **state)
{
    struct conf *conf = unit_conf_with(MORE);

    (void)state;
    assert_true(
        make(conf, "joe@a.test",
             "postfix/pp-b1/smtp[7]: 4A: to=<x@b.test>, relay=a.test[192.0.2.9]:25, delay=2, "
             "delays=0/0/0/1, dsn=4.7.1, status=deferred (host a.test[192.0.2.9] said: 450 "
             "4.7.1 blocked (in reply to RCPT TO command))"));
    outcome_expire(&outcome, NOV_5 + 5000);
    assert_int_equal(outcome.status, MAILLOG_BOUNCED);
    assert_true(outcome.expired);
    assert_false(outcome.rescued);
    assert_int_equal(outcome.at_ms, NOV_5 + 5000);
    assert_int_equal(outcome.delay_ms, 2000 + 4000);
    assert_string_equal(outcome.rule->name, "blocked");
    assert_ptr_equal(outcome.blamed, outcome.address);
    assert_string_equal(outcome.address->name, "b1");
    conf_unref(conf);
}

/* Held back by postpool itself until it was too old: no server said anything, nobody is accused. */
static void
test_expired_while_it_waits(void **state)
{
    struct conf *conf = unit_conf_with(MORE);
    struct tallies *tallies = tallies_new(10);
    const struct tally *tally;

    (void)state;
    assert_true(make(conf, "joe@a.test",
                     "postfix/error[7]: 4A: to=<x@b.test>, relay=none, delay=2, delays=0/0/0/1, "
                     "dsn=4.7.1, status=deferred (" OUTCOME_FULL ")"));
    assert_true(hours_count_outcome(tallies, 1, &outcome));
    outcome_expire(&outcome, NOV_5 + 5000);
    assert_true(hours_count_outcome(tallies, 1, &outcome));
    tally = &tallies_get(tallies, 0)->tally;
    assert_int_equal(tally->counts[TALLY_DEFERRED + ACCUSED_NONE], 1);
    assert_int_equal(tally->counts[TALLY_BOUNCED + ACCUSED_NONE], 1);
    assert_int_equal(tally_bounced(tally), 1);
    tallies_free(tallies);
    conf_unref(conf);
}

/* Past the deadline of its stream: nobody is accused, whatever patterns may fit the words. */
static void
test_late(void **state)
{
    static const char line[] =
        "postfix/error[7]: 4A: to=<x@b.test>, relay=none, delay=700, delays=700/0/0/0, dsn=5.4.7, "
        "status=%s (%s, and is not sent later than 10m after it came in: blocked)";
    struct conf *conf = unit_conf_with(MORE);
    char text[500];

    (void)state;
    snprintf(text, sizeof(text), line, "bounced", OUTCOME_EXPIRED);
    assert_true(make(conf, "joe@a.test", text));
    assert_int_equal(outcome.status, MAILLOG_BOUNCED);
    assert_true(outcome.late);
    assert_null(outcome.rule);
    assert_false(outcome.own || outcome.full || outcome.reached || outcome.expired);
    snprintf(text, sizeof(text), line, "bounced", "unknown");
    assert_true(make(conf, "joe@a.test", text));
    assert_false(outcome.late);
    snprintf(text, sizeof(text), line, "deferred", OUTCOME_EXPIRED);
    assert_true(make(conf, "joe@a.test", text));
    assert_false(outcome.late);
    conf_unref(conf);
}

static void
test_no_end(void **state)
{
    struct conf *conf = unit_conf_with(MORE);

    (void)state;
    assert_false(make(conf, "joe@a.test",
                      "postfix/smtp[7]: 4A: to=<x@b.test>, relay=none, delay=1, delays=0/0/0/1, "
                      "dsn=2.0.0, status=deliverable (250 Ok)"));
    conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sent),          cmocka_unit_test(test_where),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_rescued_by_the_host),
        cmocka_unit_test(test_exim),          cmocka_unit_test(test_no_end),
        cmocka_unit_test(test_expired),       cmocka_unit_test(test_late),
        cmocka_unit_test(test_words_of_ours), cmocka_unit_test(test_expired_while_it_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
