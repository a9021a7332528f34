/*
 * The small parsers: addresses, globs, IPs, units, headers, netstrings, JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/glob.h"
#include "engine/hash.h"
#include "engine/ip.h"
#include "lib/addr.h"
#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/header.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/netstring.h"
#include "lib/units.h"

#include <errno.h>
#include <time.h>

static void
test_sip(void **state)
{
    /* The test vectors of the paper's reference: key 00..0f, input 00..0e. */
    uint8_t key[16], input[64];

    (void)state;
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    for (uint8_t i = 0; i < 64; i++)
        input[i] = i;
    assert_true(hash_sip(key, input, 15) == 0xa129ca6149be45e5u);
    assert_true(hash_sip(key, input, 0) == 0x726fdb47dd0e0e31u);
    assert_true(hash_sip(key, input, 8) == 0x93f5f5799a932462u);
}

static void
test_glob(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool fold, match;
    } cases[] = {
        {"", "", false, true},
        {"", "a", false, false},
        {"*", "", false, true},
        {"*", "anything", false, true},
        {"a?c", "abc", false, true},
        {"a?c", "ac", false, false},
        {"*@acme.example", "joe@acme.example", false, true},
        {"*@acme.example", "joe@acme.example.evil", false, false},
        {"*@ACME.example", "joe@acme.Example", true, true},
        {"*@ACME.example", "joe@acme.example", false, false},
        {"a*b*c", "aXbYbZc", false, true},
        {"a*b*c", "aXbYbZ", false, false},
        {"**a", "bba", false, true},
        {"app-*", "APP-1", false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (glob_match(cases[i].pattern, cases[i].text, cases[i].fold) != cases[i].match)
            fail_msg("glob %s, %s", cases[i].pattern, cases[i].text);
}

static void
test_glob_is_not_exponential(void **state)
{
    char text[2001];
    clock_t start = clock();

    (void)state;
    memset(text, 'a', 2000);
    text[2000] = '\0';
    for (int i = 0; i < 100; i++)
        assert_false(glob_match("*a*a*a*a*a*a*a*a*a*a*b", text, true));
    /* A bound for "it ends", not a speed: backtracking over ten stars would take years. */
    assert_true((clock() - start) / CLOCKS_PER_SEC < 60);
}

static void
test_ip(void **state)
{
    static const char *const bad[] = {"",         "1.2.3",     "1.2.3.4.5", "256.1.1.1", "x",
                                      "1.2.3.4 ", "[1.2.3.4]", ":::",       "1.2.3.4/8"};
    struct ip ip, other;
    char text[IP_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (ip_parse(bad[i], &ip))
            fail_msg("\"%s\" was taken for an address", bad[i]);
    assert_true(ip_parse("2001:DB8:0::31", &ip));
    ip_print(&ip, text);
    assert_string_equal(text, "2001:db8::31");
    assert_true(ip_parse("::ffff:192.0.2.1", &ip) && ip_parse("192.0.2.1", &other));
    assert_int_equal(ip_compare(&ip, &other), 0);
}

static void
test_net(void **state)
{
    static const struct {
        const char *net, *ip;
        bool has;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
    };
    static const char *const bad[] = {"192.0.2.1/24",   "192.0.2.0/33",  "192.0.2.0/",
                                      "192.0.2.0/-1",   "192.0.2.0/24x", "/24",
                                      "2001:db8::1/64", "1.2.3.4/0000"};
    struct ip_net net;
    struct ip ip;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(ip_net_parse(cases[i].net, &net) && ip_parse(cases[i].ip, &ip));
        if (ip_net_has(&net, &ip) != cases[i].has)
            fail_msg("%s has %s", cases[i].net, cases[i].ip);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (ip_net_parse(bad[i], &net))
            fail_msg("\"%s\" was taken for a network", bad[i]);
}

static void
test_addr(void **state)
{
    static const struct {
        const char *text, *local, *domain;
        bool quoted;
    } good[] = {
        {"joe@a.test", "joe", "a.test", false},
        {"joe", "joe", NULL, false},
        {"\"we ird\"@a.test", "\"we ird\"", "a.test", true},
        {"\"a@b\"@a.test", "\"a@b\"", "a.test", true},
        {"\"a\\\"@b\"@a.test", "\"a\\\"@b\"", "a.test", true},
        {"joe@x@a.test", "joe@x", "a.test", false},
        {"joe@[192.0.2.1]", "joe", "[192.0.2.1]", false},
        {"j\xc3\xb6@\xc3\xa4.test", "j\xc3\xb6", "\xc3\xa4.test", false},
        {"\"\"@a.test", "\"\"", "a.test", true},
    };
    static const char *const bad[] = {"",
                                      "@a.test",
                                      "@r:joe@a.test",
                                      "\"joe@a.test",
                                      "\"joe\"x@a.test",
                                      "jo\"e@a.test",
                                      "jo\ne@a.test",
                                      "\"joe\\"};
    struct addr addr;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        if (addr_split(good[i].text, &addr) != 0)
            fail_msg("\"%s\" was refused", good[i].text);
        assert_int_equal(addr.local_length, strlen(good[i].local));
        assert_memory_equal(addr.local, good[i].local, addr.local_length);
        assert_int_equal(addr.quoted, good[i].quoted);
        if (good[i].domain == NULL)
            assert_null(addr.domain);
        else
            assert_string_equal(addr.domain, good[i].domain);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (addr_split(bad[i], &addr) == 0)
            fail_msg("\"%s\" was taken for an address", bad[i]);
}

static void
test_addr_limits(void **state)
{
    char text[ADDR_MAX + 10], out[ADDR_MAX + 1], domain[8];
    struct addr addr;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[ADDR_MAX] = '\0';
    assert_int_equal(addr_split(text, &addr), 0);
    assert_int_equal(addr_unwrap(text, out), 0);
    text[ADDR_MAX] = 'a';
    text[ADDR_MAX + 1] = '\0';
    assert_int_equal(addr_split(text, &addr), -EINVAL);
    assert_int_equal(addr_unwrap(text, out), -EINVAL);
    assert_int_equal(addr_unwrap("<joe@a.test>", out), 0);
    assert_string_equal(out, "joe@a.test");
    assert_int_equal(addr_unwrap("<>", out), 0);
    assert_string_equal(out, "");
    assert_int_equal(addr_unwrap("<joe", out), -EINVAL);
    addr_domain("joe@A.TEST.", domain, sizeof(domain));
    assert_string_equal(domain, "a.test");
    addr_domain("joe@longer.than.that", domain, sizeof(domain));
    assert_string_equal(domain, "");
}

static void
test_units(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *why;
    } cases[] = {
        {"250ms", 250, NULL},
        {"30s", 30000, NULL},
        {"10m", 600000, NULL},
        {"7d", 604800000, NULL},
        {"30", 0, "\"30\" has no unit that is known, write ms, s, m, h or d"},
        {"s", 0, "\"s\" is no duration, write a number and a unit such as \"30s\" or \"10m\""},
        {"-1s", 0, "\"-1s\" is no duration, write a number and a unit such as \"30s\" or \"10m\""},
        {"999999999999d", 0, "\"999999999999d\" is too long a time"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {""};
        int64_t ms = -7;
        int r = units_parse_duration(cases[i].text, &ms, &err);

        if (cases[i].why == NULL) {
            assert_int_equal(r, 0);
            assert_int_equal(ms, cases[i].ms);
        } else {
            assert_true(r < 0);
            assert_int_equal(ms, -7);
            assert_string_equal(err.msg, cases[i].why);
        }
    }
}

static void
test_duration(void **state)
{
    static const char *const cases[] = {"0ms", "1ms", "1500ms", "10s", "61s",
                                        "90m", "25h", "2d",     "31d", "106751991167d"};
    char text[UNITS_DURATION_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms;

        assert_int_equal(units_parse_duration(cases[i], &ms, NULL), 0);
        assert_string_equal(units_print_duration(ms, text), cases[i]);
    }
    assert_string_equal(units_print_duration(60 * 1000, text), "1m");
    assert_string_equal(units_print_duration(24 * 3600 * 1000, text), "1d");
}

static void
test_span(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {-5, "1 s"},         {0, "1 s"},
        {1, "1 s"},          {1001, "2 s"},
        {119000, "119 s"},   {119001, "2 min"},
        {121000, "3 min"},   {7199000, "120 min"},
        {7200000, "2 h"},    {7200001, "3 h"},
        {172799000, "48 h"}, {172800000, "2 d"},
        {172800001, "3 d"},  {INT64_MAX - 999, "106751991168 d"},
    };
    char span[UNITS_SPAN_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(units_print_span(cases[i].ms, span), cases[i].text);
}

static void
test_header(void **state)
{
    char line[HEADER_VALUE_MAX + 1], longer[HEADER_VALUE_MAX * 2 + 1];

    (void)state;
    header_unfold("  a\r\n\tb \r\n  c  ", line);
    assert_string_equal(line, "a b c");
    header_unfold("a\001b\x7f", line);
    assert_string_equal(line, "a?b?");
    header_unfold(" \r\n ", line);
    assert_string_equal(line, "");
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    header_unfold(longer, line);
    assert_int_equal(strlen(line), HEADER_VALUE_MAX);
}

static void
test_netstring(void **state)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"", 0},
        {"5", 0},
        {"5:hell", 0},
        {"5:hello", 0},
        {"5:hello,", 1},
        {"0:,", 1},
        {"5:hello,3:abc,", 1},
        {"05:hello,", -EINVAL},
        {"00:,", -EINVAL},
        {"x", -EINVAL},
        {":", -EINVAL},
        {"-1:,", -EINVAL},
        {"5;hello,", -EINVAL},
        {"5:hellox", -EINVAL},
        {" 5:hello,", -EINVAL},
        {"101:", -EMSGSIZE},
        {"99999999999999999999", -EMSGSIZE},
    };
    static const size_t lengths[] = {0, 1, 9, 10, 99, 100, 1000};
    static char data[1000], text[sizeof(data) + NETSTRING_EXTRA];
    struct netstring netstring;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (netstring_parse(cases[i].text, strlen(cases[i].text), 100, &netstring) != cases[i].r)
            fail_msg("netstring \"%s\"", cases[i].text);
    assert_int_equal(netstring_parse("5:hello,3:abc,", 14, 100, &netstring), 1);
    assert_int_equal(netstring.length, 5);
    assert_int_equal(netstring.used, 8);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t used = netstring_print(data, lengths[i], text);

        assert_true(used <= lengths[i] + NETSTRING_EXTRA);
        assert_int_equal(netstring_parse(text, used, sizeof(data), &netstring), 1);
        assert_int_equal(netstring.length, lengths[i]);
        assert_int_equal(netstring.used, used);
        assert_memory_equal(netstring.data, data, lengths[i]);
    }
    for (size_t cut = 0; cut < 8; cut++)
        assert_int_equal(netstring_parse("5:hello,", cut, 100, &netstring), 0);
}

static void
test_json(void **state)
{
    struct buf text = {0};
    struct json json = {.out = &text};

    (void)state;
    json_open(&json, NULL, '{');
    json_text(&json, "a", "q\"\\\n\xc3\xb6\xff");
    json_text(&json, "c", "\x7f\xc2\x9b\xc2\xa0"); /* a terminal would take orders of these */
    json_text(&json, "n", NULL);
    json_open(&json, "l", '[');
    json_number(&json, NULL, -1);
    json_bool(&json, NULL, true);
    json_real(&json, NULL, 0.5);
    json_close(&json, ']');
    json_close(&json, '}');
    assert_string_equal(buf_text(&text), "{\"a\":\"q\\\"\\\\\\u000a\xc3\xb6\xef\xbf\xbd\","
                                         "\"c\":\"\\u007f\\u009b\xc2\xa0\",\"n\":null,"
                                         "\"l\":[-1,true,0.5]}");
    buf_clear(&text);
}

static void
test_endpoint(void **state)
{
    static const char *const good[] = {"unix:/run/x", "inet:127.0.0.1:25", "inet:[::1]:25",
                                       "inet:localhost:1"};
    static const char *const bad[] = {
        "",        "/run/x",   "unix:run/x", "unix:",   "inet:25",
        "inet:x:", "inet::25", "inet:a:b",   "tcp:a:1", "inet:a:123456"};
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (endpoint_check(good[i], &err) != 0)
            fail_msg("%s: %s", good[i], err.msg);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (endpoint_check(bad[i], &err) == 0)
            fail_msg("\"%s\" was taken for an endpoint", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sip),
        cmocka_unit_test(test_glob),
        cmocka_unit_test(test_glob_is_not_exponential),
        cmocka_unit_test(test_ip),
        cmocka_unit_test(test_net),
        cmocka_unit_test(test_addr),
        cmocka_unit_test(test_addr_limits),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_span),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_netstring),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
