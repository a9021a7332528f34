/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/policy_world.h"

#include "engine/meters.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "policyd/policy_request.h"
#include "policyd/transactions.h"

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

static void
on_domain(void *arg, const char *domain)
{
    struct policy_world *w = arg;

    snprintf(w->heard, sizeof(w->heard), "%s", domain);
}

void
policy_world_start(struct policy_world *w, const char *over_quota)
{
    char *text = mem_printf(site, over_quota);

    *w = (struct policy_world){.conf = unit_conf(text)};
    w->meters = meters_new(w->conf->snapshot);
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

void
policy_world_end(struct policy_world *w)
{
    for (size_t i = 0; i < POLICY_KEYS; i++)
        book_clear(&w->books[i]);
    transactions_free(w->view.transactions);
    meters_free(w->meters);
    conf_unref(w->conf);
}

int
policy_set_up(void **state)
{
    struct policy_world *w = mem_new(sizeof(*w));

    policy_world_start(w, "");
    *state = w;
    return 0;
}

int
policy_tear_down(void **state)
{
    policy_world_end(*state);
    free(*state);
    return 0;
}

void
policy_talk(struct policy_world *w)
{
    struct book_ask ask;
    uint32_t number;

    while (!w->deaf && (number = meters_next(w->meters, w->view.store_ms, &ask)) != METERS_NONE) {
        struct metered *metered = meters_at(w->meters, number);
        struct book_answer answer;

        assert_true(number < POLICY_KEYS);
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

void
policy_pass(struct policy_world *w, int64_t ms)
{
    w->view.now_ms += ms;
    w->view.store_ms += ms;
}

const char *
policy_ask(struct policy_world *w, const char *lines)
{
    struct policy_request request;
    struct err err = {""};
    char *text = mem_printf("request=smtpd_access_policy\n%s\n", lines);

    if (policy_request_parse(text, strlen(text), &request, &err) != (int)strlen(text))
        fail_msg("%s: %s", text, err.msg);
    free(text);
    for (int i = 0; i < 8; i++) {
        bool may_wait = w->view.may_wait;

        w->view.may_wait = may_wait && i < 7;
        if (policy_answer(&w->view, &w->session, &request, w->answer, &w->result) != POLICY_WAIT)
            i = 8;
        w->view.may_wait = may_wait;
        policy_talk(w);
    }
    return w->answer;
}

const char *
policy_rcpt(struct policy_world *w, const char *who, const char *recipient)
{
    char lines[1024];

    snprintf(lines, sizeof(lines),
             "protocol_state=RCPT\ninstance=1.%u\nsender=%s\nrecipient=%s\n%s%s\n"
             "client_address=10.1.1.1\n",
             w->instance, strchr(who, '@') != NULL ? who : "x@site.test", recipient,
             strchr(who, '@') != NULL ? "" : "sasl_username=",
             strchr(who, '@') != NULL ? "helo_name=x" : who);
    return policy_ask(w, lines);
}

const char *
policy_end(struct policy_world *w, const char *who, unsigned count, const char *state)
{
    char lines[1024];

    snprintf(lines, sizeof(lines),
             "protocol_state=%s\ninstance=1.%u\nsender=x@site.test\nrecipient_count=%u\n"
             "sasl_username=%s\nclient_address=192.0.2.1\n",
             state, w->instance, count, who);
    return policy_ask(w, lines);
}

unsigned
policy_message(struct policy_world *w, const char *who, unsigned recipients)
{
    unsigned in = 0;

    w->instance++;
    for (unsigned i = 0; i < recipients; i++) {
        char recipient[64];

        snprintf(recipient, sizeof(recipient), "r%u@one.test", i);
        in += strcmp(policy_rcpt(w, who, recipient), "DUNNO") == 0;
    }
    if (in > 0)
        assert_string_equal(policy_end(w, who, in, "END-OF-MESSAGE"), "DUNNO");
    return in;
}

unsigned
policy_counted(struct policy_world *w, const char *key)
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
