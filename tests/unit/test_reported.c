/*
 * What comes back on mail after it has left: from the milter's line to what is counted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/seen.h"
#include "engine/snapshot.h"
#include "engine/tallies.h"
#include "lib/conf.h"
#include "policyd/hours_count.h"
#include "policyd/reported.h"

#define NOV_5 INT64_C(1762337471000) /* 2025-11-05 10:11:11 UTC */

static const char more[] = "providers: { google = { domains = ( \"gmail.com\" ); }; };\n";
static struct conf *conf;
static struct reported reported;

/* What stands behind the queue id. */
static bool
make(const char *text)
{
    static const char ident[] = "postpool/milter";
    struct outcome_view view = {.conf = conf, .now_ms = NOV_5};
    struct maillog_time time = {.month = 11, .day = 5, .hour = 10, .minute = 11, .second = 12};
    char message[500];
    struct maillog line;

    snprintf(message, sizeof(message), "4A: %s", text);
    maillog_parse((struct span){ident, strlen(ident)}, (struct span){message, strlen(message)},
                  &line);
    assert_true(line.kind == MAILLOG_COMPLAINT || line.kind == MAILLOG_RETURNED);
    return reported_make(&view, &time, &line, &reported);
}

static void
test_complaint(void **state)
{
    (void)state;
    assert_true(make("complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=mark, "
                     "account=a.test, address=b1, domain=gmail.com, from=\"x@b.test\""));
    assert_true(reported.complaint);
    assert_int_equal(reported.at_ms, NOV_5 + 1000);
    assert_string_equal(reported.stream->name, "bulk");
    assert_string_equal(reported.id, "abcdefghij23");
    assert_string_equal(reported.account, "a.test");
    assert_string_equal(reported.address->name, "b1");
    assert_string_equal(reported.provider->name, "google");
    /* of a message with a hint */
    assert_true(make("complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23abcd, "
                     "by=mark, account=a.test"));
    assert_string_equal(reported.id, "abcdefghij23abcd");
    /* a host of the site itself: whose it is it does not know */
    assert_true(make("complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=tag"));
    assert_string_equal(reported.account, "");
    assert_null(reported.address);
    assert_string_equal(reported.provider->name, "other");
    assert_true(make("complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=mark, "
                     "account=a.test, address=gone, domain=elsewhere.test"));
    assert_null(reported.address);
    assert_string_equal(reported.provider->name, "other");
}

static void
test_bounce(void **state)
{
    (void)state;
    assert_true(make("bounce: recipients=1, status=5.1.1, stream=bulk, id=abcdefghij23, by=mark, "
                     "account=a.test, domain=gmail.com, to=\"x@gmail.com\""));
    assert_false(reported.complaint);
    assert_string_equal(reported.account, "a.test");
}

/* Of none of ours, of a stream that is gone, or told in the log of the host that bounced it. */
static void
test_not_counted(void **state)
{
    static const char *const lines[] = {
        "complaint: type=abuse, incidents=1, address=b1, domain=gmail.com",
        "complaint: type=abuse, incidents=1, stream=gone, id=abcdefghij23, by=mark, account=a.test",
        "complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23abcde, by=mark, account=a",
        "bounce: recipients=1, status=5.1.1",
        "bounce: recipients=1, stream=bulk, id=abcdefghij23, by=tag, account=a.test",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++)
        if (make(lines[i]))
            fail_msg("%s", lines[i]);
}

static uint64_t
sum(const struct tallies *tallies, enum tallies_kind kind, const char *name, int counter)
{
    uint64_t all = 0;

    for (size_t i = 0; i < tallies_count(tallies); i++)
        if (tallies_get(tallies, i)->kind == kind)
            for (int j = 0; j < (kind == TALLIES_MAIL ? 4 : 1); j++)
                all += strcmp(tallies_get(tallies, i)->names[j], name) == 0
                           ? tallies_get(tallies, i)->tally.counts[counter]
                           : 0;
    return all;
}

/* By stream, pool, address and provider, and by account, where that is told. */
static void
test_count(void **state)
{
    struct tallies *tallies = tallies_new(100);

    (void)state;
    assert_true(make("complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=mark, "
                     "account=a.test, address=b1, domain=gmail.com"));
    assert_true(hours_count_reported(tallies, 1, &reported));
    assert_true(make("complaint: type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=tag"));
    assert_true(hours_count_reported(tallies, 1, &reported));
    assert_true(
        make("bounce: recipients=1, stream=bulk, id=abcdefghij23, by=mark, account=a.test"));
    assert_true(hours_count_reported(tallies, 1, &reported));
    assert_int_equal(sum(tallies, TALLIES_MAIL, "b1", TALLY_COMPLAINTS), 1);
    assert_int_equal(sum(tallies, TALLIES_MAIL, "google", TALLY_COMPLAINTS), 1);
    assert_int_equal(sum(tallies, TALLIES_MAIL, "other", TALLY_COMPLAINTS), 1);
    assert_int_equal(sum(tallies, TALLIES_MAIL, "other", TALLY_RETURNED), 1);
    assert_int_equal(sum(tallies, TALLIES_MAIL, "b1", TALLY_RETURNED), 0);
    assert_int_equal(sum(tallies, TALLIES_ACCOUNTS, "a.test", TALLY_COMPLAINTS), 1);
    assert_int_equal(sum(tallies, TALLIES_ACCOUNTS, "a.test", TALLY_RETURNED), 1);
    assert_int_equal(sum(tallies, TALLIES_ACCOUNTS, "", TALLY_COMPLAINTS), 0);
    tallies_free(tallies);
}

/* The last ones are known, and those long before are not. */
static void
test_seen(void **state)
{
    struct seen seen = {0};

    (void)state;
    for (uint64_t i = 0; i < 10 * SEEN_MOST; i++) {
        assert_true(seen_note(&seen, i * 0x9e3779b97f4a7c15u));
        assert_false(seen_note(&seen, i * 0x9e3779b97f4a7c15u));
        if (i >= SEEN_MOST)
            assert_false(seen_note(&seen, (i - SEEN_MOST + 1) * 0x9e3779b97f4a7c15u));
    }
    assert_true(seen_note(&seen, 0));
    seen_clear(&seen);
    assert_true(seen_note(&seen, 1));
    seen_clear(&seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complaint),   cmocka_unit_test(test_bounce),
        cmocka_unit_test(test_not_counted), cmocka_unit_test(test_count),
        cmocka_unit_test(test_seen),
    };
    int failed;

    conf = unit_conf_with(more);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    conf_unref(conf);
    return failed;
}
