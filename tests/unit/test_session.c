/*
 * What the milter makes of a message.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "milter/session.h"

enum { NOW_S = 1795000000 };

static const char extra[] =
    "node = \"mta.test\";\n"
    "milter: { strip = ( \"X-Stream\" ); internal = ( \"192.0.2.0/24\" ); local_domains = ( "
    "\"local.test\" ); };\n";

/* A message from an internal client to a remote recipient. */
static struct session *
begin(const char *client, const char *sender)
{
    struct session *session = session_new();

    assert_true(ip_parse(client, &session->client));
    session_mail(session, unit_conf_with(extra), sender, NULL, NULL);
    session_rcpt(session, "<x@one.test>", "smtp");
    return session;
}

static void
expect(struct session *session, const char *stream, const char *untagged)
{
    struct verdict verdict;
    struct tag tag;

    session_verdict(session, 12345, NOW_S, &verdict);
    if (stream == NULL) {
        assert_null(verdict.stream);
        return;
    }
    assert_non_null(verdict.stream);
    assert_string_equal(verdict.stream->name, stream);
    assert_int_equal(verdict.tag, untagged != NULL);
    if (untagged == NULL)
        return;
    assert_true(tag_find(verdict.sender, &tag));
    assert_true(tag_verify(session->conf->secret, &tag));
    assert_string_equal(tag.stream, stream);
    assert_string_equal(tag.id, verdict.id);
    assert_int_equal(tag_remove(verdict.sender), 1);
    assert_string_equal(verdict.sender, untagged);
}

static void
test_own(void **state)
{
    struct session *session = begin("192.0.2.5", "<joe@a.test>");

    (void)state;
    expect(session, "default", "joe@a.test");
    session_free(session);
}

static void
test_foreign(void **state)
{
    struct session *session = begin("203.0.113.5", "<joe@a.test>");

    (void)state;
    session_header(session, "X-Postpool-Stream", "tx");
    assert_int_equal(session->own_headers, 0);
    expect(session, NULL, NULL);
    session_free(session);
}

static void
test_login_and_submission(void **state)
{
    struct session *session = begin("203.0.113.5", "<joe@a.test>");

    (void)state;
    session_mail(session, unit_conf_with(extra), "<joe@a.test>", NULL, "app");
    session_rcpt(session, "<x@one.test>", "smtp");
    expect(session, "default", "joe@a.test");
    session->submission = true;
    session_mail(session, unit_conf_with(extra), "<joe@a.test>", NULL, NULL);
    session_rcpt(session, "<x@one.test>", NULL);
    expect(session, "default", "joe@a.test");
    session_free(session);
}

/* What Postfix reads as something else is tagged in Postfix' own form, or not at all. */
static void
test_a_sender_that_is_read_anew(void **state)
{
    static const char *const cases[][3] = {
        {"<a(b)@a.test>", "a@a.test", "a@a.test"},
        {"<[a]@a.test>", "\"[a]\"@a.test", "\"[a]\"@a.test"},
        {"<[a]@a.test>", "[a]@a.test", NULL},
        {"<j.o'e+x@a.test>", "other@a.test", "j.o'e+x@a.test"},
        {"<j\xc3\xb6@a.test>", "other@a.test", "j\xc3\xb6@a.test"},
        {"<joe>", "joe@mta.test", "joe@mta.test"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct session *session = begin("192.0.2.5", "<x@a.test>");
        struct verdict verdict;

        session_mail(session, unit_conf_with(extra), cases[i][0], cases[i][1], NULL);
        session_rcpt(session, "<x@one.test>", "smtp");
        session_verdict(session, 1, NOW_S, &verdict);
        assert_int_equal(verdict.too_odd, cases[i][2] == NULL);
        if (cases[i][2] != NULL) {
            assert_int_equal(tag_remove(verdict.sender), 1);
            assert_string_equal(verdict.sender, cases[i][2]);
        }
        session_free(session);
    }
}

/* Longer than an address may be: it is not taken for the null sender. */
static void
test_a_sender_too_long_to_tag(void **state)
{
    char *local = mem_array(1200, 1), *sender;
    struct session *session;
    struct verdict verdict;

    (void)state;
    memset(local, 'x', 1100);
    sender = mem_printf("<%s@a.test>", local);
    session = begin("192.0.2.5", sender);
    session_verdict(session, 1, NOW_S, &verdict);
    assert_non_null(verdict.stream);
    assert_false(verdict.tag);
    assert_true(verdict.too_odd);
    assert_string_not_equal(session->sender, "");
    session_mail(session, unit_conf_with(extra), "<joe>", sender,
                 NULL); /* the same of Postfix' own form */
    session_rcpt(session, "<x@one.test>", "smtp");
    session_verdict(session, 1, NOW_S, &verdict);
    assert_true(verdict.too_odd);
    assert_string_equal(session->sender, "joe");
    session_free(session);
    free(sender);
    free(local);
}

static void
test_local_only(void **state)
{
    struct session *session = session_new();

    (void)state;
    assert_true(ip_parse("192.0.2.5", &session->client));
    session_mail(session, unit_conf_with(extra), "<joe@a.test>", NULL, NULL);
    session_rcpt(session, "<a@local.test>", "local");
    session_rcpt(session, "<b@LOCAL.test>", NULL);
    session_rcpt(session, "<b@mta.test>", "");
    session_rcpt(session, "<root>", NULL);
    session_rcpt(session, "<c@virtual.test>", "virtual");
    expect(session, NULL, NULL);
    session_rcpt(session, "<x@one.test>", NULL);
    expect(session, "default", "joe@a.test");
    session_free(session);
}

static void
test_headers(void **state)
{
    struct session *session = begin("192.0.2.5", "<joe@a.test>");

    (void)state;
    session_header(session, "X-Postpool-Stream", "bulk");
    session_header(session, "x-postpool-stream", "bulk");
    session_header(session, "x-STREAM", " t\r\n x");
    session_header(session, "X-Stream", " tx\r\n ");
    session_header(session, "Subject", "nobody asks for it");
    assert_int_equal(session->own_headers, 2);
    assert_int_equal(session->strip_counts[0], 2);
    assert_int_equal(session->header_count, 2);
    expect(session, "tx", "joe@a.test");
    session_free(session);
}

static void
test_forged_tag_is_replaced(void **state)
{
    struct session *session = begin(
        "192.0.2.5", "<joe+pp=bulk.abcdefghij23.abcdefgh+pp=tx.abcdefghij23.abcdefgh@a.test>");

    (void)state;
    expect(session, "default", "joe@a.test");
    session_free(session);
}

static void
test_null_sender(void **state)
{
    struct session *session = begin("192.0.2.5", "<>");

    (void)state;
    expect(session, "default", NULL);
    session_free(session);
}

static void
test_senders_that_postfix_completes(void **state)
{
    struct session *session = begin("192.0.2.5", "<joe>");

    (void)state;
    expect(session, "default", "joe"); /* Postfix appends its domain behind the tag */
    session_mail(session, unit_conf_with(extra), "<joe%b.test>", "joe@b.test", NULL);
    session_rcpt(session, "<x@one.test>", "smtp");
    expect(session, "default", "joe@b.test");
    session_mail(session, unit_conf_with(extra), "<@relay.test:joe@c.test>", "joe@c.test", NULL);
    session_rcpt(session, "<x@one.test>", "smtp");
    expect(session, "default", "joe@c.test");
    session_free(session);
}

static void
test_odd_sender(void **state)
{
    struct session *session = begin("192.0.2.5", "<\"open@a.test>");
    struct verdict verdict;

    (void)state;
    session_verdict(session, 1, NOW_S, &verdict);
    assert_non_null(verdict.stream);
    assert_false(verdict.tag);
    assert_true(verdict.too_odd);
    session_free(session);
}

/* However much comes, what is kept is bounded. */
static void
test_flood(void **state)
{
    struct session *session = begin("192.0.2.5", "<joe@a.test>");
    char *longer = mem_array(100001, 1);

    (void)state;
    memset(longer, 'x', 100000);
    for (int i = 0; i < 5000; i++) {
        session_rcpt(session, "<x@one.test>", "smtp");
        session_header(session, "List-Unsubscribe", longer);
        session_header(session, "X-Postpool-Stream", longer);
    }
    session_rcpt(session, longer, "smtp");
    assert_int_equal(session->recipient_count, SESSION_RECIPIENTS_MAX);
    assert_int_equal(session->header_count, SESSION_HEADERS_MAX);
    assert_int_equal(session->own_headers, 5000);
    expect(session, "bulk", "joe@a.test");
    free(longer);
    session_free(session);
}

/* What mail of a stream leaves with, and what passes for it. */
static void
test_marks(void **state)
{
    static const char streams[] =
        "complaints: { mark = \"X-Mark\"; };\n"
        "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; }; };\n"
        "pools: { fast = { addresses = ( \"a1\" ); }; };\n"
        "streams: ( { name = \"bulk\"; pool = \"fast\"; mark = true; feedback_id = "
        "\"{stream}:{account}::example\"; match = ( { header = \"X-Bulk\"; } ); },\n"
        " { name = \"default\"; pool = \"fast\"; match = (); } );\n";
    struct session *session = session_new();
    struct verdict verdict;
    struct mark mark;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(ip_parse("127.0.0.1", &session->client));
        session_mail(session, unit_conf(streams), i == 3 ? "<>" : "<joe@A.test>", NULL, NULL);
        session_rcpt(session, i == 4 ? "<x@local.test>" : "<x@one.test>",
                     i == 4 ? "virtual" : "smtp");
        if (i != 1)
            session_header(session, "X-Bulk", "1");
        session_header(session, "x-mark", "somebody's");
        if (i == 2)
            session_header(session, "feedback-id", "1:2:3:somebody");
        session_verdict(session, 12345, NOW_S, &verdict);
        assert_int_equal(session->own_marks, 1);
        if (i == 0 || i == 2) {
            assert_true(mark_read(session->conf->secret, verdict.mark, &mark));
            assert_string_equal(mark.stream, "bulk");
            assert_string_equal(mark.id, verdict.id);
            assert_string_equal(mark.account, "a.test");
        } else {
            assert_string_equal(verdict.mark, "");
        }
        assert_string_equal(verdict.feedback_id, i == 0 ? "bulk:a.test::example" : "");
    }
    session_mail(session, unit_conf(streams), "<>", NULL, NULL);
    assert_int_equal(session->own_marks, 0);
    assert_false(session->has_feedback_id);
    session_free(session);
}

/* One that is taken out of all mail leaves room for ours. */
static void
test_feedback_id_in_the_place_of_another(void **state)
{
    static const char streams[] =
        "milter: { strip = ( \"Feedback-Id\" ); };\n"
        "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; }; };\n"
        "pools: { fast = { addresses = ( \"a1\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"fast\"; feedback_id = \"{stream}:::example\"; "
        "match = (); } );\n";
    struct session *session = session_new();
    struct verdict verdict;

    (void)state;
    assert_true(ip_parse("127.0.0.1", &session->client));
    session_mail(session, unit_conf(streams), "<joe@a.test>", NULL, NULL);
    session_rcpt(session, "<x@one.test>", "smtp");
    session_header(session, "Feedback-ID", "1:2:3:somebody");
    session_verdict(session, 12345, NOW_S, &verdict);
    assert_int_equal(session->strip_counts[0], 1);
    assert_string_equal(verdict.feedback_id, "default:::example");
    session_free(session);
}

static const char complaints[] =
    "complaints: { addresses = ( \"fbl@a.test\", \"*@bounces.test\" ); header = \"X-Id\"; };\n";

/* A report to recipient; what there is to say of it, or NULL. */
static char *
report_to(struct session *session, const char *recipient)
{
    static const char body[] = "--x\nContent-Type: message/feedback-report\n\n"
                               "Feedback-Type: abuse\n--x\nContent-Type: message/rfc822\n\n"
                               "X-Id: 7\n--x--\n";

    session_mail(session, unit_conf_with(complaints), "<>", NULL, NULL);
    session_rcpt(session, "<x@one.test>", "smtp");
    session_rcpt(session, recipient, "virtual");
    session_header(session, "Content-Type", "multipart/report;\n\tboundary=x");
    for (size_t i = 0; i < sizeof(body) - 1; i++)
        if (!session_body(session, body + i, 1))
            return session_report(session);
    return session_report(session);
}

/* Whoever sends it, a report is read where it comes to an address for reports, and nowhere else. */
static void
test_report(void **state)
{
    static const struct {
        const char *client, *recipient, *line;
    } cases[] = {
        {"203.0.113.5", "<fbl@a.test>",
         "complaint: type=abuse, incidents=1, header=\"7\", came_to=\"fbl@a.test\""},
        {"127.0.0.1", "FBL@A.test",
         "complaint: type=abuse, incidents=1, header=\"7\", came_to=\"FBL@A.test\""},
        {"203.0.113.5", "<joe+pp=bulk.abcdefghij23.abcdefgh@bounces.test>",
         "complaint: type=abuse, incidents=1, header=\"7\", "
         "came_to=\"joe+pp=bulk.abcdefghij23.abcdefgh@bounces.test\""},
        {"203.0.113.5", "<fbl+pp=bulk.abcdefghij23.abcdefgh@a.test>",
         "complaint: type=abuse, incidents=1, header=\"7\", "
         "came_to=\"fbl+pp=bulk.abcdefghij23.abcdefgh@a.test\""},
        {"203.0.113.5", "<fbl2@a.test>", NULL},
        {"127.0.0.1", "<joe@a.test>", NULL},
        {"203.0.113.5", "<>", NULL},
    };
    struct session *session = session_new();

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *line;

        assert_true(ip_parse(cases[i].client, &session->client));
        line = report_to(session, cases[i].recipient);
        if (cases[i].line == NULL)
            assert_null(line);
        else
            assert_string_equal(line, cases[i].line);
        free(line);
    }
    assert_false(session_body(session, "x", 1));
    session_free(session);
}

/* One message's facts never reach the next. */
static void
test_reset(void **state)
{
    struct session *session = begin("192.0.2.5", "<joe@a.test>");

    (void)state;
    session_header(session, "X-Stream", "tx");
    session_mail(session, unit_conf_with(extra), "<joe@a.test>", NULL, NULL);
    expect(session, NULL, NULL); /* no recipient yet */
    session_rcpt(session, "<x@one.test>", "smtp");
    expect(session, "default", "joe@a.test");
    session_free(session);
    session_free(NULL);
}

static const char requiring[] =
    "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; }; };\n"
    "pools: { p = { addresses = ( \"a1\" ); }; };\n"
    "streams: ( { name = \"bulk\"; pool = \"p\"; require = ( \"one_click\", \"aligned_from\" );\n"
    "             match = ( { header = \"X-Stream\"; } ); },\n"
    "           { name = \"default\"; pool = \"p\"; match = (); } );\n"
    "milter: { strip = ( \"List-Unsubscribe-Post\" ); internal = ( \"192.0.2.0/24\" ); };\n";

static unsigned
unmet(const struct session *session)
{
    struct verdict verdict;

    session_verdict(session, 1, NOW_S, &verdict);
    return verdict.unmet;
}

/* By the stream that the message turns out to have; each message begins with nothing. */
static void
test_require(void **state)
{
    struct session *session = session_new();

    (void)state;
    assert_true(ip_parse("192.0.2.5", &session->client));
    session_mail(session, unit_conf(requiring), "<joe+pp=x.abcdefghij23.abcdefgh@news.a.test>",
                 NULL, NULL);
    session_rcpt(session, "<x@one.test>", "smtp");
    assert_int_equal(unmet(session), 0);
    session_header(session, "X-Stream", "y");
    assert_int_equal(unmet(session),
                     REQUIRE_BIT(REQUIRE_ONE_CLICK) | REQUIRE_BIT(REQUIRE_ALIGNED_FROM));
    session_header(session, "From", "joe@a.test");
    assert_int_equal(unmet(session), REQUIRE_BIT(REQUIRE_ONE_CLICK));
    session_header(session, "List-Unsubscribe", "<https://a.test/>");
    session_header(session, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    assert_int_equal(unmet(session), 0);
    session_header(session, "From", "joe@a.test");
    assert_int_equal(unmet(session), REQUIRE_BIT(REQUIRE_ALIGNED_FROM));
    session_mail(session, unit_conf(requiring), "<>", NULL, NULL);
    session_header(session, "X-Stream", "y");
    session_header(session, "From", "joe@a.test");
    assert_int_equal(unmet(session), 0); /* no recipient that is elsewhere */
    session_rcpt(session, "<x@one.test>", "smtp");
    assert_int_equal(unmet(session),
                     REQUIRE_BIT(REQUIRE_ONE_CLICK) | REQUIRE_BIT(REQUIRE_ALIGNED_FROM));
    session_free(session);
}

static const char hinting[] =
    "warmup: { hint: { header = \"X-Engaged\"; values = { high = \"7d\"; }; match = ( { "
    "sasl_user = \"app\"; } ); }; };\n"
    "milter: { strip = ( \"x-engaged\" ); };\n";

static void
expect_hint(const char *user, const char *sender, const char *value, enum hint hint, int32_t day)
{
    struct session *session = session_new();
    struct verdict verdict;
    struct tag tag;

    session_mail(session, unit_conf_with(hinting), sender, NULL, user);
    session_rcpt(session, "<x@one.test>", "smtp");
    if (value != NULL)
        session_header(session, "x-Engaged", value);
    session_verdict(session, 1, NOW_S, &verdict);
    assert_int_equal(verdict.hint, hint);
    assert_int_equal(tag_day(session->conf->secret, verdict.id), day);
    if (verdict.tag) {
        assert_true(tag_find(verdict.sender, &tag));
        assert_true(tag_verify(session->conf->secret, &tag));
        assert_string_equal(tag.id, verdict.id);
    }
    /* It goes, whoever gave it; and once, although it is to be stripped, too. */
    assert_int_equal(session->hint_headers, value != NULL);
    assert_int_equal(session->strip_counts[0], 0);
    session_reset(session);
    assert_int_equal(session->hint_headers, 0);
    session_free(session);
}

/* The hint of who may give one becomes a part of the id; the null sender has no tag for it. */
static void
test_hint(void **state)
{
    enum { TODAY = NOW_S / (24 * 3600) };
    struct session *session;

    (void)state;
    expect_hint("app", "<joe@a.test>", NULL, HINT_NONE, TAG_NO_DAY);
    expect_hint("app", "<joe@a.test>", "\r\n  High ", HINT_DAY, TODAY - 7);
    expect_hint("app", "<joe@a.test>", "12", HINT_DAY, TODAY - 12);
    expect_hint("app", "<joe@a.test>", "often", HINT_ODD, TAG_NO_DAY);
    expect_hint("other", "<joe@a.test>", "high", HINT_REFUSED, TAG_NO_DAY);
    expect_hint("app", "<>", "high", HINT_NONE, TAG_NO_DAY);

    session = session_new(); /* others' mail: it is not ours to change */
    assert_true(ip_parse("203.0.113.5", &session->client));
    session_mail(session, unit_conf_with(hinting), "<joe@a.test>", NULL, NULL);
    session_header(session, "X-Engaged", "high");
    assert_int_equal(session->hint_headers, 0);
    session_free(session);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_login_and_submission),
        cmocka_unit_test(test_a_sender_too_long_to_tag),
        cmocka_unit_test(test_a_sender_that_is_read_anew),
        cmocka_unit_test(test_local_only),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_forged_tag_is_replaced),
        cmocka_unit_test(test_null_sender),
        cmocka_unit_test(test_senders_that_postfix_completes),
        cmocka_unit_test(test_odd_sender),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_feedback_id_in_the_place_of_another),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_require),
        cmocka_unit_test(test_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
