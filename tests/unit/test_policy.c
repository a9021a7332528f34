/*
 * What smtpd is answered when it asks its access policy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/book.h"
#include "engine/meters.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/policy.h"
#include "policyd/transactions.h"

#include <errno.h>

static const char site[] =
    "listen: { policy = \"unix:/tmp/postpool-test/policy\"; };\n"
    "milter: { internal = ( \"10.0.0.0/8\", \"::1\" ); };\n"
    "%s\n" /* over_quota */
    "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; }; };\n"
    "pools: { fast = { addresses = ( \"a1\" ); }; };\n"
    "streams: ( { name = \"app\"; pool = \"fast\"; match = ( { sasl_user = \"app-*\"; } );\n"
    "             account_caps = { hour = 20; }; },\n"
    "           { name = \"list\"; pool = \"fast\"; match = ( { recipient = \"*@list.test\"; } );\n"
    "             account_caps = { minute = 2; }; },\n"
    "           { name = \"vip\"; pool = \"fast\"; match = ( { sender = \"?@vip.test\"; } );\n"
    "             caps = { day = 5; smooth = false; };\n"
    "             account_caps = { windows = ( { length = \"15m\"; recipients = 1; } ); }; },\n"
    "           { name = \"bulk\"; pool = \"fast\"; match = ( { header = \"List-Id\"; } ); },\n"
    "           { name = \"default\"; pool = \"fast\"; match = (); account_caps = { day = 50; }; } "
    ");\n";

enum { KEYS = 64 };

struct world {
    struct conf *conf;
    struct meters *meters;
    struct policy_view view;
    struct policy_session session;
    struct policy_result result;
    struct book books[KEYS]; /* by number of the meter */
    bool deaf;               /* the store does not answer */
    unsigned instance;
    char answer[POLICY_ANSWER_SIZE];
    char heard[256]; /* the last domain */
};

static void
on_domain(void *arg, const char *domain)
{
    struct world *w = arg;

    snprintf(w->heard, sizeof(w->heard), "%s", domain);
}

static void
world_start(struct world *w, const char *over_quota)
{
    char *text = mem_printf(site, over_quota);

    *w = (struct world){.conf = unit_conf(text)};
    w->meters = meters_new(w->conf->snapshot, NULL);
    w->view = (struct policy_view){
        .conf = w->conf,
        .meters = w->meters,
        .transactions = transactions_new(64),
        .now_ms = 5000,
        .store_ms = 1700000000000,
        .store_up = true,
        .may_wait = true,
        .domain = on_domain,
        .arg = w,
    };
    free(text);
}

static void
world_end(struct world *w)
{
    for (size_t i = 0; i < KEYS; i++)
        book_clear(&w->books[i]);
    transactions_free(w->view.transactions);
    meters_free(w->meters);
    conf_unref(w->conf);
}

static int
set_up(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    world_start(w, "");
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    world_end(*state);
    free(*state);
    return 0;
}

/* The store answers all that is asked. */
static void
talk(struct world *w)
{
    struct book_ask ask;
    uint32_t number;

    while (!w->deaf && (number = meters_next(w->meters, w->view.store_ms, &ask)) != METERS_NONE) {
        struct metered *metered = meters_at(w->meters, number);
        struct book_answer answer;

        assert_true(number < KEYS);
        ask.node = "mta1";
        ask.life = 1;
        assert_int_equal(
            book_ask(&w->books[number], metered->caps, &ask, w->view.store_ms, &answer), 0);
        meter_answered(&metered->meter, &answer, w->view.store_ms);
        meters_touch(w->meters, number);
        if (ask.want == 0)
            break;
    }
}

static void
pass(struct world *w, int64_t ms)
{
    w->view.now_ms += ms;
    w->view.store_ms += ms;
}

/* Ask with these lines, and see that they are read to their end. */
static const char *
ask_lines(struct world *w, const char *lines)
{
    struct policy_request request;
    struct err err = {""};
    char *text = mem_printf("request=smtpd_access_policy\n%s\n", lines);

    if (policy_parse(text, strlen(text), &request, &err) != (int)strlen(text))
        fail_msg("%s: %s", text, err.msg);
    free(text);
    for (int i = 0; i < 8; i++) {
        bool may_wait = w->view.may_wait;

        w->view.may_wait = may_wait && i < 7;
        if (policy_answer(&w->view, &w->session, &request, w->answer, &w->result) != POLICY_WAIT)
            i = 8;
        w->view.may_wait = may_wait;
        talk(w);
    }
    return w->answer;
}

static const char *
rcpt(struct world *w, const char *who, const char *recipient)
{
    char lines[1024];

    snprintf(lines, sizeof(lines),
             "protocol_state=RCPT\ninstance=1.%u\nsender=%s\nrecipient=%s\n%s%s\n"
             "client_address=10.1.1.1\n",
             w->instance, strchr(who, '@') != NULL ? who : "x@site.test", recipient,
             strchr(who, '@') != NULL ? "" : "sasl_username=",
             strchr(who, '@') != NULL ? "helo_name=x" : who);
    return ask_lines(w, lines);
}

static const char *
end(struct world *w, const char *who, unsigned count, const char *state)
{
    char lines[1024];

    snprintf(lines, sizeof(lines),
             "protocol_state=%s\ninstance=1.%u\nsender=x@site.test\nrecipient_count=%u\n"
             "sasl_username=%s\nclient_address=192.0.2.1\n",
             state, w->instance, count, who);
    return ask_lines(w, lines);
}

/* A message whose every recipient is asked for; returns how many were let in. */
static unsigned
message(struct world *w, const char *who, unsigned recipients)
{
    unsigned in = 0;

    w->instance++;
    for (unsigned i = 0; i < recipients; i++) {
        char recipient[64];

        snprintf(recipient, sizeof(recipient), "r%u@one.test", i);
        in += strcmp(rcpt(w, who, recipient), "DUNNO") == 0;
    }
    if (in > 0)
        assert_string_equal(end(w, who, in, "END-OF-MESSAGE"), "DUNNO");
    return in;
}

/* What the book of an account counts in an hour. */
static unsigned
counted(struct world *w, const char *key)
{
    uint32_t number = meters_find(w->meters, key);
    const struct metered *metered = meters_at(w->meters, number);
    unsigned held = metered->meter.held + metered->meter.next;
    uint64_t sum = book_counted(&w->books[number], &metered->caps->items[0], w->view.store_ms);

    for (size_t i = 0; i < metered->meter.use_count; i++)
        if (metered->meter.uses[i].count < 0)
            sum -= (uint64_t)-metered->meter.uses[i].count;
    return (unsigned)sum - held + metered->meter.excess;
}

static void
test_parse(void **state)
{
    static const char full[] = "request=smtpd_access_policy\nprotocol_state=RCPT\n"
                               "sender=a=b@x.test\nsender=second@x.test\nnobody=knows\n"
                               "recipient=\nrecipient=r@x.test\nsasl_username=joe\n\nrequest=";
    static const struct {
        const char *text;
        size_t length; /* 0: of the text */
        int result;
        const char *why;
    } bad[] = {
        {"", 0, 0, ""},
        {"request=smtpd_access_policy\n", 0, 0, ""},
        {"\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"\n\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"sender=x\n\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"request=junk\n\n", 0, -EINVAL, "request is not \"request=smtpd_access_policy\""},
        {"request=smtpd_access_policy\njunk\n\n", 0, -EINVAL, "line without \"name=\""},
        {"request=smtpd_access_policy\n=junk\n\n", 0, -EINVAL, "line without \"name=\""},
        {"request=smtpd_access_policy\r\n\r\n", 0, 0, ""},
        {"request=smtpd_access_policy\na=b\0c\n\n", 33 + 2, -EINVAL, "request has a NUL"},
    };
    struct policy_request request;
    struct err err;
    char *big;

    (void)state;
    for (size_t length = 0; length < sizeof(full) - 9; length++)
        assert_int_equal(policy_parse(full, length, &request, &err), 0);
    assert_int_equal(policy_parse(full, sizeof(full) - 1, &request, &err), sizeof(full) - 9);
    assert_string_equal(request.sender, "a=b@x.test");
    assert_string_equal(request.recipient, "r@x.test");
    assert_string_equal(request.sasl_username, "joe");
    assert_string_equal(request.instance, "");
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t length = bad[i].length > 0 ? bad[i].length : strlen(bad[i].text);

        err.msg[0] = '\0';
        assert_int_equal(policy_parse(bad[i].text, length, &request, &err), bad[i].result);
        assert_string_equal(err.msg, bad[i].why);
    }
    big = mem_array(POLICY_REQUEST_MAX + 10, 1);
    memset(big, 'a', POLICY_REQUEST_MAX + 9);
    assert_int_equal(policy_parse(big, POLICY_REQUEST_MAX - 1, &request, &err), 0);
    assert_int_equal(policy_parse(big, POLICY_REQUEST_MAX, &request, &err), -EMSGSIZE);
    assert_string_equal(err.msg, "request is longer than 32768 bytes");
    memcpy(big, full, 28);
    memcpy(big + 28, "sender=", 7);
    memcpy(big + 5000, "\n\n", 2);
    assert_int_equal(policy_parse(big, 5002, &request, &err), 5002);
    assert_int_equal(strlen(request.sender), ADDR_MAX); /* cut */
    free(big);
}

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
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *answer = ask_lines(w, cases[i].lines);
        const char *stream = w->result.stream != NULL ? w->result.stream->name : "(none)";

        if (strcmp(answer, "DUNNO") != 0 ||
            strcmp(stream, cases[i].stream != NULL ? cases[i].stream : "(none)") != 0)
            fail_msg("%s: %s, stream %s", cases[i].lines, answer, stream);
    }
    rcpt(w, "app-1", "them@Far.Test.");
    assert_string_equal(w->heard, "far.test");
}

static void
test_an_account_over_its_quota(void **state)
{
    struct world *w = *state;

    assert_int_equal(message(w, "app-news", 15), 15);
    assert_int_equal(message(w, "app-news", 15), 5);
    assert_string_equal(rcpt(w, "app-news", "x@one.test"),
                        "DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-news reached, "
                        "no room for another 61 min");
    assert_true(w->result.over);
    assert_false(w->result.unsure);
    assert_int_equal(counted(w, "account/app/app-news"), 20);
    assert_int_equal(message(w, "app-other", 20), 20);
    pass(w, 40 * 60000);
    assert_string_equal(rcpt(w, "app-news", "x@one.test"),
                        "DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-news reached, "
                        "room again in 21 min");
    pass(w, 21 * 60000);
    assert_int_equal(message(w, "app-news", 25), 20);
}

static void
test_sentences(void **state)
{
    struct world *w = *state;

    rcpt(w, "a@vip.test", "1@one.test");
    assert_string_equal(rcpt(w, "a@vip.test", "2@one.test"),
                        "DEFER_IF_PERMIT 4.7.1 15m limit of 1 recipient for vip.test reached, "
                        "no room for another 16 min");
    rcpt(w, "b@s.test", "1@list.test");
    rcpt(w, "b@s.test", "2@list.test");
    assert_string_equal(
        rcpt(w, "b@s.test", "3@list.test"),
        "DEFER_IF_PERMIT 4.7.1 per-minute limit of 2 recipients for s.test reached, "
        "no room for another 2 min");
    message(w, "c@s.test", 50);
    rcpt(w, "c@s.test", "more@one.test");
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
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *first = cases[i].first;

        world_end(w);
        world_start(w, cases[i].conf);
        message(w, "app-news", 20);
        w->instance++;
        assert_string_equal(rcpt(w, "app-news", "1@one.test"), first);
        assert_string_equal(rcpt(w, "app-news", "1@one.test"), first); /* Postfix asks again */
        assert_string_equal(rcpt(w, "app-news", "2@one.test"),
                            cases[i].next != NULL ? cases[i].next : first);
        assert_true(w->result.over);
        if (i > 0) /* let in: the message comes to its end */
            assert_string_equal(end(w, "app-news", 2, "END-OF-MESSAGE"), "DUNNO");
        assert_int_equal(counted(w, "account/app/app-news"), 20);
        /* Where nothing is asked for recipients. */
        w->instance++;
        assert_string_equal(end(w, "app-news", 1, "DATA"), first);
        w->instance++;
        assert_string_equal(end(w, "app-news", 1, "END-OF-MESSAGE"),
                            cases[i].at_end != NULL ? cases[i].at_end : first);
    }
}

static void
test_names_from_strangers(void **state)
{
    struct world *w = *state;
    char who[200] = "app-\x01\xff\x7f $x ";
    char *expected;

    memset(who + strlen(who), 'y', 100);
    message(w, who, 20);
    expected =
        mem_printf("DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-??? $x %.53s... "
                   "reached, no room for another 61 min",
                   who + 11);
    assert_string_equal(rcpt(w, who, "x@one.test"), expected);
    free(expected);
}

static void
test_a_recipient_is_counted_once(void **state)
{
    struct world *w = *state;

    w->instance++;
    for (int i = 0; i < 3; i++)
        assert_string_equal(rcpt(w, "app-1", "same@one.test"), "DUNNO");
    assert_int_equal(counted(w, "account/app/app-1"), 1);
    assert_string_equal(rcpt(w, "app-1", "other@one.test"), "DUNNO");
    assert_int_equal(counted(w, "account/app/app-1"), 2);
    for (int i = 0; i < 3; i++)
        assert_string_equal(end(w, "app-1", 2, i == 0 ? "DATA" : "END-OF-MESSAGE"), "DUNNO");
    assert_int_equal(counted(w, "account/app/app-1"), 2);
}

static void
test_settled_at_the_end(void **state)
{
    struct world *w = *state;
    char recipient[32];

    w->instance++;
    for (int i = 0; i < 8; i++) {
        snprintf(recipient, sizeof(recipient), "%d@one.test", i);
        rcpt(w, "app-1", recipient);
    }
    assert_int_equal(counted(w, "account/app/app-1"), 8);
    end(w, "app-1", 3, "END-OF-MESSAGE"); /* other checks refused five */
    assert_int_equal(counted(w, "account/app/app-1"), 3);
    end(w, "app-1", 3, "END-OF-MESSAGE");
    assert_int_equal(counted(w, "account/app/app-1"), 3);
    w->instance++;
    rcpt(w, "app-1", "1@one.test");
    end(w, "app-1", 4, "END-OF-MESSAGE"); /* three were not asked for here */
    assert_int_equal(counted(w, "account/app/app-1"), 7);
    assert_int_equal(message(w, "app-1", 20), 13);
}

static void
test_broken_off(void **state)
{
    struct world *w = *state;

    w->instance++;
    rcpt(w, "app-1", "1@one.test");
    w->instance++; /* whether this client asks at the end is not known yet: it stays counted */
    rcpt(w, "app-1", "1@one.test");
    end(w, "app-1", 1, "END-OF-MESSAGE");
    assert_int_equal(counted(w, "account/app/app-1"), 2);
    w->instance++;
    for (int i = 0; i < 18; i++) {
        char recipient[32];

        snprintf(recipient, sizeof(recipient), "%d@one.test", i);
        assert_string_equal(rcpt(w, "app-1", recipient), "DUNNO");
    }
    assert_string_not_equal(rcpt(w, "app-1", "18@one.test"), "DUNNO");
    w->instance++; /* the client starts anew */
    assert_string_equal(end(w, "app-1", 10, "END-OF-MESSAGE"), "DUNNO");
    assert_int_equal(counted(w, "account/app/app-1"), 12);
    w->session = (struct policy_session){0};
    w->instance++; /* another connection: the one before may still go on */
    assert_string_equal(rcpt(w, "app-1", "1@one.test"), "DUNNO");
    assert_int_equal(counted(w, "account/app/app-1"), 13);
}

static void
test_only_asked_at_the_end(void **state)
{
    struct world *w = *state;

    w->instance++;
    assert_string_equal(end(w, "app-1", 15, "END-OF-MESSAGE"), "DUNNO");
    assert_false(w->result.unsure);
    assert_int_equal(counted(w, "account/app/app-1"), 15);
    w->instance++;
    assert_string_equal(end(w, "app-1", 6, "END-OF-MESSAGE"),
                        "DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for app-1 reached, "
                        "no room for another 61 min");
    assert_int_equal(counted(w, "account/app/app-1"), 15);
    w->instance++;
    pass(w, 32 * 60000);
    assert_string_equal(end(w, "app-1", 5, "DATA"), "DUNNO");
    assert_int_equal(counted(w, "account/app/app-1"), 20);
}

static void
test_no_instance(void **state)
{
    struct world *w = *state;
    static const char lines[] = "protocol_state=%s\nsasl_username=app-1\nrecipient_count=%d\n";
    char text[200];

    snprintf(text, sizeof(text), lines, "RCPT", 0);
    for (int i = 0; i < 30; i++)
        assert_string_equal(ask_lines(w, text), "DUNNO");
    snprintf(text, sizeof(text), lines, "END-OF-MESSAGE", 20);
    assert_string_equal(ask_lines(w, text), "DUNNO");
    snprintf(text, sizeof(text), lines, "RCPT", 0);
    assert_string_not_equal(ask_lines(w, text), "DUNNO");
    assert_int_equal(counted(w, "account/app/app-1"), 20);
}

static void
test_a_stream_without_room(void **state)
{
    struct world *w = *state;
    uint32_t number = meters_find(w->meters, "stream/vip");

    rcpt(w, "a@vip.test", "1@one.test");
    assert_false(w->result.over);
    for (int i = 0; i < 5; i++) { /* delivery uses it up */
        meters_want(w->meters, number);
        talk(w);
        meters_take(w->meters, number, w->view.store_ms);
    }
    talk(w);
    pass(w, 1);
    assert_string_equal(ask_lines(w, "protocol_state=RCPT\ninstance=9\nsasl_username=joe\n"
                                     "sender=b@vip.test\nrecipient=1@one.test\n"),
                        "DEFER_IF_PERMIT 4.7.1 daily limit of 5 recipients for stream vip reached, "
                        "no room for another 25 h");
    pass(w, 20 * 3600000);
    assert_string_equal(ask_lines(w, "protocol_state=RCPT\ninstance=9\nsasl_username=joe\n"
                                     "sender=b@vip.test\nrecipient=1@one.test\n"),
                        "DUNNO"); /* not known to be full, and who knows how long the queue is */
}

/* One recipient decides for the whole message; who was counted elsewhere before stays so. */
static void
test_a_recipient_changes_the_stream(void **state)
{
    struct world *w = *state;

    rcpt(w, "b@s.test", "0@list.test"); /* another message */
    w->instance++;
    rcpt(w, "b@s.test", "1@one.test");
    assert_string_equal(w->result.stream->name, "default");
    rcpt(w, "b@s.test", "2@list.test");
    assert_string_equal(w->result.stream->name, "list");
    assert_string_not_equal(rcpt(w, "b@s.test", "3@one.test"), "DUNNO");
    assert_string_equal(w->result.stream->name, "list");
    assert_int_equal(counted(w, "account/default/s.test"), 1);
    assert_int_equal(counted(w, "account/list/s.test"), 2);
    ask_lines(w, "protocol_state=END-OF-MESSAGE\ninstance=1.1\nsender=b@s.test\n"
                 "recipient_count=0\nclient_address=10.1.1.1\n");
    assert_string_equal(w->result.stream->name, "list");
    assert_int_equal(counted(w, "account/default/s.test"), 1);
    assert_int_equal(counted(w, "account/list/s.test"), 1);
}

/* A recipient that is asked for twice and held is one recipient. */
static void
test_held_once(void **state)
{
    struct world *w = *state;

    world_end(w);
    world_start(w, "over_quota = \"hold\";");
    message(w, "app-1", 19);
    w->instance++;
    assert_string_equal(rcpt(w, "app-1", "1@one.test"), "DUNNO");
    for (int i = 0; i < 2; i++)
        assert_true(strncmp(rcpt(w, "app-1", "2@one.test"), "HOLD ", 5) == 0);
    assert_true(strncmp(end(w, "app-1", 3, "END-OF-MESSAGE"), "HOLD ", 5) == 0);
    assert_string_equal(end(w, "app-1", 3, "END-OF-MESSAGE"), "DUNNO");
}

static void
test_store_away(void **state)
{
    struct world *w = *state;

    w->deaf = true;
    w->view.store_up = false;
    assert_int_equal(message(w, "app-1", 30), 30);
    assert_true(w->result.stream != NULL);
    w->instance++;
    rcpt(w, "app-1", "x@one.test");
    assert_true(w->result.unsure);
    assert_false(w->result.over);
    assert_int_equal(
        meters_at(w->meters, meters_find(w->meters, "account/app/app-1"))->meter.excess, 31);
    w->deaf = false;
    w->view.store_up = true;
    talk(w);
    assert_string_not_equal(rcpt(w, "app-1", "y@one.test"), "DUNNO"); /* nothing was forgotten */
    assert_int_equal(counted(w, "account/app/app-1"), 31);
}

/* Away for so long that all that was held is lost: still, no mail is kept out. */
static void
test_store_away_for_long(void **state)
{
    struct world *w = *state;

    assert_int_equal(message(w, "app-1", 5), 5);
    w->deaf = true;
    w->view.store_up = false;
    meters_lapse(w->meters, w->view.store_ms);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(message(w, "app-1", 10), 10);
        rcpt(w, "a@vip.test", "x@one.test");
        assert_string_equal(w->answer, "DUNNO");
        assert_true(w->result.unsure);
        pass(w, 40 * 60000);
    }
}

/* The store is up but slow: what cannot wait any longer is let in. */
static void
test_store_slow(void **state)
{
    struct world *w = *state;
    struct policy_request request;
    struct err err;
    static const char text[] = "request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1\n"
                               "sasl_username=app-1\nrecipient=x@one.test\n\n";

    assert_true(policy_parse(text, strlen(text), &request, &err) > 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(policy_answer(&w->view, &w->session, &request, w->answer, &w->result),
                         POLICY_WAIT);
    w->view.may_wait = false;
    assert_int_equal(policy_answer(&w->view, &w->session, &request, w->answer, &w->result),
                     POLICY_DUNNO);
    assert_true(w->result.unsure);
    assert_string_equal(w->answer, "DUNNO");
    talk(w);
    assert_int_equal(counted(w, "account/app/app-1"), 1);
}

static void
test_no_caps_at_all(void **state)
{
    struct world *w = *state;

    w->view.meters = NULL;
    assert_int_equal(message(w, "app-1", 50), 50);
    assert_null(w->result.stream);
    assert_string_equal(w->heard, "one.test");
}

static void
test_the_meters_are_others(void **state)
{
    struct world *w = *state;

    w->instance++;
    rcpt(w, "app-1", "1@one.test");
    rcpt(w, "app-1", "2@one.test");
    transactions_keep(w->view.transactions);
    rcpt(w, "app-1", "3@one.test");
    end(w, "app-1", 1, "END-OF-MESSAGE");
    assert_int_equal(counted(w, "account/app/app-1"), 2); /* one could be given back */
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
        cmocka_unit_test(test_parse),
        cmocka_unit_test_setup_teardown(test_whose_mail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_account_over_its_quota, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sentences, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_over_quota_each_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_from_strangers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_recipient_is_counted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settled_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_asked_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_instance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_stream_without_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_recipient_changes_the_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_held_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_away_for_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_slow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_caps_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_meters_are_others, set_up, tear_down),
        cmocka_unit_test(test_transactions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
