/*
 * What the resolver is answered, request by request.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "engine/week.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/lookup.h"

struct world {
    struct conf *conf;
    struct roster *roster;
    struct curbs *curbs;
    struct lookup_view view;
    struct lookup_session session;
    struct lookup_result result;
    char reply[LOOKUP_REPLY_SIZE];
    struct lookup_history history;
};

static int
set_up(void **state)
{
    static const bool here[] = {true, false, true}; /* a1, a2, b1 */
    struct world *w = mem_new(sizeof(*w));

    w->conf = unit_conf(unit_site);
    w->roster = roster_new(w->conf->snapshot, here);
    w->curbs = curbs_new(w->conf->snapshot);
    w->view = (struct lookup_view){
        .conf = w->conf, .roster = w->roster, .curbs = w->curbs, .now_ms = 1000};
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static const char *
ask(struct world *w, const char *request)
{
    size_t length =
        lookup_answer(&w->view, &w->session, request, strlen(request), w->reply, &w->result);

    assert_int_equal(length, strlen(w->reply));
    return w->reply;
}

#define NONE "NOTFOUND "

static void
test_pair(void **state)
{
    struct world *w = *state;

    assert_string_equal(ask(w, "sender joe@a.test"), "OK pp-a1:");
    assert_false(w->result.is_decision);
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-a1:");
    assert_true(w->result.is_decision);
    assert_string_equal(w->result.stream->name, "default");
    assert_string_equal(ask(w, "rcpt x@one.test"), NONE); /* consumed */
    assert_string_equal(ask(w, "sender x@client.test"), "OK pp-b1:");
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-b1:");
}

static void
test_tagged(void **state)
{
    struct world *w = *state;
    char tagged[TAG_SENDER_SIZE], request[TAG_SENDER_SIZE + 10];

    assert_int_equal(tag_add(w->conf->secret, "\"we ird\"@a.test", "bulk", "abcdefghij23", tagged),
                     0);
    snprintf(request, sizeof(request), "sender %s", tagged);
    assert_string_equal(ask(w, request), "OK pp-b1:");
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-b1:");
    assert_string_equal(w->result.stream->name, "bulk");
}

static void
test_local_recipient_alone(void **state)
{
    assert_string_equal(ask(*state, "rcpt joe@local.test"), NONE);
}

static void
test_null_sender(void **state)
{
    struct world *w = *state;

    assert_string_equal(ask(w, "sender \"<>\""), "OK pp-a1:");
    assert_string_equal(ask(w, "sender <>"), "OK pp-a1:");
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-a1:");
}

static void
test_star_touches_nothing(void **state)
{
    struct world *w = *state;

    ask(w, "sender joe@a.test");
    assert_string_equal(ask(w, "rcpt *"), NONE);
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-a1:");
}

static void
test_sender_is_forgotten_in_time(void **state)
{
    struct world *w = *state;

    ask(w, "sender joe@a.test");
    w->view.now_ms += LOOKUP_PAIR_MS + 1;
    assert_string_equal(ask(w, "rcpt x@one.test"), NONE);
}

static void
test_arguments(void **state)
{
    struct world *w = *state;

    ask(w, "sender joe@a.test");
    assert_string_equal(ask(w, "rcpt;nexthop=%5B10.0.0.1%5D%3A25;default=smtp%3a x@one.test"),
                        "OK pp-a1:[10.0.0.1]:25");
    ask(w, "sender joe@a.test");
    assert_string_equal(ask(w, "rcpt;default=smtp%3A%5Br%5D x@sub.internal.test"), "OK smtp:[r]");
    assert_false(w->result.is_decision);
    ask(w, "sender joe@a.test");
    assert_string_equal(ask(w, "rcpt x@INTERNAL.test"), "OK smtp:");
}

static void
test_malformed(void **state)
{
    static const char *const bad[] = {"",
                                      "sender",
                                      "rcpt;x=1 a@b",
                                      "rcpt;nexthop=%4 a@b",
                                      "rcpt;nexthop=%zz a@b",
                                      "rcpt;nexthop=%0a a@b",
                                      "rcpt; a@b",
                                      "averyverylongmapname a@b",
                                      "rcpt;relayx a@b"};
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(bad); i++)
        if (strcmp(ask(w, bad[i]), "PERM postpool: malformed request") != 0)
            fail_msg("\"%s\": %s", bad[i], w->reply);
    assert_string_equal(ask(w, "nosuch a@b"), "PERM postpool: no such map");
    lookup_answer(&w->view, &w->session, "rcpt a\0b", 8, w->reply, &w->result);
    assert_string_equal(w->reply, "PERM postpool: malformed request");
}

static void
test_long_keys(void **state)
{
    struct world *w = *state;
    char request[LOOKUP_REQUEST_MAX + 1] = "sender ";

    memset(request + 7, 'a', sizeof(request) - 8);
    assert_string_equal(ask(w, request), "OK pp-a1:");
    memcpy(request, "rcpt   ", 7);
    assert_string_equal(ask(w, request), "OK pp-a1:");
}

/* The parted form: the site's tables had their turn between note and last. */
static void
test_parted(void **state)
{
    struct world *w = *state;

    assert_string_equal(ask(w, "sender.note x@client.test"), NONE);
    assert_string_equal(ask(w, "sender.last go"), "OK pp-b1:");
    assert_string_equal(ask(w, "rcpt.note x@one.test"), NONE);
    assert_string_equal(ask(w, "rcpt.last;nexthop=r go"), "OK pp-b1:r");
    assert_string_equal(ask(w, "rcpt.last go"), NONE);
}

/* The site's own table named the sender: it is not ours, also after one that was. */
static void
test_parted_site_has_sender(void **state)
{
    struct world *w = *state;

    ask(w, "sender.note x@client.test");
    assert_string_equal(ask(w, "rcpt x@one.test"), NONE);
    ask(w, "sender.note x@client.test");
    ask(w, "sender.last go");
    ask(w, "relay.last go");
    ask(w, "sender.note y@client.test");
    ask(w, "rcpt.note x@one.test");
    assert_string_equal(ask(w, "rcpt.last go"), NONE);
    ask(w, "sender.last go");
    assert_string_equal(ask(w, "rcpt;relay x@one.test"), NONE); /* relay.last was not asked again */
}

/* Postfix would send it from the host's own address, if it were told that there is nothing. */
static void
test_parted_sender_lost(void **state)
{
    struct world *w = *state;

    assert_memory_equal(ask(w, "sender.last go"), "OK retry:4.", 11);
    ask(w, "sender.note x@client.test");
    w->view.now_ms += LOOKUP_PAIR_MS + 1; /* the site's own table took so long */
    assert_string_equal(ask(w, "sender.last go"), "OK pp-b1:");
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-b1:");
}

/* The site's own table named the recipient; a local one follows and is not taken for it. */
static void
test_parted_site_has_recipient(void **state)
{
    struct world *w = *state;

    ask(w, "sender joe@a.test");
    ask(w, "rcpt.note x@routed.test");
    ask(w, "rcpt.note joe@local.test");
    assert_string_equal(ask(w, "rcpt.last go"), NONE);
}

/* Postfix asks for a quoted address in both forms: that is one recipient. */
static void
test_parted_two_quotings(void **state)
{
    struct world *w = *state;

    ask(w, "sender joe@a.test");
    ask(w, "rcpt.note \"we ird\"@one.test");
    ask(w, "rcpt.note we ird@one.test");
    assert_string_equal(ask(w, "rcpt.last go"), "OK pp-a1:");
}

static void
test_relay(void **state)
{
    struct world *w = *state;

    ask(w, "sender joe@a.test");
    assert_string_equal(ask(w, "rcpt;relay x@one.test"),
                        NONE); /* the site has a relay host for it */
    ask(w, "sender joe@a.test");
    assert_string_equal(ask(w, "relay.last go"), NONE);
    assert_string_equal(ask(w, "rcpt;relay x@one.test"), "OK pp-a1:");
    assert_string_equal(ask(w, "relay.last go"), NONE);
    assert_string_equal(ask(w, "rcpt;relay x@one.test"), NONE);
}

static bool
are_counted(void *arg)
{
    (void)arg;
    return true;
}

/* What policyd/rescue.h answers; a lookup that is under way does not notice. */
static void
test_reply(void **state)
{
    static const bool here[] = {true, true, true};
    struct world *w = *state;

    roster_free(w->roster);
    conf_unref(w->conf);
    w->conf = unit_conf_with("replies: ( { name = \"blocked\"; class = \"address\"; "
                             "pattern = \"blocked\"; samples = ( \"550 blocked\" ); } );");
    w->roster = roster_new(w->conf->snapshot, here);
    w->view.conf = w->conf;
    w->view.roster = w->roster;
    ask(w, "sender x@client.test");
    assert_string_equal(ask(w, "reply.a1 5.7.1 host m[1] said: 550 blocked"), NONE);
    w->view.counted = are_counted;
    assert_string_equal(ask(w, "reply.a1 5.7.1 host m[1] said: 550 blocked; you"),
                        "OK 4.7.1 host m[1] said: 550 blocked; you");
    assert_false(w->result.is_decision);
    assert_string_equal(ask(w, "reply.b1 5.7.1 host m[1] said: 550 blocked"), NONE);
    assert_string_equal(ask(w, "reply.a1 2.0.0 250 Ok"), NONE);
    assert_string_equal(ask(w, "reply. 5.7.1 host m[1] said: 550 blocked"), NONE);
    assert_string_equal(ask(w, "reply.a1;relay 5.7.1 host m[1] said: 550 blocked"), NONE);
    assert_string_equal(ask(w, "reply.a1"), "PERM postpool: malformed request");
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-b1:");
}

static void
test_long_reply(void **state)
{
    struct world *w = *state;
    char request[LOOKUP_REQUEST_MAX + 1] = "reply.a1 5.7.1 host m[1] said: 550 blocked ";

    test_reply(state);
    memset(request + strlen(request), 'a', sizeof(request) - 1 - strlen(request));
    assert_string_equal(ask(w, request) + strlen("OK 4"), request + strlen("reply.a1 5"));
}

static void
test_nobody_here(void **state)
{
    static const bool nowhere[3];
    struct world *w = *state;

    roster_free(w->roster);
    w->roster = roster_new(w->conf->snapshot, nowhere);
    w->view.roster = w->roster;
    assert_string_equal(ask(w, "sender joe@a.test"),
                        "OK retry:4.3.2 postpool: this host has no address of the pool");
    assert_string_equal(ask(w, "rcpt x@one.test"),
                        "OK retry:4.3.2 postpool: this host has no address of the pool");
    assert_true(w->result.is_decision && w->result.address == NULL);
}

static const char *
ask_rcpt(struct world *w)
{
    ask(w, "sender joe@a.test");
    return ask(w, "rcpt x@one.test");
}

/* Texts become names of queues in Postfix: few, and none has anything of the message. */
static void
test_suspended(void **state)
{
    static const struct {
        int64_t until_ms;
        const char *answer;
    } cases[] = {
        {2000, "OK retry:4.7.1 postpool: all addresses of the pool are suspended, "
               "better within a minute"},
        {1000 * 3600, "OK retry:4.7.1 postpool: all addresses of the pool are suspended, "
                      "better within an hour"},
        {CURB_NOT_KNOWN, "OK retry:4.7.1 postpool: all addresses of the pool are suspended"},
    };
    struct world *w = *state;
    const struct address *a1 = snapshot_find_address(w->conf->snapshot, "a1");

    for (size_t i = 0; i < COUNT(cases); i++) {
        curbs_set_address(w->curbs, a1, &(struct curb){.share = 0, .until_ms = cases[i].until_ms});
        assert_string_equal(ask(w, "sender joe@a.test"), cases[i].answer);
        assert_string_equal(ask(w, "rcpt x@one.test"), cases[i].answer);
        assert_true(w->result.suspended && w->result.address == NULL);
        assert_string_equal(ask(w, "sender x@client.test"), "OK pp-b1:");
    }
}

/* The answer to "sender" is no probe, because nobody knows whether the mail leaves by it. */
static void
test_probed(void **state)
{
    struct world *w = *state;
    const struct address *a1 = snapshot_find_address(w->conf->snapshot, "a1");

    curbs_set_address(w->curbs, a1, &(struct curb){.probes = 1, .until_ms = CURB_NOT_KNOWN});
    assert_string_equal(ask(w, "sender joe@a.test"),
                        "OK retry:4.7.1 postpool: all addresses of the pool are suspended");
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-a1:");
    assert_memory_equal(ask_rcpt(w), "OK retry:4.7.1 postpool: all addresses", 38);
}

static void
test_account_held_back(void **state)
{
    struct world *w = *state;
    const char *answer =
        "OK retry:4.7.1 postpool: mail of this sender is held back, better within 15 minutes";
    char tagged[TAG_SENDER_SIZE], request[TAG_SENDER_SIZE + 10];

    curbs_set_account(w->curbs, "a.test", &(struct curb){.share = 0, .until_ms = 600 * 1000});
    assert_string_equal(ask(w, "sender joe@A.test"), answer);
    assert_string_equal(ask(w, "rcpt x@one.test"), answer);
    assert_int_equal(tag_add(w->conf->secret, "joe@a.test", "bulk", "abcdefghij23", tagged), 0);
    snprintf(request, sizeof(request), "sender %s", tagged);
    assert_string_equal(ask(w, request), answer);
    assert_string_equal(ask(w, "rcpt x@one.test"), answer);
    assert_string_equal(ask(w, "sender x@client.test"), "OK pp-b1:");
    assert_string_equal(ask(w, "sender <>"), "OK pp-a1:");
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-a1:");
}

/* Outside its hours nothing leaves, also when Postfix asks for the sender alone. */
static void
test_outside_hours(void **state)
{
    static const struct {
        int64_t now_s;
        const char *when;
    } cases[] = {
        {1795132800, "within a day"}, /* Friday, 2026-11-20, 00:00 */
        {1795132800 + 7 * 3600 + 59 * 60 + 59, "within a minute"},
        {1795132800 + 20 * 3600, "in more than a day"},
    };
    struct world *w = *state;
    struct stream *stream = (struct stream *)snapshot_find_stream(w->conf->snapshot, "default", 7);
    char expected[200];
    struct week week;

    assert_null(week_parse("mon-fri 08:00-20:00", &week));
    stream->hours = mem_new(sizeof(week));
    *stream->hours = week;
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(expected, sizeof(expected),
                 "OK retry:4.7.1 postpool: outside the hours of its stream, they begin %s",
                 cases[i].when);
        w->view.time_ms = cases[i].now_s * 1000;
        assert_string_equal(ask(w, "sender joe@a.test"), expected);
        assert_string_equal(ask(w, "rcpt x@one.test"), expected);
        assert_true(w->result.outside && w->result.is_decision);
        assert_string_equal(ask(w, "sender x@client.test"), "OK pp-b1:");
    }
    assert_string_equal(ask(w, "sender;tables joe@a.test"), "OK pp-a1:"); /* the site's to route */
    assert_string_equal(ask(w, "rcpt x@one.test"), expected);
    w->view.time_ms = (1795132800 + 8 * 3600) * INT64_C(1000);
    assert_string_equal(ask_rcpt(w), "OK pp-a1:");
}

static void
test_past_its_deadline(void **state)
{
    struct world *w = *state;
    struct stream *stream = (struct stream *)snapshot_find_stream(w->conf->snapshot, "bulk", 4);
    char tagged[TAG_SENDER_SIZE], request[TAG_SENDER_SIZE + 10], id[TAG_ID_LENGTH + 1];

    stream->deadline_ms = 10 * 60 * 1000;
    w->view.time_ms = INT64_C(1795132800) * 1000;
    tag_id(1, 1795132800 - 601, id);
    assert_int_equal(tag_add(w->conf->secret, "joe@a.test", "bulk", id, tagged), 0);
    snprintf(request, sizeof(request), "sender %s", tagged);
    ask(w, request);
    assert_string_equal(ask(w, "rcpt x@one.test"),
                        "OK error:5.4.7 postpool: it could not be delivered in time, and is not "
                        "sent later than 10m after it came in");
    assert_true(w->result.expired);
    w->view.time_ms -= 2000;
    ask(w, request);
    assert_string_equal(ask(w, "rcpt x@one.test"), "OK pp-b1:");
}

static void
test_slowed(void **state)
{
    struct world *w = *state;
    const struct address *a1 = snapshot_find_address(w->conf->snapshot, "a1");

    curbs_set_address(w->curbs, a1, &(struct curb){.share = 1, .until_ms = CURB_NOT_KNOWN});
    for (int minute = 0; minute < 100; minute++) { /* one in a hundred passes */
        w->view.store_ms = minute * 60000;
        if (strcmp(ask_rcpt(w), "OK pp-a1:") != 0) {
            assert_string_equal(w->reply, "OK retry:4.7.1 postpool: all addresses of the pool are "
                                          "slowed down, better within a minute");
            return;
        }
    }
    fail_msg("everything passed");
}

static void
on_history(void *arg, const char *message_id, const char *recipient, const char *domain,
           struct lookup_history *ret_history)
{
    struct world *w = arg;

    assert_string_equal(message_id, "joe@a.test");
    assert_string_equal(recipient, "x@one.test");
    assert_string_equal(domain, "one.test");
    *ret_history = w->history;
}

/* What the last one said, which Postfix gives to who sent the message. */
static void
test_refused(void **state)
{
    struct world *w = *state;
    char words[2 * LOOKUP_WORDS_MAX];

    w->view.history = on_history;
    w->view.arg = w;
    w->history.avoid[0] = snapshot_find_address(w->conf->snapshot, "a1");
    assert_string_equal(ask_rcpt(w), "OK pp-a1:"); /* not for good: in turn again */
    w->history.words = "5.7.1 you are listed";
    assert_string_equal(ask_rcpt(w), "OK error:5.7.1 you are listed");
    assert_true(w->result.refused);
    w->history.words = "a\tb\nc\x80 \xc3\xa4";
    assert_string_equal(ask_rcpt(w), "OK error:5.0.0 a?b?c? ??");
    memset(words, 'x', sizeof(words) - 1);
    memcpy(words, "5.1.1 ", 6);
    words[sizeof(words) - 1] = '\0';
    w->history = (struct lookup_history){.words = words, .ended = true};
    assert_int_equal(strlen(ask_rcpt(w)), strlen("OK error:") + LOOKUP_WORDS_MAX);
    w->history.ended = false;
    assert_string_equal(ask_rcpt(w), "OK pp-a1:");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pair),
        TEST(test_tagged),
        TEST(test_local_recipient_alone),
        TEST(test_null_sender),
        TEST(test_star_touches_nothing),
        TEST(test_sender_is_forgotten_in_time),
        TEST(test_arguments),
        TEST(test_malformed),
        TEST(test_long_keys),
        TEST(test_parted),
        TEST(test_parted_site_has_sender),
        TEST(test_parted_sender_lost),
        TEST(test_parted_site_has_recipient),
        TEST(test_parted_two_quotings),
        TEST(test_relay),
        TEST(test_reply),
        TEST(test_long_reply),
        TEST(test_nobody_here),
        TEST(test_suspended),
        TEST(test_probed),
        TEST(test_account_held_back),
        TEST(test_outside_hours),
        TEST(test_past_its_deadline),
        TEST(test_slowed),
        TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
