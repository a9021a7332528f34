/*
 * Which addresses reach nobody, as outcomes and the kernel tell.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "policyd/outcome.h"
#include "policyd/reach.h"

#include <errno.h>

enum { ADDRESSES = 4, MINUTE = 60 * 1000 };

static const char site[] =
    "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n"
    "             a2 = { ip = \"192.0.2.2\"; helo = \"a2.test\"; };\n"
    "             a3 = { ip = \"192.0.2.3\"; helo = \"a3.test\"; };\n"
    "             six = { ip = \"2001:db8::1\"; helo = \"six.test\"; }; };\n"
    "pools: { all = { addresses = ( \"a1\", \"a2\", \"a3\", \"six\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"all\"; match = (); } );\n";

struct world {
    struct conf *conf;
    struct reach *reach;
    int64_t now_ms;
    bool absent[ADDRESSES];
    bool cut[ADDRESSES]; /* as the owner was told */
    int64_t for_ms[ADDRESSES];
    char why[ADDRESSES][128];
    size_t cuts, mends;
};

/* What the kernel says; way_out() has no argument of its own. */
static struct {
    enum way way[ADDRESSES];
    int error;
    size_t asked;
} kernel;

static enum way
on_way(const struct ip *from, const struct ip *to, int *ret_error)
{
    size_t place = from->family == 6 ? 3 : from->bytes[3] - 1u;

    kernel.asked++;
    if (to != NULL)
        assert_int_equal(to->family, from->family);
    *ret_error = kernel.error;
    return to == NULL && kernel.way[place] == WAY_NONE ? WAY_OPEN : kernel.way[place];
}

static bool
on_is_present(void *arg, const struct address *address)
{
    return !((struct world *)arg)->absent[address->index];
}

static int64_t
on_now(void *arg)
{
    return ((struct world *)arg)->now_ms;
}

static void
on_cut(void *arg, const struct address *address, int64_t for_ms, const char *why)
{
    struct world *world = arg;

    world->cut[address->index] = true;
    world->for_ms[address->index] = for_ms;
    snprintf(world->why[address->index], sizeof(world->why[0]), "%s", why);
    assert_int_equal(strncmp(why, REACH_CAUSE, strlen(REACH_CAUSE)), 0);
    world->cuts++;
}

static void
on_mended(void *arg, const struct address *address)
{
    struct world *world = arg;

    assert_true(world->cut[address->index]);
    world->cut[address->index] = false;
    world->mends++;
}

static int
setup(void **state)
{
    static struct world world;

    memset(&kernel, 0, sizeof(kernel));
    kernel.error = ENETUNREACH;
    world = (struct world){.conf = unit_conf(site), .now_ms = 1000000};
    world.reach = reach_new(&(struct reach_start){.snapshot = world.conf->snapshot,
                                                  .is_present = on_is_present,
                                                  .way = on_way,
                                                  .now_ms = on_now,
                                                  .cut = on_cut,
                                                  .mended = on_mended,
                                                  .arg = &world});
    *state = &world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;

    reach_free(world->reach);
    conf_unref(world->conf);
    return 0;
}

/* An outcome of the address, so long ago; text as the log has it, NULL: sent. */
static void
outcome_ago(struct world *world, size_t place, const char *dsn, const char *text, int64_t ago_ms)
{
    struct outcome outcome = {
        .at_ms = clock_ms(CLOCK_REALTIME_COARSE) - ago_ms,
        .address = &world->conf->snapshot->addresses[place],
        .status = text == NULL ? MAILLOG_SENT : MAILLOG_DEFERRED,
    };

    if (text == NULL)
        text = "250 2.0.0 Ok";
    reply_read(dsn, strlen(dsn), text, strlen(text), &outcome.reply);
    reach_on_outcome(world->reach, &outcome);
}

static void
net(struct world *world, size_t place, unsigned host, const char *words)
{
    char text[128];

    snprintf(text, sizeof(text), "connect to mx%u.test[203.0.113.%u]:25: %s", host, host, words);
    outcome_ago(world, place, "4.4.1", text, 0);
}

static void
bind_fails(struct world *world, size_t place)
{
    outcome_ago(world, place, "4.4.0", "server configuration error", 0);
}

static void
sent(struct world *world, size_t place)
{
    outcome_ago(world, place, "2.0.0", NULL, 0);
}

static void
pass(struct world *world, int64_t ms)
{
    for (; ms > 0; ms -= REACH_CHECK_MS) {
        world->now_ms += ms < REACH_CHECK_MS ? ms : REACH_CHECK_MS;
        reach_tick(world->reach);
    }
}

/* The kernel has no route for one of them: at once, and until it has. */
static void
test_no_route(void **state)
{
    struct world *world = *state;

    kernel.way[0] = WAY_NONE;
    net(world, 0, 1, "Network is unreachable");
    assert_true(world->cut[0]);
    assert_int_equal(world->for_ms[0], REACH_KEEP_MS);
    assert_string_equal(world->why[0], "network: no route to 203.0.113.1: Network is unreachable");
    net(world, 0, 2, "Network is unreachable");
    assert_int_equal(world->cuts, 1);
    pass(world, 3 * MINUTE); /* said again, sooner than it lapses */
    assert_int_equal(world->cuts, 1 + 3 * MINUTE / REACH_CHECK_MS);
    kernel.way[1] = kernel.way[2] = WAY_NONE; /* and then for all: it is still so */
    pass(world, MINUTE);
    assert_true(world->cut[0]);
    kernel.way[0] = WAY_OPEN;
    pass(world, REACH_CHECK_MS);
    assert_false(world->cut[0]);
    assert_int_equal(world->mends, 1);
    pass(world, MINUTE);
    assert_int_equal(world->mends, 1);
}

static void
test_words(void **state)
{
    static const struct {
        const char *words;
        bool network;
    } cases[] = {
        {"Network is unreachable", true},   {"No route to host", true},
        {"Permission denied", true},        {"Invalid argument", true},
        {"Network is down", true},          {"Operation not permitted", true},
        {"Connection timed out", false},    {"Connection refused", false},
        {"Network is unreachable!", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world *world;

        teardown(state);
        setup(state);
        world = *state;
        kernel.way[0] = WAY_NONE;
        net(world, 0, 1, cases[i].words);
        if (world->cut[0] != cases[i].network)
            fail_msg("\"%s\" is taken otherwise", cases[i].words);
    }
}

/* What a server says is not what connect(2) says, and odd texts are nothing. */
static void
test_strangers(void **state)
{
    static const char *const texts[] = {
        "host mx.test[203.0.113.1] said: 450 connect to x[203.0.113.1]:25: No route to host",
        "connect to x[203.0.113.1:25: No route to host",
        "connect to x[203.0.113.1]:25 No route to host",
        "connect to x[]:25: No route to host",
        "connect to x[203.0.113.1.203.0.113.1.203.0.113.1.203.0.113.1]:25: No route to host",
        "connect to x]: No route to host[203.0.113.1",
        "connect to ",
        "server configuration errors",
        "",
    };
    struct world *world = *state;

    kernel.way[0] = WAY_NO_BIND;
    for (size_t i = 0; i < COUNT(texts); i++)
        outcome_ago(world, 0, "4.4.1", texts[i], 0);
    outcome_ago(world, 0, "4.3.0", "server configuration error", 0);
    assert_int_equal(kernel.asked, 0);
    assert_int_equal(world->cuts, 0);
    outcome_ago(world, 0, "4.4.1", "connect to x[203.0.113.1]:25: No route to host",
                REACH_WINDOW_MS + 5000); /* read late: a restart */
    assert_int_equal(world->cuts, 0);
}

/* No route from any of them: the host, or all of the network is away. */
static void
test_nobody_has_a_route(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < ADDRESSES; i++)
        kernel.way[i] = WAY_NONE;
    for (size_t round = 0; round < 5; round++)
        for (unsigned host = 1; host <= 6; host++)
            for (size_t i = 0; i < 3; i++) {
                net(world, i, host, "Network is unreachable");
                world->now_ms += REACH_PAUSE_MS;
            }
    assert_int_equal(world->cuts, 0);
    kernel.way[3] = WAY_OPEN; /* of the other family: says nothing of these */
    net(world, 0, 1, "Network is unreachable");
    assert_int_equal(world->cuts, 0);
    kernel.way[2] = WAY_OPEN;
    world->absent[2] = true; /* this host has it not */
    world->now_ms += REACH_PAUSE_MS;
    net(world, 0, 1, "Network is unreachable");
    assert_int_equal(world->cuts, 0);
}

/* A log full of troubles does not keep the kernel busy. */
static void
test_seldom_asked(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 1000; i++)
        net(world, 0, 1, "No route to host");
    assert_int_equal(kernel.asked, 1);
}

static void
test_bind(void **state)
{
    struct world *world = *state;

    kernel.way[0] = WAY_NO_BIND;
    kernel.error = EADDRNOTAVAIL;
    bind_fails(world, 0);
    assert_string_equal(world->why[0], "network: bind: Cannot assign requested address");
    assert_int_equal(world->for_ms[0], REACH_KEEP_MS);
    kernel.way[0] = WAY_OPEN;
    pass(world, REACH_CHECK_MS);
    assert_false(world->cut[0]);
    /* The kernel lets us, but not Postfix. */
    bind_fails(world, 1);
    bind_fails(world, 1);
    assert_false(world->cut[1]);
    bind_fails(world, 1);
    assert_true(world->cut[1]);
    assert_string_equal(world->why[1], "network: Postfix cannot bind it");
    assert_int_equal(world->for_ms[1], REACH_GUESS_MS);
}

/* An address that is gone from here is another host's now. */
static void
test_absent(void **state)
{
    struct world *world = *state;

    kernel.way[0] = WAY_NO_BIND;
    world->absent[0] = true;
    bind_fails(world, 0);
    assert_int_equal(world->cuts, 0);
    world->absent[0] = false;
    bind_fails(world, 0);
    assert_true(world->cut[0]);
    world->absent[0] = true;
    pass(world, REACH_CHECK_MS);
    assert_false(world->cut[0]);
}

/* Behind the first link: several hosts, nobody reached, while another address was answered. */
static void
test_guess(void **state)
{
    struct world *world = *state;

    sent(world, 1);
    for (unsigned host = 1; host <= 10; host++)
        net(world, 0, host, "No route to host");
    assert_false(world->cut[0]); /* nobody else was heard since */
    sent(world, 1);
    net(world, 0, 1, "No route to host");
    assert_true(world->cut[0]);
    assert_string_equal(world->why[0], "network: No route to host");
    assert_int_equal(world->for_ms[0], REACH_GUESS_MS);
    net(world, 0, 1, "No route to host"); /* was under way */
    sent(world, 0);                       /* likewise */
    assert_int_equal(world->cuts, 1);
    assert_int_equal(world->mends, 0);
    for (int64_t for_ms = 2 * REACH_GUESS_MS; for_ms < 3 * (int64_t)REACH_GUESS_MOST_MS;
         for_ms *= 2) { /* a probe fares no better */
        pass(world, world->for_ms[0]);
        net(world, 0, 1, "No route to host");
        assert_int_equal(world->for_ms[0],
                         for_ms < REACH_GUESS_MOST_MS ? for_ms : REACH_GUESS_MOST_MS);
    }
    pass(world, world->for_ms[0]);
    sent(world, 0); /* one is well: it was a new matter then */
    net(world, 0, 1, "No route to host");
    net(world, 0, 2, "No route to host");
    net(world, 0, 3, "No route to host");
    sent(world, 1);
    net(world, 0, 3, "No route to host");
    assert_int_equal(world->cuts, 6);
    net(world, 0, 4, "No route to host");
    assert_int_equal(world->cuts, 7);
    assert_int_equal(world->for_ms[0], REACH_GUESS_MS);
    assert_int_equal(world->mends, 1);
    pass(world, world->for_ms[0] + REACH_GUESS_MOST_MS + 1); /* no probe came about */
    net(world, 0, 1, "No route to host");
    assert_int_equal(world->cuts, 7);
}

static void
test_no_guess(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < 20; i++) { /* one host, again and again */
        net(world, 0, 1, "No route to host");
        sent(world, 1);
    }
    assert_int_equal(world->cuts, 0);
    for (unsigned host = 1; host <= 20; host++) { /* somebody answers now and then */
        net(world, 0, host, "No route to host");
        sent(world, 1);
        if (host % 3 == 0)
            outcome_ago(world, 0, "4.4.1",
                        host % 2 == 0 ? "host x[203.0.113.99] said: 450 no"
                                      : "connect to x[203.0.113.99]:25: Connection refused",
                        0);
    }
    assert_int_equal(world->cuts, 0);
    sent(world, 0);
    for (unsigned host = 1; host <= 20; host++) { /* a silent host is not the network */
        net(world, 0, host, "Connection timed out");
        sent(world, 1);
    }
    assert_int_equal(world->cuts, 0);
    for (unsigned host = 1; host <= 3; host++) { /* too long ago */
        char text[128];

        snprintf(text, sizeof(text), "connect to x[203.0.113.%u]:25: No route to host", host);
        outcome_ago(world, 0, "4.4.1", text, REACH_WINDOW_MS - 5000);
    }
    sent(world, 1);
    for (unsigned host = 4; host <= 6; host++)
        net(world, 0, host, "No route to host");
    assert_int_equal(world->cuts, 1); /* these were in time */
}

/* All is away at once; what answered before says nothing. */
static void
test_all_away(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 3; i++)
        sent(world, i);
    for (unsigned host = 1; host <= 20; host++)
        for (size_t i = 0; i < 3; i++)
            net(world, i, host, "No route to host");
    assert_int_equal(world->cuts, 0);
}

static void
test_reload(void **state)
{
    struct world *world = *state;
    struct conf *conf =
        unit_conf("addresses: { a9 = { ip = \"192.0.2.9\"; helo = \"a9.test\"; };\n"
                  "             a2 = { ip = \"192.0.2.2\"; helo = \"a2.test\"; };\n"
                  "             a3 = { ip = \"192.0.2.33\"; helo = \"a3.test\"; };\n"
                  "             a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
                  "pools: { all = { addresses = ( \"a1\", \"a2\", \"a3\", \"a9\" ); }; };\n"
                  "streams: ( { name = \"default\"; pool = \"all\"; match = (); } );\n");

    kernel.way[0] = kernel.way[2] = WAY_NO_BIND;
    bind_fails(world, 0);
    bind_fails(world, 2);
    assert_true(world->cut[0] && world->cut[2]);
    reach_set_snapshot(world->reach, conf->snapshot, false);
    assert_false(world->cut[2]); /* has another IP now */
    world->cut[3] = true;        /* a1 stands there now */
    conf_unref(world->conf);
    world->conf = conf;
    kernel.way[0] = WAY_OPEN;
    pass(world, REACH_CHECK_MS);
    assert_false(world->cut[3]);
    kernel.way[0] = WAY_NO_BIND;
    world->now_ms += REACH_PAUSE_MS;
    bind_fails(world, 3);
    assert_true(world->cut[3]);
    conf = unit_conf(site);
    world->cut[0] = true;
    reach_set_snapshot(world->reach, conf->snapshot, true); /* off */
    assert_false(world->cut[0]);
    conf_unref(world->conf);
    world->conf = conf;
    bind_fails(world, 0);
    assert_false(world->cut[0]);
}

/* The system's answers, as far as any host gives them. */
static void
test_way_out(void **state)
{
    static const struct {
        const char *from, *to;
        enum way way;
        int error;
    } cases[] = {
        {"127.0.0.1", NULL, WAY_OPEN, 0},
        {"127.0.0.1", "127.0.0.2", WAY_OPEN, 0},
        {"127.0.0.1", "::1", WAY_OPEN, 0}, /* no question of this family */
        {"203.0.113.77", NULL, WAY_NO_BIND, EADDRNOTAVAIL},
        {"203.0.113.77", "127.0.0.1", WAY_NO_BIND, EADDRNOTAVAIL},
        {"127.0.0.1", "203.0.113.1", WAY_NONE, EINVAL}, /* from loopback to elsewhere */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip from, to = {0};
        int error = 0;

        assert_true(ip_parse(cases[i].from, &from));
        if (cases[i].to != NULL)
            assert_true(ip_parse(cases[i].to, &to));
        if (way_out(&from, cases[i].to != NULL ? &to : NULL, &error) != cases[i].way ||
            (error != cases[i].error && cases[i].error != EINVAL))
            fail_msg("case %zu: %d", i, error);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_route),     TEST(test_words),
        TEST(test_strangers),    TEST(test_nobody_has_a_route),
        TEST(test_seldom_asked), TEST(test_bind),
        TEST(test_absent),       TEST(test_guess),
        TEST(test_no_guess),     TEST(test_all_away),
        TEST(test_reload),       TEST(test_way_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
