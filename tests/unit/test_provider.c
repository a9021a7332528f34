/*
 * Whose a domain is: by its name, by its MX hosts; and how providers and DNS
 * servers are read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/provider.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/nameserver.h"

#include <errno.h>

static const char providers[] =
    "providers: {\n"
    "  google = { domains = ( \"GMail.com\", \"googlemail.com\" ); mx = ( \".google.com\" ); };\n"
    "  microsoft = { mx = ( \".Outlook.com\", \".mx.microsoft\" ); };\n"
    "  olc = { mx = ( \".olc.protection.outlook.com\" ); };\n"
    "  comcast = { domains = ( \"comcast.net\" ); };\n"
    "};\n";

static void
test_domains(void **state)
{
    static const struct {
        const char *domain, *provider; /* NULL: nobody's */
    } cases[] = {
        {"gmail.com", "google"},
        {"GMAIL.com", "google"},
        {"gmail.com.", "google"},
        {"comcast.net", "comcast"},
        {"mail.gmail.com", NULL},
        {"xgmail.com", NULL},
        {"gmail.co", NULL},
        {"google.com", NULL},
        {"", NULL},
        {".", NULL},
        {"..", NULL},
        {"gmail.com..", NULL},
        {"[192.0.2.1]", NULL},
        {"gm\xc3\xa4il.com", NULL},
    };
    struct conf *conf = unit_conf_with(providers);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct provider *found = provider_by_domain(conf->snapshot, cases[i].domain);

        if (strcmp(found != NULL ? found->name : "",
                   cases[i].provider != NULL ? cases[i].provider : ""))
            fail_msg("%s is of %s", cases[i].domain, found != NULL ? found->name : "nobody");
    }
    conf_unref(conf);
}

static void
test_mx(void **state)
{
    static char long_host[400];
    static const struct {
        const char *hosts[4];
        const char *provider;
    } cases[] = {
        {{NULL}, "other"},
        {{"aspmx.l.google.com"}, "google"},
        {{"aspmx.l.google.com", "ALT1.ASPMX.L.GOOGLE.COM."}, "google"},
        {{"google.com"}, "google"},
        {{"google.com."}, "google"},
        {{"notgoogle.com"}, "other"},
        {{"google.com.evil.test"}, "other"},
        {{"aspmx.l.google.com", "mx.example.com"}, "other"},
        {{"mx.example.com", "aspmx.l.google.com"}, "other"},
        {{"aspmx.l.google.com", "x.mail.protection.outlook.com"}, "other"},
        {{"x.mail.protection.outlook.com", "y.mx.microsoft"}, "microsoft"},
        {{"x.olc.protection.outlook.com"}, "olc"},
        {{"x.olc.protection.outlook.com", "y.mail.protection.outlook.com"}, "other"},
        {{"protection.outlook.com"}, "microsoft"},
        /* what a hostile server may send */
        {{""}, "other"},
        {{"."}, "other"},
        {{".google.com"}, "other"},
        {{"x..google.com"}, "other"},
        {{"x.google.com.."}, "other"},
        {{"x\\.google.com"}, "other"},
        {{"a b.google.com"}, "other"},
        {{"x\n.google.com"}, "other"},
        {{"\xc3\xa4.google.com"}, "other"},
        {{"x?google.com"}, "other"},
        {{"aspmx.l.google.com", ""}, "other"},
        {{long_host}, "other"},
    };
    struct conf *conf = unit_conf_with(providers);

    (void)state;
    for (size_t i = 0; i < sizeof(long_host) - 12; i++)
        long_host[i] = i % 50 == 49 ? '.' : 'a';
    strcat(long_host, ".google.com");
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t count = 0;
        const struct provider *found;

        while (count < COUNT(cases[i].hosts) && cases[i].hosts[count] != NULL)
            count++;
        found = provider_by_mx(conf->snapshot, cases[i].hosts, count);
        if (strcmp(found->name, cases[i].provider) != 0)
            fail_msg("case %zu, \"%s\", is of %s", i, count > 0 ? cases[i].hosts[0] : "",
                     found->name);
    }
    conf_unref(conf);
}

/* "other" is the first one, wherever and whether the file names it. */
static void
test_other(void **state)
{
    static const char *const texts[] = {
        "", "providers: { };\n",
        "providers: { google = { mx = ( \".google.com\" ); }; other = { }; };\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct conf *conf = unit_conf_with(texts[i]);
        const struct snapshot *snapshot = conf->snapshot;

        assert_int_equal(snapshot->provider_count, i == 2 ? 2 : 1);
        assert_string_equal(snapshot->providers[PROVIDER_OTHER].name, "other");
        for (size_t j = 0; j < snapshot->provider_count; j++)
            assert_int_equal(snapshot->providers[j].index, j);
        assert_ptr_equal(snapshot_find_provider(snapshot, "other"), snapshot->providers);
        assert_null(snapshot_find_provider(snapshot, "nobody"));
        assert_ptr_equal(provider_by_mx(snapshot, NULL, 0), snapshot->providers);
        conf_unref(conf);
    }
}

static void
test_nameservers(void **state)
{
    static const struct {
        const char *text, *ip;
        int port;
    } good[] = {
        {"192.0.2.53", "192.0.2.53", 53},        {"127.0.0.1:5353", "127.0.0.1", 5353},
        {"2001:db8::53", "2001:db8::53", 53},    {"[2001:db8::53]", "2001:db8::53", 53},
        {"[2001:db8::53]:1", "2001:db8::53", 1}, {"127.0.0.1:65535", "127.0.0.1", 65535},
    };
    static const char *const bad[] = {
        "",
        "localhost",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "[::1",
        "[::1]x",
        "[127.0.0.1]",
        "[::1]:",
        "127.0.0.1:+53",
        "::1:53:x",
        "127.0.0.1:000053",
        "1234567890123456789012345678901234567890123456789012345678901234567890",
    };
    struct nameserver server = {.port = 7}, before = server;
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(nameserver_parse(bad[i], &server, &err), -EINVAL);
        assert_memory_equal(&server, &before, sizeof(server));
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        char text[IP_TEXT_SIZE];

        assert_int_equal(nameserver_parse(good[i].text, &server, &err), 0);
        ip_print(&server.ip, text);
        assert_string_equal(text, good[i].ip);
        assert_int_equal(server.port, good[i].port);
    }
}

/* What is shipped is good, and says what it is meant to. */
static void
test_shipped(void **state)
{
    static const char *const hosts[] = {"mx-eu.mail.am0.yahoodns.net"};
    struct conf *conf = unit_example();

    (void)state;
    assert_string_equal(provider_by_domain(conf->snapshot, "web.de")->name, "gmx");
    assert_string_equal(provider_by_mx(conf->snapshot, hosts, COUNT(hosts))->name, "yahoo");
    conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domains), cmocka_unit_test(test_mx),
        cmocka_unit_test(test_other),   cmocka_unit_test(test_nameservers),
        cmocka_unit_test(test_shipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
