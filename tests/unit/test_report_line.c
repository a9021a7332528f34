/*
 * What the log says of complaints and bounces.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/conf.h"
#include "lib/mark.h"
#include "lib/mem.h"
#include "milter/report_line.h"

static const char site[] = "complaints: { addresses = ( \"fbl@a.test\" ); };\n"
                           "pools: { p = { addresses = ( \"a1\", \"n1\" ); }; };\n"
                           "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
                           "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; };\n"
                           " n1 = { ip = \"10.0.0.1\"; public_ip = \"192.0.2.1\"; helo = "
                           "\"n1.test\"; }; };\n";
static struct conf *conf;

static void
expect(const struct report *report, const char *came_to, const char *expected)
{
    char *line = report_line(conf, report, came_to);

    assert_string_equal(line, expected);
    free(line);
}

static struct report
complaint_from(const char *source)
{
    struct report report = {.kind = REPORT_FEEDBACK, .type = "abuse", .incidents = 1};

    assert_true(source == NULL || ip_parse(source, &report.source));
    return report;
}

static void
test_kinds(void **state)
{
    static const struct {
        struct report report;
        const char *line;
    } cases[] = {
        {{.kind = REPORT_NONE}, "no report: recipients=0, came_to=\"fbl@a.test\""},
        {{.kind = REPORT_FEEDBACK, .type = "opt-out", .incidents = 3},
         "complaint: type=opt-out, incidents=3, came_to=\"fbl@a.test\""},
        {{.kind = REPORT_FEEDBACK, .type = "not-spam", .incidents = 1},
         "feedback: type=not-spam, incidents=1, came_to=\"fbl@a.test\""},
        {{.kind = REPORT_RECEIPT, .recipient_count = 1},
         "receipt: recipients=1, came_to=\"fbl@a.test\""},
        {{.kind = REPORT_DELAY,
          .recipient_count = 2,
          .recipients = {{.original = "ann@b.test", .action = REPORT_DELIVERED},
                         {.final = "bob@b.test", .action = REPORT_DELAYED, .status = "4.2.2"}}},
         "delay: recipients=2, status=4.2.2, domain=b.test, to=\"bob@b.test\", "
         "came_to=\"fbl@a.test\""},
        {{.kind = REPORT_BOUNCE,
          .recipient_count = 9999,
          .recipients = {{.original = "ann@b.test", .action = REPORT_DELAYED},
                         {.original = "bob@b.test",
                          .final = "bob@c.test",
                          .action = REPORT_FAILED,
                          .status = "5.1.1",
                          .diagnostic = "550 no"}}},
         "bounce: recipients=9999, status=5.1.1, domain=b.test, to=\"bob@b.test\", reason=\"550 "
         "no\", "
         "came_to=\"fbl@a.test\""},
        /* the one that failed is none of those that are kept */
        {{.kind = REPORT_BOUNCE, .recipient_count = 9999},
         "bounce: recipients=9999, came_to=\"fbl@a.test\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        expect(&cases[i].report, "fbl@a.test", cases[i].line);
}

static void
test_source(void **state)
{
    static const struct {
        const char *source, *told;
    } cases[] = {
        {"127.0.1.1", "address=a1"},           {"10.0.0.1", "address=n1"},
        {"192.0.2.1", "address=n1"},           {"192.0.2.2", "source=192.0.2.2"},
        {"2001:db8::1", "source=2001:db8::1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report report = complaint_from(cases[i].source);
        char *line = mem_printf("complaint: type=abuse, incidents=1, %s, came_to=\"f@a.test\"",
                                cases[i].told);

        expect(&report, "f@a.test", line);
        free(line);
    }
}

/* Where the report itself does not say: by the way that the message went, from its end. */
static void
test_hops(void **state)
{
    struct report report = complaint_from(NULL);

    (void)state;
    report.hop_count = 3;
    assert_true(ip_parse("198.51.100.1", &report.hops[0]));
    assert_true(ip_parse("192.0.2.1", &report.hops[1]));
    assert_true(ip_parse("127.0.1.1", &report.hops[2])); /* of the host itself, to itself */
    expect(&report, "f@a.test",
           "complaint: type=abuse, incidents=1, address=n1, came_to=\"f@a.test\"");
    assert_true(ip_parse("192.0.2.2", &report.source));
    expect(&report, "f@a.test",
           "complaint: type=abuse, incidents=1, source=192.0.2.2, came_to=\"f@a.test\"");
    report.source.family = 0;
    report.hop_count = 1;
    expect(&report, "f@a.test", "complaint: type=abuse, incidents=1, came_to=\"f@a.test\"");
}

/* Stream and id, wherever a genuine tag stands; else they are not there. */
static void
test_tag(void **state)
{
    static const uint8_t other[CONF_SECRET_SIZE] = "another secret!";
    static const char told[] =
        "complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=tag, "
        "came_to=\"f@a.test\"";
    char sender[TAG_SENDER_SIZE], forged[TAG_SENDER_SIZE], *line;
    struct report report = complaint_from(NULL);

    (void)state;
    assert_int_equal(tag_add(conf->secret, "f@a.test", "bulk", "abcdefghij23", sender), 0);
    assert_int_equal(tag_add(other, "f@a.test", "fast", "abcdefghij23", forged), 0);

    report.tag_count = 1;
    assert_true(tag_find(forged, &report.tags[0]));
    expect(&report, "f@a.test", "complaint: type=abuse, incidents=1, came_to=\"f@a.test\"");
    report.tag_count = 2;
    assert_true(tag_find(sender, &report.tags[1]));
    expect(&report, "f@a.test", told);

    report.tag_count = 0;
    line = mem_printf("complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=tag, "
                      "came_to=\"%s\"",
                      sender);
    expect(&report, sender, line);
    free(line);
}

/* Who got a message knows its mark: by it nobody but its own account is accused. */
static void
test_mark(void **state)
{
    static const char told[] =
        "bounce: recipients=0, stream=bulk, id=abcdefghij23, by=mark, account=b.test, "
        "came_to=\"f@a.test\"";
    struct report report = {.kind = REPORT_BOUNCE, .returned = true};
    char sender[TAG_SENDER_SIZE], *mark = report.values[REPORT_LINE_MARK];

    (void)state;
    assert_true(mark_print(conf->secret, "bulk", "abcdefghij23", "b.test", mark));
    expect(&report, "f@a.test", told);
    strchr(mark, ':')[1] = 'c';
    expect(&report, "f@a.test", "bounce: recipients=0, came_to=\"f@a.test\"");
    strchr(mark, ':')[1] = 'b';

    /* by a host of the site itself: it saw the tag */
    report.tag_count = 1;
    assert_int_equal(tag_add(conf->secret, "f@a.test", "bulk", "abcdefghij23", sender), 0);
    assert_true(tag_find(sender, &report.tags[0]));
    expect(&report, "f@a.test",
           "bounce: recipients=0, stream=bulk, id=abcdefghij23, by=tag, account=b.test, "
           "came_to=\"f@a.test\"");
    assert_int_equal(tag_add(conf->secret, "f@a.test", "fast", "bbcdefghij23", sender), 0);
    assert_true(tag_find(sender, &report.tags[0])); /* another message's */
    expect(&report, "f@a.test",
           "bounce: recipients=0, stream=fast, id=bbcdefghij23, by=tag, came_to=\"f@a.test\"");
}

/* The recipient's domain, where it can be nothing else. */
static void
test_domain(void **state)
{
    static const struct {
        const char *to, *told;
    } cases[] = {
        {"ann@B.test.", ", domain=b.test, to=\"ann@B.test.\""},
        {"x@y, stream=z", ", to=\"x@y, stream=z\""},
        {"x@\"y\"", ", to=\"x@\\\"y\\\"\""},
        {"x@", ", to=\"x@\""},
        {"redacted", ", to=\"redacted\""},
        {"x@\xc3\xa4.test", ", to=\"x@\xc3\xa4.test\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report report = complaint_from(NULL);
        char *line =
            mem_printf("complaint: type=abuse, incidents=1%s, came_to=\"f@a.test\"", cases[i].told);

        report.recipient_count = 1;
        strcpy(report.recipients[0].original, cases[i].to);
        expect(&report, "f@a.test", line);
        free(line);
    }
}

/* Nobody's words end where they do not. */
static void
test_strangers_text(void **state)
{
    struct report report = complaint_from(NULL);
    char *line;

    (void)state;
    strcpy(report.sender, "a\", stream=bulk@b.test");
    strcpy(report.values[0], "\\\"");
    strcpy(report.reporter, "x\\");
    expect(&report, "\"f\n\"@a.test",
           "complaint: type=abuse, incidents=1, from=\"a\\\", stream=bulk@b.test\", "
           "header=\"\\\\\\\"\", reporter=\"x\\\\\", came_to=\"\\\"f?\\\"@a.test\"");

    memset(report.sender, 'a', sizeof(report.sender) - 1);
    line = report_line(conf, &report, "f@a.test");
    assert_in_range(strlen(line), 300, 500);
    assert_non_null(strstr(line, "aaa\", header="));
    free(line);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_source),
        cmocka_unit_test(test_hops),           cmocka_unit_test(test_tag),
        cmocka_unit_test(test_mark),           cmocka_unit_test(test_domain),
        cmocka_unit_test(test_strangers_text),
    };
    int failed;

    conf = unit_conf(site);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    conf_unref(conf);
    return failed;
}
