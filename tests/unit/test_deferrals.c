/*
 * Whom a suspension hits: what was deferred lately, by address.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/deferrals.h"

static struct deferrals *deferrals;
static char taken[400]; /* queue ids, with a blank behind each */
static int taken_count;

static int
setup(void **state)
{
    (void)state;
    deferrals = deferrals_new();
    taken[0] = '\0';
    taken_count = 0;
    return deferrals != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    deferrals_free(deferrals);
    return 0;
}

static void
note(const char *id, const char *address, const char *provider, const char *domain, int64_t at_ms)
{
    deferrals_note(deferrals, &(struct deferral){.at_ms = at_ms,
                                                 .queue_id = id,
                                                 .message_id = "m",
                                                 .account = "site.test",
                                                 .recipient = "x@one.test",
                                                 .domain = domain,
                                                 .stream = "bulk",
                                                 .address = address,
                                                 .provider = provider});
}

static void
on_each(void *arg, const struct deferral *deferral)
{
    size_t used = strlen(taken);

    (void)arg;
    taken_count++;
    if (used + 40 < sizeof(taken))
        snprintf(taken + used, sizeof(taken) - used, "%s ", deferral->queue_id);
}

static const char *
take(const char *address, const char *provider, const char *domain, int64_t since_ms)
{
    taken[0] = '\0';
    deferrals_take(deferrals, address, provider, domain, since_ms, on_each, NULL);
    return taken;
}

static void
test_those_of_an_address(void **state)
{
    (void)state;
    note("4A1", "a1", "google", "one.test", 10);
    note("4A2", "a2", "google", "one.test", 20);
    note("4A3", "a1", "other", "two.test", 30);
    note("4A4", "a1", "google", "one.test", 40);
    assert_string_equal(take("a3", NULL, NULL, 0), "");
    assert_string_equal(take("a1", NULL, "two.test", 0), "4A3 ");
    assert_string_equal(take("a1", "google", NULL, 20), "4A4 ");
    assert_string_equal(take("a1", NULL, NULL, 0), "4A1 ");
    assert_string_equal(take("a1", NULL, NULL, 0), "");
    assert_string_equal(take("a2", NULL, NULL, 0), "4A2 ");
}

static void
test_the_last_word_counts(void **state)
{
    (void)state;
    note("4A1", "a1", "google", "one.test", 10);
    note("4A2", "a1", "google", "one.test", 10);
    note("4A1", "a2", "google", "one.test", 20);
    deferrals_forget(deferrals, "4A2");
    deferrals_forget(deferrals, "4A9");
    assert_string_equal(take("a1", NULL, NULL, 0), "");
    assert_string_equal(take("a2", NULL, NULL, 0), "4A1 ");
}

static void
test_the_oldest_give_way(void **state)
{
    char id[16];

    (void)state;
    for (int i = 0; i < 2 * DEFERRALS_MAX + 7; i++) {
        snprintf(id, sizeof(id), "%d", i);
        note(id, i % 2 == 0 ? "a1" : "a2", "google", "one.test", i);
        if (i % 3 == 0)
            deferrals_forget(deferrals, id);
    }
    take("a1", NULL, NULL, 0);
    assert_in_range(taken_count, DEFERRALS_MAX / 3 - 2, DEFERRALS_MAX / 2);
    taken_count = 0;
    take("a2", NULL, NULL, 2 * DEFERRALS_MAX);
    assert_in_range(taken_count, 2, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_those_of_an_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_last_word_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_oldest_give_way, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
