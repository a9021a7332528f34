/*
 * Lines of Postfix' log: what is read, what is doubted, and what nobody can forge.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/require.h"
#include "lib/maillog.h"

#define SMTP "Nov  5 10:11:12 mx postfix/pp-a1/smtp[77]: "
#define QMGR "Nov  5 10:11:12 mx postfix/qmgr[5]: "
#define MILTER "Nov  5 10:11:12 mx postpool/milter[9]: "
#define RESULT "relay=mx.example.net[192.0.2.9]:25, delay=1.5, delays=0.1/0.2/1/0.25, "

static struct maillog line;
static struct maillog_frame frame;

static enum maillog_kind
parse(const char *text)
{
    memset(&line, 0, sizeof(line));
    if (!maillog_cut(text, strlen(text), &frame))
        return MAILLOG_OTHER;
    maillog_parse(frame.ident, frame.message, &line);
    return line.kind;
}

static void
assert_span(struct span span, const char *text)
{
    assert_int_equal(span.length, strlen(text));
    assert_memory_equal(span.start, text, span.length);
}

static void
test_result(void **state)
{
    (void)state;
    assert_int_equal(parse(SMTP "4A1B2C: to=<bob@example.net>, " RESULT
                                "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 9 (really))"),
                     MAILLOG_RESULT);
    assert_span(line.service, "pp-a1");
    assert_span(line.daemon, "smtp");
    assert_span(line.queue_id, "4A1B2C");
    assert_span(line.recipient, "bob@example.net");
    assert_span(line.relay, "mx.example.net[192.0.2.9]:25");
    assert_span(line.dsn, "2.0.0");
    assert_span(line.reply, "250 2.0.0 Ok: queued as 9 (really)");
    assert_int_equal(line.status, MAILLOG_SENT);
    assert_int_equal(line.delay_ms, 1500);
    assert_int_equal(line.delays_ms[0], 100);
    assert_int_equal(line.delays_ms[3], 250);
}

/* What some versions add, leave out or write otherwise. */
static void
test_versions(void **state)
{
    static const struct {
        const char *text;
        enum maillog_status status;
    } cases[] = {
        {SMTP
         "3Zk9bQ4vXzz8Pq: to=<b@c.test>, orig_to=<\"x y\"@d.test>, relay=none, conn_use=3, "
         "delay=30, delays=0/0/30/0, dsn=4.4.1, status=deferred (connect to c.test[192.0.2.9]:25: "
         "Connection timed out)",
         MAILLOG_DEFERRED},
        {SMTP "4A: to=<b@c.test>, " RESULT
              "tls=TLSv1.3, dsn=5.1.1, status=bounced (host c.test said: "
              "550 5.1.1 <b@c.test>: no such user (in reply to RCPT TO command))",
         MAILLOG_BOUNCED},
        {"2026-11-05T10:11:12.345678+01:00 mx postfix/smtp[1]: 4A: to=<b@c.test>, relay=none, "
         "delay=0, dsn=5.4.6, status=undeliverable (x)",
         MAILLOG_OTHER_STATUS},
        {"Nov 15 10:11:12 mx postfix/error[1]: 4A: to=<b@c.test>, relay=none, delay=0.01, "
         "delays=0.01/0/0/0, dsn=4.7.1, status=deferred (postpool: no room",
         MAILLOG_DEFERRED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(parse(cases[i].text), MAILLOG_RESULT);
        assert_int_equal(line.status, cases[i].status);
    }
    assert_span(line.reply, "postpool: no room");
    assert_span(line.service, "");
    assert_int_equal(parse(SMTP "4A: to=<b@c.test>, " RESULT /* with soft_bounce */
                                "dsn=4.1.1, status=SOFTBOUNCE (host c.test[192.0.2.9] said: 550 "
                                "5.1.1 no (in reply to RCPT TO command))"),
                     MAILLOG_RESULT);
    assert_int_equal(line.status, MAILLOG_DEFERRED);
}

static void
test_queue(void **state)
{
    (void)state;
    assert_int_equal(
        parse(QMGR "4A: from=<u+pp=bulk.abc.def@d.test>, size=12, nrcpt=1 (queue active)"),
        MAILLOG_ACTIVE);
    assert_span(line.sender, "u+pp=bulk.abc.def@d.test");
    assert_int_equal(parse(QMGR "4A: from=<>, size=12, nrcpt=1 (queue active)"), MAILLOG_ACTIVE);
    assert_span(line.sender, "");
    assert_int_equal(parse(QMGR "4A: from=<\"a> b\\\"\"@d.test>, size=1, nrcpt=1 (queue active)"),
                     MAILLOG_ACTIVE);
    assert_span(line.sender, "\"a> b\\\"\"@d.test");
    assert_int_equal(parse(QMGR "4A: from=<a@d.test>, status=expired, returned to sender"),
                     MAILLOG_EXPIRED);
    assert_int_equal(parse(QMGR "4A: from=<a@d.test>, status=force-expired, returned to sender"),
                     MAILLOG_EXPIRED);
    assert_int_equal(parse(QMGR "4A: removed"), MAILLOG_REMOVED);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/postsuper[7]: 4A: removed"),
                     MAILLOG_REMOVED);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/postsuper[7]: 4A: requeued"),
                     MAILLOG_REMOVED);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/postsuper[7]: 4A: placed on hold"),
                     MAILLOG_HELD);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/postsuper[7]: 4A: released from hold"),
                     MAILLOG_OTHER);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/postsuper[7]: Deleted: 1 message"),
                     MAILLOG_SWEPT);
    assert_int_equal(line.count, 1);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/postsuper[7]: Placed on hold: 85 messages"),
                     MAILLOG_SWEPT);
    assert_int_equal(line.count, 85);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/qmgr[7]: Deleted: 1 message"),
                     MAILLOG_OTHER);
    assert_int_equal(parse(QMGR "4A: removed"), MAILLOG_REMOVED);
    assert_span(line.queue_id, "4A");
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/cleanup[9]: 4A: message-id=<x@y>"),
                     MAILLOG_NEW);
    assert_span(line.message_id, "<x@y>");
    assert_int_equal(
        parse(SMTP "4A: host mx1.c.test[192.0.2.9] said: 450 4.2.0 wait (in reply to RCPT TO"
                   " command)"),
        MAILLOG_SAID);
    assert_span(line.reply,
                "host mx1.c.test[192.0.2.9] said: 450 4.2.0 wait (in reply to RCPT TO command)");
}

/* Who hands messages in. */
static void
test_client(void **state)
{
    static const struct {
        const char *text, *client, *login;
    } cases[] = {
        {"smtpd[7]: 4A: client=app.test[192.0.2.7]", "192.0.2.7", ""},
        {"submission/smtpd[7]: 4A: client=unknown[2001:db8::7], sasl_method=PLAIN, "
         "sasl_username=app-1",
         "2001:db8::7", "app-1"},
        {"smtpd[7]: 4A: client=a.test[192.0.2.7]:4711, orig_queue_id=4B, orig_client=b[192.0.2.8], "
         "sasl_method=LOGIN, sasl_username=a=b, c, sasl_sender=x@y.test",
         "192.0.2.7", "a=b, c"},
        {"smtpd[7]: 4A: client=a.test[192.0.2.7], sasl_method=PLAIN, sasl_username=", "192.0.2.7",
         ""},
        {"pickup[7]: 4A: uid=1000 from=<app>", "", ""},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof(text), "Nov  5 10:11:12 mx postfix/%s", cases[i].text);
        assert_int_equal(parse(text), MAILLOG_CLIENT);
        assert_span(line.queue_id, "4A");
        assert_span(line.client, cases[i].client);
        assert_span(line.login, cases[i].login);
    }
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/smtpd[7]: 4A: client=app.test"),
                     MAILLOG_ODD);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/smtpd[7]: connect from app.test[192.0.2.7]"),
                     MAILLOG_OTHER);
    assert_int_equal(parse("Nov  5 10:11:12 mx postfix/smtpd[7]: NOQUEUE: client=a[192.0.2.7]"),
                     MAILLOG_CLIENT); /* waits for a proxy: no message comes of that name */
    assert_int_equal(parse(QMGR "4A: client=app.test[192.0.2.7]"), MAILLOG_OTHER);
}

/* No result: of other programs, of other things, or in a form that Postfix does not write. */
static void
test_others(void **state)
{
    static const char *const texts[] = {
        "",
        "Nov",
        "Nov  5 10:11:12 mx",
        "Nov  5 10:11:12 mx sshd[7]: Invalid user postfix/smtp[1]: 4A: to=<b@c.test>, " RESULT
        "dsn=2.0.0, status=sent (ok)",
        "Nov  5 10:11:12 mx kernel: postfix/smtp[1]: 4A: to=<b@c.test>, " RESULT
        "dsn=2.0.0, status=sent (ok)",
        "Nov  5 10:11:12 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from x: 4A: "
        "to=<b@c.test>, " RESULT "dsn=2.0.0, status=sent (ok)",
        "Nov  5 10:11:12 mx postfix/cleanup[7]: 4A: warning: header Subject: to=<b@c.test>, " RESULT
        "dsn=2.0.0, status=sent (ok)",
        "Nov  5 10:11:12 mx postfix/smtp[1x]: 4A: to=<b@c.test>, " RESULT
        "dsn=2.0.0, status=sent (ok)",
        SMTP "4A345678901234567890123456789012X: to=<b@c.test>, " RESULT
             "dsn=2.0.0, status=sent (ok)",
        "Xov  5 10:11:12 mx postfix/smtp[1]: 4A: to=<b@c.test>, " RESULT
        "dsn=2.0.0, status=sent (ok)",
        "Nov  5 10:11:12 mx postfix/smtp[1]: to=<b@c.test>, " RESULT "dsn=2.0.0, status=sent (ok)",
        SMTP "connect to mx.c.test[192.0.2.9]:25: Connection timed out",
        SMTP "warning: 4A: to=<b@c.test>, " RESULT "dsn=2.0.0, status=sent (ok)",
        QMGR "4A: skipped, still being delivered",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(parse(texts[i]), MAILLOG_OTHER);
}

/* Local parts, domains and replies that try to be another result than theirs. */
static void
test_forged(void **state)
{
    static const char *const odd[] = {
        /* Postfix 3.4 leaves out the quotes: the recipient is "a@b>, relay=... (x"@c.test. */
        SMTP "4A: to=<a@b>, relay=none, dsn=2.0.0, status=sent (x@c.test>, " RESULT
             "dsn=5.1.1, status=bounced (no)",
        SMTP "4A: to=<a@b>, relay=none, dsn=2.0.0, status=sent (x@c.test>, orig_to=<q>, " RESULT
             "dsn=5.1.1, status=bounced (no)",
        SMTP "4A: to=<a b@c.test>, " RESULT "dsn=2.0.0, status=sent (ok)",
        SMTP "4A: to=<\"a@c.test>, " RESULT "dsn=2.0.0, status=sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "relay=x, dsn=2.0.0, status=sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "dsn=2.0.0, dsn=5.0.0, status=sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "dsn=2, status=sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "dsn=12.0.0, status=sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "dsn=2.0.0, status=not sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "dsn=2.0.0, x> y=z, status=sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "status=sent (ok)",
        SMTP "4A: to=<a@b>, dsn=2.0.0, status=sent (ok)",
        SMTP "4A: to=<a@b>, relay=none, delay=9999999999, dsn=2.0.0, status=sent (ok)",
        SMTP "4A: to=<a@b>, " RESULT "dsn=2.0.0",
        SMTP "4A: to=<a@b>, x=y@c.test>, " RESULT "dsn=5.1.1, status=bounced (no)",
        SMTP "4A: to=<a@b>, x=y@c.test>, orig_to=<q>, " RESULT "dsn=5.1.1, status=bounced (no)",
        SMTP "4A: to=<a@b>, relay=none, x=y@c.test>, " RESULT "dsn=5.1.1, status=bounced (no)",
        QMGR "4A: from=<a b@c.test>, size=1, nrcpt=1 (queue active)",
        QMGR "4A: from=<a@b>, size=1, nrcpt=1 (queue active)x@c.test>, size=9, nrcpt=1 (queue "
             "active)",
        QMGR "4A: from=<a@b>, size=x@c.test>, size=9, nrcpt=1 (queue active)",
        QMGR "4A: from=<a@b>, size=x@c.test>, status=expired, returned to sender",
        QMGR "4A: from=<a@b>, status=expired, x@c.test>, size=9, nrcpt=1 (queue active)",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++)
        assert_int_equal(parse(odd[i]), MAILLOG_ODD);
    assert_int_equal(
        parse(SMTP "4A: to=<\"a@b>, relay=none, dsn=2.0.0, status=sent (x\"@c.test>, " RESULT
                   "dsn=5.1.1, status=bounced (550 dsn=2.0.0, status=sent (ok))"),
        MAILLOG_RESULT);
    assert_int_equal(line.status, MAILLOG_BOUNCED);
    assert_span(line.recipient, "\"a@b>, relay=none, dsn=2.0.0, status=sent (x\"@c.test");
    assert_span(line.dsn, "5.1.1");
}

/* Whatever is cut off, nothing is read beyond the end, and no other result comes of it. */
static void
test_cut(void **state)
{
    static const char text[] = SMTP "4A: to=<b@c.test>, " RESULT "dsn=2.0.0, status=sent (250 ok)";

    (void)state;
    for (size_t length = 0; length < sizeof(text); length++) {
        char *copy = malloc(length + 1);

        memcpy(copy, text, length);
        if (maillog_cut(copy, length, &frame)) {
            maillog_parse(frame.ident, frame.message, &line);
            if (line.kind == MAILLOG_RESULT)
                assert_int_equal(line.status, MAILLOG_SENT);
        }
        free(copy);
    }
}

static int64_t
time_ms(const char *text, int64_t now_ms, int offset_s)
{
    char with_rest[128];

    snprintf(with_rest, sizeof(with_rest), "%s mx postfix/smtp[1]: x", text);
    assert_true(maillog_cut(with_rest, strlen(with_rest), &frame));
    return maillog_time_ms(&frame.time, now_ms, offset_s);
}

static void
test_time(void **state)
{
    const int64_t new_year_ms = 1798761600000; /* 2027-01-01T00:00:00Z */

    (void)state;
    assert_int_equal(time_ms("2027-01-01T00:00:00Z", 0, 3600), new_year_ms);
    assert_int_equal(time_ms("2027-01-01T01:00:00.25+01:00", 0, 0), new_year_ms + 250);
    assert_int_equal(time_ms("2026-12-31T19:30:00.1239-04:30", 0, 0), new_year_ms + 123);
    assert_int_equal(time_ms("2026-12-31T19:30:00-0430", 0, 0), new_year_ms);
    assert_int_equal(time_ms("Jan 01 00:00:00", new_year_ms, 0), new_year_ms);
    assert_int_equal(time_ms("Dec 31 23:59:59", new_year_ms + 5000, 0), new_year_ms - 1000);
    assert_int_equal(time_ms("Jan  1 00:00:01", new_year_ms - 5000, 0), new_year_ms + 1000);
    assert_int_equal(time_ms("Jan  1 02:00:00", new_year_ms, 7200), new_year_ms);
    assert_int_equal(time_ms("Nov  5 10:11:12", new_year_ms, 0), 1793873472000);
    assert_int_equal(time_ms("2024-02-29T12:00:00Z", 0, 0), 1709208000000);
    assert_int_equal(time_ms("2026-13-01T00:00:00Z", 0, 0), -1);
    assert_int_equal(time_ms("Nov  0 10:11:12", new_year_ms, 0), -1);
}

/* A line without a year, written and read within days of New Year, has the right one. */
static void
test_time_around_new_year(void **state)
{
    static const struct {
        const char *text;
        int64_t from_new_year_s; /* in the place that local_s belongs to */
    } lines[] = {
        {"Dec 29 00:00:00", -3 * 86400},
        {"Dec 31 23:59:59", -1},
        {"Jan  1 00:00:00", 0},
        {"Jan  1 00:00:01", 1},
        {"Jan  3 12:00:00", 2 * 86400 + 43200},
    };
    static const int local_s[] = {-12 * 3600, -4 * 3600 - 1800, 0, 3600, 14 * 3600};
    static const int64_t now_s[] = {-2 * 86400, -1, 0, 1, 2 * 86400};

    (void)state;
    for (int year = 1999; year < 2100; year++) {
        char text[64];
        int64_t new_year_ms;

        snprintf(text, sizeof(text), "%d-01-01T00:00:00Z", year);
        new_year_ms = time_ms(text, 0, 0);
        for (size_t i = 0; i < COUNT(lines); i++)
            for (size_t j = 0; j < COUNT(local_s); j++)
                for (size_t k = 0; k < COUNT(now_s); k++)
                    assert_int_equal(
                        time_ms(lines[i].text, new_year_ms + now_s[k] * 1000, local_s[j]),
                        new_year_ms + (lines[i].from_new_year_s - local_s[j]) * 1000);
    }
    /* last summer's, read in the winter */
    assert_int_equal(time_ms("Aug  1 00:00:00", time_ms("2027-01-15T00:00:00Z", 0, 0), 0),
                     time_ms("2026-08-01T00:00:00Z", 0, 0));
}

/* What our own milter says. */
static void
test_unmet(void **state)
{
    static const char *const odd[] = {
        MILTER "4A: require: stream=bulk, unmet=, then=warn, from=<>",
        MILTER "4A: require: stream=bulk, unmet=one_clicks, then=warn, from=<>",
        MILTER "4A: require: stream=bulk, unmet=one_click  one_from, then=warn, from=<>",
        MILTER "4A: require: stream=bulk, unmet=one_click",
        MILTER "4A: require: unmet=one_click, then=warn, from=<>",
    };
    static const char *const others[] = {
        MILTER "4A: stream=bulk, id=abc, from=<x@y.test>",
        MILTER
        "4A: stream=bulk, id=abc, from=<4A: require: stream=bulk, unmet=one_click, then=warn>",
        MILTER "require: stream=bulk, unmet=one_click, then=warn, from=<>",
        SMTP "4A: require: stream=bulk, unmet=one_click, then=warn, from=<>",
        QMGR "4A: require: stream=bulk, unmet=one_click, then=warn, from=<>",
    };

    (void)state;
    assert_int_equal(parse(MILTER "4A: require: stream=bulk, unmet=list_unsubscribe one_from, "
                                  "then=reject, from=<x, then=y@z.test>"),
                     MAILLOG_UNMET);
    assert_span(line.queue_id, "4A");
    assert_span(line.stream, "bulk");
    assert_int_equal(line.unmet,
                     REQUIRE_BIT(REQUIRE_LIST_UNSUBSCRIBE) | REQUIRE_BIT(REQUIRE_ONE_FROM));
    for (size_t i = 0; i < COUNT(odd); i++) {
        assert_int_equal(parse(odd[i]), MAILLOG_ODD);
        assert_int_equal(line.unmet, 0);
    }
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(parse(others[i]), MAILLOG_OTHER);
}

/* What it tells of reports: facts in their order, and strangers' text behind them. */
static void
test_reports(void **state)
{
    static const char *const odd[] = {
        MILTER "4A: complaint: incidents=1, type=abuse",
        MILTER "4A: complaint: type=, incidents=1",
        MILTER "4A: complaint: type=abuse, incidents=1, id=abc",
        MILTER "4A: complaint: type=abuse, incidents=1, stream=bulk, id=abc",
        MILTER "4A: complaint: type=abuse, incidents=1, stream=bulk, id=abc, by=me",
        MILTER "4A: complaint: type=abuse, incidents=1, address=b1, stream=bulk, id=abc, by=mark",
        MILTER "4A: complaint: type=abuse, incidents=1, account=a.test",
        MILTER "4A: complaint: type=abuse, incidents=1, from=x",
        MILTER "4A: complaint: type=abuse, incidents=1, stream=bulk, id=abc, by=mark, account=",
        MILTER "4A: bounce: status=5.1.1, recipients=1",
        MILTER "4A: bounce: recipients=1 and more",
    };
    static const char *const others[] = {
        MILTER "4A: feedback: type=not-spam, incidents=1, stream=bulk, id=abc, by=mark",
        MILTER "4A: delay: recipients=1, stream=bulk, id=abc, by=mark",
        MILTER "complaint: type=abuse, incidents=1",
        SMTP "4A: complaint: type=abuse, incidents=1, stream=bulk, id=abc, by=mark",
        "Nov  5 10:11:12 mx postfix/milter[9]: 4A: complaint: type=abuse, incidents=1",
        "Nov  5 10:11:12 mx x/postpool/milter[9]: 4A: complaint: type=abuse, incidents=1",
    };

    (void)state;
    assert_int_equal(parse(MILTER "4A: complaint: type=opt-out, incidents=3, stream=bulk-2, "
                                  "id=abcdefghij23, by=mark, account=a.test, address=b1, "
                                  "domain=b.test, from=\"x, stream=y\", to=\"z\""),
                     MAILLOG_COMPLAINT);
    assert_span(line.queue_id, "4A");
    assert_span(line.stream, "bulk-2");
    assert_span(line.id, "abcdefghij23");
    assert_true(line.by_mark);
    assert_span(line.account, "a.test");
    assert_span(line.address, "b1");
    assert_span(line.domain, "b.test");
    assert_int_equal(parse(MILTER "4A: bounce: recipients=1, status=5.1.1, stream=bulk, id=abc, "
                                  "by=tag, source=2001:db8::1"),
                     MAILLOG_RETURNED);
    assert_span(line.stream, "bulk");
    assert_false(line.by_mark);
    assert_int_equal(line.account.length + line.address.length + line.domain.length, 0);
    assert_int_equal(
        parse(MILTER "4A: bounce: recipients=1, came_to=\", stream=bulk, id=a, by=mark"),
        MAILLOG_RETURNED);
    assert_int_equal(line.stream.length, 0);
    for (size_t i = 0; i < COUNT(odd); i++)
        if (parse(odd[i]) != MAILLOG_ODD)
            fail_msg("%s", odd[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        if (parse(others[i]) != MAILLOG_OTHER)
            fail_msg("%s", others[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_unmet),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_time_around_new_year),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
