/*
 * The names that addresses have in DNS lists, and what answers say of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/dnslist.h"
#include "lib/mem.h"
#include "policyd/listing.h"
#include "tests/unit/message.h"

static struct message message;

static struct ip
ip_of(const char *text)
{
    struct ip ip;

    assert_true(ip_parse(text, &ip));
    return ip;
}

static void
test_question(void **state)
{
    static const struct {
        const char *ip, *name;
    } cases[] = {
        {"192.0.2.99", "99.2.0.192.zen.test"},
        {"127.0.0.2", "2.0.0.127.zen.test"},
        {"2001:db8:1:2:3:4:567:89ab",
         "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.zen.test"},
    };
    char name[DNSLIST_QUESTION_SIZE], zone[DNSLIST_ZONE_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip ip = ip_of(cases[i].ip);

        assert_string_equal(dnslist_question("zen.test", &ip, name), cases[i].name);
    }
    memset(zone, 'z', sizeof(zone) - 1);
    zone[sizeof(zone) - 1] = '\0';
    assert_int_equal(strlen(dnslist_question(zone, &(struct ip){.family = 6}, name)),
                     64 + DNSLIST_ZONE_MAX);
}

/* RFC 5782, section 5. */
static void
test_test_points(void **state)
{
    static const struct {
        int family;
        bool must;
        const char *name;
    } cases[] = {
        {4, true, "2.0.0.127.l.test"},
        {4, false, "1.0.0.127.l.test"},
        {6, true, "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.l.test"},
        {6, false, "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.l.test"},
    };
    char name[DNSLIST_QUESTION_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip point = listing_test_point(cases[i].family, cases[i].must);

        assert_string_equal(dnslist_question("l.test", &point, name), cases[i].name);
    }
}

static void
put_code(const char *code)
{
    struct ip ip = ip_of(code);

    message_data(&message, TYPE_A, ip.bytes, 4);
}

static void
test_codes(void **state)
{
    static const struct {
        const char *answers[3];
        enum listing_says says;
        const char *code;
    } cases[] = {
        {{NULL}, LISTING_CLEAR, NULL},
        {{"127.0.0.2"}, LISTING_LISTED, "127.0.0.2"},
        {{"127.0.0.10"}, LISTING_OTHER, "127.0.0.10"},
        {{"127.0.0.10", "127.0.0.3"}, LISTING_LISTED, "127.0.0.3"},
        {{"127.0.0.3", "127.0.0.2"}, LISTING_LISTED, "127.0.0.3"},
        {{"127.0.1.4"}, LISTING_LISTED, "127.0.1.4"},
        {{"127.255.255.252"}, LISTING_REFUSED, "127.255.255.252"},
        {{"127.255.255.254"}, LISTING_REFUSED, "127.255.255.254"},
        {{"127.255.255.255"}, LISTING_REFUSED, "127.255.255.255"},
        {{"127.0.0.1"}, LISTING_REFUSED, "127.0.0.1"},
        {{"127.0.0.2", "127.255.255.254"}, LISTING_REFUSED, "127.255.255.254"},
        {{"203.0.113.80"}, LISTING_ODD, "203.0.113.80"},
        {{"127.0.0.2", "203.0.113.80", "127.255.255.254"}, LISTING_ODD, "203.0.113.80"},
        {{"0.0.0.0"}, LISTING_ODD, "0.0.0.0"},
        {{"127.255.254.1"}, LISTING_OTHER, "127.255.254.1"},
    };
    struct ip_net codes[2];
    struct dnslist list = {.codes = codes, .code_count = COUNT(codes)};

    (void)state;
    assert_true(ip_net_parse("127.0.0.2/31", &codes[0]));
    assert_true(ip_net_parse("127.0.1.0/24", &codes[1]));
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct listing listing;
        char code[IP_TEXT_SIZE];

        message_begin(&message, "2.0.0.127.l.test");
        message_record(&message, TYPE_CNAME, 300, "2.0.0.127.mirror.test");
        for (size_t j = 0; j < COUNT(cases[i].answers) && cases[i].answers[j] != NULL; j++)
            put_code(cases[i].answers[j]);
        listing = listing_read(&list, DNS_ANSWER, message.bytes, message.length);
        ip_print(&listing.code, code);
        if (listing.says != cases[i].says ||
            (cases[i].code != NULL && strcmp(code, cases[i].code) != 0))
            fail_msg("case %zu: says %d, %s", i, listing.says, code);
        if (cases[i].code == NULL)
            assert_int_equal(listing.code.family, 0);
    }
}

static void
test_no_answer(void **state)
{
    struct dnslist list = {0};
    uint8_t *copy;

    (void)state;
    assert_int_equal(listing_read(&list, DNS_NO_NAME, NULL, 0).says, LISTING_CLEAR);
    assert_int_equal(listing_read(&list, DNS_FAILED, NULL, 0).says, LISTING_FAILED);
    message_begin(&message, "2.0.0.127.l.test");
    put_code("127.0.0.2");
    for (size_t length = 0; length < message.length; length++) { /* cut anywhere */
        copy = mem_array(length > 0 ? length : 1, 1);
        memcpy(copy, message.bytes, length);
        assert_int_equal(listing_read(&list, DNS_ANSWER, copy, length).says, LISTING_FAILED);
        free(copy);
    }
    message_begin(&message, "2.0.0.127.l.test"); /* no IPv4 address */
    message_data(&message, TYPE_A, "\x7f\0\0\2\0", 5);
    assert_int_equal(listing_read(&list, DNS_ANSWER, message.bytes, message.length).says,
                     LISTING_FAILED);
}

static void
read_reason(char reason[static LISTING_REASON_SIZE])
{
    uint8_t *copy = mem_array(message.length, 1);

    memcpy(copy, message.bytes, message.length);
    listing_read_reason(copy, message.length, reason);
    free(copy);
}

static void
test_reason(void **state)
{
    char reason[LISTING_REASON_SIZE], strings[512] = "\xff";

    (void)state;
    message_begin(&message, "2.0.0.127.l.test");
    read_reason(reason);
    assert_string_equal(reason, "");
    message_record(&message, TYPE_CNAME, 300, "x.test");
    message_data(&message, TYPE_TXT, "\x04see \x0bhttp://x.t/", 17);
    message_data(&message, TYPE_TXT, "\x06second", 7);
    read_reason(reason);
    assert_string_equal(reason, "see http://x.t/");
    message_begin(&message, "2.0.0.127.l.test");
    message_data(&message, TYPE_TXT,
                 "\x07"
                 "a\nb\x1b\xc3\xa4"
                 "c",
                 8);
    read_reason(reason);
    assert_string_equal(reason, "a?b???c");
    message_begin(&message, "2.0.0.127.l.test"); /* longer than said, longer than kept */
    memset(strings + 1, 'x', sizeof(strings) - 1);
    strings[256] = (char)0xff;
    message_data(&message, TYPE_TXT, strings, sizeof(strings));
    read_reason(reason);
    assert_int_equal(strlen(reason), LISTING_REASON_SIZE - 1);
    message_begin(&message, "2.0.0.127.l.test");
    message_data(&message, TYPE_TXT,
                 "\xff"
                 "abc",
                 4);
    read_reason(reason);
    assert_string_equal(reason, "abc");
}

static void
test_refusals(void **state)
{
    static const struct {
        const char *code, *text;
    } cases[] = {
        {"127.255.255.252", "the name of the list is not right"},
        {"127.255.255.254", "it does not serve public resolvers, ask through one of your own"},
        {"127.255.255.255", "too many questions came from this resolver"},
        {"127.255.255.1", "it does not serve this resolver"},
        {"127.0.0.1", "it does not serve this resolver"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip code = ip_of(cases[i].code);

        assert_string_equal(listing_refusal_text(&code), cases[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question), cmocka_unit_test(test_test_points),
        cmocka_unit_test(test_codes),    cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_reason),   cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
