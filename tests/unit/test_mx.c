/*
 * Whose domains are by their MX records, with a DNS server on the test's own
 * event loop.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/dns.h"
#include "policyd/mx.h"
#include "tests/unit/dns_server.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <time.h>

enum { LIMIT_S = 60, DAY_MS = 24 * 3600 * 1000 };

/* The clock of the code under test: linked with --wrap=clock_gettime. */
static time_t clock_ahead_s;
int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int r = __real_clock_gettime(clock, ret_time);

    ret_time->tv_sec += clock_ahead_s;
    return r;
}

/* How many datagrams the code under test took; the test's own server has another descriptor. */
static size_t received;
static int server_fd;
ssize_t __real_recvfrom(int fd, void *data, size_t length, int flags, struct sockaddr *from,
                        socklen_t *from_length);
ssize_t __wrap_recvfrom(int fd, void *data, size_t length, int flags, struct sockaddr *from,
                        socklen_t *from_length);

ssize_t
__wrap_recvfrom(int fd, void *data, size_t length, int flags, struct sockaddr *from,
                socklen_t *from_length)
{
    ssize_t r = __real_recvfrom(fd, data, length, flags, from, from_length);

    received += r > 0 && fd != server_fd;
    return r;
}

struct world {
    struct event_base *base;
    struct dns_server server;
    struct conf *conf;
    struct mx *mx;
    /* the last call of known() */
    size_t known;
    char provider[64];
    struct mx_note notes[MX_NOTES_MAX];
    size_t note_count;
};

static const char providers[] =
    "providers: { google = { domains = ( \"gmail.com\" ); mx = ( \".google.com\" ); };\n"
    "             own = { mx = ( \".own.test\" ); }; };\n"
    "dns: { timeout = \"1s\"; };\n";

static void
on_known(void *arg, const char *domain, const struct provider *provider,
         const struct mx_note *notes, size_t count)
{
    struct world *world = arg;

    assert_non_null(domain);
    world->known++;
    snprintf(world->provider, sizeof(world->provider), "%s", provider->name);
    assert_true(count <= MX_NOTES_MAX);
    memcpy(world->notes, notes, count * sizeof(*notes));
    world->note_count = count;
}

static struct dns_start
start_of(const struct world *world)
{
    return (struct dns_start){&world->server.address, 1, world->conf->dns_timeout_ms};
}

static int
setup(void **state)
{
    struct world *world = mem_new(sizeof(*world));
    struct dns_start start;

    world->base = event_base_new();
    dns_server_start(&world->server, world->base);
    server_fd = world->server.fd;
    world->conf = unit_conf_with(providers);
    start = start_of(world);
    world->mx = mx_new(world->base, world->conf->snapshot, &start, on_known, world);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;

    mx_free(world->mx);
    dns_server_end(&world->server);
    event_base_free(world->base);
    conf_unref(world->conf);
    free(world);
    clock_ahead_s = 0;
    return 0;
}

/* Run the loop until no lookup is open. */
static void
settle(struct world *world)
{
    const struct mx_figures *figures = mx_figures(world->mx);
    time_t end = time(NULL) + LIMIT_S;

    while (figures->queued > 0 || figures->in_flight > 0) {
        assert_true(time(NULL) < end);
        event_base_loop(world->base, EVLOOP_ONCE);
    }
}

static void
expect(struct world *world, const char *domain, int64_t later_ms, const char *name)
{
    const struct provider *provider =
        mx_provider(world->mx, domain, clock_ms(CLOCK_MONOTONIC) + later_ms);

    if (strcmp(provider != NULL ? provider->name : "", name) != 0)
        fail_msg("%s is of %s, not %s", domain, provider != NULL ? provider->name : "(not known)",
                 name);
}

static void
test_results(void **state)
{
    static const struct {
        const char *domain, *provider;
        enum mx_why why;
    } cases[] = {
        {"google.test", "google", MX_WHY_HOSTS},
        {"mixed.test", "other", MX_WHY_HOSTS},
        {"nothing.test", "other", MX_WHY_NO_MX},
        {"nothing.own.test", "own", MX_WHY_NO_MX},
        {"null.test", "other", MX_WHY_NULL_MX},
        {"nxdomain.own.test", "other", MX_WHY_NO_NAME},
        {"servfail.own.test", "other", MX_WHY_FAILED},
        {"yxdomain.own.test", "other", MX_WHY_FAILED},
        {"echo.own.test", "other", MX_WHY_FAILED},
        {"cut.own.test", "other", MX_WHY_FAILED},
    };
    struct world *world = *state;
    struct mx_view view;

    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(world, cases[i].domain, 0, "");
        mx_note(world->mx, cases[i].domain, 1, 1);
    }
    settle(world);
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect(world, cases[i].domain, 0, cases[i].provider);
        mx_describe(world->mx, cases[i].domain, clock_ms(CLOCK_MONOTONIC), &view);
        if (view.why != cases[i].why)
            fail_msg("%s: %d", cases[i].domain, view.why);
    }
    /* What is "other" had been counted so. */
    assert_int_equal(world->known, 2);
    assert_int_equal(mx_figures(world->mx)->lookups, COUNT(cases));
    assert_int_equal(mx_figures(world->mx)->failures, 4);
    assert_int_equal(mx_figures(world->mx)->cached, COUNT(cases));
}

/* Known without asking anybody. */
static void
test_at_once(void **state)
{
    static char too_long[400];
    static const char *const others[] = {
        "[192.0.2.1]", "[IPv6:2001:db8::1]", "gr\xc3\xbc.test", "", "a..b", too_long};
    struct world *world = *state;

    memset(too_long, 'a', sizeof(too_long) - 1);
    for (size_t i = 0; i < COUNT(others); i++)
        expect(world, others[i], 0, "other");
    expect(world, "Gmail.COM.", 0, "google");
    assert_int_equal(mx_figures(world->mx)->queued, 0);
}

static void
test_notes(void **state)
{
    struct world *world = *state;

    mx_note(world->mx, "google.test", 1, 1); /* nobody asked for it yet */
    expect(world, "GOOGLE.test.", 0, "");
    mx_note(world->mx, "google.TEST", 2, 3);
    expect(world, "google.test", 0, "");
    mx_note(world->mx, "google.test.", 1, 1);
    mx_note(world->mx, "google.test", 2, 4);
    settle(world);
    assert_int_equal(world->server.asked, 1);
    assert_int_equal(world->known, 1);
    assert_string_equal(world->provider, "google");
    assert_int_equal(world->note_count, 2);
    assert_int_equal(world->notes[0].address, 2);
    assert_int_equal(world->notes[0].count, 7);
    assert_int_equal(world->notes[1].address, 1);
    assert_int_equal(world->notes[1].count, 1);
    mx_note(world->mx, "google.test", 1, 1); /* it is known now */
    expect(world, "google2.test", 0, "");
    for (uint32_t i = 0; i < 1000; i++)
        mx_note(world->mx, "google2.test", i, 1);
    settle(world);
    assert_int_equal(world->known, 2);
    assert_int_equal(world->note_count, MX_NOTES_MAX);
}

/* An old answer counts until there is a new one, and not for ever. */
static void
test_ageing(void **state)
{
    struct world *world = *state;

    expect(world, "any.own.test", 0, "");
    settle(world);
    expect(world, "any.own.test", 0, "own");
    expect(world, "any.own.test", MX_NEGATIVE_MS - 5000, "own");
    assert_int_equal(world->server.asked, 1);
    expect(world, "any.own.test", MX_NEGATIVE_MS + 1000, "own");
    settle(world);
    assert_int_equal(world->server.asked, 2);
    world->server.failing = true;
    expect(world, "any.own.test", MX_NEGATIVE_MS + 1000, "own");
    settle(world);
    expect(world, "any.own.test", 0, "own");
    assert_int_equal(mx_figures(world->mx)->failures, 1);
    expect(world, "any.own.test", MX_FAILED_MS + 1000, "own");
    settle(world);
    assert_int_equal(mx_figures(world->mx)->failures, 2);
    expect(world, "any.own.test", DAY_MS, "own");
    clock_ahead_s = (DAY_MS + MX_NEGATIVE_MS) / 1000 + 1;
    expect(world, "any.own.test", 0, "");
    settle(world);
    expect(world, "any.own.test", 0, "other"); /* asked in vain */
    world->server.failing = false;
    expect(world, "any.own.test", MX_FAILED_MS, "");
    settle(world);
    expect(world, "any.own.test", 0, "own");
}

/* The TTL of 5 s is taken for a minute, a failure too. */
static void
test_ttl(void **state)
{
    struct world *world = *state;

    expect(world, "google.test", 0, "");
    expect(world, "servfail.test", 0, "");
    settle(world);
    expect(world, "google.test", MX_TTL_MIN_MS - 5000, "google");
    expect(world, "servfail.test", MX_FAILED_MS - 5000, "other");
    assert_int_equal(mx_figures(world->mx)->queued, 0);
    expect(world, "google.test", MX_TTL_MIN_MS + 1000, "google");
    expect(world, "servfail.test", MX_FAILED_MS + 1000, "");
    assert_int_equal(mx_figures(world->mx)->queued, 2);
    settle(world);
}

static void
test_bounds(void **state)
{
    struct world *world = *state;
    const struct mx_figures *figures = mx_figures(world->mx);
    char domain[64];
    struct mx_view view;

    world->server.silent = true;
    for (int i = 0; i < MX_QUEUED_MAX + 500; i++) {
        snprintf(domain, sizeof(domain), "d%d.test", i);
        expect(world, domain, 0, "");
    }
    assert_int_equal(figures->queued, MX_QUEUED_MAX);
    assert_int_equal(figures->dropped, 500);
    mx_describe(world->mx, domain, clock_ms(CLOCK_MONOTONIC), &view);
    assert_false(view.asked);
    while (figures->in_flight < MX_IN_FLIGHT_MAX)
        event_base_loop(world->base, EVLOOP_ONCE);
    for (int i = 0; i < 100; i++) {
        event_base_loop(world->base, EVLOOP_NONBLOCK);
        assert_true(figures->in_flight <= MX_IN_FLIGHT_MAX);
    }
    assert_int_equal(figures->queued + figures->in_flight, MX_QUEUED_MAX);
    /* The end comes with all of them open. */
}

/* A server that says nothing: the lookup ends, and the domain is "other". */
static void
test_silent(void **state)
{
    struct world *world = *state;

    world->server.silent = true;
    expect(world, "google.test", 0, "");
    mx_note(world->mx, "google.test", 1, 1);
    settle(world);
    assert_int_equal(world->server.asked, 2);
    expect(world, "google.test", 0, "other");
    assert_int_equal(world->known, 0);
    world->server.silent = false;
    expect(world, "google.test", MX_FAILED_MS + 1000, "");
    settle(world);
    expect(world, "google.test", 0, "google");
}

/* What a server sends without end takes turns with the rest of the loop. */
static void
test_flood(void **state)
{
    struct world *world = *state;
    const struct mx_figures *figures = mx_figures(world->mx);
    size_t most = 0;

    world->server.flood = 150;
    received = 0;
    expect(world, "google.test", 0, "");
    for (size_t before = 0; figures->queued + figures->in_flight > 0; before = received) {
        event_base_loop(world->base, EVLOOP_ONCE);
        if (received - before > most)
            most = received - before;
    }
    expect(world, "google.test", 0, "google");
    assert_int_equal(received, 151);
    assert_in_range(most, 1, 100); /* c-ares 1.34 takes one in a turn by itself */
}

/* Nothing may point into the snapshot before; notes follow their addresses. */
static void
test_reload(void **state)
{
    static const char changed[] =
        "addresses: { b1 = { ip = \"127.0.1.3\"; helo = \"b1.test\"; };\n"
        "             a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; }; };\n"
        "pools: { p = { addresses = ( \"a2\", \"b1\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
        "providers: { new = { mx = ( \".own.test\", \".l.google.com\" ); };\n"
        "             own = { mx = ( \".other.test\" ); }; };\n";
    struct world *world = *state;
    struct conf *before = world->conf;
    struct dns_start start = start_of(world);

    expect(world, "any.own.test", 0, "");
    settle(world);
    expect(world, "any.own.test", 0, "own");
    expect(world, "google.test", 0, "");
    expect(world, "google2.test", 0, "");
    mx_note(world->mx, "google.test", 0, 1); /* a1, which goes */
    mx_note(world->mx, "google.test", 2, 5); /* b1 */
    mx_note(world->mx, "google.test", 7, 5); /* nobody */
    world->server.silent = true;
    while (world->server.asked < 3)
        event_base_loop(world->base, EVLOOP_ONCE);
    world->server.silent = false;
    world->conf = unit_conf(changed);
    mx_set_snapshot(world->mx, world->conf->snapshot);
    mx_set_dns(world->mx, &start);
    conf_unref(before);
    expect(world, "any.own.test", 0, "new");
    expect(world, "gmail.com", 0, "");
    settle(world);
    expect(world, "google.test", 0, "new");
    expect(world, "google2.test", 0, "new");
    assert_int_equal(world->known, 1);
    assert_string_equal(world->provider, "new");
    assert_int_equal(world->note_count, 1);
    assert_int_equal(world->notes[0].address, 0);
    assert_int_equal(world->notes[0].count, 5);
}

/* The oldest goes: more answers than are kept. */
static void
test_eviction(void **state)
{
    struct world *world = *state;
    char domain[64];

    for (int i = 0; i < MX_KEPT_MAX + 100; i++) {
        snprintf(domain, sizeof(domain), "d%d.own.test", i);
        expect(world, domain, 0, "");
        if (i % 1000 == 999)
            settle(world);
        if (i == 50000)
            expect(world, "d0.own.test", 0, "own"); /* used: it is not the oldest any more */
    }
    settle(world);
    assert_int_equal(mx_figures(world->mx)->cached, MX_KEPT_MAX);
    expect(world, "d0.own.test", 0, "own");
    expect(world, "d1.own.test", 0, "");
    expect(world, "d100.own.test", 0, "");
    expect(world, "d101.own.test", 0, "own");
    settle(world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_results, setup, teardown),
        cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ageing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ttl, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_eviction, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
