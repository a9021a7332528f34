/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/tag.h"
#include "lib/tagged.h"

#include <ctype.h>
#include <errno.h>

static const uint8_t secret[CONF_SECRET_SIZE] = "0123456789abcde";
static const char id[] = "abcdefghij23";

/* Every sender comes back as it was, and the tag says what it was given. */
static void
test_round_trip(void **state)
{
    static const char *const senders[] = {
        "joe@a.test",
        "joe+ext@a.test",
        "joe+pp=not.a.tag@a.test",
        "\"we ird\"@a.test",
        "\"a@b\"@a.test",
        "\"q\\\"uote\"@a.test",
        "\"\"@a.test",
        "j\xc3\xb6rg@\xc3\xa4.test",
        "list-bounces+user=rcpt.test@a.test",
        "user%remote@a.test",
        "foo.@a.test",
        "bare",
        "joe@[192.0.2.1]",
        "a@b@c.test",
        "=?x@a.test",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(senders); i++) {
        char tagged[TAG_SENDER_SIZE];
        struct tag tag;

        assert_int_equal(tag_add(secret, senders[i], "bulk", id, tagged), 0);
        if (!tag_find(tagged, &tag))
            fail_msg("no tag in %s", tagged);
        assert_string_equal(tag.stream, "bulk");
        assert_string_equal(tag.id, id);
        assert_true(tag_verify(secret, &tag));
        assert_int_equal(tag_remove(tagged), 1);
        assert_string_equal(tagged, senders[i]);
    }
}

static void
test_form(void **state)
{
    char tagged[TAG_SENDER_SIZE];

    (void)state;
    assert_int_equal(tag_add(secret, "\"we ird\"@a.test", "bulk", id, tagged), 0);
    assert_memory_equal(tagged, "\"we ird+pp=bulk.abcdefghij23.", 29);
    assert_string_equal(strchr(tagged, '@') - 1, "\"@a.test");
    for (const char *p = strstr(tagged, "pp=") + 3; *p != '"'; p++)
        assert_true(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '.');
}

static void
test_case_means_nothing(void **state)
{
    char tagged[TAG_SENDER_SIZE];
    struct tag tag;

    (void)state;
    assert_int_equal(tag_add(secret, "joe@a.test", "bulk", id, tagged), 0);
    for (char *p = tagged; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p);
    assert_true(tag_find(tagged, &tag));
    assert_true(tag_verify(secret, &tag));
    assert_string_equal(tag.stream, "bulk");
}

/* A mac of another stream, id or secret is not genuine. */
static void
test_forged(void **state)
{
    static const uint8_t other[CONF_SECRET_SIZE] = "another secret!";
    char tagged[TAG_SENDER_SIZE];
    struct tag tag;

    (void)state;
    assert_int_equal(tag_add(secret, "joe@a.test", "bulk", id, tagged), 0);
    assert_true(tag_find(tagged, &tag));
    assert_false(tag_verify(other, &tag));
    strcpy(tag.stream, "fast");
    assert_false(tag_verify(secret, &tag));
    strcpy(tag.stream, "bulk");
    tag.id[0] = 'b';
    assert_false(tag_verify(secret, &tag));
}

/* The day that the id of a tag tells, behind the tag's way through an address. */
static int32_t
day_of(const uint8_t *key, const char *tagged)
{
    struct tag tag;

    assert_true(tag_find(tagged, &tag));
    return tag_verify(key, &tag) ? tag_day(key, tag.id) : -2;
}

/* A day comes back as it was, is under the mac, and nobody else can read it. */
static void
test_day(void **state)
{
    static const int32_t days[] = {0, 1, 20784, TAG_DAY_MAX};
    static const uint8_t other[CONF_SECRET_SIZE] = "another secret!";
    char tagged[TAG_SENDER_SIZE], upper[TAG_SENDER_SIZE], with[TAG_ID_MAX + 1], digits[4][5];

    (void)state;
    assert_int_equal(tag_day(secret, id), TAG_NO_DAY);
    assert_int_equal(tag_add(secret, "joe@a.test", "bulk", id, tagged), 0);
    assert_int_equal(day_of(secret, tagged), TAG_NO_DAY);
    for (size_t i = 0; i < COUNT(days); i++) {
        strcpy(with, id);
        tag_add_day(secret, with, days[i]);
        strcpy(digits[i], with + TAG_ID_LENGTH);
        assert_int_equal(strlen(with), TAG_ID_MAX);
        assert_int_equal(tag_day(secret, with), days[i]);
        assert_int_equal(tag_time_s(with, 1795000000), tag_time_s(id, 1795000000));
        assert_int_equal(tag_add(secret, "\"we ird\"@a.test", "bulk", with, tagged), 0);
        assert_int_equal(day_of(secret, tagged), days[i]);
        for (size_t j = 0; j <= strlen(tagged); j++)
            upper[j] = (char)toupper((unsigned char)tagged[j]);
        assert_int_equal(day_of(secret, upper), days[i]);
        /* Each character of it altered, or all taken away, and it is not genuine. */
        for (char *p = strstr(tagged, id) + TAG_ID_LENGTH; *p != '.'; p++) {
            char was = *p;

            *p = was == 'a' ? 'b' : 'a';
            assert_int_equal(day_of(secret, tagged), -2);
            *p = was;
        }
        memmove(strstr(tagged, id) + TAG_ID_LENGTH, strstr(tagged, id) + TAG_ID_MAX,
                strlen(strstr(tagged, id) + TAG_ID_MAX) + 1);
        assert_int_equal(day_of(secret, tagged), -2);
    }
    assert_string_not_equal(digits[0], "aaaa");
    strcpy(with, id);
    with[0] = 'b'; /* another message, the same day */
    tag_add_day(secret, with, days[0]);
    assert_string_not_equal(with + TAG_ID_LENGTH, digits[0]);
    assert_int_not_equal(tag_day(other, with), days[0]);
}

/* What is no id of a tag tells no day. */
static void
test_no_day(void **state)
{
    static const char *const others[] = {"",
                                         "abcdefghij23abc",
                                         "abcdefghij23abcde",
                                         "joe@a.test",
                                         "joejoejoej@a.test",
                                         "abcdefghij23ABCD",
                                         "abcdefghij23ab.d"};

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(tag_day(secret, others[i]), TAG_NO_DAY);
}

static void
test_no_tag(void **state)
{
    static const char *const senders[] = {
        "",
        "joe@a.test",
        "joe+pp=@a.test",
        "joe+pp=bulk@a.test",
        "joe+pp=bulk.abcdefghij23@a.test",
        "joe+pp=bulk.abcdefghij2.abcdefgh@a.test",
        "joe+pp=bulk.abcdefghij234.abcdefgh@a.test",
        "joe+pp=bulk.abcdefghij23abc.abcdefgh@a.test",
        "joe+pp=bulk.abcdefghij23abcde.abcdefgh@a.test",
        "joe+pp=bulk.abcdefghij23ab.d.abcdefgh@a.test",
        "joe+pp=bulk.abcdefghij23.abcdefg@a.test",
        "joe+pp=bulk.abcdefghij23.abcdefghi@a.test",
        "joe+pp=bu_lk.abcdefghij23.abcdefgh@a.test",
        "joe+pp=.abcdefghij23.abcdefgh@a.test",
        "joe-pp=bulk.abcdefghij23.abcdefgh@a.test",
        "joe+pp=bulk.abcdefghij01.abcdefgh@a.test",
        "joe+pp=bulk.abcdefghij23.abcdefgh+x@a.test",
        "joe+pp=bulkbulkbulkbulkbulkbulkbulkbulkX.abcdefghij23.abcdefgh@a.test",
    };
    struct tag tag;

    (void)state;
    for (size_t i = 0; i < COUNT(senders); i++)
        if (tag_find(senders[i], &tag))
            fail_msg("a tag was found in %s", senders[i]);
}

static void
test_refused(void **state)
{
    char tagged[TAG_SENDER_SIZE] = "untouched";
    struct tag tag;
    char longest[ADDR_MAX - TAG_LENGTH_MAX + 2] = "";

    (void)state;
    assert_int_equal(tag_add(secret, "", "bulk", id, tagged), -EINVAL);
    assert_int_equal(tag_add(secret, "@a.test", "bulk", id, tagged), -EINVAL);
    assert_int_equal(tag_add(secret, "joe@a.test", "bulk", "short", tagged), -EINVAL);
    memset(longest, 'a', sizeof(longest) - 1);
    assert_int_equal(tag_add(secret, longest, "bulk", id, tagged), -EINVAL);
    assert_string_equal(tagged, "untouched");
    longest[sizeof(longest) - 2] = '\0'; /* one less fits, with the longest stream name, too */
    assert_int_equal(tag_add(secret, longest, "abcdefghijklmnopqrstuvwxyz012345", id, tagged), 0);
    assert_true(tag_find(tagged, &tag));
    assert_int_equal(
        tag_add(secret, longest, "abcdefghijklmnopqrstuvwxyz012345", "abcdefghij23abcd", tagged),
        0);
    assert_int_equal(strlen(tagged), ADDR_MAX);
    assert_true(tag_find(tagged, &tag));
}

static void
test_remove_all(void **state)
{
    char sender[TAG_SENDER_SIZE] =
        "joe+pp=a.abcdefghij23.abcdefgh+pp=b.abcdefghij23abcd.abcdefgh@a.test";

    (void)state;
    assert_int_equal(tag_remove(sender), 2);
    assert_string_equal(sender, "joe@a.test");
}

static void
test_stream_by_sender(void **state)
{
    struct conf *conf = unit_conf(unit_site);
    char tagged[TAG_SENDER_SIZE], out[TAG_SENDER_SIZE];

    (void)state;
    assert_string_equal(tagged_stream(conf, "Joe@A.test", out)->name, "default");
    assert_string_equal(out, "joe@a.test");
    assert_string_equal(tagged_stream(conf, "x@client.test", out)->name, "client");
    assert_int_equal(tag_add(conf->secret, "x@client.test", "bulk", id, tagged), 0);
    assert_string_equal(tagged_stream(conf, tagged, out)->name, "bulk");
    assert_string_equal(out, id);
    /* A stream that is gone: the sender tells, the id stays. */
    assert_int_equal(tag_add(conf->secret, "x@client.test", "gone", id, tagged), 0);
    assert_string_equal(tagged_stream(conf, tagged, out)->name, "client");
    assert_string_equal(out, id);
    /* Forged: as if it were not there. */
    assert_int_equal(tag_add(secret, "x@a.test", "bulk", id, tagged), 0);
    assert_string_equal(tagged_stream(conf, tagged, out)->name, "default");
    assert_string_equal(out, "x@a.test");
    tagged_recipient(out, "Bob@b.test");
    assert_string_equal(out, "x@a.test");
    assert_string_equal(tagged_stream(conf, "", out)->name, "default");
    assert_string_equal(out, "");
    tagged_recipient(out, "Bob@b.test");
    assert_string_equal(out, "bob@b.test");
    conf_unref(conf);
}

/* An id tells when it was made, whatever its random part, and also when clocks are apart. */
static void
test_time(void **state)
{
    static const struct {
        int64_t made_s, now_s;
    } cases[] = {
        {1795000000, 1795000000},
        {1795000000, 1795000000 + 97 * 86400},
        {1795000000 + 600, 1795000000},
        {107 * (INT64_C(1) << 24) - 1, 107 * (INT64_C(1) << 24) + 1}, /* where its bits wrap */
        {107 * (INT64_C(1) << 24) + 1, 107 * (INT64_C(1) << 24) - 1},
    };
    static const char *const others[] = {"",
                                         "abcdefghij2",
                                         "abcdefghij234",
                                         "joe@a.test",
                                         "jo@abcd.test",
                                         "ABCDEFGHIJ23",
                                         "joe.abcd@ab.test"};
    char one[TAG_ID_LENGTH + 1], other[TAG_ID_LENGTH + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        tag_id(UINT64_MAX, cases[i].made_s, one);
        tag_id(0, cases[i].made_s, other);
        assert_string_not_equal(one, other);
        assert_int_equal(strlen(one), TAG_ID_LENGTH);
        assert_int_equal(tag_time_s(one, cases[i].now_s), cases[i].made_s);
        assert_int_equal(tag_time_s(other, cases[i].now_s), cases[i].made_s);
    }
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(tag_time_s(others[i], 1795000000), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_case_means_nothing),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_day),
        cmocka_unit_test(test_no_day),
        cmocka_unit_test(test_no_tag),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_remove_all),
        cmocka_unit_test(test_stream_by_sender),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
