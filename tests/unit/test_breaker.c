/*
 * Suspension: when it opens, for how long, and how it comes back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/breaker.h"
#include "engine/hash.h"

#include <errno.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static const struct breaker_policy policy = {.probes = 3,
                                             .step_ms = 10 * MINUTE,
                                             .steps = {10, 25, 50},
                                             .step_count = 3,
                                             .forget_ms = 24 * HOUR};
static const struct reaction blocked = {
    .after = 1, .within_ms = HOUR, .suspend_ms = HOUR, .suspend_most_ms = 5 * HOUR};
static const struct reaction busy = {.after = 5,
                                     .within_ms = HOUR,
                                     .suspend_ms = 30 * MINUTE,
                                     .suspend_most_ms = HOUR,
                                     .slow_after = 3,
                                     .slow_percent = 20,
                                     .slow_ms = 15 * MINUTE};

static struct breaker breaker;

static int
setup(void **state)
{
    (void)state;
    memset(&breaker, 0, sizeof(breaker));
    return 0;
}

static int
share(int64_t now_ms)
{
    breaker_advance(&breaker, &policy, now_ms);
    return breaker_share(&breaker, &policy, now_ms);
}

static void
hit(const struct reaction *reaction, int64_t now_ms, enum breaker_change change)
{
    breaker_advance(&breaker, &policy, now_ms);
    assert_int_equal(breaker_hit(&breaker, &policy, reaction, 7, "550 blocked", now_ms), change);
}

static void
accept_probes(int64_t now_ms)
{
    assert_int_equal(breaker_accepted(&breaker, &policy, now_ms), BREAKER_COUNTED);
    assert_int_equal(breaker_accepted(&breaker, &policy, now_ms), BREAKER_COUNTED);
    assert_int_equal(breaker_accepted(&breaker, &policy, now_ms), BREAKER_GROWS);
}

static void
test_open_and_back(void **state)
{
    (void)state;
    assert_int_equal(share(0), 100);
    hit(&blocked, 0, BREAKER_SUSPENDED);
    assert_string_equal(breaker_why(&breaker), "550 blocked");
    assert_int_equal(share(HOUR - 1), 0);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    hit(&blocked, HOUR - 1, BREAKER_SAME);
    assert_int_equal(share(HOUR), 0);
    assert_int_equal(breaker.state, BREAKER_PROBING);
    assert_int_equal(share(3 * HOUR), 0);
    accept_probes(3 * HOUR);
    assert_int_equal(share(3 * HOUR), 10);
    assert_int_equal(share(3 * HOUR + 10 * MINUTE), 25);
    assert_int_equal(share(3 * HOUR + 30 * MINUTE - 1), 50);
    assert_int_equal(breaker.state, BREAKER_RECOVERING);
    assert_int_equal(share(3 * HOUR + 30 * MINUTE), 100);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker_accepted(&breaker, &policy, 4 * HOUR), BREAKER_SAME);
}

/* 1, 2, 4, 5, 5 hours: from probes, from a step, and soon after it was well. */
static void
test_grows_on_repetition(void **state)
{
    static const int hours[] = {1, 2, 4, 5, 5};
    int64_t now_ms = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(hours); i++) {
        hit(&blocked, now_ms, BREAKER_SUSPENDED);
        assert_int_equal(breaker_until(&breaker) - now_ms, hours[i] * HOUR);
        now_ms = breaker_until(&breaker);
        breaker_advance(&breaker, &policy, now_ms);
        if (i % 2 == 1)
            accept_probes(now_ms);
        if (i == 3)
            now_ms += HOUR;
    }
    accept_probes(now_ms);
    assert_int_equal(share(now_ms + 24 * HOUR), 100);
    hit(&blocked, now_ms + 48 * HOUR, BREAKER_SUSPENDED);
    assert_int_equal(breaker_until(&breaker), now_ms + 49 * HOUR);
}

static void
test_threshold(void **state)
{
    (void)state;
    hit(&busy, 0, BREAKER_COUNTED);
    hit(&busy, 1, BREAKER_COUNTED);
    hit(&busy, HOUR, BREAKER_COUNTED); /* the first is an hour old */
    hit(&busy, HOUR + 1, BREAKER_COUNTED);
    hit(&busy, HOUR + 2, BREAKER_SLOWED);
    assert_int_equal(share(HOUR + 2), 20);
    assert_int_equal(share(HOUR + 2 + 15 * MINUTE), 100);
    hit(&busy, HOUR + 20 * MINUTE, BREAKER_SLOWED);
    hit(&busy, HOUR + 21 * MINUTE, BREAKER_SUSPENDED);
    assert_int_equal(breaker_until(&breaker), HOUR + 51 * MINUTE);
}

/* What was under way when it was slowed down is refused, too: nothing follows from that. */
static void
test_under_way_when_slowed(void **state)
{
    static const struct reaction patient = {.after = 5,
                                            .within_ms = HOUR,
                                            .suspend_ms = HOUR,
                                            .suspend_most_ms = HOUR,
                                            .slow_after = 2,
                                            .slow_percent = 50,
                                            .slow_ms = 10 * MINUTE};
    int64_t now_ms;

    (void)state;
    hit(&patient, 0, BREAKER_COUNTED);
    hit(&patient, 1000, BREAKER_SLOWED);
    for (now_ms = 1000; now_ms < 1000 + BREAKER_SLOWING_MS; now_ms += 500)
        hit(&patient, now_ms, BREAKER_SAME);
    assert_int_equal(share(now_ms), 50);
    assert_int_equal(breaker_share(&breaker, &policy, 1000 + 10 * MINUTE), 100); /* nor longer */
    hit(&patient, now_ms, BREAKER_COUNTED);
    hit(&patient, now_ms, BREAKER_COUNTED);
    assert_int_equal(share(now_ms + 10 * MINUTE - 1), 50); /* those go on */
    hit(&patient, now_ms + MINUTE, BREAKER_SUSPENDED);
}

/* A rule that does not slow it is heard all the time, and so is one that slows it more. */
static void
test_others_when_slowed(void **state)
{
    static const struct reaction stricter = {
        .after = 1, .within_ms = HOUR, .slow_after = 1, .slow_percent = 10, .slow_ms = MINUTE};

    (void)state;
    for (int i = 0; i < 3; i++)
        breaker_hit(&breaker, &policy, &busy, 7, "", 0);
    assert_int_equal(share(0), 20);
    assert_int_equal(breaker_hit(&breaker, &policy, &stricter, 8, "", BREAKER_SLOWING_MS),
                     BREAKER_SLOWED);
    assert_int_equal(share(BREAKER_SLOWING_MS), 10);
    assert_int_equal(breaker_hit(&breaker, &policy, &blocked, 9, "", BREAKER_SLOWING_MS + 1),
                     BREAKER_SUSPENDED);
}

/* One that slows it less does not let it go faster, nor one that ends before. */
static void
test_milder_when_slowed(void **state)
{
    static const struct reaction milder = {
        .after = 20, .within_ms = HOUR, .slow_after = 1, .slow_percent = 75, .slow_ms = HOUR};
    static const struct reaction shorter = {
        .after = 20, .within_ms = HOUR, .slow_after = 1, .slow_percent = 20, .slow_ms = MINUTE};

    (void)state;
    for (int i = 0; i < 3; i++)
        breaker_hit(&breaker, &policy, &busy, 7, "", 0);
    assert_int_equal(breaker_hit(&breaker, &policy, &milder, 8, "", MINUTE), BREAKER_COUNTED);
    assert_int_equal(breaker_hit(&breaker, &policy, &shorter, 9, "", MINUTE), BREAKER_COUNTED);
    assert_int_equal(share(15 * MINUTE - 1), 20);
    assert_int_equal(share(15 * MINUTE), 100);
    assert_int_equal(breaker_hit(&breaker, &policy, &milder, 8, "", 15 * MINUTE), BREAKER_SLOWED);
    assert_int_equal(share(15 * MINUTE), 75);
}

/* That it is slowed down no more is told once, and as what it is. */
static void
test_slowing_is_over(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        breaker_hit(&breaker, &policy, &busy, 7, "", 0);
    assert_int_equal(breaker_advance(&breaker, &policy, 15 * MINUTE - 1), BREAKER_SAME);
    assert_int_equal(breaker_advance(&breaker, &policy, 15 * MINUTE), BREAKER_CLOSES);
    assert_int_equal(breaker_advance(&breaker, &policy, 15 * MINUTE), BREAKER_SAME);
    breaker_hit(&breaker, &policy, &blocked, 8, "", 15 * MINUTE);
    breaker_advance(&breaker, &policy, 75 * MINUTE);
    for (int i = 0; i < 3; i++)
        breaker_hit(&breaker, &policy, &busy, 7, "", 75 * MINUTE);
    assert_int_equal(breaker_advance(&breaker, &policy, 90 * MINUTE), BREAKER_COUNTED);
    assert_int_equal(breaker.state, BREAKER_PROBING);
}

/* Rules count each by itself, and the one that is quiet longest is forgotten. */
static void
test_rules_apart(void **state)
{
    (void)state;
    for (uint32_t rule = 1; rule <= BREAKER_RULES_MAX + 1; rule++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(breaker_hit(&breaker, &policy, &busy, rule, "", rule),
                             BREAKER_COUNTED);
    assert_int_equal(breaker_hit(&breaker, &policy, &busy, 2, "", 10), BREAKER_SLOWED);
    assert_int_equal(breaker_hit(&breaker, &policy, &busy, 1, "", 20 * MINUTE), BREAKER_COUNTED);
}

static enum breaker_change
hit_of(uint32_t rule, const struct reaction *reaction, int64_t now_ms)
{
    return breaker_hit(&breaker, &policy, reaction, rule, "", now_ms);
}

/*
 * While it comes back one hit of the rule that suspended it is enough; any other rule needs
 * as many as ever.
 */
static void
test_delicate(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        hit_of(7, &busy, i * MINUTE);
    assert_int_equal(share(HOUR), 0);
    assert_int_equal(breaker.state, BREAKER_PROBING);
    assert_int_equal(hit_of(8, &busy, HOUR), BREAKER_COUNTED);
    assert_int_equal(breaker.state, BREAKER_PROBING);
    assert_int_equal(hit_of(7, &busy, HOUR), BREAKER_SUSPENDED);
    assert_int_equal(breaker_until(&breaker), 2 * HOUR); /* doubled, to its most */
    share(2 * HOUR);
    accept_probes(2 * HOUR);
    assert_int_equal(breaker.state, BREAKER_RECOVERING);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hit_of(8, &busy, 2 * HOUR), BREAKER_COUNTED);
    assert_int_equal(hit_of(8, &busy, 2 * HOUR), BREAKER_SLOWED);
    assert_int_equal(breaker.state, BREAKER_RECOVERING);
    assert_int_equal(hit_of(9, &blocked, 2 * HOUR), BREAKER_SUSPENDED);
    share(10 * HOUR);
    accept_probes(10 * HOUR);
    assert_int_equal(hit_of(7, &busy, 10 * HOUR), BREAKER_COUNTED); /* not the last one any more */
    assert_int_equal(hit_of(9, &blocked, 10 * HOUR), BREAKER_SUSPENDED);
}

/* What a cause suspended is not delicate for any rule. */
static void
test_delicate_after_a_cause(void **state)
{
    (void)state;
    breaker_keep_suspended(&breaker, BREAKER_NETWORK, HOUR, "network: no", 0);
    assert_int_equal(share(HOUR), 0);
    assert_int_equal(hit_of(7, &busy, HOUR), BREAKER_COUNTED);
    assert_int_equal(hit_of(8, &blocked, HOUR), BREAKER_SUSPENDED);
}

/* More hits within the time than are kept: the oldest are forgotten. */
static void
test_many_hits(void **state)
{
    static const struct reaction counted = {.after = BREAKER_AFTER_MAX, .within_ms = HOUR};

    (void)state;
    for (int i = 0; i < 3 * BREAKER_AFTER_MAX; i++)
        hit(&counted, i, BREAKER_COUNTED);
    assert_int_equal(breaker.hits[0].count, BREAKER_AFTER_MAX);
    assert_int_equal(breaker.hits[0].at_ms[0], 2 * BREAKER_AFTER_MAX);
    assert_int_equal(breaker.hits[1].rule, 0);
}

static void
test_by_hand(void **state)
{
    (void)state;
    breaker_suspend(&breaker, BREAKER_FOR_EVER, "moving");
    assert_true(breaker_is_by_hand(&breaker));
    assert_int_equal(share((int64_t)1000 * 24 * HOUR), 0);
    hit(&blocked, 5, BREAKER_SAME);
    breaker_resume(&breaker, 10);
    assert_int_equal(share(10), 100);
    breaker_suspend(&breaker, HOUR, "a while");
    assert_int_equal(share(HOUR - 1), 0);
    assert_false(breaker_is_idle(&breaker, &policy, HOUR - 1));
    assert_int_equal(breaker_advance(&breaker, &policy, HOUR), BREAKER_FREED);
    assert_int_equal(share(HOUR), 100);
    assert_true(breaker_is_idle(&breaker, &policy, HOUR));
    breaker_suspend(&breaker, BREAKER_FOR_EVER, "moving");
    breaker_suspend(&breaker, 2 * HOUR, "not for ever"); /* the newer one holds */
    assert_int_equal(breaker_until(&breaker), 2 * HOUR);
}

/* A suspension by hand only adds: a drain is there still when it is over. */
static void
test_by_hand_over_a_drain(void **state)
{
    (void)state;
    breaker_drain(&breaker, "will be given back");
    assert_true(breaker_is_by_hand(&breaker));
    breaker_suspend(&breaker, HOUR, "a while");
    assert_string_equal(breaker_why(&breaker), "a while");
    assert_int_equal(share(HOUR - 1), 0);
    assert_true(breaker.drained);
    assert_int_equal(share(HOUR), 100);
    assert_true(breaker.drained);
    assert_string_equal(breaker_why(&breaker), "will be given back");
    assert_false(breaker_is_idle(&breaker, &policy, (int64_t)100 * 24 * HOUR));
    breaker_resume(&breaker, HOUR);
    assert_false(breaker.drained);
}

/* Likewise what replies did: it goes on, with probes and its level. */
static void
test_by_hand_over_replies(void **state)
{
    (void)state;
    hit(&blocked, 0, BREAKER_SUSPENDED);
    breaker_suspend(&breaker, 5000, "oops");
    assert_string_equal(breaker_why(&breaker), "550 blocked"); /* that lasts longer */
    assert_false(breaker_is_by_hand(&breaker));
    assert_int_equal(breaker_until(&breaker), HOUR);
    assert_int_equal(share(5000), 0);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    breaker_suspend(&breaker, 2 * HOUR, "longer");
    assert_string_equal(breaker_why(&breaker), "longer");
    assert_true(breaker_is_by_hand(&breaker));
    assert_int_equal(share(HOUR), 0);
    assert_true(breaker_is_suspended(&breaker));
    hit(&blocked, HOUR + 1, BREAKER_SAME);
    assert_int_equal(breaker_accepted(&breaker, &policy, HOUR + 1), BREAKER_SAME);
    assert_int_equal(share(2 * HOUR), 0);
    assert_false(breaker_is_suspended(&breaker));
    assert_true(breaker_is_held(&breaker));
    hit(&blocked, 2 * HOUR, BREAKER_SUSPENDED);
    assert_int_equal(breaker_until(&breaker), 4 * HOUR); /* the second time in a row */
}

static void
test_idle(void **state)
{
    (void)state;
    assert_true(breaker_is_idle(&breaker, &policy, 0));
    hit(&busy, 1, BREAKER_COUNTED);
    assert_false(breaker_is_idle(&breaker, &policy, HOUR));
    assert_true(breaker_is_idle(&breaker, &policy, 24 * HOUR + 1));
    hit(&blocked, 48 * HOUR, BREAKER_SUSPENDED);
    assert_false(breaker_is_idle(&breaker, &policy, 48 * HOUR));
    memset(&breaker, 0, sizeof(breaker));
    breaker_drain(&breaker, "old");
    assert_false(breaker_is_idle(&breaker, &policy, 0));
}

static void
test_suspended_by_us(void **state)
{
    (void)state;
    breaker_keep_suspended(&breaker, BREAKER_LISTED, HOUR, "listed\xff", 0);
    assert_string_equal(breaker_why(&breaker), "listed?");
    assert_int_equal(share(HOUR), 0);
    accept_probes(HOUR);
    assert_int_equal(share(HOUR), 10);
}

static enum breaker_change
keep(enum breaker_cause cause, int64_t until_ms, const char *why, int64_t now_ms)
{
    return breaker_keep_suspended(&breaker, cause, until_ms, why, now_ms);
}

static enum breaker_change
end(enum breaker_cause cause, bool whole, int64_t now_ms)
{
    return breaker_end(&breaker, cause, whole, now_ms);
}

/* A cause that lasts puts the end off, and when it is over only its own suspension ends. */
static void
test_lasting_cause(void **state)
{
    (void)state;
    assert_int_equal(keep(BREAKER_LISTED, HOUR, "listed (1)", 0), BREAKER_SUSPENDED);
    assert_int_equal(keep(BREAKER_LISTED, 2 * HOUR, "listed (2)", 1), BREAKER_COUNTED);
    assert_int_equal(keep(BREAKER_LISTED, HOUR, "listed (3)", 2), BREAKER_COUNTED);
    assert_int_equal(breaker_until(&breaker), 2 * HOUR); /* never sooner */
    assert_string_equal(breaker_why(&breaker), "listed (3)");
    assert_int_equal(end(BREAKER_NETWORK, false, 3), BREAKER_SAME);
    assert_int_equal(end(BREAKER_LISTED, false, 3), BREAKER_PROBES);
    assert_int_equal(end(BREAKER_LISTED, false, 4), BREAKER_SAME);
    assert_int_equal(share(4), 0);
    assert_int_equal(keep(BREAKER_LISTED, HOUR, "listed (1)", 5), BREAKER_SUSPENDED);
}

/* Whatever else holds it goes on when the cause is over, and the other way round. */
static void
test_cause_beside_others(void **state)
{
    (void)state;
    hit(&blocked, 0, BREAKER_SUSPENDED);
    keep(BREAKER_LISTED, 3 * HOUR, "listed", 1);
    assert_string_equal(breaker_why(&breaker), "listed");
    assert_int_equal(end(BREAKER_LISTED, true, 2), BREAKER_COUNTED);
    assert_int_equal(breaker_until(&breaker), HOUR);
    assert_string_equal(breaker_why(&breaker), "550 blocked");
    keep(BREAKER_LISTED, 3 * HOUR, "listed", 1);
    keep(BREAKER_NETWORK, 2 * HOUR, "network", 3);
    assert_int_equal(end(BREAKER_LISTED, false, 4), BREAKER_COUNTED);
    assert_int_equal(breaker_until(&breaker), 2 * HOUR);
    assert_int_equal(share(HOUR), 0);
    assert_int_equal(end(BREAKER_NETWORK, true, HOUR), BREAKER_PROBES); /* for the replies' sake */
    accept_probes(HOUR);
    keep(BREAKER_NETWORK, 2 * HOUR, "network", HOUR + 1);
    assert_int_equal(end(BREAKER_NETWORK, true, HOUR + 2), BREAKER_PROBES);
    breaker_resume(&breaker, 2 * HOUR);
    breaker_suspend(&breaker, 9 * HOUR, "by hand");
    keep(BREAKER_LISTED, 3 * HOUR, "listed", 2 * HOUR);
    assert_true(breaker_is_by_hand(&breaker));
    assert_int_equal(end(BREAKER_LISTED, true, 2 * HOUR + 1), BREAKER_CLOSES);
    assert_int_equal(share(9 * HOUR - 1), 0);
    keep(BREAKER_LISTED, 30 * HOUR, "listed", 8 * HOUR);
    assert_int_equal(share(9 * HOUR), 0);
    assert_false(breaker_is_by_hand(&breaker));
    assert_string_equal(breaker_why(&breaker), "listed");
}

/* The cause is known by itself, whatever words a drain has. */
static void
test_cause_and_drain(void **state)
{
    (void)state;
    keep(BREAKER_LISTED, HOUR, "listed", 0);
    breaker_drain(&breaker, "going");
    assert_false(breaker_is_by_hand(&breaker));
    assert_string_equal(breaker_why(&breaker), "listed");
    assert_int_equal(end(BREAKER_LISTED, true, 14), BREAKER_CLOSES);
    assert_int_equal(share(14), 100);
    assert_true(breaker.drained);
    assert_string_equal(breaker_why(&breaker), "going");
}

static void
test_cause_over_while_it_recovers(void **state)
{
    (void)state;
    keep(BREAKER_NETWORK, HOUR, "network: no", 15);
    assert_int_equal(share(HOUR), 0);
    accept_probes(HOUR);
    assert_int_equal(share(HOUR), 10);
    assert_int_equal(end(BREAKER_NETWORK, false, HOUR), BREAKER_SAME);
    assert_int_equal(end(BREAKER_NETWORK, true, HOUR), BREAKER_CLOSES);
    assert_int_equal(share(HOUR), 100);
    assert_int_equal(end(BREAKER_NETWORK, true, HOUR), BREAKER_SAME);
}

static void
assert_round_trip(void)
{
    char text[BREAKER_TEXT_SIZE], again[BREAKER_TEXT_SIZE];
    size_t length = breaker_print(&breaker, text);
    struct breaker parsed;

    assert_true(length == strlen(text));
    assert_int_equal(breaker_parse(text, length, &parsed), 0);
    assert_int_equal(breaker_print(&parsed, again), length);
    assert_string_equal(again, text);
    assert_int_equal(breaker_share(&parsed, &policy, 0), breaker_share(&breaker, &policy, 0));
    assert_string_equal(breaker_why(&parsed), breaker_why(&breaker));
    assert_int_equal(breaker_until(&parsed), breaker_until(&breaker));
    assert_int_equal(breaker_is_by_hand(&parsed), breaker_is_by_hand(&breaker));
}

/* Two hosts know the clock each a little differently, and what is told later was earlier. */
static void
test_told_out_of_order(void **state)
{
    (void)state;
    breaker_hit(&breaker, &policy, &busy, 7, "", 1000);
    breaker_hit(&breaker, &policy, &busy, 7, "", 997);
    assert_round_trip();
    assert_int_equal(breaker_hit(&breaker, &policy, &busy, 7, "", 997 + HOUR), BREAKER_COUNTED);
    assert_round_trip();
    assert_int_equal(breaker_hit(&breaker, &policy, &busy, 7, "", 999 + HOUR), BREAKER_SLOWED);
    assert_round_trip();
}

static void
test_text(void **state)
{
    static const char *const wrong[] = {
        "",
        "3",
        "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "4 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 4 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 100000000000001 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 4294967296 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 101 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 100000000000001 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  100000000000001 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 9223372036854775807 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  100000000000001 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  99999999999999999999 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0",
        "3 0 0 0 0 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 7 2 5 4 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 7 21 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ",
        "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 ",
    };
    char text[BREAKER_TEXT_SIZE + 1];
    struct breaker parsed = {.level = 77};

    (void)state;
    assert_round_trip();
    breaker_suspend(&breaker, BREAKER_FOR_EVER, "moving house");
    breaker_drain(&breaker, "old");
    keep(BREAKER_NETWORK, HOUR, "network: no", 5);
    assert_round_trip();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        print_message("%s\n", wrong[i]);
        assert_int_equal(breaker_parse(wrong[i], strlen(wrong[i]), &parsed), -EINVAL);
    }
    snprintf(text, sizeof(text), "%s%0*d",
             "3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0  0 0  0 0  0 0  ", BREAKER_WHY_SIZE, 0);
    assert_int_equal(breaker_parse(text, strlen(text), &parsed), -EINVAL);
    assert_int_equal(parsed.level, 77);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(breaker_parse(text, strlen(text), &parsed), 0);
}

/* Any history: what a share may be in which state, and no suspension beyond its most. */
static void
test_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        uint64_t random = seed;
        int64_t now_ms = 0;

        memset(&breaker, 0, sizeof(breaker));
        for (int i = 0; i < 60; i++) {
            random = hash_mix(random + seed);
            now_ms += (int64_t)(random % (20 * MINUTE));
            breaker_advance(&breaker, &policy, now_ms);
            switch (random >> 32 & 7) {
            case 0:
                breaker_hit(&breaker, &policy, &blocked, 1, "x", now_ms);
                break;
            case 1:
            case 2:
                breaker_hit(&breaker, &policy, &busy, 2, "y", now_ms);
                break;
            default:
                breaker_accepted(&breaker, &policy, now_ms);
            }
            assert_int_equal(breaker_share(&breaker, &policy, now_ms) == 0,
                             breaker.state == BREAKER_OPEN || breaker.state == BREAKER_PROBING);
            if (i % 16 == 0)
                assert_round_trip();
            if (breaker.state == BREAKER_OPEN) {
                assert_true(breaker_until(&breaker) > now_ms);
                assert_true(breaker_until(&breaker) - breaker.since_ms <= blocked.suspend_most_ms);
            }
        }
        breaker_advance(&breaker, &policy, now_ms += 5 * HOUR);
        for (int i = 0; i < policy.probes; i++)
            breaker_accepted(&breaker, &policy, now_ms);
        assert_int_equal(share(now_ms + HOUR), 100);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_open_and_back, setup),
        cmocka_unit_test_setup(test_grows_on_repetition, setup),
        cmocka_unit_test_setup(test_threshold, setup),
        cmocka_unit_test_setup(test_under_way_when_slowed, setup),
        cmocka_unit_test_setup(test_others_when_slowed, setup),
        cmocka_unit_test_setup(test_milder_when_slowed, setup),
        cmocka_unit_test_setup(test_slowing_is_over, setup),
        cmocka_unit_test_setup(test_rules_apart, setup),
        cmocka_unit_test_setup(test_delicate, setup),
        cmocka_unit_test_setup(test_delicate_after_a_cause, setup),
        cmocka_unit_test_setup(test_many_hits, setup),
        cmocka_unit_test_setup(test_by_hand, setup),
        cmocka_unit_test_setup(test_by_hand_over_a_drain, setup),
        cmocka_unit_test_setup(test_by_hand_over_replies, setup),
        cmocka_unit_test_setup(test_lasting_cause, setup),
        cmocka_unit_test_setup(test_cause_beside_others, setup),
        cmocka_unit_test_setup(test_cause_and_drain, setup),
        cmocka_unit_test_setup(test_cause_over_while_it_recovers, setup),
        cmocka_unit_test_setup(test_idle, setup),
        cmocka_unit_test_setup(test_suspended_by_us, setup),
        cmocka_unit_test_setup(test_told_out_of_order, setup),
        cmocka_unit_test_setup(test_text, setup),
        cmocka_unit_test(test_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
