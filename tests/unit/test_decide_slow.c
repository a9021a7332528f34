/*
 * The choice where something is slowed down: a share of the caps, of their pace, or of the
 * messages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/curbs_world.h"

#include "engine/book.h"
#include "engine/meters.h"
#include "engine/snapshot.h"
#include "lib/conf.h"

static const struct curb for_ever = {.share = 0, .until_ms = CURB_NOT_KNOWN};
static const struct curb quarter = {.share = 25, .until_ms = NOW_MS};
static const struct curb well = {.share = CURB_WHOLE};

/* An account without caps to scale: a quarter of its messages, others in the next minute. */
static void
test_account_thinned(void **state)
{
    struct curbs_world *w = *state;
    size_t now = 0, both = 0;

    curbs_set_account(w->curbs, "sender.test", &quarter);
    for (uint64_t key = 0; key < KEYS; key++) {
        bool passes;

        w->question.now_ms = NOW_MS;
        passes = curbs_world_choice(w, key) != NULL;
        assert_int_equal(passes, !w->decision.suspended);
        if (!passes) {
            assert_true(w->decision.slowed && w->decision.held);
            assert_int_equal(w->decision.room_ms, (NOW_MS / MINUTE_MS + 1) * MINUTE_MS);
        }
        w->question.now_ms = (NOW_MS / MINUTE_MS + 1) * MINUTE_MS - 1;
        assert_int_equal(passes,
                         curbs_world_choice(w, key) != NULL); /* not asked for again in vain */
        w->question.now_ms++;
        now += passes;
        both += passes && curbs_world_choice(w, key) != NULL;
    }
    assert_in_range(now, KEYS / 4 - 150, KEYS / 4 + 150);
    assert_in_range(both, KEYS / 16 - 100, KEYS / 16 + 100);
}

/* An address without caps: the other mail of its own goes to the others. */
static void
test_address_thinned(void **state)
{
    struct curbs_world *w = *state;
    size_t before = curbs_world_share_of(w, w->a1), after;

    curbs_set_address(w->curbs, w->a1, &quarter);
    after = curbs_world_share_of(w, w->a1);
    assert_in_range(after, before / 4 - 100, before / 4 + 100);
    curbs_set_provider(w->curbs, w->a1, w->p2, &(struct curb){.share = 5});
    w->question.provider = w->p2->index;
    after = curbs_world_share_of(w, w->a1); /* the stricter of both */
    assert_in_range(after, before / 20 - 50, before / 20 + 50);
    curbs_world_suspend_all(w, &(struct curb){.share = 1, .until_ms = CURB_NOT_KNOWN});
    for (uint64_t key = 0; key < KEYS; key++)
        if (curbs_world_choice(w, key) == NULL) {
            assert_true(w->decision.suspended && w->decision.slowed && w->decision.thinned);
            assert_int_equal(curbs_world_verdict_of(w, w->a2), VERDICT_SLOWED);
            return;
        }
    fail_msg("everything passed");
}

/* A lease, as large as it is asked for. */
static void
answer_all(struct curbs_world *w)
{
    struct book_ask ask;
    uint32_t number;

    while ((number = meters_next(w->meters, NOW_MS, &ask)) != METERS_NONE)
        meters_answered(w->meters, number,
                        &(struct book_answer){.seq = ask.seq, .count = ask.want, .from_ms = NOW_MS},
                        NOW_MS);
}

/* What has caps works with a share of them, each with its own curb's. */
static void
test_caps_are_scaled(void **state)
{
    struct curbs_world *w = *state;
    uint32_t a3 = meters_address(w->meters, w->a3->index);
    uint32_t a3_p1 = meters_provider(w->meters, w->a3->index, w->p1->index);
    uint32_t account = meters_account(w->meters, 0, "sender.test");

    w->question.meters = w->meters;
    w->question.provider = w->p1->index;
    w->question.account = account;
    curbs_set_address(w->curbs, w->a3, &quarter);
    curbs_set_provider(w->curbs, w->a3, w->p1, &(struct curb){.share = 50});
    curbs_set_account(w->curbs, "sender.test", &(struct curb){.share = 10});
    curbs_world_share_of(w, w->a3);
    answer_all(w);
    assert_true(curbs_world_share_of(w, w->a3) > KEYS / 5); /* nothing is thinned out */
    assert_int_equal(meters_at(w->meters, a3)->off, 75);
    assert_int_equal(meters_at(w->meters, a3_p1)->off, 50);
    assert_int_equal(meters_at(w->meters, account)->off, 90);
    curbs_set_address(w->curbs, w->a3, &well);
    curbs_set_provider(w->curbs, w->a3, w->p1, &well);
    curbs_set_account(w->curbs, "sender.test", &well);
    assert_true(curbs_is_empty(w->curbs));
    curbs_world_share_of(w, w->a3);
    assert_false(meters_are_scaled(w->meters));
}

/* How many messages, each moment another one, leave from a3 in a minute. */
static size_t
paced_in_a_minute(struct curbs_world *w)
{
    size_t count = 0;

    for (int64_t ms = 0; ms < MINUTE_MS; ms += 20) {
        w->question.now_ms = NOW_MS + ms;
        if (curbs_world_choice(w, (uint64_t)ms) == w->a3) {
            decide_spend(&w->question, &w->decision);
            count++;
        }
        answer_all(w);
    }
    return count;
}

/* The address has caps, but not of that domain: what it sends there is as far apart as they say. */
static void
test_paced_by_the_caps_of_the_address(void **state)
{
    struct curbs_world *w = *state;

    w->question.meters = w->meters;
    w->question.provider = w->p2->index;
    w->question.pool = &w->conf->snapshot->pools[0];
    curbs_set_address(w->curbs, w->a1, &for_ever);
    curbs_set_address(w->curbs, w->a2, &for_ever);
    curbs_set_address(w->curbs, w->b1, &for_ever);
    assert_in_range(paced_in_a_minute(w), MINUTE_MS / 20 - 1, MINUTE_MS / 20);

    /* 100 an hour: at half of that one each 72 s */
    curbs_set_provider(w->curbs, w->a3, w->p2, &(struct curb){.share = 50});
    assert_int_equal(paced_in_a_minute(w), 1);
    assert_null(curbs_world_choice(w, 1));
    assert_true(w->decision.suspended && w->decision.slowed && !w->decision.thinned);
    assert_int_equal(w->decision.room_ms, NOW_MS + 72 * 1000 - 250 + 1);
    assert_int_equal(curbs_world_verdict_of(w, w->a3), VERDICT_PACED);
    w->question.now_ms = NOW_MS + 72 * 1000 - 250;
    assert_null(curbs_world_choice(w, 1));
    w->question.now_ms++;
    assert_ptr_equal(curbs_world_choice(w, 1), w->a3);

    /* The same at a domain; and two hosts have half of it each. */
    w->question.provider = w->other->index;
    w->question.now_ms = NOW_MS;
    meters_set_nodes(w->meters, 2);
    curbs_set_domain(w->curbs, w->a3, "d.test", &(struct curb){.share = 50});
    assert_ptr_equal(curbs_world_choice(w, 1), w->a3);
    decide_spend(&w->question, &w->decision);
    assert_null(curbs_world_choice(w, 2));
    assert_int_equal(w->decision.room_ms, NOW_MS + 2 * 72 * 1000 - 250 + 1);
    w->question.domain = "else.test";
    assert_ptr_equal(curbs_world_choice(w, 2), w->a3);
    w->question.domain = "d.test";

    /* It may send a little more, and goes on from there; a clock that went back holds nothing up.
     */
    curbs_set_domain(w->curbs, w->a3, "d.test", &(struct curb){.share = 51, .until_ms = 1});
    w->question.now_ms += 4000; /* the gap is shorter than what is left of the one before */
    assert_null(curbs_world_choice(w, 2));
    w->question.now_ms = NOW_MS - 3600 * 1000;
    assert_ptr_equal(curbs_world_choice(w, 2), w->a3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, curbs_world_setup, curbs_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_account_thinned),
        TEST(test_address_thinned),
        TEST(test_caps_are_scaled),
        TEST(test_paced_by_the_caps_of_the_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
