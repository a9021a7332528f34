/*
 * Lines of Exim's main log: what is read, what is doubted, and what nobody can forge.
 * The forms are those of Exim 4.96 where none else is named.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/reply.h"
#include "policyd/eximlog.h"

#define AT "2026-11-26 23:22:06 "
#define ID "1xWin0-0001SB-1F "
#define ROUTE "F=<news@d.test> R=away T=remote_smtp"
#define HOST "H=mx.c.test [192.0.2.9]:25 I=[192.0.2.11]:57065"

static struct eximlog line;
static struct maillog_frame frame;
static struct reply reply;

static enum eximlog_kind
parse(const char *text)
{
    memset(&line, 0, sizeof(line));
    if (!eximlog_cut(text, strlen(text), &frame))
        return EXIMLOG_OTHER;
    eximlog_parse(frame.message, &line);
    if (line.kind == EXIMLOG_RESULT)
        eximlog_reply(&line, &reply);
    return line.kind;
}

static void
assert_span(struct span span, const char *text)
{
    assert_int_equal(span.length, strlen(text));
    assert_memory_equal(span.start, text, span.length);
}

static void
test_sent(void **state)
{
    (void)state;
    assert_int_equal(
        parse(AT ID "=> bob@c.test F=<news+pp=bulk.aaa.bbb@d.test> R=away T=remote_smtp " HOST
                    " C=\"250 2.0.0 OK \\\"queued\\\" as 77\" QT=1m3s DT=0.25s"),
        EXIMLOG_RESULT);
    assert_int_equal(line.status, MAILLOG_SENT);
    assert_span(line.queue_id, "1xWin0-0001SB-1F");
    assert_span(line.recipient, "bob@c.test");
    assert_span(line.sender, "news+pp=bulk.aaa.bbb@d.test");
    assert_true(line.has_sender);
    assert_span(line.router, "away");
    assert_span(line.transport, "remote_smtp");
    assert_span(line.host, "mx.c.test");
    assert_span(line.host_address, "192.0.2.9");
    assert_span(line.interface, "192.0.2.11");
    assert_int_equal(line.delay_ms, 63000);
    assert_int_equal(line.took_ms, 250);
    assert_int_equal(reply.origin, REPLY_SAID);
    assert_int_equal(reply.phase, REPLY_END);
    assert_int_equal(reply.code, 250);
    assert_int_equal(frame.time.hour, 23);
    assert_span(frame.ident, "exim");
}

/* What other settings and versions write. */
static void
test_forms(void **state)
{
    static const char *const texts[] = {
        AT ID "-> carol@c.test (list@d.test) <x@d.test> " ROUTE " " HOST " C=\"250 ok\"",
        AT ID ">> carol@c.test R=away T=remote_smtp H=mx.c.test [2001:db8::9]",
        "2026-11-26 23:22:06.413 +0100 [77] " ID
        "=> c@c.test P=<> R=a T=b S=12 H=mx DS [192.0.2.9]* "
        "PRX=[127.0.0.1]:1 TFO* PS=x X=TLS1.3:ECDHE__RSA:256* CV=dane DN=\"/CN=mx c.test\" "
        "A=plain:login L K PRDR DKIM=d.test C=\"250 ok\" QT=1d2h3m4s DT=0s",
        AT "6aB1cd-00000001SB-1FAb => bob@c.test R=local T=out",
        AT ID "=> bob@c.test F=<\"q s\"@d.test> R=local T=out " HOST,
        AT ID "=> bob@c.test Q=slow R=local T=out ST=shadow",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (parse(texts[i]) != EXIMLOG_RESULT)
            fail_msg("%s", texts[i]);
        assert_int_equal(line.status, MAILLOG_SENT);
    }
    parse(texts[2]);
    assert_int_equal(line.delay_ms, 93784000);
    assert_true(frame.time.has_offset);
    assert_int_equal(frame.time.offset_s, 3600);
    assert_int_equal(frame.time.millisecond, 413);
    eximlog_parse((struct span){texts[1], strlen(texts[1])}, &line); /* by syslog */
    assert_int_equal(line.kind, EXIMLOG_RESULT);
    assert_span(line.host_address, "2001:db8::9");
}

static const struct {
    const char *text;
    enum maillog_status status;
    enum reply_origin origin;
    enum reply_phase phase;
    int code;
    const char *enhanced, *words;
    int64_t took_ms;
} failures[] = {
    {"** u@c.test " ROUTE " " HOST ": SMTP error from remote mail server after RCPT TO:<u@c.test>: "
     "550-5.1.1 first\\n550 5.1.1 <b>: no such user DT=0s",
     MAILLOG_BOUNCED, REPLY_SAID, REPLY_RECIPIENT, 550, "5.1.1", "first <b>: no such user", 0},
    {"** u@c.test " ROUTE " H=mx.c.test [192.0.2.9]: SMTP error from remote mail server after RCPT "
     "TO:<u@c.test>: 550 5.1.1 no such user", /* as Exim writes it where nothing is set */
     MAILLOG_BOUNCED, REPLY_SAID, REPLY_RECIPIENT, 550, "5.1.1", "no such user", -1},
    {"** u@c.test " ROUTE " " HOST " : SMTP error from remote mail server after pipelined end of "
     "data: 554 5.6.0 \"spam\" said",
     MAILLOG_BOUNCED, REPLY_SAID, REPLY_END, 554, "5.6.0", "\"spam\" said", -1},
    {"** u@c.test " ROUTE " " HOST ": SMTP error from remote mail server after MAIL "
     "FROM:<a@d.test> SIZE=9: 550 5.7.1 sender refused DT=1s",
     MAILLOG_BOUNCED, REPLY_SAID, REPLY_MAIL, 550, "5.7.1", "sender refused", 1000},
    {"** nobody@nowhere.test F=<>: Unrouteable address DT=0.000s", MAILLOG_BOUNCED, REPLY_LOCAL,
     REPLY_BEFORE, 0, "", "Unrouteable address", 0},
    {"== grey@c.test R=away T=out defer (-44) " HOST " DT=0.5s: SMTP error from remote mail server "
     "after RCPT TO:<grey@c.test>: 450 4.2.0 Greylisted",
     MAILLOG_DEFERRED, REPLY_SAID, REPLY_RECIPIENT, 450, "4.2.0", "Greylisted", 500},
    {"== g@c.test R=away T=out defer (-45) " HOST ": SMTP error from remote mail server after "
     "initial connection: 421 4.7.0 Too many connections",
     MAILLOG_DEFERRED, REPLY_SAID, REPLY_GREETING, 421, "4.7.0", "Too many connections", -1},
    {"== drop@c.test R=away T=out defer (-18) " HOST ": Remote host closed connection in response "
     "to end of data",
     MAILLOG_DEFERRED, REPLY_LOST, REPLY_END, 0, "",
     "Remote host closed connection in response to end of data", -1},
    {"== t@c.test R=away T=out defer (110): Connection timed out " HOST
     " DT=5m: SMTP timeout after "
     "RCPT TO:<t@c.test>",
     MAILLOG_DEFERRED, REPLY_LOST, REPLY_RECIPIENT, 0, "", "SMTP timeout after RCPT TO:<t@c.test>",
     300000},
    {"== x@away.test R=away T=out defer (111): Connection refused DT=0.000s", MAILLOG_DEFERRED,
     REPLY_CONNECT, REPLY_BEFORE, 0, "", "Connection refused", 0},
    {"== x@away.test R=away T=out defer (111): Connection refused", MAILLOG_DEFERRED, REPLY_CONNECT,
     REPLY_BEFORE, 0, "", "Connection refused", -1},
    {"== y@c.test R=local T=out defer (-54) DT=0s: retry time not reached for any host for "
     "'c.test'",
     MAILLOG_OTHER_STATUS, REPLY_LOCAL, REPLY_BEFORE, 0, "",
     "retry time not reached for any host for 'c.test'", 0},
    {"== y@c.test R=away defer (-1): host lookup did not complete", MAILLOG_DEFERRED, REPLY_LOCAL,
     REPLY_BEFORE, 0, "", "host lookup did not complete", -1},
};

static void
test_failed(void **state)
{
    char text[512];

    (void)state;
    for (size_t i = 0; i < COUNT(failures); i++) {
        snprintf(text, sizeof(text), AT ID "%s", failures[i].text);
        if (parse(text) != EXIMLOG_RESULT)
            fail_msg("%s", text);
        assert_int_equal(line.status, failures[i].status);
        assert_int_equal(reply.origin, failures[i].origin);
        assert_int_equal(reply.phase, failures[i].phase);
        assert_int_equal(reply.code, failures[i].code);
        assert_string_equal(reply.enhanced, failures[i].enhanced);
        assert_string_equal(reply.text, failures[i].words);
        assert_int_equal(line.took_ms, failures[i].took_ms);
    }
}

static void
test_queue(void **state)
{
    (void)state;
    assert_int_equal(parse(AT ID "<= news+pp=bulk.aaa.bbb@d.test U=root P=local S=304"),
                     EXIMLOG_NEW);
    assert_span(line.sender, "news+pp=bulk.aaa.bbb@d.test");
    assert_int_equal(parse(AT ID "<= <> R=1xWin0-0001SB-1E U=Debian-exim P=local S=304"),
                     EXIMLOG_NEW);
    assert_true(line.has_sender && line.sender.length == 0);
    assert_int_equal(parse(AT ID "<= \"q s\"@d.test H=(x) [192.0.2.1] P=smtp S=274"), EXIMLOG_NEW);
    assert_span(line.sender, "\"q s\"@d.test");
    assert_int_equal(parse(AT ID "Completed"), EXIMLOG_GONE);
    assert_int_equal(parse(AT ID "Completed QT=5s"), EXIMLOG_GONE);
    assert_span(line.queue_id, "1xWin0-0001SB-1F");
}

static void
test_others(void **state)
{
    static const char *const texts[] = {
        "",
        "2026-11-26",
        "2026-11-26 23:22:06",
        AT "Start queue run: pid=29939",
        AT "1xWin0-0001SB => bob@c.test R=a T=b",
        AT "1xWin0-0001SB-1F",
        AT ID "Message is frozen",
        AT ID "*> bob@c.test R=a T=b",
        AT ID "H=127.0.0.9 [127.0.0.9]:2555 Connection refused",
        AT ID
        "H=mx [192.0.2.9]: SMTP error from remote mail server after RCPT TO:<=> b@c.test>: 450",
        "Nov 26 23:22:06 mx exim[7]: x",
        AT ID "completed",
        AT "1xWin0_0001SB-1F => bob@c.test R=a T=b",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (parse(texts[i]) != EXIMLOG_OTHER)
            fail_msg("%s", texts[i]);
}

/* Local parts that Exim prints without their quotes, and words that try to be something else. */
static void
test_forged(void **state)
{
    static const char *const odd[] = {
        AT ID "=> we ird@c.test <\"we ird\"@c.test> " ROUTE " " HOST " C=\"250 ok\"",
        AT ID "=> \"a b\"@c.test " ROUTE " " HOST " C=\"250 ok\"",
        AT ID "=> bob@c.test <\"x y\"@d.test> " ROUTE " " HOST " C=\"250 ok\"",
        AT ID
        "=> bob@c.test F=<a@b> R=local T=out H=mx [192.0.2.1]:25 C=\"250 x\" y@c.test "
        "<\"bob@c.test F=<a@b> R=local T=out H=mx [192.0.2.1]:25 C=\\\"250 x\\\" y\"@c.test> " ROUTE
        " " HOST " C=\"250 ok\" QT=0s DT=0s",
        /* one that an alias led to */
        AT ID "=> bob@c.test F=<a@b> R=local T=out y@c.test (list@d.test) <x@d.test> " ROUTE
              " " HOST " C=\"250 ok\"",
        AT ID
        "=> bob@c.test F=<a@b> R=local T=out C=\"250 \"@c.test (list@d.test) <x@d.test> " ROUTE
        " " HOST " C=\"250 ok\"",
        AT ID "== bob@c.test R=local T=out defer (0): x y@c.test <list@d.test> R=local T=out defer "
              "(111): Connection refused",
        AT ID
        "** bob@c.test: 550 x y@c.test <\"bob@c.test: 550 x y\"@c.test> F=<a@d.test> R=a T=b: x",
        AT ID "=> bob@c.test R=a R=b T=c",
        AT ID "=> bob@c.test R=a T=b H=mx.c.test 192.0.2.9",
        AT ID "=> bob@c.test R=a T=b H=mx [192.0.2.9 x]",
        AT ID "=> bob@c.test R=a T=b C=\"250 ok",
        AT ID "=> bob@c.test R=a T=b DT=99999999999s",
        AT ID "=> bob@c.test R=a T=b what is this",
        AT ID "=> /var/mail/bob <bob@d.test R=a T=b",
        AT ID "== bob@c.test R=a T=b",
        AT ID "== bob@c.test R=a T=b defer (x): y",
        AT ID "** bob@c.test R=a T=b no colon",
        AT ID "<= a b@d.test U=root P=local S=304",
        AT ID "=> ",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++)
        if (parse(odd[i]) != EXIMLOG_ODD)
            fail_msg("%s", odd[i]);
}

/* Whatever is cut off, nothing is read beyond the end, and no other result comes of it. */
static void
test_cut(void **state)
{
    static const char text[] =
        AT ID "=> bob@c.test <x@d.test> " ROUTE " " HOST " C=\"250 ok\" QT=1m3s DT=0.25s";

    (void)state;
    for (size_t length = 0; length < sizeof(text); length++) {
        char *copy = malloc(length + 1);

        memcpy(copy, text, length);
        if (eximlog_cut(copy, length, &frame)) {
            eximlog_parse(frame.message, &line);
            if (line.kind == EXIMLOG_RESULT) {
                assert_int_equal(line.status, MAILLOG_SENT);
                eximlog_reply(&line, &reply);
            }
        }
        free(copy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sent),  cmocka_unit_test(test_forms),  cmocka_unit_test(test_failed),
        cmocka_unit_test(test_queue), cmocka_unit_test(test_others), cmocka_unit_test(test_forged),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
