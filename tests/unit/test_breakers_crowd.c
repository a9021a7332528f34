/*
 * Too many things that replies accuse: which of them are forgotten.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/breakers_world.h"

#include "engine/curbs.h"
#include "lib/mem.h"

/* A host that remembers nothing, and BREAKERS_MAX domains that were counted once. */
static void
fill(struct breakers_world *w)
{
    char domain[32];

    breakers_world_stop(w, 0);
    breakers_world_start(w, 0, false);
    for (int i = 0; i < BREAKERS_MAX; i++) {
        snprintf(domain, sizeof(domain), "d%d.test", i);
        breakers_world_result(w, 0, domain, "550 blocked");
    }
}

static bool
is_known(struct breakers_world *w, const char *domain)
{
    const struct breakers_whose whose = {BREAKERS_DOMAIN, w->a1, NULL, domain};

    return breakers_find(w->hosts[0].breakers, &whose) != NULL;
}

/* Strangers fill the table: what was only counted longest ago gives way. */
static void
test_the_idlest_gives_way(void **state)
{
    struct breakers_world *w = *state;
    struct buf text = {0};

    fill(w);
    assert_true(is_known(w, "d0.test"));
    breakers_world_result(w, 0, "d0.test", "550 blocked"); /* suspended: stays */
    breakers_world_result(w, 0, "new.test", "550 blocked");
    breakers_world_result(w, 0, "new.test", "550 blocked");
    assert_int_equal(curbs_domain(w->hosts[0].curbs, w->a1, "new.test")->share, 0);
    assert_true(is_known(w, "d0.test"));
    assert_false(is_known(w, "d1.test"));
    assert_true(is_known(w, "d2.test"));
    breakers_status(w->hosts[0].breakers, &text, NULL);
    assert_non_null(strstr(buf_text(&text), "since the start 1 that were only counted were "
                                            "forgotten, 0 not held back\n"));
    buf_clear(&text);
    breakers_world_later(w, 25 * HOUR); /* all that was counted is forgotten anyway */
    breakers_world_assert_status(
        w, 0,
        "a1 at d0.test: probing, 0 of 2 probes accepted: blocked: 550 blocked\n"
        "a1 at new.test: probing, 0 of 2 probes accepted: blocked: 550 blocked\n");
}

/* All of them are suspended, so that none gives way: there is room for what matters. */
static void
test_always_room(void **state)
{
    struct breakers_world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};
    const struct breakers_whose client = {BREAKERS_ACCOUNT, NULL, NULL, "client.test"};
    char domain[32];

    fill(w);
    for (int i = 0; i < BREAKERS_MAX; i++) {
        snprintf(domain, sizeof(domain), "d%d.test", i);
        breakers_world_result(w, 0, domain, "550 blocked");
    }
    breakers_world_result(w, 0, "new.test", "550 blocked");
    assert_false(is_known(w, "new.test"));
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    assert_int_equal(breakers_world_share(w, 0), 0);
    breakers_world_result(w, 0, "gmail.com", "550 listed");
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 0);
    assert_true(breakers_resume(w->hosts[0].breakers, &a1));
    assert_true(breakers_suspend(w->hosts[0].breakers, &client, BREAKER_FOR_EVER, "x"));
    assert_int_equal(curbs_account(w->hosts[0].curbs, "client.test")->share, 0);
    for (int i = 1; i < BREAKERS_HOLDS_MAX; i++) {
        const struct breakers_whose more = {BREAKERS_ACCOUNT, NULL, NULL, domain};

        snprintf(domain, sizeof(domain), "more%d.test", i);
        assert_true(breakers_suspend(w->hosts[0].breakers, &more, BREAKER_FOR_EVER, "x"));
    }
    assert_false(breakers_suspend(
        w->hosts[0].breakers, &(struct breakers_whose){BREAKERS_ACCOUNT, NULL, NULL, "last.test"},
        BREAKER_FOR_EVER, "x"));
}

/*
 * All of them were suspended, and nobody writes there any more: what waits longest for a probe
 * gives way, when it is forgotten elsewhere.
 */
static void
test_no_probe_ever_comes(void **state)
{
    struct breakers_world *w = *state;
    char domain[32];

    fill(w);
    breakers_world_later(w, MINUTE);
    for (int i = BREAKERS_MAX; i-- > 0;) {
        snprintf(domain, sizeof(domain), "d%d.test", i);
        w->now_ms += i == 0;
        breakers_world_result(w, 0, domain, "550 blocked");
    }
    breakers_world_later(w, 25 * HOUR - 2);
    breakers_world_result(w, 0, "new.test", "550 blocked");
    assert_false(is_known(w, "new.test"));
    assert_int_equal(curbs_domain(w->hosts[0].curbs, w->a1, "d1.test")->share, 0);
    breakers_world_later(w, 1);
    for (int i = 0; i < BREAKERS_MAX; i++) { /* strangers take one place of these, and no more */
        snprintf(domain, sizeof(domain), "s%d.test", i);
        breakers_world_result(w, 0, domain, "550 blocked");
    }
    assert_false(is_known(w, "d1.test"));
    assert_int_equal(curbs_domain(w->hosts[0].curbs, w->a1, "d1.test")->share, 100);
    assert_true(is_known(w, "d2.test"));
    for (int i = 0; i < 2; i++)
        breakers_world_result(w, 0, domain, "550 blocked");
    assert_int_equal(curbs_domain(w->hosts[0].curbs, w->a1, domain)->share, 0);
    breakers_world_result(w, 0, "new.test", "550 blocked");
    assert_false(is_known(w, "d2.test"));
    assert_true(is_known(w, "d0.test")); /* not yet that long */
    assert_true(is_known(w, "d3.test"));
}

/* What gives way is gone from the store, too; what is on the way to it does not give way. */
static void
test_giving_way_in_the_store(void **state)
{
    struct breakers_world *w = *state;
    const struct breakers_whose first = {BREAKERS_DOMAIN, w->a1, NULL, "d1.test"};
    char key[BREAKERS_KEY_SIZE], text[BREAKER_TEXT_SIZE];
    struct breaker counted = {.hits = {{.rule = 9, .count = 1, .at_ms = {START}}}};
    size_t length = breaker_print(&counted, text);

    for (int i = 1; i <= BREAKERS_MAX; i++) {
        snprintf(key, sizeof(key), "breaker/domain/a1/d%d.test", i);
        breakers_on_record(w->hosts[0].breakers, key, 7, text, length);
    }
    assert_non_null(breakers_find(w->hosts[0].breakers, &first));
    w->hosts[0].away = true;
    breakers_world_result(w, 0, "new.test", "550 blocked");
    assert_null(breakers_find(w->hosts[0].breakers, &first));
    assert_int_equal(w->hosts[0].wait_count, 2);
    assert_string_equal(w->hosts[0].waits[0].key, "breaker/domain/a1/d1.test");
    assert_int_equal(w->hosts[0].waits[0].version, 7);
    assert_int_equal(w->hosts[0].waits[0].length, 0);
    breakers_on_put(w->hosts[0].breakers, "breaker/domain/a1/d1.test", true, 0, NULL, 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, breakers_world_setup, breakers_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_idlest_gives_way),
        TEST(test_always_room),
        TEST(test_no_probe_ever_comes),
        TEST(test_giving_way_in_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
