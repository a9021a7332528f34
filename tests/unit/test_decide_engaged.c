/*
 * The choice where addresses warm up: who may pass, and where the others go.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/allowances.h"
#include "engine/curbs.h"
#include "engine/decide.h"
#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "engine/warmup.h"
#include "lib/conf.h"
#include "lib/explained.h"
#include "lib/mem.h"

enum { KEYS = 300, TODAY = 20784, NEVER = DECIDE_NEVER_ACTIVE };
#define NOW_MS INT64_C(1700000000000)

/* new warms up, in 30 stages; two pools have it alone, one of them with a ladder. */
static const char site[] =
    "addresses: { new = { ip = \"127.0.1.1\"; helo = \"new.test\";\n"
    "                     warmup = { schedule = \"s\"; started = \"2026-11-27\"; }; };\n"
    "             warm = { ip = \"127.0.1.2\"; helo = \"warm.test\"; };\n"
    "             next = { ip = \"127.0.1.3\"; helo = \"next.test\"; }; };\n"
    "pools: { both = { addresses = ( \"new\", \"warm\" ); };\n"
    "         ladder = { addresses = ( \"new\" ); overflow = [ \"more\" ]; };\n"
    "         alone = { addresses = ( \"new\" ); exhausted = \"exceed\"; };\n"
    "         more = { addresses = ( \"next\" ); }; };\n"
    "streams: ( { name = \"ladder\"; pool = \"ladder\"; match = ( { sender = \"a\"; } ); },\n"
    "           { name = \"alone\"; pool = \"alone\"; match = ( { sender = \"b\"; } ); },\n"
    "           { name = \"default\"; pool = \"both\"; match = (); } );\n"
    "feedback: { log = \"/var/log/mail.log\"; };\n"
    "warmup: { engaged = ( \"30d\", \"30d\", \"60d\" ); schedules: { s = { days = ( 1, 2, 3, 4, 5, "
    "6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, "
    "30 ); }; }; };\n";

struct world {
    struct conf *conf;
    struct roster *roster;
    struct curbs *curbs;
    struct meters *meters;
    struct allowances *allowances;
    struct warmup warmup;
    struct warmup_plan plan;
    const struct address *new, *warm, *next;
    struct decide_question question;
    struct decision decision;
};

static const struct stream *
stream_of(const struct world *w, const char *name)
{
    return snapshot_find_stream(w->conf->snapshot, name, strlen(name));
}

static int
set_up(void **state)
{
    static const bool here[] = {true, true, true};
    struct world *w = mem_new(sizeof(*w));
    const struct snapshot *snapshot;

    w->conf = unit_conf(site);
    snapshot = w->conf->snapshot;
    w->new = snapshot_find_address(snapshot, "new");
    w->warm = snapshot_find_address(snapshot, "warm");
    w->next = snapshot_find_address(snapshot, "next");
    w->roster = roster_new(snapshot, here);
    w->curbs = curbs_new(snapshot);
    w->meters = meters_new(snapshot);
    w->allowances = allowances_new(snapshot, NULL);
    w->plan = (struct warmup_plan){w->new->schedule, w->conf->warmup};
    meters_set_allowances(w->meters, w->allowances);
    assert_true(meters_set_snapshot(w->meters, snapshot, NOW_MS));
    warmup_begin(&w->warmup, &w->plan, TODAY, TODAY);
    w->question = (struct decide_question){
        .roster = w->roster,
        .stream = stream_of(w, "default"),
        .account = METERS_NONE,
        .now_ms = NOW_MS,
        .meters = w->meters,
        .curbs = w->curbs,
        .account_name = "sender.test",
        .domain = "d.test",
    };
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    meters_free(w->meters);
    allowances_free(w->allowances);
    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
    free(w);
    return 0;
}

/* What has a cap of which nothing is known yet is taken in an explanation. */
static const struct address *
choice(struct world *w, uint64_t key, int32_t quiet_days)
{
    w->question.key = hash_mix(key);
    w->question.quiet_days = quiet_days;
    decide_explained(&w->question, &w->decision);
    return w->decision.address;
}

static bool
passes(struct world *w, int32_t quiet_days)
{
    size_t count = 0;

    for (uint64_t key = 0; key < KEYS; key++)
        count += choice(w, key, quiet_days) == w->new;
    if (count > 0) /* then as if nothing were asked */
        assert_in_range(count, KEYS / 2 - 60, KEYS / 2 + 60);
    return count > 0;
}

static void
advance_to(struct world *w, size_t stage)
{
    while (warmup_stage(&w->warmup, w->new->schedule) + 1 < stage)
        assert_int_equal(warmup_order(&w->warmup, &w->plan, WARMUP_ADVANCE, TODAY, "", ""), 0);
    allowances_set(w->allowances, w->new, &w->warmup, &w->plan, TODAY);
}

/* Weeks are seven stages each; behind them, and at full volume, everybody passes. */
static void
test_stages(void **state)
{
    static const struct {
        size_t stage;
        int32_t days; /* 0: any */
    } stages[] = {{1, 30}, {7, 30}, {8, 30}, {14, 30}, {15, 60}, {21, 60}, {22, 0}, {31, 0}};
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(stages); i++) {
        print_message("stage %zu\n", stages[i].stage);
        advance_to(w, stages[i].stage);
        assert_int_equal(allowances_engaged(w->allowances, w->new->index), stages[i].days);
        assert_int_equal(allowances_engaged(w->allowances, w->warm->index), 0);
        assert_true(passes(w, 0));
        assert_true(passes(w, stages[i].days));
        assert_int_equal(passes(w, stages[i].days + 1), stages[i].days == 0);
        assert_int_equal(passes(w, NEVER), stages[i].days == 0);
    }
}

/* The mail of others stays where it was: only what does not pass moves. */
static void
test_who_moves(void **state)
{
    struct world *w = *state;

    for (uint64_t key = 0; key < KEYS; key++) {
        const struct address *before = choice(w, key, 0);

        assert_ptr_equal(choice(w, key, 31), w->warm);
        assert_int_equal(w->decision.candidates[0].verdict,
                         before == w->new ? VERDICT_UNENGAGED : VERDICT_TAKEN);
        assert_ptr_equal(choice(w, key, 30), before);
    }
    w->question.stream = stream_of(w, "ladder");
    assert_ptr_equal(choice(w, 1, 30), w->new);
    assert_ptr_equal(choice(w, 1, NEVER), w->next);
    assert_string_equal(w->decision.pool->name, "more");
}

/* Where only such addresses are it waits, and the rule "exceed" is about caps alone. */
static void
test_none(void **state)
{
    struct world *w = *state;
    struct explained_with with = {.meters = w->meters, .now_ms = NOW_MS, .quiet_days = 45};
    struct buf text = {0};
    struct decision decision;

    w->question.stream = stream_of(w, "alone");
    assert_null(choice(w, 1, 45));
    assert_true(w->decision.unengaged);
    assert_false(w->decision.full || w->decision.suspended || w->decision.refused);
    explained_text(&w->decision, &with, &text);
    assert_string_equal(
        buf_text(&text),
        "address    none: the recipient is deferred (4.7.1), it waits for an address that is warm\n"
        "candidates\n"
        "  alone        new          127.0.1.1            warming up: it takes recipients that "
        "were active of late, within 30 days; of this one the last was 45 days ago\n");
    buf_clear(&text);
    with.quiet_days = NEVER;
    explained_text(&w->decision, &with, &text);
    assert_non_null(strstr(buf_text(&text), "of late, within 30 days; of this one nothing is "
                                            "known\n"));
    buf_clear(&text);
    decide(&w->question, &decision);
    assert_null(decision.address);
    assert_true(decision.unengaged);
    assert_int_equal(decision.candidates[0].verdict, VERDICT_UNENGAGED);
    assert_int_equal(decision.candidates[0].engaged_days, 30);
}

/* What no other address may have, because it refused it, does not wait for ever. */
static void
test_refused(void **state)
{
    struct world *w = *state;

    w->question.avoid[0] = w->warm;
    assert_null(choice(w, 1, NEVER));
    assert_true(w->decision.refused);
    assert_false(w->decision.unengaged);
    assert_ptr_equal(choice(w, 1, 3), w->new);
}

static void
test_suspended(void **state)
{
    static const struct curb suspended = {.share = 0, .until_ms = NOW_MS + 5000};
    struct world *w = *state;

    curbs_set_address(w->curbs, w->warm, &suspended);
    assert_null(choice(w, 1, NEVER));
    assert_true(w->decision.suspended);
    assert_int_equal(w->decision.room_ms, NOW_MS + 5000);
    assert_ptr_equal(choice(w, 1, 3), w->new);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_suspended, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
