/*
 * What an address in warm-up may send, as caps that meters work with.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/allowances.h"
#include "engine/decide.h"
#include "engine/meters.h"
#include "engine/schedule.h"
#include "engine/snapshot.h"
#include "engine/warmup.h"
#include "lib/conf.h"

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR, TODAY = 20000 };

#define NOW_MS (INT64_C(1000) * DAY)

static const char site[] =
    "addresses: { old = { ip = \"192.0.2.1\"; helo = \"a.test\"; };\n"
    "  new = { ip = \"192.0.2.2\"; helo = \"b.test\"; caps = { minute = 7; hour = 9; };\n"
    "          warmup = { schedule = \"s\"; started = \"2026-11-20\"; }; };\n"
    "  big = { ip = \"192.0.2.3\"; helo = \"c.test\";\n"
    "          warmup = { schedule = \"b\"; started = \"2026-11-20\"; }; }; };\n"
    "pools: { p = { addresses = ( \"old\", \"new\", \"big\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
    "providers: { yahoo = { domains = ( \"yahoo.com\" ); };\n"
    "             google = { domains = ( \"gmail.com\" ); caps = { day = 500; }; }; };\n"
    "feedback: { log = \"/var/log/mail.log\"; };\n"
    "warmup: { schedules: { s = { days = ( 20, 100 ); hour = 50; shares = { yahoo = 10; }; };\n"
    "                       b = { days = ( 200, 5000 ); hour = 100; }; }; };\n";

struct world {
    struct conf *conf;
    const struct address *old, *new;
    size_t yahoo, google;
    struct allowances *allowances;
    struct meters *meters;
    struct warmup warmup;
    struct warmup_plan plan;
    struct book book; /* of the address that is new */
    int64_t now_ms;
};

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct snapshot *snapshot;

    w->conf = unit_conf(site);
    snapshot = w->conf->snapshot;
    w->old = snapshot_find_address(snapshot, "old");
    w->new = snapshot_find_address(snapshot, "new");
    w->yahoo = snapshot_find_provider(snapshot, "yahoo")->index;
    w->google = snapshot_find_provider(snapshot, "google")->index;
    w->plan = (struct warmup_plan){w->new->schedule, w->conf->warmup};
    w->allowances = allowances_new(snapshot, NULL);
    w->meters = meters_new(snapshot);
    w->now_ms = NOW_MS;
    meters_set_allowances(w->meters, w->allowances);
    assert_true(meters_set_snapshot(w->meters, snapshot, w->now_ms));
    warmup_begin(&w->warmup, &w->plan, TODAY, TODAY);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    meters_free(w->meters);
    allowances_free(w->allowances);
    book_clear(&w->book);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static void
assert_cap(const struct caps *caps, size_t at, int64_t window_ms, uint32_t limit)
{
    assert_non_null(caps);
    assert_true(at < caps->count);
    assert_int_equal(caps->items[at].window_ms, window_ms);
    assert_int_equal(caps->items[at].limit, limit);
}

/* What meters ask, of the address that is new; asks of others are forgotten. */
static void
serve(struct world *w)
{
    uint32_t number = meters_address(w->meters, w->new->index), asking;
    struct book_ask ask;
    struct book_answer answer;

    while ((asking = meters_next(w->meters, w->now_ms, &ask)) != METERS_NONE) {
        ask.node = "mta1";
        ask.life = 1;
        if (asking != number)
            continue;
        assert_int_equal(
            book_ask(&w->book, meters_at(w->meters, number)->caps, &ask, w->now_ms, &answer), 0);
        assert_true(meters_answered(w->meters, number, &answer, w->now_ms));
    }
}

/* Go over to another stage, and have meters work with it. */
static void
set_stage(struct world *w, enum warmup_order order)
{
    assert_int_equal(warmup_order(&w->warmup, &w->plan, order, TODAY, "", ""), 0);
    assert_true(allowances_set(w->allowances, w->new, &w->warmup, &w->plan, TODAY));
    assert_false(allowances_set(w->allowances, w->new, &w->warmup, &w->plan, TODAY));
    assert_true(meters_set_snapshot(w->meters, w->conf->snapshot, w->now_ms));
    meters_recap(w->meters, w->new->index, w->now_ms);
    serve(w);
}

static void
test_caps(void **state)
{
    struct world *w = *state;
    const struct caps *caps = allowances_address(w->allowances, w->new->index);

    assert_null(allowances_address(w->allowances, w->old->index));
    assert_null(allowances_address(NULL, w->new->index));
    assert_cap(caps, 0, 60 * 1000, 7);
    assert_cap(caps, 1, HOUR, 9); /* its own is the lesser */
    assert_cap(caps, 2, DAY, 20);
    assert_int_equal(caps->count, 3);
    assert_null(allowances_provider(w->allowances, w->new->index, w->google));
    caps = allowances_provider(w->allowances, w->new->index, w->yahoo);
    assert_cap(caps, 0, HOUR, 1);
    assert_cap(caps, 1, DAY, 2);
    assert_null(allowances_provider(w->allowances, w->old->index, w->yahoo));
    assert_false(allowances_set(w->allowances, w->new, &w->warmup, &w->plan, TODAY));
    assert_true(allowances_set(w->allowances, w->new, &w->warmup, &w->plan, TODAY - 1));
    assert_cap(allowances_address(w->allowances, w->new->index), 2, DAY, 1); /* least of all caps */
    set_stage(w, WARMUP_ADVANCE);
    assert_cap(allowances_address(w->allowances, w->new->index), 2, DAY, 100);
    assert_cap(allowances_provider(w->allowances, w->new->index, w->yahoo), 1, DAY, 100);
    set_stage(w, WARMUP_ADVANCE);
    assert_null(allowances_address(w->allowances, w->new->index));
    assert_null(allowances_provider(w->allowances, w->new->index, w->yahoo));
}

/* At a reload what held before goes over by names; an address that is new to it begins. */
static void
test_reload(void **state)
{
    struct world *w = *state;
    struct conf *next = unit_conf(
        "addresses: { new = { ip = \"192.0.2.2\"; helo = \"b.test\";\n"
        "          warmup = { schedule = \"s\"; started = \"2026-11-20\"; }; };\n"
        "  newer = { ip = \"192.0.2.1\"; helo = \"a.test\"; warmup = { schedule = \"s\"; started = "
        "\"2026-11-20\"; }; }; };\n"
        "pools: { p = { addresses = ( \"newer\", \"new\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"
        "providers: { yahoo = { domains = ( \"yahoo.com\" ); caps = { day = 50; }; }; };\n"
        "feedback: { log = \"/var/log/mail.log\"; };\n"
        "warmup: { schedules: { s = { days = ( 21, 100 ); hour = 100; shares = { yahoo = 10; }; }; "
        "}; };\n");
    const struct snapshot *snapshot = next->snapshot;
    struct allowances *after;

    set_stage(w, WARMUP_ADVANCE);
    after = allowances_new(snapshot, w->allowances);
    assert_cap(allowances_address(after, snapshot_find_address(snapshot, "new")->index), 1, DAY,
               100);
    assert_cap(allowances_provider(after, snapshot_find_address(snapshot, "new")->index,
                                   snapshot_find_provider(snapshot, "yahoo")->index),
               1, DAY, 50);
    /* All of it may go in an hour: that is no cap. */
    assert_cap(allowances_address(after, snapshot_find_address(snapshot, "newer")->index), 0, DAY,
               21);
    meters_set_allowances(w->meters, after);
    assert_true(meters_set_snapshot(w->meters, snapshot, w->now_ms));
    allowances_free(w->allowances);
    w->allowances = after;
    conf_unref(w->conf);
    w->conf = next;
    assert_true(meters_address(w->meters, 0) != METERS_NONE);
    assert_true(meters_provider(w->meters, 0, 1) != METERS_NONE);
}

/* ------------------------------------------------------------------ meters */

/* Take as many as there are, at most so many. */
static unsigned
take(struct world *w, unsigned most)
{
    uint32_t number = meters_address(w->meters, w->new->index);
    unsigned taken = 0;

    for (unsigned i = 0; i < 2 * most && taken < most; i++) {
        if (meter_state(&meters_at(w->meters, number)->meter, w->now_ms) == METER_FREE) {
            meters_take(w->meters, number, w->now_ms);
            taken++;
        } else {
            meters_want(w->meters, number);
        }
        serve(w);
    }
    return taken;
}

/* Spread over a day, to the last of it, and not one more. */
static unsigned
take_a_day(struct world *w)
{
    unsigned taken = 0;

    for (int i = 0; i < 24 * 20; i++) {
        taken += take(w, 200);
        w->now_ms += 3 * 60 * 1000;
    }
    return taken;
}

static void
test_all_of_it_and_no_more(void **state)
{
    struct world *w = *state;

    assert_int_equal(take_a_day(w), 20);
    set_stage(w, WARMUP_ADVANCE);
    assert_in_range(take_a_day(w), 97, 100); /* the first were used a day ago, just now */
}

/* The next stage holds at once, also for who was told that there is no room. */
static void
test_a_stage_on(void **state)
{
    struct world *w = *state;
    unsigned taken = 0;

    for (int i = 0; i < 300 && taken < 20; i++) {
        taken += take(w, 200);
        w->now_ms += 60 * 1000;
    }
    assert_int_equal(taken, 20);
    assert_int_equal(take(w, 200), 0);
    w->now_ms += 2 * HOUR;
    assert_int_equal(take(w, 200), 0);
    set_stage(w, WARMUP_ADVANCE);
    assert_true(take(w, 200) > 0);
}

/* A stage back: what is held and would be too much goes back. */
static void
test_a_stage_back(void **state)
{
    struct world *w = *state;
    unsigned taken = 0;

    set_stage(w, WARMUP_ADVANCE);
    for (int i = 0; i < 1000 && taken < 30; i++) {
        taken += take(w, 1);
        w->now_ms += 60 * 1000;
    }
    assert_int_equal(taken, 30);
    set_stage(w, WARMUP_GO_BACK);
    assert_int_equal(take(w, 200), 0);
    w->now_ms += 5 * HOUR;
    assert_int_equal(take(w, 200), 0);
}

/* What is held of a stage and would be too much under the one before goes back. */
static void
test_what_is_held_goes_back(void **state)
{
    struct world *w = *state;
    uint32_t number;

    w->new = snapshot_find_address(w->conf->snapshot, "big");
    w->plan.schedule = w->new->schedule;
    memset(&w->warmup, 0, sizeof(w->warmup));
    warmup_begin(&w->warmup, &w->plan, TODAY, TODAY);
    set_stage(w, WARMUP_ADVANCE);
    assert_int_equal(take(w, 300), 300);
    number = meters_address(w->meters, w->new->index);
    assert_true(meter_held(&meters_at(w->meters, number)->meter) > 0);
    set_stage(w, WARMUP_GO_BACK);
    assert_int_equal(take(w, 300), 0);
}

/* At full volume there are the caps of the configuration, and then those of the warm-up again. */
static void
test_full_volume_and_back(void **state)
{
    struct world *w = *state;

    assert_true(meters_provider(w->meters, w->new->index, w->yahoo) != METERS_NONE);
    assert_true(meters_has_provider(w->meters, w->new->index, w->yahoo));
    assert_false(meters_has_provider(w->meters, w->old->index, w->yahoo));
    set_stage(w, WARMUP_ADVANCE);
    set_stage(w, WARMUP_ADVANCE);
    assert_true(meters_address(w->meters, w->new->index) != METERS_NONE);
    assert_true(meters_address(w->meters, w->old->index) == METERS_NONE);
    assert_true(meters_provider(w->meters, w->new->index, w->yahoo) == METERS_NONE);
    assert_true(meters_provider(w->meters, w->new->index, w->google) != METERS_NONE);
    assert_in_range(take_a_day(w), 24 * 8, 24 * 9);
    set_stage(w, WARMUP_GO_BACK);
    assert_true(meters_provider(w->meters, w->new->index, w->yahoo) != METERS_NONE);
}

/* It has no caps any more, and its meter was not told yet: nothing is asked without them. */
static void
test_before_meters_are_told(void **state)
{
    struct world *w = *state;
    const struct address *big = snapshot_find_address(w->conf->snapshot, "big");
    struct warmup warmup = {.phase = WARMUP_FULL, .volume = WARMUP_UNLIMITED, .day = TODAY};
    struct warmup_plan plan = {big->schedule, w->conf->warmup};
    uint32_t number = meters_address(w->meters, big->index);
    struct book_ask ask;

    assert_true(allowances_set(w->allowances, big, &warmup, &plan, TODAY));
    meters_want(w->meters, number);
    assert_int_equal(meters_next(w->meters, w->now_ms, &ask), METERS_NONE);
    meters_lapse(w->meters, w->now_ms);
    assert_true(meters_set_snapshot(w->meters, w->conf->snapshot, w->now_ms));
    assert_int_equal(meters_address(w->meters, big->index), METERS_NONE);
}

/* ------------------------------------------------------------------- told */

/* "": the cap over that window is not of a warm-up. */
static void
assert_told(struct world *w, uint32_t number, uint8_t window, const char *told)
{
    struct candidate candidate = {.address = w->new, .verdict = VERDICT_FULL};
    char text[CANDIDATE_TEXT_SIZE];

    print_message("%s\n", told);
    meters_at(w->meters, number)->meter.window = window;
    assert_int_equal(meters_warming(w->meters, number, &candidate.warming), told[0] != '\0');
    assert_string_equal(candidate_text(&candidate, text),
                        told[0] != '\0' ? told : "no room under a cap");
}

/* Which cap is full: one of the configuration, or of the warm-up. */
static void
test_told(void **state)
{
    struct world *w = *state;
    uint32_t all = meters_address(w->meters, w->new->index);
    uint32_t yahoo = meters_provider(w->meters, w->new->index, w->yahoo);
    const struct address *big = snapshot_find_address(w->conf->snapshot, "big");

    assert_told(w, all, 0, "");
    assert_told(w, all, 1, "");
    assert_told(w, all, 2, "warming up: stage 1 of 2, 20 recipients a day are used");
    assert_told(w, yahoo, 0,
                "warming up: stage 1 of 2, 1 recipients an hour at this provider are used");
    assert_told(w, yahoo, 1,
                "warming up: stage 1 of 2, 2 recipients a day at this provider are used");
    assert_told(w, meters_provider(w->meters, w->new->index, w->google), 0, "");
    assert_told(w, meters_address(w->meters, big->index), 0,
                "warming up: stage 1 of 2, 200 recipients a day are used");
    meters_scale(w->meters, all, 50, w->now_ms);
    assert_told(w, all, 2, "warming up: stage 1 of 2, 10 of 20 recipients a day are used");
    meters_scale(w->meters, all, 100, w->now_ms);
    set_stage(w, WARMUP_ADVANCE);
    assert_told(w, all, 2, "warming up: stage 2 of 2, 100 recipients a day are used");
    set_stage(w, WARMUP_ADVANCE);
    assert_told(w, all, 0, "");
}

static void
test_words(void **state)
{
    struct world *w = *state;
    struct candidate candidate = {
        .verdict = VERDICT_FULL,
        .warming = {.address = w->new, .recipients = 20, .of = 20, .stage = 1, .stages = 2}};
    char text[CANDIDATE_TEXT_SIZE];

    assert_string_equal(candidate_text(&candidate, text),
                        "no room under a cap: new is warming up: stage 1 of 2, 20 recipients a day "
                        "are used");
    candidate.address = w->new;
    candidate.verdict = VERDICT_EXCEEDS;
    assert_string_equal(candidate_text(&candidate, text),
                        "taken over a cap: the pool's rule is \"exceed\": warming up: stage 1 of "
                        "2, 20 recipients a day are used");
}

static void
test_fit(void **state)
{
    struct caps caps = {.count = 4,
                        .items = {{1000, 1, false, ""},
                                  {60 * 1000, 1, false, ""},
                                  {HOUR, 1, false, ""},
                                  {DAY, 1, false, ""}}};

    (void)state;
    assert_true(allowances_fit(&caps));
    caps.items[2].window_ms++;
    assert_false(allowances_fit(&caps));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_caps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_of_it_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stage_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stage_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_held_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_volume_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_before_meters_are_told, setup, teardown),
        cmocka_unit_test(test_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
