/*
 * Suspensions by hand and by causes that last, and those of an address that is gone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/breakers_world.h"

#include "engine/curbs.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/json.h"
#include "lib/mem.h"

#include <stdlib.h>

static void
test_by_hand(void **state)
{
    struct breakers_world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};
    struct buf text = {0};

    assert_false(breakers_resume(w->hosts[0].breakers, &a1));
    assert_true(breakers_suspend(w->hosts[0].breakers, &a1, START + HOUR, "moving"));
    breakers_world_settle(w);
    assert_int_equal(curbs_address(w->hosts[1].curbs, w->a1)->share, 0);
    breakers_world_assert_status(w, 1, "a1: suspended until TIME (60 min): moving\n");
    assert_true(breakers_resume(w->hosts[1].breakers, &a1));
    breakers_world_settle(w);
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    assert_true(breakers_suspend(w->hosts[0].breakers, &a1, w->now_ms + HOUR, "moving"));
    breakers_world_settle(w);
    breakers_world_later(w, HOUR); /* without probes */
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 100);
    assert_true(breakers_drain(w->hosts[0].breakers, &a1, "old"));
    breakers_world_settle(w);
    assert_true(curbs_address(w->hosts[1].curbs, w->a1)->drained);
    breakers_status(w->hosts[1].breakers, &text, NULL);
    assert_string_equal(buf_text(&text), "a1: drained until it is resumed: old\n");
    buf_clear(&text);
    assert_true(breakers_resume(w->hosts[1].breakers, &a1));
    breakers_world_settle(w);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    assert_int_equal(breakers_world_record_of(w, "breaker/address/a1")->version, 0);
}

/* Both hosts hear of it, and one of them that it is over. */
static void
test_lasting_cause(void **state)
{
    struct breakers_world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};

    breakers_end(w->hosts[0].breakers, &a1, BREAKER_LISTED, false);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    for (size_t i = 0; i < 2; i++)
        assert_true(breakers_keep_suspended(w->hosts[i].breakers, &a1, BREAKER_LISTED, START + HOUR,
                                            "listed by zen (127.0.0.2)"));
    breakers_world_settle(w);
    breakers_world_later(w, HOUR / 2);
    assert_true(breakers_keep_suspended(w->hosts[0].breakers, &a1, BREAKER_LISTED, w->now_ms + HOUR,
                                        "listed by zen (127.0.0.2)"));
    breakers_world_settle(w);
    breakers_world_later(w, HOUR - 1000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(breakers_find(w->hosts[i].breakers, &a1)->state, BREAKER_OPEN);
        assert_int_equal(w->hosts[i].suspensions, 1);
    }
    breakers_end(w->hosts[1].breakers, &a1, BREAKER_LISTED, false);
    breakers_world_settle(w);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(breakers_find(w->hosts[i].breakers, &a1)->state, BREAKER_PROBING);
}

/* A host gets another configuration, without a1 or with it. */
static void
reload(struct breakers_world *w, size_t number, struct conf *conf)
{
    struct breakers_world_host *host = &w->hosts[number];

    assert_true(curbs_set_snapshot(host->curbs, conf->snapshot));
    breakers_set_conf(host->breakers, conf, host->curbs);
}

/* Another address in the place of a1, as a site edits it. */
static struct conf *
conf_without_a1(void)
{
    char *text = mem_printf("%s%s", unit_site, breakers_world_site), *at;
    struct conf *conf;

    while ((at = strstr(text, "a1")) != NULL)
        at[1] = '7';
    conf = unit_conf(text);
    free(text);
    return conf;
}

static void
test_an_address_that_is_gone(void **state)
{
    struct breakers_world *w = *state;
    const struct breakers_whose a1 = {BREAKERS_ADDRESS, w->a1, NULL, NULL};
    struct conf *without = conf_without_a1();

    breakers_suspend(w->hosts[0].breakers, &a1, START + HOUR, "moving");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_result(w, 0, "gmail.com", "550 blocked");
    breakers_world_settle(w);
    reload(w, 0, without);
    reload(w, 1, without);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    breakers_world_assert_status(
        w, 0,
        "a1 (not in the configuration): suspended until TIME (60 min): moving\n"
        "a1 at google (not in the configuration): suspended until TIME (60 min): "
        "blocked: 550 blocked\n");
    reload(w, 0, w->conf); /* as it was, when it comes back before */
    assert_int_equal(curbs_address(w->hosts[0].curbs, w->a1)->share, 0);
    assert_int_equal(breakers_world_share(w, 0), 0);
    reload(w, 0, without);
    breakers_world_later(w, HOUR);
    breakers_world_assert_status(w, 0, "");
    assert_int_equal(breakers_world_record_of(w, "breaker/address/a1")->version, 0);
    reload(w, 0, w->conf); /* within the day it is probed */
    assert_int_equal(curbs_provider(w->hosts[0].curbs, w->a1, w->google)->probes, 2);
    reload(w, 0, without);
    breakers_world_later(w, 24 * HOUR);
    breakers_world_later(w, 1000);
    assert_int_equal(breakers_world_record_of(w, "breaker/provider/a1/google")->version, 0);
    reload(w, 0, w->conf);
    assert_true(curbs_is_empty(w->hosts[0].curbs));
    breakers_world_stop(w, 0);
    breakers_world_stop(w, 1);
    conf_unref(without);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, breakers_world_setup, breakers_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_by_hand),
        TEST(test_lasting_cause),
        TEST(test_an_address_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
