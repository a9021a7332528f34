/*
 * Suspensions on two hosts that share a store: what replies do, what both see, and what stays.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/breakers_world.h"

#include "engine/curbs.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/breakers.h"

static void
test_two_hosts_count_together(void **state)
{
    struct breakers_world *w = *state;

    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_settle(w);
    assert_int_equal(breakers_world_share(w, 0), 100);
    breakers_world_result(w, 1, "gmail.com", "550 blocked");
    breakers_world_settle(w);
    assert_int_equal(breakers_world_share(w, 0), 0);
    assert_int_equal(breakers_world_share(w, 1), 0);
    assert_int_equal(w->hosts[0].suspensions, 1);
    assert_int_equal(w->hosts[1].suspensions, 1);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    assert_true(breakers_is_suspended(w->hosts[0].breakers, w->a1, w->google));
    assert_false(breakers_is_suspended(w->hosts[0].breakers, w->a1, NULL));
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->until_ms, START + HOUR);
}

/* Both write at once: the second writes again, behind the first. */
static void
test_at_the_same_time(void **state)
{
    struct breakers_world *w = *state;

    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 1, "gmail.com", "550 blocked");
    assert_int_equal(breakers_world_share(w, 0), 100);
    breakers_world_settle(w);
    assert_int_equal(breakers_world_share(w, 0), 0);
    assert_int_equal(breakers_world_share(w, 1), 0);
    assert_int_equal(breakers_world_record_of(w, "breaker/provider/a1/google")->version, 2);
}

static void
count_suspended(void *arg, const struct address *address, const struct provider *provider)
{
    unsigned *count = arg;

    assert_string_equal(address->name, "a1");
    *count += provider != NULL ? 1 : 100;
}

/* What is suspended, or probed, is told of with its provider; what recovers is not. */
static void
test_each_suspended(void **state)
{
    struct breakers_world *w = *state;
    unsigned count = 0;

    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "small.test", "550 blocked");
    breakers_world_result(w, 0, "small.test", "550 blocked");
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 1);
    breakers_world_result(w, 0, "gmail.com", "550 listed");
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 102);
    breakers_world_later(w, HOUR);
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 203);
    breakers_world_result(w, 0, "gmail.com", NULL);
    breakers_world_result(w, 0, "gmail.com", NULL);
    breakers_each_suspended(w->hosts[0].breakers, count_suspended, &count);
    assert_int_equal(count, 203);
}

static void
test_probes_and_steps(void **state)
{
    struct breakers_world *w = *state;
    const struct curb *curb;

    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_settle(w);
    breakers_world_result(w, 0, "gmail.com", "550 blocked"); /* was under way */
    breakers_world_later(w, HOUR - 1);
    curb = curbs_provider(w->hosts[0].curbs, w->a1, w->google);
    assert_int_equal(curb->share + curb->probes, 0);
    breakers_world_later(w, 1);
    curb = curbs_provider(w->hosts[0].curbs, w->a1, w->google);
    assert_int_equal(curb->share, 0);
    assert_int_equal(curb->probes, 2);
    assert_int_equal(w->hosts[0].resumptions, 1);
    curbs_probe(w->hosts[0].curbs, w->a1, w->google, NULL, "client.test");
    curbs_probe(w->hosts[0].curbs, w->a1, w->google, NULL, "client.test");
    breakers_world_later(w, MINUTE - 1);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 0);
    breakers_world_later(w, 1); /* they are lost */
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
    curbs_probe(w->hosts[0].curbs, w->a1, w->google, NULL, "client.test");
    breakers_world_result(w, 0, "other.test", NULL); /* says nothing of google */
    breakers_world_result(w, 0, "gmail.com", NULL);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 1);
    breakers_world_settle(w);
    breakers_world_result(w, 1, "gmail.com", "550 unknown"); /* well enough */
    breakers_world_settle(w);
    assert_int_equal(breakers_world_share(w, 0), 10);
    assert_int_equal(breakers_world_share(w, 1), 10);
    breakers_world_later(w, 10 * MINUTE);
    assert_int_equal(breakers_world_share(w, 0), 50);
    breakers_world_later(w, 10 * MINUTE);
    assert_int_equal(breakers_world_share(w, 1), 100);
}

static void
test_a_probe_that_is_refused(void **state)
{
    struct breakers_world *w = *state;

    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_later(w, HOUR);
    assert_int_equal(curbs_provider(w->hosts[1].curbs, w->a1, w->google)->probes, 2);
    breakers_world_result(w, 1, "gmail.com", "550 blocked");
    breakers_world_settle(w);
    breakers_world_later(w, 2 * HOUR - 1);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 0);
    breakers_world_later(w, 1);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
}

/* What has grown back with time holds, also where the first that asks is an event in vain. */
static void
test_grown_back_when_something_comes(void **state)
{
    struct breakers_world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};

    breakers_world_result(w, 0, "gmail.com", "550 listed");
    breakers_world_later(w, HOUR);
    breakers_world_result(w, 0, "gmail.com", NULL);
    breakers_world_result(w, 0, "gmail.com", NULL);
    breakers_world_later(w, 10 * MINUTE);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 50);
    w->now_ms += 10 * MINUTE;
    breakers_end(w->hosts[0].breakers, &a1, BREAKER_NETWORK, true); /* there was no such cause */
    breakers_world_later(w, 1);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
}

/* The clocks of two hosts are some milliseconds apart: what both were told is kept all the same. */
static void
test_clocks_apart(void **state)
{
    struct breakers_world *w = *state;

    breakers_world_result(w, 0, "gmail.com", "421 reputation");
    breakers_world_settle(w);
    breakers_world_later(w, MINUTE);
    breakers_world_result(w, 0, "gmail.com", "421 reputation");
    breakers_world_settle(w);
    w->now_ms -= 3;
    breakers_world_result(w, 1, "gmail.com", "421 reputation");
    breakers_world_settle(w);
    breakers_world_stop(w, 1);
    breakers_world_start(w, 1, true);
    assert_int_equal(curbs_account(w->hosts[0].curbs, "client.test")->share, 20);
    assert_int_equal(curbs_account(w->hosts[1].curbs, "client.test")->share, 20);
}

/* A domain of no provider has nothing to do with the others. */
static void
test_scopes(void **state)
{
    struct breakers_world *w = *state;
    struct curbs *curbs = w->hosts[0].curbs;

    breakers_world_result(w, 0, "small.test", "550 blocked");
    breakers_world_result(w, 0, "small.test", "550 blocked");
    assert_int_equal(curbs_domain(curbs, w->a1, "small.test")->share, 0);
    assert_int_equal(curbs_domain(curbs, w->a1, "other.test")->share, 100);
    assert_int_equal(curbs_provider(curbs, w->a1, &w->conf->snapshot->providers[0])->share, 100);
    breakers_world_result(w, 0, "gmail.com", "421 reputation");
    assert_int_equal(curbs_account(curbs, "client.test")->share, 20);
    assert_int_equal(breakers_world_share(w, 0), 100);
    breakers_world_result(w, 0, "gmail.com", "550 unknown");
    breakers_world_result(w, 0, "gmail.com", "550 unknown");
    assert_int_equal(breakers_world_share(w, 0), 100);
    breakers_world_result(w, 0, "gmail.com", "550 listed");
    assert_int_equal(curbs_address(curbs, w->a1)->share, 0);
    assert_int_equal(curbs_address(curbs, w->a2)->share, 100);
    breakers_world_settle(w);
    breakers_world_later(w, 30 * MINUTE);
    assert_int_equal(curbs_account(w->hosts[1].curbs, "client.test")->share, 100);
}

static void
test_a_restart_keeps(void **state)
{
    struct breakers_world *w = *state;

    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_settle(w);
    breakers_world_stop(w, 0);
    breakers_world_start(w, 0, true);
    assert_int_equal(breakers_world_share(w, 0), 0);
    breakers_world_later(w, HOUR);
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
}

/* What happens while the store is away holds here, and is told when it is back. */
static void
test_away(void **state)
{
    struct breakers_world *w = *state;

    w->hosts[0].away = true;
    for (int i = 0; i < 20; i++) {
        breakers_world_result(w, 0, "gmail.com", "421 reputation");
        breakers_world_later(w, 20 * 1000);
    }
    assert_int_equal(curbs_account(w->hosts[0].curbs, "client.test")->share, 0);
    assert_int_equal(w->hosts[0].puts, 1);
    breakers_world_result(w, 1, "gmail.com", "421 reputation");
    breakers_world_settle(w);
    assert_int_equal(curbs_account(w->hosts[1].curbs, "client.test")->share, 20);
    w->hosts[0].away = false;
    breakers_world_settle(w);
    assert_int_equal(curbs_account(w->hosts[0].curbs, "client.test")->share,
                     curbs_account(w->hosts[1].curbs, "client.test")->share);
}

static void
test_without_a_store(void **state)
{
    struct breakers_world *w = *state;

    breakers_world_stop(w, 0);
    breakers_world_start(w, 0, false);
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    assert_int_equal(breakers_world_share(w, 0), 0);
    breakers_world_later(w, 2 * HOUR);
    breakers_world_result(w, 0, "gmail.com", NULL);
    breakers_world_result(w, 0, "gmail.com", NULL);
    assert_int_equal(breakers_world_share(w, 0), 10);
}

/* What is forgotten is gone from memory and store; nothing is written for nothing. */
static void
test_forgotten(void **state)
{
    struct breakers_world *w = *state;
    const struct breakers_whose whose = {BREAKERS_PROVIDER, w->a1, w->google, NULL};
    unsigned puts;

    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_settle(w);
    puts = w->hosts[0].puts;
    assert_non_null(breakers_find(w->hosts[1].breakers, &whose));
    breakers_world_later(w, 23 * HOUR);
    assert_int_equal(w->hosts[0].puts, puts);
    breakers_world_later(w, 2 * HOUR);
    breakers_world_later(w, 1);
    assert_int_equal(breakers_world_record_of(w, "breaker/provider/a1/google")->version, 0);
    assert_null(breakers_find(w->hosts[0].breakers, &whose));
    assert_null(breakers_find(w->hosts[1].breakers, &whose));
}

/* Records that others damaged, or that are of things this host does not have. */
static void
test_odd_records(void **state)
{
    static const char *const keys[] = {
        "breaker/address/a1",
        "breaker/address/gone",
        "breaker/provider/a1/gone",
        "breaker/provider/a1",
        "breaker/address/a1/x",
        "breaker/account/x.test",
        "breaker/domain/gone/d.test",
        "breaker/what/a1",
        "breaker/",
        "address/a1",
        "breaker/domain/",
        "breaker/account",
    };
    struct breakers_world *w = *state;
    struct breaker open = {.hand = {.until_ms = BREAKER_FOR_EVER}};
    char text[BREAKER_TEXT_SIZE];
    size_t length = breaker_print(&open, text);

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        breakers_on_record(w->hosts[0].breakers, keys[i], 7, "rubbish", 7);
        breakers_on_record(w->hosts[0].breakers, keys[i], 8, text, length);
    }
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 0);
    assert_int_equal(curbs_account(w->hosts[0].curbs, "x.test")->share, 0);
    breakers_on_record(w->hosts[0].breakers, "breaker/address/a1", 9, "rubbish", 7);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    breakers_tick(w->hosts[0].breakers);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, breakers_world_setup, breakers_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_hosts_count_together),
        TEST(test_at_the_same_time),
        TEST(test_each_suspended),
        TEST(test_probes_and_steps),
        TEST(test_a_probe_that_is_refused),
        TEST(test_grown_back_when_something_comes),
        TEST(test_clocks_apart),
        TEST(test_scopes),
        TEST(test_a_restart_keeps),
        TEST(test_away),
        TEST(test_without_a_store),
        TEST(test_forgotten),
        TEST(test_odd_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
