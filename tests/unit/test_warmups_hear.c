/*
 * What a warm-up hears of suspensions: which are events of its day, and which a block.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/curbs.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/mem.h"
#include "policyd/breakers.h"
#include "policyd/outcome.h"
#include "policyd/warmups_inside.h"

enum { DAY_S = 24 * 3600, MINUTE = 60 * 1000 };

static const char site[] =
    "addresses: {\n"
    "  a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; warmup = { schedule = \"standard\"; started "
    "= "
    "\"2024-10-04\"; }; }; };\n"
    "pools: { p = { addresses = ( \"a1\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
    "feedback: { log = \"/var/log/mail.log\"; };\n"
    "warmup: { time_zone = \"UTC\"; };\n"
    "providers: { google = { domains = ( \"gmail.com\" ); }; };\n"
    "replies: (\n"
    "{ name = \"blocked\"; class = \"address_provider\"; code = 5; pattern = \"blocked\"; after = "
    "1; "
    "within = \"1h\"; suspend = \"1h\"; suspend_most = \"4h\"; samples = ( \"550 blocked\" ); },\n"
    "{ name = \"rate\"; class = \"address_provider\"; code = 4; pattern = \"rate\"; after = 1; "
    "within = \"1h\"; suspend = \"1h\"; suspend_most = \"4h\"; samples = ( \"421 rate\" ); },\n"
    "{ name = \"slow\"; class = \"address\"; pattern = \"slow\"; after = 9; within = \"1h\"; "
    "suspend "
    "= \"1h\"; suspend_most = \"4h\"; slow = 20; slow_after = 1; slow_for = \"30m\"; samples = ( "
    "\"421 slow\" ); },\n"
    "{ name = \"twice\"; class = \"address\"; pattern = \"twice\"; after = 2; within = \"1h\"; "
    "suspend = \"1h\"; suspend_most = \"4h\"; samples = ( \"550 twice\" ); },\n"
    "{ name = \"domain\"; class = \"account\"; pattern = \"reputation\"; after = 1; within = "
    "\"1h\"; suspend = \"1h\"; suspend_most = \"4h\"; samples = ( \"550 reputation\" ); } );\n";

struct world {
    struct conf *conf;
    struct curbs *curbs;
    struct breakers *breakers;
    struct warmups *warmups;
    struct breakers_whose a1, a1_at_google;
    int64_t now_ms, time_s;
};

static int64_t
on_now(void *arg)
{
    struct world *w = arg;

    return w->now_ms;
}

static int64_t
on_time(void *arg)
{
    struct world *w = arg;

    return w->time_s;
}

static bool
on_put(void *arg, const char *key, uint64_t version, const void *bytes, size_t length)
{
    (void)arg;
    (void)key;
    (void)version;
    (void)bytes;
    (void)length;
    return false;
}

static void
begin(struct world *w, const char *text)
{
    const struct snapshot *snapshot;

    w->conf = unit_conf(text);
    snapshot = w->conf->snapshot;
    w->now_ms = INT64_C(1000000000);
    w->time_s = clock_ms(CLOCK_REALTIME) / 1000;
    w->curbs = curbs_new(snapshot);
    w->breakers = breakers_new(&(struct breakers_start){NULL, w->conf, w->curbs, on_now, NULL, w});
    w->warmups = warmups_new(&(struct warmups_start){
        .conf = w->conf, .breakers = w->breakers, .time_s = on_time, .put = on_put, .arg = w});
    breakers_listen(w->breakers, warmups_on_change, w->warmups);
    w->a1 = (struct breakers_whose){.scope = BREAKERS_ADDRESS, .address = &snapshot->addresses[0]};
    w->a1_at_google = (struct breakers_whose){BREAKERS_PROVIDER, &snapshot->addresses[0],
                                              snapshot_find_provider(snapshot, "google"), NULL};
}

static int
setup(void **state)
{
    struct world *w = mem_new(sizeof(*w));

    begin(w, site);
    *state = w;
    return 0;
}

static void
end(struct world *w)
{
    warmups_free(w->warmups);
    breakers_free(w->breakers);
    curbs_free(w->curbs);
    conf_unref(w->conf);
}

static int
teardown(void **state)
{
    end(*state);
    free(*state);
    return 0;
}

static void
result(struct world *w, const char *words)
{
    struct outcome outcome = {.at_ms = w->time_s * 1000,
                              .address = w->a1.address,
                              .provider = w->a1_at_google.provider,
                              .status = MAILLOG_DEFERRED,
                              .reached = true};

    snprintf(outcome.account, sizeof(outcome.account), "client.test");
    snprintf(outcome.domain, sizeof(outcome.domain), "gmail.com");
    reply_read_words(words, strlen(words), &outcome.reply);
    outcome.rule = replies_find(&w->conf->replies, outcome.provider, &outcome.reply);
    breakers_on_outcome(w->breakers, &outcome);
    warmups_on_outcome(w->warmups, &outcome);
}

static void
assert_events(struct world *w, uint32_t events)
{
    warmups_flush(w->warmups);
    assert_int_equal(warmup_today(&w->warmups->items[0].now).events, events);
}

static void
next_day(struct world *w)
{
    w->time_s += DAY_S;
    warmups_flush(w->warmups);
}

static void
test_refused_for_good(void **state)
{
    result(*state, "550 blocked");
    assert_events(*state, WARMUP_SUSPENDED | WARMUP_BLOCKED);
}

static void
test_refused_for_now(void **state)
{
    result(*state, "421 rate");
    assert_events(*state, WARMUP_SUSPENDED);
}

/* Nothing follows of one such reply, so it is no block; of two, it is. */
static void
test_not_before_it_is_suspended(void **state)
{
    result(*state, "550 twice");
    assert_events(*state, 0);
    result(*state, "550 twice");
    assert_events(*state, WARMUP_SUSPENDED | WARMUP_BLOCKED);
}

static void
test_slowed_down(void **state)
{
    struct world *w = *state;

    result(w, "421 slow");
    warmups_look(w->warmups, &w->warmups->items[0]);
    assert_events(w, WARMUP_WARNED);
}

/* It is the sender who is accused. */
static void
test_an_account(void **state)
{
    struct world *w = *state;

    result(w, "550 reputation");
    warmups_look(w->warmups, &w->warmups->items[0]);
    assert_events(w, 0);
    assert_int_equal(warmup_today(&w->warmups->items[0].now).refused, 1);
}

static void
test_by_hand(void **state)
{
    struct world *w = *state;

    breakers_suspend(w->breakers, &w->a1, w->now_ms + MINUTE, "listed by nobody");
    assert_events(w, WARMUP_SUSPENDED);
}

static void
test_listed(void **state)
{
    struct world *w = *state;

    breakers_keep_suspended(w->breakers, &w->a1, BREAKER_LISTED, w->now_ms + MINUTE,
                            "listed by zen (127.0.0.2)");
    assert_events(w, WARMUP_SUSPENDED | WARMUP_BLOCKED);
}

static void
test_network(void **state)
{
    struct world *w = *state;

    breakers_keep_suspended(w->breakers, &w->a1, BREAKER_NETWORK, w->now_ms + MINUTE,
                            "network: no route");
    assert_events(w, WARMUP_SUSPENDED);
}

/* One that lasts is an event of each of its days; of days after it, it is none. */
static void
test_it_lasts(void **state)
{
    struct world *w = *state;

    breakers_suspend(w->breakers, &w->a1_at_google, w->now_ms + 60 * MINUTE, "x");
    next_day(w);
    assert_events(w, 0);
    warmups_look(w->warmups, &w->warmups->items[0]);
    assert_events(w, WARMUP_SUSPENDED);
    breakers_resume(w->breakers, &w->a1_at_google);
    next_day(w);
    warmups_look(w->warmups, &w->warmups->items[0]);
    assert_events(w, 0);
}

/*
 * A reload brings an address that is known to be suspended.  Breakers tell so before warm-ups have
 * the configuration: that is nobody else's event.
 */
static void
test_reload_brings_one(void **state)
{
    struct world *w = *state;
    struct conf *before = w->conf;
    struct breaker open = {.hand = {.until_ms = BREAKER_FOR_EVER}};
    char record[BREAKER_TEXT_SIZE];
    struct buf text = {0};

    breakers_on_record(w->breakers, "breaker/address/a0", 1, record, breaker_print(&open, record));
    buf_puts(&text, "addresses: { a0 = { ip = \"192.0.2.9\"; helo = \"a0.test\"; warmup = { "
                    "schedule = \"standard\"; started = \"2024-10-04\"; }; };\n");
    buf_puts(&text, strstr(site, "  a1 ="));
    w->conf = unit_conf(buf_text(&text));
    assert_true(curbs_set_snapshot(w->curbs, w->conf->snapshot));
    breakers_set_conf(w->breakers, w->conf, w->curbs);
    warmups_set_conf(w->warmups, w->conf);
    warmups_flush(w->warmups);
    assert_int_equal(w->warmups->count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(warmup_today(&w->warmups->items[i].now).events, 0);
    for (size_t i = 0; i < 2; i++) /* but it is soon */
        warmups_look(w->warmups, &w->warmups->items[i]);
    warmups_flush(w->warmups);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(warmup_today(&w->warmups->items[i].now).events,
                         strcmp(w->warmups->items[i].address->name, "a0") == 0 ? WARMUP_SUSPENDED
                                                                               : 0);
    conf_unref(before);
    buf_clear(&text);
}

/* More addresses than one tick makes anew, with mail from each all the time: none is overlooked. */
static void
test_many_busy_ones(void **state)
{
    enum { ADDRESSES = 500, TICKS = 40, SUSPENDED = 20 };
    struct buf text = {0};
    struct world w = {0};

    (void)state;
    buf_puts(&text,
             "feedback: { log = \"/var/log/mail.log\"; }; warmup: { time_zone = \"UTC\"; };\n"
             "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
             "addresses: {\n");
    for (int i = 0; i < ADDRESSES; i++)
        buf_printf(&text,
                   "a%d = { ip = \"192.0.%d.%d\"; helo = \"a.test\"; warmup = { schedule = "
                   "\"standard\"; started = \"2024-10-04\"; }; };\n",
                   i, i / 250, 1 + i % 250);
    buf_puts(&text, "}; pools: { p = { addresses = ( \"a0\"");
    for (int i = 1; i < ADDRESSES; i++)
        buf_printf(&text, ", \"a%d\"", i);
    buf_puts(&text, " ); }; };\n");
    begin(&w, buf_text(&text));
    assert_int_equal(w.warmups->count, ADDRESSES);
    for (int i = 0; i < SUSPENDED; i++)
        breakers_suspend(w.breakers,
                         &(struct breakers_whose){.address = w.warmups->items[i].address},
                         BREAKER_FOR_EVER, "x");
    next_day(&w);
    for (int i = 0; i < TICKS; i++) {
        for (int j = 0; j < ADDRESSES; j++) {
            w.warmups->items[j].dirty = true;
            w.warmups->items[j].made_ms = 0;
        }
        warmups_tick(w.warmups);
    }
    for (int i = 0; i < ADDRESSES; i++)
        assert_int_equal(w.warmups->items[i].days[0].figures.events,
                         i < SUSPENDED ? WARMUP_SUSPENDED : 0);
    end(&w);
    buf_clear(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_for_now, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_before_it_is_suspended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slowed_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_account, setup, teardown),
        cmocka_unit_test_setup_teardown(test_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_network, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_lasts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload_brings_one, setup, teardown),
        cmocka_unit_test(test_many_busy_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
