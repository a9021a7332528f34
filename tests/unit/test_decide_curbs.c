/*
 * The choice where something is held back: each rule, one by one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/book.h"
#include "engine/curbs.h"
#include "engine/decide.h"
#include "engine/hash.h"
#include "engine/meters.h"
#include "engine/roster.h"
#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"

enum { KEYS = 4000, MINUTE_MS = 60 * 1000 };
#define NOW_MS INT64_C(1700000000000)

/* a1 to a3 in one pool, b1 on its ladder; only p1 has caps, and only a3 does. */
static const char site[] =
    "addresses: { a1 = { ip = \"127.0.1.1\"; helo = \"a1.test\"; };\n"
    "             a2 = { ip = \"127.0.1.2\"; helo = \"a2.test\"; };\n"
    "             a3 = { ip = \"127.0.1.3\"; helo = \"a3.test\"; caps = { hour = 100; }; };\n"
    "             b1 = { ip = \"127.0.1.4\"; helo = \"b1.test\"; };\n"
    "             c1 = { ip = \"127.0.1.5\"; helo = \"c1.test\"; }; };\n"
    "providers: { p1 = { domains = ( \"p1.test\" ); caps = { hour = 50; }; };\n"
    "             p2 = { domains = ( \"p2.test\" ); }; };\n"
    "pools: { all = { addresses = ( \"a1\", \"a2\", \"a3\" ); overflow = [ \"more\" ];\n"
    "                 exhausted = \"exceed\"; };\n"
    "         more = { addresses = ( \"b1\" ); };\n"
    "         other = { addresses = ( \"c1\" ); }; };\n"
    "streams: ( { name = \"default\"; pool = \"all\"; match = (); account_caps = { hour = 8; }; } "
    ");\n";

static const struct curb suspended = {.share = 0, .until_ms = NOW_MS + 5000};
static const struct curb for_ever = {.share = 0, .until_ms = CURB_NOT_KNOWN};
static const struct curb probed = {.share = 0, .probes = 2, .probing = true, .until_ms = NOW_MS};
static const struct curb quarter = {.share = 25, .until_ms = NOW_MS};
static const struct curb drained = {
    .share = CURB_WHOLE, .drained = true, .until_ms = CURB_NOT_KNOWN};
static const struct curb well = {.share = CURB_WHOLE};

struct world {
    struct conf *conf;
    struct roster *roster;
    struct curbs *curbs;
    struct meters *meters;
    const struct address *a1, *a2, *a3, *b1, *c1;
    const struct provider *p1, *p2, *other;
    struct decide_question question;
    struct decision decision;
};

static int
set_up(void **state)
{
    static const bool here[] = {true, true, true, true, true};
    struct world *w = mem_new(sizeof(*w));
    const struct snapshot *snapshot;

    w->conf = unit_conf(site);
    snapshot = w->conf->snapshot;
    w->roster = roster_new(snapshot, here);
    w->curbs = curbs_new(snapshot);
    w->meters = meters_new(snapshot);
    w->a1 = &snapshot->addresses[0];
    w->a2 = &snapshot->addresses[1];
    w->a3 = &snapshot->addresses[2];
    w->b1 = &snapshot->addresses[3];
    w->c1 = &snapshot->addresses[4];
    w->other = &snapshot->providers[PROVIDER_OTHER];
    w->p1 = snapshot_find_provider(snapshot, "p1");
    w->p2 = snapshot_find_provider(snapshot, "p2");
    w->question = (struct decide_question){
        .roster = w->roster,
        .stream = &snapshot->streams[0],
        .account = METERS_NONE,
        .now_ms = NOW_MS,
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
    curbs_free(w->curbs);
    roster_free(w->roster);
    conf_unref(w->conf);
    free(w);
    return 0;
}

static const struct address *
choice(struct world *w, uint64_t key)
{
    struct decision told;

    w->question.key = hash_mix(key);
    decide(&w->question, &w->decision);
    decide_explained(&w->question, &told);
    if (w->question.meters == NULL) {
        assert_ptr_equal(told.address, w->decision.address);
        assert_int_equal(told.suspended, w->decision.suspended);
        assert_int_equal(told.refused, w->decision.refused);
        assert_int_equal(told.held, w->decision.held);
        assert_int_equal(told.room_ms, w->decision.room_ms);
    }
    return w->decision.address;
}

/* How many of KEYS messages leave from address. */
static size_t
share_of(struct world *w, const struct address *address)
{
    size_t count = 0;

    for (uint64_t key = 0; key < KEYS; key++)
        count += choice(w, key) == address;
    return count;
}

/* What the record says of address, of a message that meets it before it is taken elsewhere. */
static enum verdict
verdict_of(struct world *w, const struct address *address)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        struct decision told;

        w->question.key = hash_mix(key);
        decide_explained(&w->question, &told);
        for (size_t i = 0; i < told.candidate_count; i++)
            if (told.candidates[i].address == address &&
                told.candidates[i].verdict != VERDICT_NOT_ASKED)
                return told.candidates[i].verdict;
    }
    return VERDICT_NOT_ASKED;
}

static void
suspend_all(struct world *w, const struct curb *curb)
{
    curbs_set_address(w->curbs, w->a1, curb);
    curbs_set_address(w->curbs, w->a2, curb);
    curbs_set_address(w->curbs, w->a3, curb);
    curbs_set_address(w->curbs, w->b1, curb);
}

/* What a curb moves is the mail of what it holds back, and nothing else. */
static void
test_only_its_own_mail_moves(void **state)
{
    struct world *w = *state;
    const struct address *before[KEYS];
    size_t moved = 0;

    for (uint64_t key = 0; key < KEYS; key++)
        before[key] = choice(w, key);
    curbs_set_address(w->curbs, w->a1, &suspended);
    for (uint64_t key = 0; key < KEYS; key++) {
        const struct address *after = choice(w, key);

        assert_ptr_not_equal(after, w->a1);
        if (before[key] != w->a1)
            assert_ptr_equal(after, before[key]);
        moved += before[key] == w->a1;
    }
    assert_in_range(moved, KEYS / 3 - 200, KEYS / 3 + 200);
    curbs_set_address(w->curbs, w->a1, &well);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_ptr_equal(choice(w, key), before[key]);
}

static void
test_at_one_provider(void **state)
{
    struct world *w = *state;

    curbs_set_provider(w->curbs, w->a1, w->p2, &suspended);
    w->question.provider = w->p2->index;
    assert_int_equal(share_of(w, w->a1), 0);
    w->question.provider = w->p1->index;
    assert_true(share_of(w, w->a1) > 0);
}

/* A domain says nothing of others, and counts whosever it is found to be. */
static void
test_at_one_domain(void **state)
{
    struct world *w = *state;

    curbs_set_domain(w->curbs, w->a1, "d.test", &suspended);
    assert_int_equal(share_of(w, w->a1), 0);
    w->question.domain = "e.test";
    assert_true(share_of(w, w->a1) > 0);
    w->question.domain = "d.test";
    w->question.provider = w->p2->index;
    assert_int_equal(share_of(w, w->a1), 0);
}

static void
test_all_suspended(void **state)
{
    struct world *w = *state;

    suspend_all(w, &suspended);
    curbs_set_address(w->curbs, w->a2, &for_ever);
    assert_null(choice(w, 1));
    assert_true(w->decision.suspended);
    assert_false(w->decision.full || w->decision.refused || w->decision.held ||
                 w->decision.exceeds);
    assert_int_equal(w->decision.room_ms, NOW_MS + 5000);
    assert_int_equal(verdict_of(w, w->a2), VERDICT_SUSPENDED);
    suspend_all(w, &for_ever);
    assert_null(choice(w, 1));
    assert_int_equal(w->decision.room_ms, CURB_NOT_KNOWN);
}

/* The ladder is gone down as if there was no room. */
static void
test_ladder(void **state)
{
    struct world *w = *state;

    suspend_all(w, &suspended);
    curbs_set_address(w->curbs, w->b1, &well);
    assert_ptr_equal(choice(w, 1), w->b1);
    assert_string_equal(w->decision.pool->name, "more");
}

static void
test_probes(void **state)
{
    struct world *w = *state;
    size_t count = 0;

    curbs_set_address(w->curbs, w->a1, &probed);
    for (uint64_t key = 0; key < KEYS; key++) {
        const struct address *address = choice(w, key);

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
    struct world *w = *state;

    curbs_set_address(w->curbs, w->a1, &probed);
    w->question.no_probe = true;
    assert_int_equal(share_of(w, w->a1), 0);
    suspend_all(w, &probed);
    assert_null(choice(w, 1));
    assert_true(w->decision.suspended);
    w->question.no_probe = false; /* and it is not noted for others */
    assert_non_null(choice(w, 1));
}

static void
test_drained(void **state)
{
    struct world *w = *state;

    curbs_set_address(w->curbs, w->a1, &drained);
    assert_int_equal(share_of(w, w->a1), 0);
    assert_int_equal(verdict_of(w, w->a1), VERDICT_DRAINED);
    w->question.prefer = w->a1; /* it has begun there */
    assert_int_equal(share_of(w, w->a1), KEYS);
    curbs_set_address(w->curbs, w->a1, &suspended);
    assert_int_equal(share_of(w, w->a1), 0);
}

static const struct address *
decided(struct world *w)
{
    decide(&w->question, &w->decision);
    return w->decision.address;
}

/* A store that is slow moves no mail away from there: not for a while, and not where caps give way.
 */
static void
test_preferred_is_awaited(void **state)
{
    struct world *w = *state;
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
    struct world *w = *state;

    w->question.prefer = w->a2;
    assert_int_equal(share_of(w, w->a2), KEYS);
    w->question.prefer = w->b1; /* of the ladder */
    assert_int_equal(share_of(w, w->b1), KEYS);
    w->question.prefer = w->c1; /* no pool of the stream has it */
    assert_int_equal(share_of(w, w->c1), 0);
    w->roster->present[w->a2->index] = false;
    w->question.prefer = w->a2;
    assert_true(share_of(w, w->a1) > 0);
    w->roster->present[w->a2->index] = true;
    w->question.avoid[0] = w->a2;
    assert_int_equal(share_of(w, w->a2), 0);
}

static void
test_avoided(void **state)
{
    struct world *w = *state;

    w->question.avoid[0] = w->a1;
    w->question.avoid[1] = w->a3;
    assert_int_equal(share_of(w, w->a2), KEYS);
    assert_int_equal(verdict_of(w, w->a1), VERDICT_REFUSED_IT);
    w->question.avoid[2] = w->a2;
    assert_int_equal(share_of(w, w->b1), KEYS);
}

/* Nothing is left when each that is here has refused it, or takes no new mail. */
static void
test_refused(void **state)
{
    struct world *w = *state;

    w->question.avoid[0] = w->a1;
    w->question.avoid[1] = w->a2;
    w->question.avoid[2] = w->a3;
    curbs_set_address(w->curbs, w->b1, &suspended);
    assert_null(choice(w, 1));
    assert_true(w->decision.suspended && !w->decision.refused); /* b1 is still to be tried */
    curbs_set_address(w->curbs, w->b1, &drained);
    assert_null(choice(w, 1));
    assert_true(w->decision.refused && !w->decision.suspended);
    curbs_set_address(w->curbs, w->b1, &well);
    w->roster->present[w->b1->index] = false;
    roster_free(w->roster);
    w->roster = roster_new(w->conf->snapshot, (const bool[]){true, true, true, false, true});
    w->question.roster = w->roster;
    assert_null(choice(w, 1));
    assert_true(w->decision.refused);
    w->question.avoid[2] = NULL;
    assert_ptr_equal(choice(w, 1), w->a3);
}

static void
test_account(void **state)
{
    struct world *w = *state;

    curbs_set_account(w->curbs, "sender.test", &suspended);
    assert_null(choice(w, 1));
    assert_true(w->decision.suspended && w->decision.held);
    assert_int_equal(w->decision.room_ms, NOW_MS + 5000);
    assert_int_equal(verdict_of(w, w->a1), VERDICT_SUSPENDED);
    w->question.prefer = w->a1;
    assert_null(choice(w, 1));
    w->question.account_name = "else.test";
    assert_non_null(choice(w, 1));
    w->question.account_name = NULL;
    assert_non_null(choice(w, 1));
    w->question.account_name = "sender.test";
    curbs_set_account(w->curbs, "sender.test", &probed);
    for (int i = 0; i < 2; i++) {
        assert_non_null(choice(w, 1));
        decide_spend(&w->question, &w->decision);
    }
    assert_null(choice(w, 1));
}

/* An account without caps to scale: a quarter of its messages, others in the next minute. */
static void
test_account_thinned(void **state)
{
    struct world *w = *state;
    size_t now = 0, both = 0;

    curbs_set_account(w->curbs, "sender.test", &quarter);
    for (uint64_t key = 0; key < KEYS; key++) {
        bool passes;

        w->question.now_ms = NOW_MS;
        passes = choice(w, key) != NULL;
        assert_int_equal(passes, !w->decision.suspended);
        if (!passes) {
            assert_true(w->decision.slowed && w->decision.held);
            assert_int_equal(w->decision.room_ms, (NOW_MS / MINUTE_MS + 1) * MINUTE_MS);
        }
        w->question.now_ms = (NOW_MS / MINUTE_MS + 1) * MINUTE_MS - 1;
        assert_int_equal(passes, choice(w, key) != NULL); /* not asked for again in vain */
        w->question.now_ms++;
        now += passes;
        both += passes && choice(w, key) != NULL;
    }
    assert_in_range(now, KEYS / 4 - 150, KEYS / 4 + 150);
    assert_in_range(both, KEYS / 16 - 100, KEYS / 16 + 100);
}

/* An address without caps: the other mail of its own goes to the others. */
static void
test_address_thinned(void **state)
{
    struct world *w = *state;
    size_t before = share_of(w, w->a1), after;

    curbs_set_address(w->curbs, w->a1, &quarter);
    after = share_of(w, w->a1);
    assert_in_range(after, before / 4 - 100, before / 4 + 100);
    curbs_set_provider(w->curbs, w->a1, w->p2, &(struct curb){.share = 5});
    w->question.provider = w->p2->index;
    after = share_of(w, w->a1); /* the stricter of both */
    assert_in_range(after, before / 20 - 50, before / 20 + 50);
    suspend_all(w, &(struct curb){.share = 1, .until_ms = CURB_NOT_KNOWN});
    for (uint64_t key = 0; key < KEYS; key++)
        if (choice(w, key) == NULL) {
            assert_true(w->decision.suspended && w->decision.slowed && w->decision.thinned);
            assert_int_equal(verdict_of(w, w->a2), VERDICT_SLOWED);
            return;
        }
    fail_msg("everything passed");
}

/* A lease, as large as it is asked for. */
static void
answer_all(struct world *w)
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
    struct world *w = *state;
    uint32_t a3 = meters_address(w->meters, w->a3->index);
    uint32_t a3_p1 = meters_provider(w->meters, w->a3->index, w->p1->index);
    uint32_t account = meters_account(w->meters, 0, "sender.test");

    w->question.meters = w->meters;
    w->question.provider = w->p1->index;
    w->question.account = account;
    curbs_set_address(w->curbs, w->a3, &quarter);
    curbs_set_provider(w->curbs, w->a3, w->p1, &(struct curb){.share = 50});
    curbs_set_account(w->curbs, "sender.test", &(struct curb){.share = 10});
    share_of(w, w->a3);
    answer_all(w);
    assert_true(share_of(w, w->a3) > KEYS / 5); /* nothing is thinned out */
    assert_int_equal(meters_at(w->meters, a3)->off, 75);
    assert_int_equal(meters_at(w->meters, a3_p1)->off, 50);
    assert_int_equal(meters_at(w->meters, account)->off, 90);
    curbs_set_address(w->curbs, w->a3, &well);
    curbs_set_provider(w->curbs, w->a3, w->p1, &well);
    curbs_set_account(w->curbs, "sender.test", &well);
    assert_true(curbs_is_empty(w->curbs));
    share_of(w, w->a3);
    assert_false(meters_are_scaled(w->meters));
}

/* How many messages, each moment another one, leave from a3 in a minute. */
static size_t
paced_in_a_minute(struct world *w)
{
    size_t count = 0;

    for (int64_t ms = 0; ms < MINUTE_MS; ms += 20) {
        w->question.now_ms = NOW_MS + ms;
        if (choice(w, (uint64_t)ms) == w->a3) {
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
    struct world *w = *state;

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
    assert_null(choice(w, 1));
    assert_true(w->decision.suspended && w->decision.slowed && !w->decision.thinned);
    assert_int_equal(w->decision.room_ms, NOW_MS + 72 * 1000 - 250 + 1);
    assert_int_equal(verdict_of(w, w->a3), VERDICT_PACED);
    w->question.now_ms = NOW_MS + 72 * 1000 - 250;
    assert_null(choice(w, 1));
    w->question.now_ms++;
    assert_ptr_equal(choice(w, 1), w->a3);

    /* The same at a domain; and two hosts have half of it each. */
    w->question.provider = w->other->index;
    w->question.now_ms = NOW_MS;
    meters_set_nodes(w->meters, 2);
    curbs_set_domain(w->curbs, w->a3, "d.test", &(struct curb){.share = 50});
    assert_ptr_equal(choice(w, 1), w->a3);
    decide_spend(&w->question, &w->decision);
    assert_null(choice(w, 2));
    assert_int_equal(w->decision.room_ms, NOW_MS + 2 * 72 * 1000 - 250 + 1);
    w->question.domain = "else.test";
    assert_ptr_equal(choice(w, 2), w->a3);
    w->question.domain = "d.test";

    /* It may send a little more, and goes on from there; a clock that went back holds nothing up.
     */
    curbs_set_domain(w->curbs, w->a3, "d.test", &(struct curb){.share = 51, .until_ms = 1});
    w->question.now_ms += 4000; /* the gap is shorter than what is left of the one before */
    assert_null(choice(w, 2));
    w->question.now_ms = NOW_MS - 3600 * 1000;
    assert_ptr_equal(choice(w, 2), w->a3);
}

/* Mail that exceeds caps goes to the first that is not held back. */
static void
test_nothing_held_back_exceeds(void **state)
{
    struct world *w = *state;
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
        assert_true(choice(w, key) != NULL && w->decision.exceeds);
    curbs_set_address(w->curbs, w->a1, &suspended);
    curbs_set_address(w->curbs, w->a2, &probed);
    w->question.avoid[0] = w->b1;
    for (uint64_t key = 0; key < 100; key++) {
        assert_ptr_equal(choice(w, key), w->a3);
        assert_true(w->decision.exceeds);
    }
    curbs_set_address(w->curbs, w->a3, &drained);
    assert_null(choice(w, 1));
    assert_true(w->decision.full || w->decision.suspended);
    assert_false(w->decision.exceeds);
    w->question.prefer = w->a3;
    assert_ptr_equal(choice(w, 1), w->a3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(test_preferred),
        TEST(test_preferred_is_awaited),
        TEST(test_avoided),
        TEST(test_refused),
        TEST(test_account),
        TEST(test_account_thinned),
        TEST(test_address_thinned),
        TEST(test_caps_are_scaled),
        TEST(test_paced_by_the_caps_of_the_address),
        TEST(test_nothing_held_back_exceeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
