/*
 * Complaints and bounces that come in by mail.
 *
 * A message is told in pieces of several sizes, with both ends of lines, and
 * gives the same each time.  What comes of it is printed and compared whole.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/mem.h"
#include "milter/report.h"
#include "tests/unit/reports.h"

static const char *const names[] = {"Feedback-ID", "X-Postpool-ID"};

static const char *const kinds[] = {
    [REPORT_NONE] = "none",   [REPORT_FEEDBACK] = "feedback", [REPORT_BOUNCE] = "bounce",
    [REPORT_DELAY] = "delay", [REPORT_RECEIPT] = "receipt",
};

static const char *const actions[] = {
    [REPORT_UNTOLD] = "",
    [REPORT_FAILED] = " failed",
    [REPORT_DELAYED] = " delayed",
    [REPORT_DELIVERED] = " delivered",
};

static void
print_recipient(struct buf *out, const struct report_recipient *recipient)
{
    if (recipient->original[0] != '\0')
        buf_printf(out, " original=%s", recipient->original);
    if (recipient->final[0] != '\0')
        buf_printf(out, " final=%s", recipient->final);
    buf_printf(out, "%s", actions[recipient->action]);
    if (recipient->status[0] != '\0')
        buf_printf(out, " %s", recipient->status);
    if (recipient->said)
        buf_puts(out, " said");
    if (recipient->diagnostic[0] != '\0')
        buf_printf(out, " \"%s\"", recipient->diagnostic);
    buf_puts(out, "\n");
}

static void
print_report(struct buf *out, const struct report *report)
{
    char source[IP_TEXT_SIZE] = "";

    if (report->source.family != 0)
        ip_print(&report->source, source);
    if (report->kind == REPORT_FEEDBACK)
        buf_printf(out, " %s incidents=%u source=%s reporter=%s arrival=%s", report->type,
                   report->incidents, source, report->reporter, report->arrival);
    else if (report->kind != REPORT_NONE)
        buf_printf(out, " reporter=%s queue=%s arrival=%s", report->reporter, report->queue_id,
                   report->arrival);
    if (report->kind != REPORT_NONE || report->returned)
        buf_printf(out, " sender=%s tags=", report->sender);
    for (size_t i = 0; i < report->tag_count; i++)
        buf_printf(out, "%s%s.%s.%s", i > 0 ? "," : "", report->tags[i].stream, report->tags[i].id,
                   report->tags[i].mac);
    if (report->kind != REPORT_NONE || report->returned)
        buf_printf(out, " returned=%s", report->returned ? "yes" : "no");
    if (report->values[0][0] != '\0')
        buf_printf(out, " header=%s", report->values[0]);
    if (report->values[1][0] != '\0')
        buf_printf(out, " id=%s", report->values[1]);
    buf_puts(out, "\n");
    for (size_t i = 0; i < report->recipient_count && i < REPORT_RECIPIENTS_MAX; i++)
        print_recipient(out, &report->recipients[i]);
}

/* As a milter is told a header: a value keeps its folds.  Returns what is behind it. */
static const char *
tell_header(struct report_reader *reader, const char *text)
{
    while (*text != '\0' && *text != '\n') {
        const char *colon = strchr(text, ':'), *end = colon;
        char *name = mem_strndup(text, (size_t)(colon - text)), *value;

        do
            end = strchr(end + 1, '\n');
        while (end[1] == ' ' || end[1] == '\t');
        value = mem_strndup(colon + 1, (size_t)(end - colon - 1));
        report_header(reader, name, value);
        free(name);
        free(value);
        text = end + 1;
    }
    return *text == '\n' ? text + 1 : text;
}

static void
tell_body(struct report_reader *reader, const char *body, size_t length, size_t piece)
{
    for (size_t at = 0; at < length; at += piece) {
        size_t left = length - at;
        char *own = mem_strndup(body + at, left < piece ? left : piece);

        report_body(reader, own, left < piece ? left : piece);
        free(own);
    }
}

static char *
with_returns(const char *text)
{
    struct buf out = {0};

    for (; *text != '\0'; text++)
        buf_printf(&out, "%s%c", *text == '\n' ? "\r" : "", *text);
    buf_puts(&out, "");
    return buf_take(&out);
}

/* What comes of the message, told in pieces; the caller owns it. */
static char *
result_of(const char *text, size_t piece, bool returns)
{
    struct report_reader *reader = report_reader_new(names, COUNT(names));
    char *body =
        returns ? with_returns(tell_header(reader, text)) : mem_strdup(tell_header(reader, text));
    const struct report *report;
    struct buf out = {0};

    tell_body(reader, body, strlen(body), piece);
    report = report_end(reader);
    buf_puts(&out, kinds[report->kind]);
    print_report(&out, report);
    report_reader_free(reader);
    free(body);
    return buf_take(&out);
}

static void
check_samples(const struct report_sample *samples, size_t count)
{
    static const size_t pieces[] = {1, 7, 64, 100000};

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < 2 * COUNT(pieces); j++) {
            char *result = result_of(samples[i].text, pieces[j / 2], j % 2 == 1);

            if (strcmp(result, samples[i].result) != 0)
                fail_msg("%s, pieces of %zu:\n%sis not\n%s", samples[i].name, pieces[j / 2], result,
                         samples[i].result);
            free(result);
        }
}

static void
test_feedback(void **state)
{
    (void)state;
    check_samples(reports_feedback, reports_feedback_count);
}

static void
test_status(void **state)
{
    (void)state;
    check_samples(reports_status, reports_status_count);
}

static void
test_hostile(void **state)
{
    (void)state;
    check_samples(reports_hostile, reports_hostile_count);
}

/* A message is told, and then what repeat adds to its body, many times. */
static struct report_reader *
read_long(const char *text, const char *repeat, size_t times, const char *rest)
{
    struct report_reader *reader = report_reader_new(names, COUNT(names));
    const char *body = tell_header(reader, text);

    report_body(reader, body, strlen(body));
    for (size_t i = 0; i < times; i++)
        report_body(reader, repeat, strlen(repeat));
    report_body(reader, rest, strlen(rest));
    return reader;
}

/* The first ones are kept, all are counted, and what the last one says counts, too. */
static void
test_many_recipients(void **state)
{
    struct report_reader *reader =
        read_long("Content-Type: message/delivery-status\n\n",
                  "Final-Recipient: rfc822; ann@a.test\nAction: delayed\n\n", 5000,
                  "Final-Recipient: rfc822; bob@a.test\nAction: failed\n");
    const struct report *report = report_end(reader);

    (void)state;
    assert_int_equal(report->kind, REPORT_BOUNCE);
    assert_int_equal(report->recipient_count, 5001);
    for (size_t i = 0; i < REPORT_RECIPIENTS_MAX; i++)
        assert_string_equal(report->recipients[i].final, "ann@a.test");
    report_reader_free(reader);

    reader = read_long("Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n",
                       "Original-Rcpt-To: ann@a.test\n", 5000, "");
    report = report_end(reader);
    assert_int_equal(report->kind, REPORT_FEEDBACK);
    assert_int_equal(report->recipient_count, 5000);
    report_reader_free(reader);
}

static void
test_many_tags(void **state)
{
    struct report_reader *reader = report_reader_new(names, COUNT(names)), *same;
    const struct report *report;

    (void)state;
    report_header(reader, "Content-Type", "message/rfc822");
    for (char id[] = "abcdefghijka"; id[11] < 'k'; id[11]++) {
        char *line = mem_printf("Sender: joe+pp=bulk.%s.abcdefgh@a.test\n", id);

        report_body(reader, line, strlen(line));
        free(line);
    }
    report = report_end(reader);
    assert_int_equal(report->tag_count, REPORT_TAGS_MAX);
    assert_string_equal(report->tags[3].id, "abcdefghijkd");
    report_reader_free(reader);

    same = read_long("Content-Type: message/rfc822\n\n",
                     "Sender: joe+pp=bulk.abcdefghij23.abcdefgh@a.test\n", 10, "");
    assert_int_equal(report_end(same)->tag_count, 1);
    report_reader_free(same);
}

/* Fields, folds and lines without end leave what stands behind them as it is. */
static void
test_endless(void **state)
{
    static const char start[] = "Content-Type: multipart/report; boundary=x\n\n--x\n"
                                "Content-Type: message/feedback-report\n\n";
    static const char rest[] = "\nFeedback-Type: abuse\n--x--\n";
    static const char *const repeats[] = {
        "a", "X: y\n", "X: y\n ", " ", "\n ", "-", "--", "--x", ":", "\t:\t", "=", "\r",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(repeats); i++) {
        struct report_reader *reader = read_long(start, repeats[i], 100000, rest);
        const struct report *report = report_end(reader);

        if (report->kind != REPORT_FEEDBACK || strcmp(report->type, "abuse") != 0)
            fail_msg("lost behind many \"%s\"", repeats[i]);
        report_reader_free(reader);
    }
}

/* Wherever a long line is cut on its way: what stands in it is no boundary. */
static void
test_long_line(void **state)
{
    (void)state;
    for (size_t length = 0; length < 600; length++) {
        struct buf text = {0};
        struct report_reader *reader;

        buf_puts(&text, "Content-Type: multipart/report; boundary=x\n\n");
        for (size_t i = 0; i <= length; i++)
            buf_puts(&text, "-");
        buf_puts(&text, "--x\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n");
        reader = read_long(buf_text(&text), "", 0, "");
        if (report_end(reader)->kind != REPORT_NONE)
            fail_msg("boundary behind %zu", length);
        report_reader_free(reader);
        buf_clear(&text);
    }
}

static void
test_nul(void **state)
{
    static const char text[] = "User-Agent: a\0b\nFeedback-Type\0: abuse\n";
    struct report_reader *reader = report_reader_new(NULL, 0);
    const struct report *report;

    (void)state;
    report_header(reader, "Content-Type", "message/feedback-report");
    report_body(reader, text, sizeof(text) - 1);
    report = report_end(reader);
    assert_string_equal(report->reporter, "a?b");
    assert_string_equal(report->type, "other");
    report_reader_free(reader);
}

/* Cut is text alone, and between characters; what is a name or an address fits, or is not there. */
static void
test_too_long(void **state)
{
    struct report_reader *reader;
    const struct report *report;
    char *text, many[400];

    (void)state;
    memset(many, 'a', sizeof(many));
    many[REPORT_TEXT_MAX - 1] = '\xc3';
    many[REPORT_TEXT_MAX] = '\xa4';
    many[sizeof(many) - 1] = '\0';
    text =
        mem_printf("Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; %s@b.test\n"
                   "Status: 5.1.1\nDiagnostic-Code: smtp; %s\nX-Postfix-Queue-ID: %s\n",
                   many, many, many);
    reader = read_long(text, "", 0, "");
    report = report_end(reader);
    assert_string_equal(report->recipients[0].final, "");
    assert_int_equal(strlen(report->recipients[0].diagnostic), REPORT_TEXT_MAX - 1);
    assert_string_equal(report->queue_id, "");
    report_reader_free(reader);
    free(text);
}

static void
test_genuine(void **state)
{
    static const uint8_t secret[CONF_SECRET_SIZE] = "0123456789abcde";
    char sender[TAG_SENDER_SIZE], *text;
    struct report_reader *reader;
    const struct report *report;

    (void)state;
    assert_int_equal(tag_add(secret, "joe@a.test", "bulk", "abcdefghij23", sender), 0);
    text = mem_printf("Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
                      "Original-Mail-From: <%s>\n",
                      sender);
    reader = read_long(text, "", 0, "");
    report = report_end(reader);
    assert_int_equal(report->tag_count, 1);
    assert_true(tag_verify(secret, &report->tags[0]));
    assert_string_equal(report->sender, "joe@a.test");
    report_reader_free(reader);
    free(text);
}

/* Who handed it in, by what each server in between has written; the last one first. */
static void
test_hops(void **state)
{
    static const struct {
        const char *received, *ip;
    } cases[] = {
        {"from a1.test (b.test [192.0.2.1])\n\tby mx.test (Postfix) with ESMTP id 4A", "192.0.2.1"},
        {"from a1.test (b.test [IPv6:2001:db8::1]) by mx.test", "2001:db8::1"},
        {"from x (EHLO a1.test) (192.0.2.2)\n  by mx.test with SMTP; Thu", "192.0.2.2"},
        {"from [192.0.2.3] (helo=a1.test) by mx.test", "192.0.2.3"},
        {"from a1.test ([192.0.2.4]:5555 helo=a1.test) by mx.test", "192.0.2.4"},
        {"from a1.test ([::ffff:192.0.2.4] by mx.test", "::ffff:192.0.2.4"},
        {"from a1.test ([198.51.100.1", "198.51.100.1"},
        {"from a1.test (unknown) by mx.test ([192.0.2.5])", NULL},
        {"by mx.test (8.1) id x; ([192.0.2.5])", NULL},
        {"from (((([[[[ (a b", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = mem_printf("Content-Type: message/rfc822\n\nReceived: %s\n\nReceived: from a "
                                "([192.0.2.9]) by b\n",
                                cases[i].received);
        struct report_reader *reader = read_long(text, "", 0, "");
        const struct report *report = report_end(reader);
        struct ip ip;

        if (report->hop_count != (cases[i].ip != NULL))
            fail_msg("%s: %zu", cases[i].received, report->hop_count);
        assert_true(cases[i].ip == NULL || ip_parse(cases[i].ip, &ip));
        if (cases[i].ip != NULL && ip_compare(&report->hops[0], &ip) != 0)
            fail_msg("%s", cases[i].received);
        report_reader_free(reader);
        free(text);
    }
}

static void
test_is_complaint(void **state)
{
    static const struct {
        enum report_kind kind;
        const char *type;
        bool complaint;
    } cases[] = {
        {REPORT_FEEDBACK, "abuse", true},
        {REPORT_FEEDBACK, "fraud", true},
        {REPORT_FEEDBACK, "opt-out", true},
        {REPORT_FEEDBACK, "other", true},
        {REPORT_FEEDBACK, "never-heard-of", true},
        {REPORT_FEEDBACK, "not-spam", false},
        {REPORT_FEEDBACK, "auth-failure", false},
        {REPORT_BOUNCE, "", false},
        {REPORT_NONE, "", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report report = {.kind = cases[i].kind};

        strcpy(report.type, cases[i].type);
        if (report_is_complaint(&report) != cases[i].complaint)
            fail_msg("%s %s", kinds[cases[i].kind], cases[i].type);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feedback),     cmocka_unit_test(test_status),
        cmocka_unit_test(test_hostile),      cmocka_unit_test(test_many_recipients),
        cmocka_unit_test(test_many_tags),    cmocka_unit_test(test_endless),
        cmocka_unit_test(test_too_long),     cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_nul),          cmocka_unit_test(test_genuine),
        cmocka_unit_test(test_is_complaint), cmocka_unit_test(test_hops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
