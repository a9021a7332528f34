/*
 * What smtpd is answered when it asks its access policy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/policy_world.h"

#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/mem.h"

static void
test_whose_mail(void **state)
{
    static const struct {
        const char *lines;
        const char *stream; /* NULL: not ours, or not of a state that matters */
    } cases[] = {
        {"protocol_state=RCPT\nclient_address=192.0.2.1\nsender=a@b.test\n", NULL},
        {"protocol_state=RCPT\nclient_address=192.0.2.1\nsasl_username=app-1\n", "app"},
        {"protocol_state=RCPT\nclient_address=10.9.9.9\nsender=a@b.test\n", "default"},
        {"protocol_state=RCPT\nclient_address=::1\nsender=A@VIP.test\n", "vip"},
        {"protocol_state=RCPT\nclient_address=::1\nsender=a+pp=s1.abcdefgh2345.zyxwvu76@vip.test\n",
         "vip"},
        {"protocol_state=RCPT\nclient_address=::1\nsender=a@b.test\nrecipient=x@LIST.test\n",
         "list"},
        {"protocol_state=RCPT\nclient_address=unknown\n", NULL},
        {"protocol_state=MAIL\nclient_address=10.9.9.9\n", NULL},
        {"protocol_state=VRFY\nsasl_username=app-1\n", NULL},
        {"sasl_username=app-1\n", NULL},
        {"protocol_state=DATA\nsasl_username=joe\nsender=a@vip.test\n", "vip"},
        {"protocol_state=END-OF-MESSAGE\nclient_address=10.0.0.1\nsender=\n", "default"},
        {"client_address=10.0.0.1\n", NULL},
    };
    struct policy_world *w = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *answer = policy_ask(w, cases[i].lines);
        const char *stream = w->result.stream != NULL ? w->result.stream->name : "(none)";

        if (strcmp(answer, "DUNNO") != 0 ||
            strcmp(stream, cases[i].stream != NULL ? cases[i].stream : "(none)") != 0)
            fail_msg("%s: %s, stream %s", cases[i].lines, answer, stream);
    }
    policy_rcpt(w, "app-1", "them@Far.Test.");
    assert_string_equal(w->heard, "far.test");
}

static void
test_an_account_over_its_quota(void **state)
{
    struct policy_world *w = *state;

    assert_int_equal(policy_message(w, "app-news", 15), 15);
    assert_int_equal(policy_message(w, "app-news", 15), 5);
    assert_string_equal(policy_rcpt(w, "app-news", "x@one.test"),
                        "DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-news reached, "
                        "no room for another 61 min");
    assert_true(w->result.over);
    assert_false(w->result.unsure);
    assert_int_equal(policy_counted(w, "account/app/app-news"), 20);
    assert_int_equal(policy_message(w, "app-other", 20), 20);
    policy_pass(w, 40 * 60000);
    assert_string_equal(policy_rcpt(w, "app-news", "x@one.test"),
                        "DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-news reached, "
                        "room again in 21 min");
    policy_pass(w, 21 * 60000);
    assert_int_equal(policy_message(w, "app-news", 25), 20);
}

static void
test_sentences(void **state)
{
    struct policy_world *w = *state;

    policy_rcpt(w, "a@vip.test", "1@one.test");
    assert_string_equal(policy_rcpt(w, "a@vip.test", "2@one.test"),
                        "DEFER_IF_PERMIT 4.7.1 15m limit of 1 recipient for vip.test reached, "
                        "no room for another 16 min");
    policy_rcpt(w, "b@s.test", "1@list.test");
    policy_rcpt(w, "b@s.test", "2@list.test");
    assert_string_equal(
        policy_rcpt(w, "b@s.test", "3@list.test"),
        "DEFER_IF_PERMIT 4.7.1 per-minute limit of 2 recipients for s.test reached, "
        "no room for another 61 s");
    policy_message(w, "c@s.test", 50);
    policy_rcpt(w, "c@s.test", "more@one.test");
    assert_string_equal(w->answer,
                        "DEFER_IF_PERMIT 4.7.1 daily limit of 50 recipients for s.test reached, "
                        "no room for another 25 h");
}

static void
test_over_quota_each_way(void **state)
{
    static const struct {
        const char *conf;
        const char *first, *again, *next, *at_end, *at_data;
    } cases[] = {
        {"over_quota = \"reject\";",
         "REJECT 5.7.1 hourly limit of 20 recipients for app-news reached, no room for another 61 "
         "min",
         NULL, NULL, NULL, NULL},
        {"over_quota = \"hold\";",
         "HOLD hourly limit of 20 recipients for app-news reached, no room for another 61 min",
         NULL, NULL, NULL, NULL},
        {"over_quota = \"tag\";", "PREPEND X-Postpool-Over-Quota: yes", NULL, "DUNNO", "DUNNO",
         NULL},
    };
    struct policy_world *w = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *first = cases[i].first;

        policy_world_end(w);
        policy_world_start(w, cases[i].conf);
        policy_message(w, "app-news", 20);
        w->instance++;
        assert_string_equal(policy_rcpt(w, "app-news", "1@one.test"), first);
        assert_string_equal(policy_rcpt(w, "app-news", "1@one.test"),
                            first); /* Postfix asks again */
        assert_string_equal(policy_rcpt(w, "app-news", "2@one.test"),
                            cases[i].next != NULL ? cases[i].next : first);
        assert_true(w->result.over);
        if (i > 0) /* let in: the message comes to its end */
            assert_string_equal(policy_end(w, "app-news", 2, "END-OF-MESSAGE"), "DUNNO");
        assert_int_equal(policy_counted(w, "account/app/app-news"), 20);
        /* Where nothing is asked for recipients. */
        w->instance++;
        assert_string_equal(policy_end(w, "app-news", 1, "DATA"), first);
        w->instance++;
        assert_string_equal(policy_end(w, "app-news", 1, "END-OF-MESSAGE"),
                            cases[i].at_end != NULL ? cases[i].at_end : first);
    }
}

static void
test_names_from_strangers(void **state)
{
    struct policy_world *w = *state;
    char who[200] = "app-\x01\xff\x7f $x ";
    char *expected;

    memset(who + strlen(who), 'y', 100);
    policy_message(w, who, 20);
    expected =
        mem_printf("DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-??? $x %.53s... "
                   "reached, no room for another 61 min",
                   who + 11);
    assert_string_equal(policy_rcpt(w, who, "x@one.test"), expected);
    free(expected);
}

static void
test_a_stream_without_room(void **state)
{
    struct policy_world *w = *state;
    uint32_t number = meters_find(w->meters, "stream/vip");

    policy_rcpt(w, "a@vip.test", "1@one.test");
    assert_false(w->result.over);
    for (int i = 0; i < 5; i++) { /* delivery uses it up */
        meters_want(w->meters, number);
        policy_talk(w);
        meters_take(w->meters, number, w->view.store_ms);
    }
    policy_talk(w);
    policy_pass(w, 1);
    assert_string_equal(policy_ask(w, "protocol_state=RCPT\ninstance=9\nsasl_username=joe\n"
                                      "sender=b@vip.test\nrecipient=1@one.test\n"),
                        "DEFER_IF_PERMIT 4.7.1 daily limit of 5 recipients for stream vip reached, "
                        "no room for another 25 h");
    policy_pass(w, 20 * 3600000);
    assert_string_equal(policy_ask(w, "protocol_state=RCPT\ninstance=9\nsasl_username=joe\n"
                                      "sender=b@vip.test\nrecipient=1@one.test\n"),
                        "DUNNO"); /* not known to be full, and who knows how long the queue is */
}

/* One recipient decides for the whole message; who was counted elsewhere before stays so. */
static void
test_a_recipient_changes_the_stream(void **state)
{
    struct policy_world *w = *state;

    policy_rcpt(w, "b@s.test", "0@list.test"); /* another message */
    w->instance++;
    policy_rcpt(w, "b@s.test", "1@one.test");
    assert_string_equal(w->result.stream->name, "default");
    policy_rcpt(w, "b@s.test", "2@list.test");
    assert_string_equal(w->result.stream->name, "list");
    assert_string_not_equal(policy_rcpt(w, "b@s.test", "3@one.test"), "DUNNO");
    assert_string_equal(w->result.stream->name, "list");
    assert_int_equal(policy_counted(w, "account/default/s.test"), 1);
    assert_int_equal(policy_counted(w, "account/list/s.test"), 2);
    policy_ask(w, "protocol_state=END-OF-MESSAGE\ninstance=1.1\nsender=b@s.test\n"
                  "recipient_count=0\nclient_address=10.1.1.1\n");
    assert_string_equal(w->result.stream->name, "list");
    assert_int_equal(policy_counted(w, "account/default/s.test"), 1);
    assert_int_equal(policy_counted(w, "account/list/s.test"), 1);
}

static void
test_no_caps_at_all(void **state)
{
    struct policy_world *w = *state;

    w->view.meters = NULL;
    assert_int_equal(policy_message(w, "app-1", 50), 50);
    assert_null(w->result.stream);
    assert_string_equal(w->heard, "one.test");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whose_mail, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_an_account_over_its_quota, policy_set_up,
                                        policy_tear_down),
        cmocka_unit_test_setup_teardown(test_sentences, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_over_quota_each_way, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_names_from_strangers, policy_set_up, policy_tear_down),
        cmocka_unit_test_setup_teardown(test_a_stream_without_room, policy_set_up,
                                        policy_tear_down),
        cmocka_unit_test_setup_teardown(test_a_recipient_changes_the_stream, policy_set_up,
                                        policy_tear_down),
        cmocka_unit_test_setup_teardown(test_no_caps_at_all, policy_set_up, policy_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
