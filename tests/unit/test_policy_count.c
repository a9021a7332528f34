/*
 * What the policy service counts: every recipient once, and with a store that
 * is slow or away.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/policy_world.h"

#include "engine/meters.h"
#include "lib/err.h"
#include "policyd/policy_request.h"
#include "policyd/transactions.h"

static void
test_a_recipient_is_counted_once(void **state)
{
    struct policy_world *w = *state;

    w->instance++;
    for (int i = 0; i < 3; i++)
        assert_string_equal(policy_rcpt(w, "app-1", "same@one.test"), "DUNNO");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 1);
    assert_string_equal(policy_rcpt(w, "app-1", "other@one.test"), "DUNNO");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 2);
    for (int i = 0; i < 3; i++)
        assert_string_equal(policy_end(w, "app-1", 2, i == 0 ? "DATA" : "END-OF-MESSAGE"), "DUNNO");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 2);
}

static void
test_settled_at_the_end(void **state)
{
    struct policy_world *w = *state;
    char recipient[32];

    w->instance++;
    for (int i = 0; i < 8; i++) {
        snprintf(recipient, sizeof(recipient), "%d@one.test", i);
        policy_rcpt(w, "app-1", recipient);
    }
    assert_int_equal(policy_counted(w, "account/app/app-1"), 8);
    policy_end(w, "app-1", 3, "END-OF-MESSAGE"); /* other checks refused five */
    assert_int_equal(policy_counted(w, "account/app/app-1"), 3);
    policy_end(w, "app-1", 3, "END-OF-MESSAGE");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 3);
    w->instance++;
    policy_rcpt(w, "app-1", "1@one.test");
    policy_end(w, "app-1", 4, "END-OF-MESSAGE"); /* three were not asked for here */
    assert_int_equal(policy_counted(w, "account/app/app-1"), 7);
    assert_int_equal(policy_message(w, "app-1", 20), 13);
}

static void
test_broken_off(void **state)
{
    struct policy_world *w = *state;

    w->instance++;
    policy_rcpt(w, "app-1", "1@one.test");
    w->instance++; /* whether this client asks at the end is not known yet: it stays counted */
    policy_rcpt(w, "app-1", "1@one.test");
    policy_end(w, "app-1", 1, "END-OF-MESSAGE");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 2);
    w->instance++;
    for (int i = 0; i < 18; i++) {
        char recipient[32];

        snprintf(recipient, sizeof(recipient), "%d@one.test", i);
        assert_string_equal(policy_rcpt(w, "app-1", recipient), "DUNNO");
    }
    assert_string_not_equal(policy_rcpt(w, "app-1", "18@one.test"), "DUNNO");
    w->instance++; /* the client starts anew */
    assert_string_equal(policy_end(w, "app-1", 10, "END-OF-MESSAGE"), "DUNNO");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 12);
    w->session = (struct policy_session){0};
    w->instance++; /* another connection: the one before may still go on */
    assert_string_equal(policy_rcpt(w, "app-1", "1@one.test"), "DUNNO");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 13);
}

static void
test_only_asked_at_the_end(void **state)
{
    struct policy_world *w = *state;

    w->instance++;
    assert_string_equal(policy_end(w, "app-1", 15, "END-OF-MESSAGE"), "DUNNO");
    assert_false(w->result.unsure);
    assert_int_equal(policy_counted(w, "account/app/app-1"), 15);
    w->instance++;
    assert_string_equal(policy_end(w, "app-1", 6, "END-OF-MESSAGE"),
                        "DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-1 reached, "
                        "no room for another 61 min");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 15);
    w->instance++;
    policy_pass(w, 32 * 60000);
    assert_string_equal(policy_end(w, "app-1", 5, "DATA"), "DUNNO");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 20);
}

static void
test_no_instance(void **state)
{
    struct policy_world *w = *state;
    static const char lines[] = "protocol_state=%s\nsasl_username=app-1\nrecipient_count=%d\n";
    char text[200];

    snprintf(text, sizeof(text), lines, "RCPT", 0);
    for (int i = 0; i < 30; i++)
        assert_string_equal(policy_ask(w, text), "DUNNO");
    snprintf(text, sizeof(text), lines, "END-OF-MESSAGE", 20);
    assert_string_equal(policy_ask(w, text), "DUNNO");
    snprintf(text, sizeof(text), lines, "RCPT", 0);
    assert_string_not_equal(policy_ask(w, text), "DUNNO");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 20);
}

/* A recipient that is asked for twice and held is one recipient. */
static void
test_held_once(void **state)
{
    struct policy_world *w = *state;

    policy_world_end(w);
    policy_world_start(w, "over_quota = \"hold\";");
    policy_message(w, "app-1", 19);
    w->instance++;
    assert_string_equal(policy_rcpt(w, "app-1", "1@one.test"), "DUNNO");
    for (int i = 0; i < 2; i++)
        assert_true(strncmp(policy_rcpt(w, "app-1", "2@one.test"), "HOLD ", 5) == 0);
    assert_true(strncmp(policy_end(w, "app-1", 3, "END-OF-MESSAGE"), "HOLD ", 5) == 0);
    assert_string_equal(policy_end(w, "app-1", 3, "END-OF-MESSAGE"), "DUNNO");
}

static void
test_store_away(void **state)
{
    struct policy_world *w = *state;

    w->deaf = true;
    w->view.store_up = false;
    assert_int_equal(policy_message(w, "app-1", 30), 30);
    assert_true(w->result.stream != NULL);
    w->instance++;
    policy_rcpt(w, "app-1", "x@one.test");
    assert_true(w->result.unsure);
    assert_false(w->result.over);
    assert_int_equal(
        meters_at(w->meters, meters_find(w->meters, "account/app/app-1"))->meter.excess, 31);
    w->deaf = false;
    w->view.store_up = true;
    policy_talk(w);
    assert_string_not_equal(policy_rcpt(w, "app-1", "y@one.test"),
                            "DUNNO"); /* nothing was forgotten */
    assert_int_equal(policy_counted(w, "account/app/app-1"), 31);
}

/* Away for so long that all that was held is lost: still, no mail is kept out. */
static void
test_store_away_for_long(void **state)
{
    struct policy_world *w = *state;

    assert_int_equal(policy_message(w, "app-1", 5), 5);
    w->deaf = true;
    w->view.store_up = false;
    meters_lapse(w->meters, w->view.store_ms);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(policy_message(w, "app-1", 10), 10);
        policy_rcpt(w, "a@vip.test", "x@one.test");
        assert_string_equal(w->answer, "DUNNO");
        assert_true(w->result.unsure);
        policy_pass(w, 40 * 60000);
    }
}

/* The store is up but slow: what cannot wait any longer is let in. */
static void
test_store_slow(void **state)
{
    struct policy_world *w = *state;
    struct policy_request request;
    struct err err;
    static const char text[] = "request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1\n"
                               "sasl_username=app-1\nrecipient=x@one.test\n\n";

    assert_true(policy_request_parse(text, strlen(text), &request, &err) > 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(policy_answer(&w->view, &w->session, &request, w->answer, &w->result),
                         POLICY_WAIT);
    w->view.may_wait = false;
    assert_int_equal(policy_answer(&w->view, &w->session, &request, w->answer, &w->result),
                     POLICY_DUNNO);
    assert_true(w->result.unsure);
    assert_string_equal(w->answer, "DUNNO");
    policy_talk(w);
    assert_int_equal(policy_counted(w, "account/app/app-1"), 1);
}

static void
test_the_meters_are_others(void **state)
{
    struct policy_world *w = *state;

    w->instance++;
    policy_rcpt(w, "app-1", "1@one.test");
    policy_rcpt(w, "app-1", "2@one.test");
    transactions_keep(w->view.transactions);
    policy_rcpt(w, "app-1", "3@one.test");
    policy_end(w, "app-1", 1, "END-OF-MESSAGE");
    assert_int_equal(policy_counted(w, "account/app/app-1"), 2); /* one could be given back */
}

static void
test_transactions(void **state)
{
    struct transactions *table = transactions_new(TRANSACTIONS_MAX);
    struct transaction *one;
    size_t found = 0;

    (void)state;
    assert_null(transactions_find(table, 7, 0));
    one = transactions_add(table, 7, 100);
    one->taken = 3;
    assert_ptr_equal(transactions_find(table, 7, 100 + TRANSACTION_LIFE_MS), one);
    assert_null(transactions_find(table, 7, 101 + TRANSACTION_LIFE_MS));
    for (uint64_t key = 1; key <= 2 * TRANSACTIONS_MAX; key++)
        transactions_add(table, key, (int64_t)key);
    assert_null(transactions_find(table, 7, 200));
    for (uint64_t key = 1; key <= 2 * TRANSACTIONS_MAX; key++)
        found += transactions_find(table, key, 2 * TRANSACTIONS_MAX) != NULL;
    assert_int_equal(found, TRANSACTIONS_MAX);
    transactions_free(table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_recipient_is_counted_once, policy_set_up,
                                        policy_tear_down),
        cmocka_unit_test_setup_teardown(test_settled_at_the_end, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_broken_off, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_only_asked_at_the_end, policy_set_up,
                                        policy_tear_down),
        cmocka_unit_test_setup_teardown(test_no_instance, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_held_once, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_store_away, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_store_away_for_long, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_store_slow, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_the_meters_are_others, policy_set_up,
                                        policy_tear_down),
        cmocka_unit_test(test_transactions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
