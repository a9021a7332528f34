/*
 * The choice where something is suspended, drained or avoided: each rule, one by one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/curbs_world.h"

#include "engine/book.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"

static const struct curb suspended = {.share = 0, .until_ms = NOW_MS + 5000};
static const struct curb for_ever = {.share = 0, .until_ms = CURB_NOT_KNOWN};
static const struct curb probed = {.share = 0, .probes = 2, .probing = true, .until_ms = NOW_MS};
static const struct curb drained = {
    .share = CURB_WHOLE, .drained = true, .until_ms = CURB_NOT_KNOWN};
static const struct curb well = {.share = CURB_WHOLE};

/* What a curb moves is the mail of what it holds back, and nothing else. */
static void
test_only_its_own_mail_moves(void **state)
{
    struct curbs_world *w = *state;
    const struct address *before[KEYS];
    size_t moved = 0;

    for (uint64_t key = 0; key < KEYS; key++)
        before[key] = curbs_world_choice(w, key);
    curbs_set_address(w->curbs, w->a1, &suspended);
    for (uint64_t key = 0; key < KEYS; key++) {
        const struct address *after = curbs_world_choice(w, key);

        assert_ptr_not_equal(after, w->a1);
        if (before[key] != w->a1)
            assert_ptr_equal(after, before[key]);
        moved += before[key] == w->a1;
    }
    assert_in_range(moved, KEYS / 3 - 200, KEYS / 3 + 200);
    curbs_set_address(w->curbs, w->a1, &well);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_ptr_equal(curbs_world_choice(w, key), before[key]);
}

static void
test_at_one_provider(void **state)
{
    struct curbs_world *w = *state;

    curbs_set_provider(w->curbs, w->a1, w->p2, &suspended);
    w->question.provider = w->p2->index;
    assert_int_equal(curbs_world_share_of(w, w->a1), 0);
    w->question.provider = w->p1->index;
    assert_true(curbs_world_share_of(w, w->a1) > 0);
}

/* A domain says nothing of others, and counts whosever it is found to be. */
static void
test_at_one_domain(void **state)
{
    struct curbs_world *w = *state;

    curbs_set_domain(w->curbs, w->a1, "d.test", &suspended);
    assert_int_equal(curbs_world_share_of(w, w->a1), 0);
    w->question.domain = "e.test";
    assert_true(curbs_world_share_of(w, w->a1) > 0);
    w->question.domain = "d.test";
    w->question.provider = w->p2->index;
    assert_int_equal(curbs_world_share_of(w, w->a1), 0);
}

static void
test_all_suspended(void **state)
{
    struct curbs_world *w = *state;

    curbs_world_suspend_all(w, &suspended);
    curbs_set_address(w->curbs, w->a2, &for_ever);
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.suspended);
    assert_false(w->decision.full || w->decision.refused || w->decision.held ||
                 w->decision.exceeds);
    assert_int_equal(w->decision.room_ms, NOW_MS + 5000);
    assert_int_equal(curbs_world_verdict_of(w, w->a2), VERDICT_SUSPENDED);
    curbs_world_suspend_all(w, &for_ever);
    assert_null(curbs_world_choice(w, 1));
    assert_int_equal(w->decision.room_ms, CURB_NOT_KNOWN);
}

/* The ladder is gone down as if there was no room. */
static void
test_ladder(void **state)
{
    struct curbs_world *w = *state;

    curbs_world_suspend_all(w, &suspended);
    curbs_set_address(w->curbs, w->b1, &well);
    assert_ptr_equal(curbs_world_choice(w, 1), w->b1);
    assert_string_equal(w->decision.pool->name, "more");
}

static void
test_probes(void **state)
{
    struct curbs_world *w = *state;
    size_t count = 0;

    curbs_set_address(w->curbs, w->a1, &probed);
    for (uint64_t key = 0; key < KEYS; key++) {
        const struct address *address = curbs_world_choice(w, key);

        count += address == w->a1;
        decide_spend(&w->question, &w->decision);
    }
    assert_int_equal(count, 2);
    assert_int_equal(curbs_address(w->curbs, w->a1)->probes, 0);
}

/* Who spends nothing may not name what takes probes only. */
static void
test_no_probe(void **state)
{
    struct curbs_world *w = *state;

    curbs_set_address(w->curbs, w->a1, &probed);
    w->question.no_probe = true;
    assert_int_equal(curbs_world_share_of(w, w->a1), 0);
    curbs_world_suspend_all(w, &probed);
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.suspended);
    w->question.no_probe = false; /* and it is not noted for others */
    assert_non_null(curbs_world_choice(w, 1));
}

static void
test_drained(void **state)
{
    struct curbs_world *w = *state;

    curbs_set_address(w->curbs, w->a1, &drained);
    assert_int_equal(curbs_world_share_of(w, w->a1), 0);
    assert_int_equal(curbs_world_verdict_of(w, w->a1), VERDICT_DRAINED);
    w->question.prefer = w->a1; /* it has begun there */
    assert_int_equal(curbs_world_share_of(w, w->a1), KEYS);
    curbs_set_address(w->curbs, w->a1, &suspended);
    assert_int_equal(curbs_world_share_of(w, w->a1), 0);
}

static const struct address *
decided(struct curbs_world *w)
{
    decide(&w->question, &w->decision);
    return w->decision.address;
}

/* A store that is slow moves no mail away from there: not for a while, and not where caps give way.
 */
static void
test_preferred_is_awaited(void **state)
{
    struct curbs_world *w = *state;
    struct book_ask ask;

    w->question.meters = w->meters;
    w->question.prefer = w->a3;
    w->conf->snapshot->pools[0].exhausted = EXHAUSTED_DEFER;
    assert_null(decided(w));
    assert_true(w->decision.full);
    assert_true(w->decision.cold); /* what asks again soon may find room */
    assert_true(meters_next(w->meters, NOW_MS, &ask) != METERS_NONE);
    w->question.now_ms = NOW_MS + DECISION_AWAITED_MS;
    assert_null(decided(w));
    w->question.now_ms = NOW_MS + DECISION_AWAITED_MS + 1;
    assert_non_null(decided(w));

    w->question.now_ms = NOW_MS;
    assert_null(decided(w));
    w->question.prefer = NULL;
    assert_non_null(decided(w));
    w->question.prefer = w->a3;
    w->conf->snapshot->pools[0].exhausted = EXHAUSTED_EXCEED;
    assert_non_null(decided(w));

    w->conf->snapshot->pools[0].exhausted = EXHAUSTED_DEFER;
    meters_set_nodes(w->meters, 1000);
    meters_lapse(w->meters, NOW_MS); /* there is no store, and no share */
    assert_non_null(decided(w));
}

static void
test_preferred(void **state)
{
    struct curbs_world *w = *state;

    w->question.prefer = w->a2;
    assert_int_equal(curbs_world_share_of(w, w->a2), KEYS);
    w->question.prefer = w->b1; /* of the ladder */
    assert_int_equal(curbs_world_share_of(w, w->b1), KEYS);
    w->question.prefer = w->c1; /* no pool of the stream has it */
    assert_int_equal(curbs_world_share_of(w, w->c1), 0);
    w->roster->present[w->a2->index] = false;
    w->question.prefer = w->a2;
    assert_true(curbs_world_share_of(w, w->a1) > 0);
    w->roster->present[w->a2->index] = true;
    w->question.avoid[0] = w->a2;
    assert_int_equal(curbs_world_share_of(w, w->a2), 0);
}

static void
test_avoided(void **state)
{
    struct curbs_world *w = *state;

    w->question.avoid[0] = w->a1;
    w->question.avoid[1] = w->a3;
    assert_int_equal(curbs_world_share_of(w, w->a2), KEYS);
    assert_int_equal(curbs_world_verdict_of(w, w->a1), VERDICT_REFUSED_IT);
    w->question.avoid[2] = w->a2;
    assert_int_equal(curbs_world_share_of(w, w->b1), KEYS);
}

/* Nothing is left when each that is here has refused it, or takes no new mail. */
static void
test_refused(void **state)
{
    struct curbs_world *w = *state;

    w->question.avoid[0] = w->a1;
    w->question.avoid[1] = w->a2;
    w->question.avoid[2] = w->a3;
    curbs_set_address(w->curbs, w->b1, &suspended);
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.suspended && !w->decision.refused); /* b1 is still to be tried */
    curbs_set_address(w->curbs, w->b1, &drained);
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.refused && !w->decision.suspended);
    curbs_set_address(w->curbs, w->b1, &well);
    w->roster->present[w->b1->index] = false;
    roster_free(w->roster);
    w->roster = roster_new(w->conf->snapshot, (const bool[]){true, true, true, false, true});
    w->question.roster = w->roster;
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.refused);
    w->question.avoid[2] = NULL;
    assert_ptr_equal(curbs_world_choice(w, 1), w->a3);
}

static void
test_account(void **state)
{
    struct curbs_world *w = *state;

    curbs_set_account(w->curbs, "sender.test", &suspended);
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.suspended && w->decision.held);
    assert_int_equal(w->decision.room_ms, NOW_MS + 5000);
    assert_int_equal(curbs_world_verdict_of(w, w->a1), VERDICT_SUSPENDED);
    w->question.prefer = w->a1;
    assert_null(curbs_world_choice(w, 1));
    w->question.account_name = "else.test";
    assert_non_null(curbs_world_choice(w, 1));
    w->question.account_name = NULL;
    assert_non_null(curbs_world_choice(w, 1));
    w->question.account_name = "sender.test";
    curbs_set_account(w->curbs, "sender.test", &probed);
    for (int i = 0; i < 2; i++) {
        assert_non_null(curbs_world_choice(w, 1));
        decide_spend(&w->question, &w->decision);
    }
    assert_null(curbs_world_choice(w, 1));
}

/* Mail that exceeds caps goes to the first that is not held back. */
static void
test_nothing_held_back_exceeds(void **state)
{
    struct curbs_world *w = *state;
    uint32_t number;
    struct book_ask ask;

    w->question.meters = w->meters;
    w->question.provider = w->p1->index;
    for (size_t i = 0; i < 5; i++)
        meters_want(w->meters, meters_provider(w->meters, i, w->p1->index));
    while ((number = meters_next(w->meters, NOW_MS, &ask)) != METERS_NONE)
        meters_answered(w->meters, number,
                        &(struct book_answer){.seq = ask.seq,
                                              .again_ms = NOW_MS + MINUTE_MS,
                                              .room_ms = NOW_MS + MINUTE_MS},
                        NOW_MS);
    for (uint64_t key = 0; key < 100; key++)
        assert_true(curbs_world_choice(w, key) != NULL && w->decision.exceeds);
    curbs_set_address(w->curbs, w->a1, &suspended);
    curbs_set_address(w->curbs, w->a2, &probed);
    w->question.avoid[0] = w->b1;
    for (uint64_t key = 0; key < 100; key++) {
        assert_ptr_equal(curbs_world_choice(w, key), w->a3);
        assert_true(w->decision.exceeds);
    }
    curbs_set_address(w->curbs, w->a3, &drained);
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.full || w->decision.suspended);
    assert_false(w->decision.exceeds);
    w->question.prefer = w->a3;
    assert_ptr_equal(curbs_world_choice(w, 1), w->a3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, curbs_world_setup, curbs_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_its_own_mail_moves),
        TEST(test_at_one_provider),
        TEST(test_at_one_domain),
        TEST(test_all_suspended),
        TEST(test_ladder),
        TEST(test_probes),
        TEST(test_no_probe),
        TEST(test_drained),
        TEST(test_preferred_is_awaited),
        TEST(test_preferred),
        TEST(test_avoided),
        TEST(test_refused),
        TEST(test_account),
        TEST(test_nothing_held_back_exceeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
