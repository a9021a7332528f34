/*
 * What mail leaves with, so that reports on it are known: the mark, and Feedback-ID.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/err.h"
#include "lib/feedback_id.h"
#include "lib/mark.h"

#include <errno.h>

static const uint8_t secret[CONF_SECRET_SIZE] = "a secret of 16 b";
static const char id[] = "abcdefghij23";

static void
test_round_trip(void **state)
{
    static const char *const accounts[] = {"a.test", "xn--bcher-kva.test", "a_b.test", "localhost"};
    char text[MARK_SIZE];
    struct mark mark;

    (void)state;
    for (size_t i = 0; i < COUNT(accounts); i++) {
        assert_true(mark_print(secret, "bulk-2", id, accounts[i], text));
        assert_memory_equal(text, "bulk-2.abcdefghij23.", 20);
        assert_string_equal(strchr(text, ':') + 1, accounts[i]);
        assert_true(mark_read(secret, text, &mark));
        assert_string_equal(mark.stream, "bulk-2");
        assert_string_equal(mark.id, id);
        assert_string_equal(mark.account, accounts[i]);
    }
    for (char *c = text; *c != '\0'; c++) /* as mail software may write it */
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    assert_true(mark_read(secret, text, &mark));
    assert_string_equal(mark.account, "localhost");
}

static void
test_longest(void **state)
{
    static const char long_id[] = "abcdefghij23abcd"; /* with a day */
    char account[MARK_ACCOUNT_MAX + 2], text[MARK_SIZE], stream[STREAM_NAME_MAX + 1];
    struct mark mark;

    (void)state;
    memset(account, 'a', sizeof(account));
    memset(stream, 's', sizeof(stream));
    stream[STREAM_NAME_MAX] = '\0';
    account[MARK_ACCOUNT_MAX + 1] = '\0';
    assert_false(mark_print(secret, stream, long_id, account, text));
    account[MARK_ACCOUNT_MAX] = '\0';
    assert_true(mark_print(secret, stream, long_id, account, text));
    assert_int_equal(strlen(text), MARK_SIZE - 1);
    assert_true(mark_read(secret, text, &mark));
}

static void
test_no_account(void **state)
{
    static const char *const accounts[] = {"",         "a test",   "[192.0.2.1]",
                                           "a,b.test", "a:b.test", "\xc3\xa4.test"};
    char text[MARK_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(accounts); i++)
        assert_false(mark_print(secret, "bulk", id, accounts[i], text));
}

/* Whatever of it is changed, it is none any more; and it is no tag, nor a tag a mark. */
static void
test_forged(void **state)
{
    static const uint8_t other[CONF_SECRET_SIZE] = "another secret!!";
    char text[MARK_SIZE], tagged[TAG_SENDER_SIZE], sender[TAG_SENDER_SIZE];
    struct mark mark = {.stream = "untouched"};
    struct tag tag;

    (void)state;
    assert_true(mark_print(secret, "bulk", id, "a.test", text));
    assert_false(mark_read(other, text, &mark));
    for (char *c = text; *c != '\0'; c++) {
        char was = *c;

        *c = was == 'b' ? 'c' : 'b';
        assert_false(mark_read(secret, text, &mark));
        *c = was;
    }
    assert_false(mark_read(secret, "", &mark));
    assert_false(mark_read(secret, "bulk", &mark));
    strcat(text, "x");
    assert_false(mark_read(secret, text, &mark));
    text[strlen(text) - 1] = '\0';
    assert_true(mark_read(secret, text, &(struct mark){0}));
    assert_string_equal(mark.stream, "untouched");

    *strchr(text, ':') = '\0';
    snprintf(sender, sizeof(sender), "joe+pp=%s@a.test", text);
    assert_false(tag_find(sender, &tag));
    assert_int_equal(tag_add(secret, "joe@a.test", "bulk", id, tagged), 0);
    assert_true(tag_find(tagged, &tag));
    snprintf(text, sizeof(text), "%s.%s.%s:a.test", tag.stream, tag.id, tag.mac);
    assert_false(mark_read(secret, text, &mark));
}

static void
test_feedback_id(void **state)
{
    static const struct {
        const char *text, *account, *value;
    } cases[] = {
        {"example", "a.test", "example"},
        {"{stream}:{account}::example", "a.test", "bulk:a.test::example"},
        {"x-{stream}:42:example", "a.test", "x-bulk:42:example"},
        {"{account}:example", "", ":example"},
        {"{account}:example", "[ipv6:1]", "_ipv6_1_:example"},
        {"{account}:example", "\xc3\xa4.test", "__.test:example"},
    };
    char value[FEEDBACK_ID_SIZE], longest[300];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(feedback_id_check(cases[i].text, NULL), 0);
        feedback_id_print(cases[i].text, "bulk", cases[i].account, value);
        assert_string_equal(value, cases[i].value);
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    feedback_id_print("{account}:example", "bulk", longest, value);
    assert_int_equal(strlen(value), FEEDBACK_ID_ACCOUNT_MAX + strlen(":example"));
}

static void
test_feedback_id_mistakes(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"a:b:c:d:example", "has 5 fields between colons, there may be 4"},
        {"{stream}:{stream}:example", "has {stream} or {account} twice"},
        {"a b:example", "has a \" \"; there may be letters, digits, \"-\", \".\", \"_\", {stream} "
                        "and {account}"},
        {"{pool}:example", "has a \"{\"; there may be letters, digits, \"-\", \".\", \"_\", "
                           "{stream} and {account}"},
        {"a:b:c:x", "its last field says who sends, in 5 to 15 characters, as in "
                    "\"{stream}:{account}::example\""},
        {"example:", "its last field says who sends, in 5 to 15 characters, as in "
                     "\"{stream}:{account}::example\""},
        {"a:{stream}", "its last field says who sends, in 5 to 15 characters, as in "
                       "\"{stream}:{account}::example\""},
        {"a:sixteen-letters-", "its last field says who sends, in 5 to 15 characters, as in "
                               "\"{stream}:{account}::example\""},
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(feedback_id_check(cases[i].text, &err), -EINVAL);
        assert_string_equal(err.msg, cases[i].why);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_longest),
        cmocka_unit_test(test_no_account),  cmocka_unit_test(test_forged),
        cmocka_unit_test(test_feedback_id), cmocka_unit_test(test_feedback_id_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
